"""Train one run: `python -m scripts.train --net lenet --config "(10,1)-BD_4" --seed 1`.

All that can be checked is checked before Caffe is called, since a failed CHECK of Caffe's aborts
its process. The training itself is done by scripts.train_worker in a process of its own; this one
decides whether there is anything to do, shows progress and says in one sentence what went wrong.

Exit codes: 0 finished (now or before), 1 failed or diverged, 130 or 143 stopped by a signal.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts import files, provenance, runs
from scripts.config import parse_config
from scripts.errors import ArgumentParser, UserError, run_main
from scripts.methods import parse_method
from scripts.paths import RESULTS, ROOT
from scripts.processes import StopRequest, die_with_parent
from scripts.progress import Display, duration
from scripts.runs import RunSpec
from scripts.worker_process import Relay, failure, lacks_room, start_worker

if TYPE_CHECKING:
    from google.protobuf.message import Message

POLL_SECONDS = 0.25
HOLDER_SECONDS = 5.0  # between looks at whether the lock is still ours


@dataclass(frozen=True)
class Prepared:
    """A run that was checked: what Caffe will be given, and what decides the results."""

    spec: RunSpec
    solver: Message
    net: Message
    device: tuple[str, int]
    data: dict[str, Any]
    fingerprint: dict[str, Any]


def require_caffe() -> None:
    """UserError where Caffe cannot be imported."""
    try:
        import caffe  # noqa: F401  (whether it can be is the question)
    except ImportError as error:
        raise UserError(f"Caffe is not built ({error}): run make caffe") from None


def require_current_caffe() -> None:
    """UserError where Caffe cannot be imported, or was built from another caffe_layers/."""
    require_caffe()
    import caffe

    provenance.check_built(Path(caffe.__file__).parent)


def prepare(spec: RunSpec, device: tuple[str, int], data: dict[str, Any] | None = None) -> Prepared:
    """Check net, config, method, data and solver of `spec`; UserError for the first that is wrong.

    `data`: what identifies the records, where the caller knows; else the databases are read.
    """
    require_caffe()
    from scripts import data_digests, networks

    if spec.solver_file is not None:
        solver, net = networks.load_solver(spec.solver_file, spec.seed)
        data = data or {**data_digests.of_net(net), **data_digests.of_weights(solver)}
    else:
        config = parse_config(str(spec.config))
        solver, net = networks.build(spec.net, config, spec.method, spec.dataset, spec.seed)
        data = data or data_digests.of_dataset(str(spec.dataset))
    mark = provenance.fingerprint(solver, net, spec.seed, device[0], data)
    return Prepared(spec, solver, net, device, data, mark)


def from_root(path: Path) -> str:
    """`path` counted from the project's folder where it lies in it, which the worker starts in.

    The project's folder may then be moved, with its runs half done or finished.
    """
    return str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)


def write_run_files(prepared: Prepared, folder: Path) -> None:
    """Write what the worker is given: run.json, solver.prototxt, net.prototxt."""
    from google.protobuf import text_format

    spec, (mode, number) = prepared.spec, prepared.device
    net_path = folder / "net.prototxt"
    net = type(prepared.net)()
    net.CopyFrom(prepared.net)
    for layer in net.layer:
        if layer.data_param.source:
            layer.data_param.source = from_root(Path(layer.data_param.source))
        if layer.transform_param.mean_file:
            layer.transform_param.mean_file = from_root(Path(layer.transform_param.mean_file))
    solver = type(prepared.solver)()
    solver.CopyFrom(prepared.solver)
    solver.net = from_root(net_path)
    weights = [from_root(Path(path)) for path in solver.weights]
    solver.ClearField("weights")
    solver.weights.extend(weights)
    solver.snapshot_prefix = from_root(folder / "state" / "snapshot")
    solver.random_seed = spec.seed
    solver.solver_mode = solver.GPU if mode == "gpu" else solver.CPU
    solver.device_id = number
    net_text = text_format.MessageToString(net)
    solver_text = text_format.MessageToString(solver)
    before = files.read_json(folder / "run.json") or {}
    record = {
        "schema": runs.SCHEMA,
        "net": spec.net,
        "dataset": spec.dataset,
        "config": spec.config,
        "method": spec.method,
        "seed": spec.seed,
        "solver_file": None if spec.solver_file is None else from_root(spec.solver_file),
        "state": "running",
        "iteration": before.get("iteration", 0),
        "max_iter": solver.max_iter,
        "fingerprint": prepared.fingerprint["digest"],
        "made_from": prepared.fingerprint["parts"],
        "started": before.get("started") or time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "finished": None,
        "wall_seconds": before.get("wall_seconds", 0.0),
        "iterations_per_second": before.get("iterations_per_second"),
        **provenance.circumstances(mode, number),
        "data": prepared.data,
        "solver": solver_text,
        "net_prototxt": net_text,
        "final": None,
    }
    (folder / "state").mkdir(parents=True, exist_ok=True)
    files.write_text(net_path, net_text)
    files.write_text(folder / "solver.prototxt", solver_text)
    files.write_json(folder / "run.json", record)


def train(
    prepared: Prepared, folder: Path, lock: int, stop: StopRequest, snapshot_seconds: float
) -> int:
    """Start the worker, watch it to its end; returns the exit code. The caller holds the lock."""
    title = prepared.spec.title
    write_run_files(prepared, folder)
    (folder / "progress.json").unlink(missing_ok=True)
    log_path = folder / "caffe.log"
    display = Display(title)
    with open(log_path, "ab") as log:
        relay = Relay(log_path, log.tell())
        worker = start_worker(folder, snapshot_seconds, lock, log)
    mine = runs.holder(folder)
    looked = time.monotonic()
    stop.pass_on = worker.terminate
    if stop.received is not None:
        worker.terminate()
    while True:
        try:
            code = worker.wait(POLL_SECONDS)
            break
        except subprocess.TimeoutExpired:
            relay.pass_on()
            display.show(files.read_json(folder / "progress.json"))
        if time.monotonic() - looked > HOLDER_SECONDS:
            looked = time.monotonic()
            if (other := runs.holder(folder)) and other != mine:
                worker.kill()
                worker.wait()
                raise UserError(
                    f"{title}: another has taken this run over ({other[0]}), which a lock should "
                    f"have kept it from: does the file system of {folder} have file locks?"
                )
    display.end()
    text = relay.pass_on()
    record = files.read_json(folder / "run.json") or {}
    if code == 0:
        final = record["final"]
        values = ", ".join(f"{name} {value:.4g}" for name, value in final.items())
        spent = duration(record["wall_seconds"])
        print(f"{title}: finished in {spent}: {values}")
        return 0
    if record.get("state") == "diverged":
        raise UserError(diverged_sentence(title, record, folder))
    if lacks_room(folder):
        raise UserError(
            f"the disk that holds {folder} is full: free some space, then give the same command "
            "again, it goes on from the last snapshot"
        )
    record["state"] = "interrupted"
    files.write_json(folder / "run.json", record)
    if stop.received is not None:
        print(
            f"{title}: stopped at iteration {record['iteration']} of {record['max_iter']}; the "
            "same command goes on from there"
        )
        return 128 + stop.received
    raise UserError(f"{title}: {failure(text, code, log_path)}")


def diverged_sentence(title: str, record: dict[str, Any], folder: Path) -> str:
    return (
        f"{title} diverged: {record.get('message')}; lower base_lr in its solver, or remove "
        f"{folder} to try the same again"
    )


def waiting(stop: StopRequest, sentence: str) -> Callable[[], None]:
    """What runs.lock is to call while it waits: says so once, and heeds a stop."""
    told: list[str] = []

    def wait() -> None:
        if stop.received is not None:
            raise KeyboardInterrupt
        if not told:
            told.append(sentence)
            print(sentence, flush=True)

    return wait


def run(
    spec: RunSpec, device: tuple[str, int], results: Path, wait: bool, snapshot_seconds: float
) -> int:
    """Bring the run `spec` to its end; returns the exit code, UserError where it cannot be.

    `wait`: where another process trains this run, wait for it instead of refusing.
    """
    folder = spec.folder(results)
    require_current_caffe()
    prepared = prepare(spec, device)
    if spec.solver_file is not None:
        from scripts import networks

        for sentence in networks.overruled(spec.solver_file, spec.seed, device):
            print(sentence, flush=True)
    runs.check_writable(folder.parent)
    stop = StopRequest()
    busy = f"{spec.title}: another process is training it, waiting for it to end"
    try:
        with runs.lock(folder, waiting(stop, busy) if wait else None) as lock:
            sentence = runs.reconcile(folder, prepared.fingerprint)
            if sentence is not None:
                print(f"{spec.title}: {sentence}")
            if runs.finished(folder) is not None:
                print(f"{spec.title}: already finished, nothing to do (in {folder})")
                return 0
            record = runs.recorded(folder)
            if record is not None and record["state"] == "diverged":
                raise UserError(diverged_sentence(spec.title, record, folder))
            folder.mkdir(exist_ok=True)
            if stop.received is not None:
                return 128 + stop.received
            if spec.solver_file is not None:
                print(f"{spec.title}: {networks.blocks_text(prepared.net)}", flush=True)
            return train(prepared, folder, lock, stop, snapshot_seconds)
    except runs.RunBusy:
        raise UserError(
            f"another process is training {spec.title} right now (in {folder}): wait for it or "
            "stop it, or choose another SEED"
        ) from None


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = ArgumentParser(
        prog="python -m scripts.train", description="Train one run, or go on with it."
    )
    parser.add_argument("--net", default="lenet", help="a folder of prototxt/ (default: lenet)")
    parser.add_argument("--dataset", default="mnist", help="default: mnist")
    parser.add_argument("--config", help='blocks of the inner products, such as "(10,1)-BD_4"')
    parser.add_argument(
        "--method",
        default="bdip",
        help="bdip, shuffle, shuffle_per_pass, or a file of prototxt/NET/recipes, and settings: "
        "ip_bdip,alpha=1e-3 (default: bdip)",
    )
    parser.add_argument("--solver", type=Path, help="train this solver prototxt instead")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", default="cpu", help="cpu, gpu or gpu:N")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument(
        "--snapshot-seconds", type=float, default=20.0, help="time between snapshots (20)"
    )
    parser.add_argument(
        "--workflow",
        action="store_true",
        help="wait where another process trains this run, and end with the process that asks",
    )
    return parser.parse_args(argv)


def spec_from(arguments: argparse.Namespace) -> RunSpec:
    """The run that the options name; UserError where they cannot."""
    if arguments.seed < 0:
        raise UserError(f"SEED={arguments.seed} is negative: choose 0, 1, 2, ...")
    if arguments.solver is not None:
        if not arguments.solver.is_file():
            raise UserError(f"there is no solver prototxt {arguments.solver}: check SOLVER")
        return RunSpec(None, None, None, None, arguments.seed, arguments.solver.resolve())
    if arguments.config is None:
        raise UserError('no CONFIG is given: write, for instance, CONFIG="(10,1)-BD_4"')
    config = str(parse_config(arguments.config))
    method = str(parse_method(arguments.method))
    return RunSpec(arguments.net, arguments.dataset, config, method, arguments.seed)


def main() -> int:
    arguments = parse_arguments()
    if arguments.workflow:
        die_with_parent(signal.SIGTERM, os.getppid())
    spec = spec_from(arguments)
    device = provenance.parse_device(arguments.device)
    results = arguments.results.resolve()
    return run(spec, device, results, arguments.workflow, arguments.snapshot_seconds)


if __name__ == "__main__":
    run_main(main)
