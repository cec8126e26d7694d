"""`make bench`: times, writes results/bench/<device>/*.csv, and shows a table.

    python -m scripts.bench [--full] [--device gpu] [--threads N] [--out FOLDER]

Five files: times.csv (every method and case), machine.csv (what one core, and all, can do at most),
updates.csv (T(Prune) of Eq. 2 and the plain update), nets.csv (iterations of whole nets) and
engines.csv (training with stock Caffe's convolution, with oneDNN's, and PyTorch). What is measured
with one thread is its processor time, which other programs lengthen little, and with more the time
of day, and on a GPU events; `load` is what ran beside. After a stop the same command goes on.
"""

from __future__ import annotations

import csv
import io
import os
import re
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from scripts import provenance, runs
from scripts.bench import check, conv_step, measure, nets, workers
from scripts.bench.cases import LAYERS, NETS, Case, chosen, chosen_for_gpu
from scripts.bench.progress import Progress
from scripts.bench.table import show
from scripts.errors import ArgumentParser, UserError, run_main
from scripts.files import write_text
from scripts.paths import RESULTS, ROOT

# Rounding of sums in single precision, whatever their order; relative to the sum of absolutes.
LARGEST_ERROR = 2e-5
# Factors of ten bits and an implied one.
LARGEST_TF32_ERROR = 2e-3
PARTS = ("engines", "nets", "updates", "square", *LAYERS)
# Seconds of a case with --full after which few samples of each method are enough.
LONG_BUDGET = 20
ENGINE_ROUNDS = 9
PRUNED = (256, 512, 1024, 2048, 4096, 8192)
# The fields of a Case, in the order in which times.csv has them.
CASE_COLUMNS = ("group", "layer", "M", "N", "K", "b", "product", "state")
# Methods that the second process has: OpenBLAS with the kernels that it chooses itself.
OWN_CHOICE = {"dense": "dense_own_choice", "cblas_loop": "cblas_loop_own_choice"}


def commit() -> str:
    """The project's commit, with + where files differ from it; nothing outside version control."""
    head, dirty = provenance.commit()
    return (head or "")[:12] + ("+" if dirty else "")


def csv_text(rows: Sequence[dict]) -> str:
    """Rows of the same keys."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


# Processes, the first bdip_bench; with those methods of each that count, by name there, and what
# they are called here (None: all, as there).
Workers = list[tuple[workers.Worker, dict[str, str] | None]]


def cpu_workers(threads: int) -> Workers:
    """Caffe and libraries, OpenBLAS with its own choice of kernels, and rivals in Python."""
    native = workers.native(threads)
    own = workers.native(threads, core="", methods=list(OWN_CHOICE))
    blas = [worker.ask("describe")["methods"]["dense"] for worker in (native, own)]
    made: Workers = [(native, None)]
    if blas[0] != blas[1]:
        made.append((own, OWN_CHOICE))
    else:
        own.close()
    made.append((workers.python(("csr", "csr_few", "acdc", "toeplitz"), threads), None))
    torch = workers.torch_interpreter()
    if torch is None:
        print("No PyTorch here: torch.bmm is left out (BENCH_TORCH names a Python that has it)")
    else:
        made.append((workers.python(("torch_bmm",), threads, torch), None))
    return made


def gpu_workers(number: int, program: Path = workers.NATIVE_GPU) -> Workers:
    """Caffe and cuBLAS on this GPU, and PyTorch's rivals."""
    os.environ["BENCH_GPU"] = str(number)
    made: Workers = [(workers.native(1, program=program), None)]
    torch = workers.torch_interpreter(gpu=True)
    if torch is None:
        print(
            "No PyTorch with CUDA here: torch.bmm and CSR are left out (BENCH_TORCH names a Python)"
        )
    else:
        made.append((workers.python(("gpu_bmm", "gpu_csr", "gpu_csr_few"), 1, torch), None))
    return made


class Bench:
    """The processes, and what all rows have in common."""

    def __init__(self, threads: int, budget: float, all_workers: Workers) -> None:
        self.threads, self.budget = threads, budget
        self.all = all_workers
        self.native = self.all[0][0]
        described = [worker.ask("describe") for worker, _ in self.all]
        self.about = described[0]
        self.libraries = {}
        for (_, names), told in zip(self.all, described, strict=True):
            for name, library in told["methods"].items():
                if names is None or name in names:
                    self.libraries[names[name] if names else name] = library
        for name, (library, version) in self.libraries.items():
            if not library:
                print(f"{name} is left out: {version}")
        self.common = {
            "device": self.about.get("device") or provenance.cpu_name(),
            "kind": "gpu" if "device" in self.about else "cpu",
            "isa": self.about["isa"],
            "threads": threads,
            "commit": commit(),
        }
        gpu = self.common["kind"] == "gpu"
        self.can_empty_cache = gpu or all(told["can_empty_cache"] for told in described)

    def stamp(self) -> dict[str, object]:
        """When, and beside what."""
        return {
            **self.common,
            "clock_mhz": provenance.cpuinfo("cpu MHz"),
            "load": f"{os.getloadavg()[0]:.2f}",
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }

    def close(self) -> None:
        for worker, _ in self.all:
            worker.close()

    def about_all(self, full: bool, wanted: Sequence[str]) -> dict:
        """What two benchmarks have in common that may go on one with the other."""
        return {
            **self.common,
            "program": provenance.program_digest(),
            "full": full,
            "parts": list(wanted),
            "libraries": {name: list(library) for name, library in self.libraries.items()},
        }

    def cases(self, full: bool, wanted: Sequence[str] = PARTS) -> list[Case]:
        """What is timed on this device."""
        if self.common["kind"] == "cpu":
            every = chosen(full)
        else:
            every = chosen_for_gpu(full, bool(self.about["graphs"]), int(self.about["memory"]))
        if not self.can_empty_cache:
            every = [case for case in every if case.state != "cold"]
        return [case for case in every if case.group in wanted]

    def case(self, case: Case) -> list[dict]:
        """Check all methods on a case, time them, and return a row for each."""
        timers, errors = {}, {}
        limit = LARGEST_TF32_ERROR if "tf32" in case.state.split("+") else LARGEST_ERROR
        for worker, names in self.all:
            told = worker.ask("case", case.M, case.N, case.K, case.b, case.product, case.state)
            for method, error in told.items():
                if names is not None and method not in names:
                    continue
                name = names[method] if names else method
                if not error <= limit:
                    raise UserError(f"{name} computes something else in {case}: error {error:.2g}")
                errors[name] = error
                timers[name] = lambda seconds, w=worker, m=method: w.ask(
                    "time", m, case.state, seconds
                )
        found = measure.interleaved(timers, budget=self.budget)
        rows = []
        for name, samples in found.items():
            low, high = samples.quartiles
            library, version = self.libraries[name]
            rows.append({
                **{column: getattr(case, column) for column in CASE_COLUMNS}, "method": name,
                "library": library, "version": version, "error": f"{errors[name]:.2g}",
                "median_s": f"{samples.median:.4e}", "q1_s": f"{low:.4e}", "q3_s": f"{high:.4e}",
                "samples": len(samples.seconds), "calls": samples.calls, "flops": case.flops,
                "bytes": case.bytes, "working_set": case.working_set, **self.stamp(),
            })  # fmt: skip
        return rows

    def machine(self) -> list[dict]:
        """Peak arithmetic, and bandwidth by working set: of one core, of all, and of `threads`."""
        rows = []
        gpu = self.common["kind"] == "gpu"
        for cores in (1,) if gpu else sorted({1, self.threads, os.cpu_count() or 1}):
            told = self.native.ask("machine", cores)
            measured = [("peak", 0, told["peak_flops"], "flop/s")]
            measured += [("bandwidth", s, v, "byte/s") for s, v in told["bandwidth"].items()]
            for what, size, value, unit in measured:
                row = {"what": what, "cores": cores, "working_set": size, "value": f"{value:.4e}"}
                rows.append({**row, "unit": unit, **self.stamp()})
        return rows

    def updates(self) -> Iterable[dict]:
        """A solver's update of n x n weights and of the nets' layers, plain and while it prunes."""
        shapes = [(n, n, b) for n in PRUNED for b in (2, n // 16)]
        shapes += [
            (N, K, b) for its in LAYERS.values() for _, N, K, blocks in its.values()
            for b in blocks if b > 1
        ]  # fmt: skip
        for N, K, b in shapes:
            self.native.ask("updates", N, K, b)
            yield from self.actions(("update", "prune"), {"N": N, "K": K, "b": b})

    def engines(self) -> Iterable[dict]:
        """A training step with each engine of convolution, and PyTorch's."""
        for row in conv_step.measure(ENGINE_ROUNDS):
            yield {**row, **self.stamp()}

    def nets(self) -> Iterable[dict]:
        """Iterations of training, and the part of the inner product layers."""
        folder = ROOT / "build" / "bench" / "nets"
        folder.mkdir(parents=True, exist_ok=True)
        for net, configs in NETS.items():
            names = []
            self.native.ask("case", 1, 1, 1, 1, "forward", "warm")  # forgets the nets before
            for place, config in enumerate(configs):
                solver = nets.write(net, config, folder / f"{net}-{place}.prototxt")
                self.native.ask("net", place, solver)
                names.append((place, config))
            actions = [f"{place}.{what}" for place, _ in names for what in ("step", "ip")]
            for row in self.actions(actions, {"net": net}):
                place, what = str(row.pop("method")).split(".")
                yield {"config": dict(names)[int(place)], "what": what, **row}

    def actions(self, names: Sequence[str], what: dict) -> Iterable[dict]:
        """A row of times for each action."""
        timers = {
            name: lambda seconds, n=name: self.native.ask("time", n, "warm", seconds)
            for name in names
        }
        for name, samples in measure.interleaved(timers).items():
            low, high = samples.quartiles
            yield {
                **what, "method": name, "median_s": f"{samples.median:.4e}", "q1_s": f"{low:.4e}",
                "q3_s": f"{high:.4e}", "samples": len(samples.seconds), **self.stamp(),
            }  # fmt: skip


def times(bench: Bench, cases: Sequence[Case], progress: Progress) -> None:
    """Time the cases that `progress` lacks."""
    rows = progress.tables.get("times", [])
    before = {Case(**{column: row[column] for column in CASE_COLUMNS}) for row in rows}
    missing = [case for case in cases if case not in before]
    start, whole, done = time.monotonic(), sum(case.effort for case in missing), 0.0
    for number, case in enumerate(missing, 1 + len(cases) - len(missing)):
        progress.add("times", bench.case(case))
        done += case.effort
        left = (time.monotonic() - start) * (whole / done - 1)
        told = f"{case.group} n={case.N} b={case.b} {case.product}"
        if sys.stdout.isatty():
            line = f"{number} of {len(cases)}, {left / 60:.0f} min left: {told}"
            print(f"\r\033[K{line}", end="", flush=True)
    if sys.stdout.isatty():
        print("\r\033[K", end="")


def slug(name: str) -> str:
    """A device's name as a folder's."""
    return re.sub(r"[^a-z0-9]+", "-", re.sub(r"\((r|tm)\)", "", name.lower())).strip("-")


def main() -> None:
    parser = ArgumentParser(prog="make bench", description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="every batch size, cold caches too")
    parser.add_argument("--out", type=Path, help="folder for the CSV files")
    parser.add_argument("--only", default="", help=",".join(PARTS))
    parser.add_argument("--threads", default="1", help="of every process that is timed")
    parser.add_argument("--device", default="cpu", help="cpu, gpu or gpu:N")
    arguments = parser.parse_args()
    wanted = arguments.only.split(",") if arguments.only else list(PARTS)
    if unknown := [part for part in wanted if part not in PARTS]:
        raise UserError(f"--only {unknown[0]} is not one of {', '.join(PARTS)}")
    kind, number = check.device(arguments.device)
    threads = check.thread_count(arguments.threads) if kind == "cpu" else 1
    bench = Bench(
        threads,
        LONG_BUDGET if arguments.full else measure.BUDGET,
        cpu_workers(threads) if kind == "cpu" else gpu_workers(number),
    )
    device = bench.common["device"] + (f" {threads} threads" if threads > 1 else "")
    out = arguments.out or RESULTS / "bench" / slug(device)
    try:
        with runs.lock(out):
            run(bench, arguments.full, wanted, out)
    except runs.RunBusy:
        raise UserError(f"another benchmark is running for {out}; wait for its end") from None
    finally:
        bench.close()


def run(bench: Bench, full: bool, wanted: Sequence[str], out: Path) -> None:
    """Time the parts that are wanted, and write their tables to `out`."""
    out.mkdir(parents=True, exist_ok=True)
    kind, threads = bench.common["kind"], bench.threads
    progress = Progress(out, bench.about_all(full, wanted))
    if progress.tables:
        print(f"Going on with what was timed before ({progress.path})")
    load = f"{os.getloadavg()[0]:.1f}"
    named = f"{threads} thread{'s' if threads > 1 else ''}, " if kind == "cpu" else ""
    print(f"{bench.common['device']} ({bench.common['isa']}), {named}load {load}")
    begin = time.monotonic()
    try:
        machine = progress.table("machine", bench.machine)
        if "engines" in wanted and threads == 1 and kind == "cpu":
            progress.table("engines", bench.engines)
        if "nets" in wanted:
            progress.table("nets", bench.nets)
        if "updates" in wanted:
            progress.table("updates", bench.updates)
        times(bench, bench.cases(full, wanted), progress)
        progress.finish(lambda name, rows: write_text(out / f"{name}.csv", csv_text(rows)))
    except BaseException:
        progress.write()
        raise
    if rows := progress.tables.get("times", []):
        show(rows, machine)
    print(f"{(time.monotonic() - begin) / 60:.1f} minutes; {out}")


if __name__ == "__main__":
    run_main(main)
