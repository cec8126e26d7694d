"""The process that trains: pycaffe, one run, from its newest snapshot to the end.

`scripts.train` starts it, holds the run's lock for it and reads what it leaves:
an exit code (see below), run.json, progress.json and caffe.log (its standard error).

What happens at iteration n happens in this order: test, weight dump, row of metrics.csv,
snapshot. So a snapshot at n stands for everything up to and with n, and going on from it means
to forget every row and dump after n.
"""

from __future__ import annotations

import argparse
import ctypes
import math
import os
import resource
import signal
import sys
import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Any

import caffe
import numpy as np
from caffe.proto import caffe_pb2
from google.protobuf import text_format

from scripts import files, net_tests, runs
from scripts.errors import UserError, describe_os_error
from scripts.processes import StopRequest, die_with_parent
from scripts.snapshots import Snapshots

EXIT_FINISHED = 0
EXIT_ERROR = 1
EXIT_DIVERGED = 3
EXIT_INTERRUPTED = 4

DUMP_EVERY = 1000

# The loss is looked at, and a wish to stop is heard, every so many iterations. A fixed number,
# not a time: where a run is found to diverge must not depend on the machine's speed.
LOOK_EVERY = 10

# Caffe's softmax loss cannot exceed -log(FLT_MIN) = 87.3365 for an example. A batch that stays
# there has given the true class the probability 0 throughout, and its gradient is lost. A loss
# of another kind may lawfully be larger, hence a band.
STUCK_LOSS = (87.3, 87.4)
STUCK_ITERATIONS = 200

# dnnl_cpu_isa_t of dnnl_types.h
ONEDNN_ISA = {
    0x1: "SSE41",
    0x3: "AVX",
    0x7: "AVX2",
    0xF: "AVX512_MIC",
    0x1F: "AVX512_MIC_4OPS",
    0x27: "AVX512_CORE",
    0x67: "AVX512_CORE_VNNI",
    0xE7: "AVX512_CORE_BF16",
    0x3E7: "AVX512_CORE_AMX",
    0x407: "AVX2_VNNI",
}

# Larger than any max_iter: Caffe's solver wants a test interval where there are test nets, but
# tests are made here.
NEVER = 2**31 - 1


class Diverged(Exception):
    """The loss is no longer a number, or stuck where Caffe's softmax loss ends."""


def parameter_names(layer: Any, count: int) -> list[str]:
    """Names of a layer's `count` blobs: weight, bias, permutation; numbers for other types.

    `layer` is the LayerParameter that the layer was made from.
    """
    if layer.type in ("Convolution", "Deconvolution"):
        names = ["weight"] + ["bias"] * layer.convolution_param.bias_term
    elif layer.type == "InnerProduct":
        names = ["weight"] + ["bias"] * layer.inner_product_param.bias_term
    elif layer.type == "BlockInnerProduct":
        parameter = layer.block_inner_product_param
        fixed = caffe_pb2.BlockInnerProductParameter.FIXED
        names = ["weight"] + ["bias"] * parameter.bias_term
        names += ["permutation"] * (parameter.shuffle == fixed)
    else:
        names = []
    return names if len(names) == count else [str(index) for index in range(count)]


def phase_marks(net: Any) -> set[int]:
    """Iterations at which the pruning phases of a net begin, are half done, and have ended."""
    phases = [
        param.prune for layer in net.layer for param in layer.param if param.HasField("prune")
    ]
    return {prune.start + part for prune in phases for part in (0, prune.iters // 2, prune.iters)}


class Training:
    """One run: the solver, what is measured of it and the files that hold it."""

    def __init__(self, folder: Path, snapshot_seconds: float) -> None:
        self.folder = folder
        self.snapshot_seconds = snapshot_seconds
        self.record = files.read_json(folder / "run.json") or {}
        self.max_iter: int = self.record["max_iter"]
        self.snapshots = Snapshots(folder / "state")
        self.stop = StopRequest()

        self.parameter = caffe_pb2.SolverParameter()
        text_format.Parse((folder / "solver.prototxt").read_text("utf-8"), self.parameter)
        net = caffe_pb2.NetParameter()
        text_format.Parse((folder / "net.prototxt").read_text("utf-8"), net)
        self.layers = {layer.name: layer for layer in net.layer}
        test_net = folder / "state" / "test_net.prototxt"
        self.tests = net_tests.net_tests(self.parameter, test_net)
        if any(test.stages for test in self.tests):
            net_tests.write_net(net, test_net)
        self.phase_marks = phase_marks(net)

        self.rows: list[dict[str, str]] = []
        self.stuck_since: int | None = None
        self.seconds_before = 0.0  # of earlier sessions, up to the snapshot
        self.start_iteration = 0
        # (time, iteration) of the last calls of save_progress: half a minute
        self.marks: deque[tuple[float, int]] = deque(maxlen=30)

    # -- what is kept ---------------------------------------------------------------------

    def prepare(self) -> None:
        """Make the solver; go on from the newest good snapshot; forget what came after it."""
        self.solver = caffe.get_solver(str(self._solver_file()))
        # Before a snapshot is restored: to open a net takes a number from Caffe's generator.
        self.test_columns = [test.columns(self.solver) for test in self.tests]
        newest = self.snapshots.newest()
        if newest is not None:
            self.solver.restore(str(newest.solverstate))
            if self.solver.iter != newest.iteration:
                raise UserError(
                    f"{newest.solverstate} says iteration {self.solver.iter} where "
                    f"{newest.iteration} was expected; remove {newest.marker} to go on from an "
                    "earlier snapshot"
                )
            self.stuck_since = newest.notes["stuck_since"]
            self.seconds_before = newest.notes["seconds"]
            print(f"note: goes on from iteration {newest.iteration}", file=sys.stderr)
        self.start_iteration = self.solver.iter
        self.started = time.monotonic()
        self.marks.append((self.started, self.start_iteration))

        weights = self.folder / "weights"
        weights.mkdir(exist_ok=True)
        for folder in (self.folder, self.snapshots.folder, weights):
            files.remove_parts(folder)
        for dump in weights.glob("iter_*.npz"):
            if newest is None or int(dump.stem.removeprefix("iter_")) > newest.iteration:
                dump.unlink()
        self.pruned = self._pruned_columns()
        tests = [name for names in self.test_columns for name in names]
        self.header = ["iteration", "lr", "train_loss", *tests, *self.pruned]
        if newest is not None:
            self.rows = runs.read_rows(self.folder / "metrics.csv", self.header, newest.iteration)
        files.write_text(self.folder / "metrics.csv", runs.rows_text(self.header, self.rows))

    def _solver_file(self) -> Path:
        """The solver as Caffe is given it: display, tests and snapshots are done here."""
        given = caffe_pb2.SolverParameter()
        given.CopyFrom(self.parameter)
        for field in ("display", "snapshot", "debug_info", "snapshot_format", "snapshot_diff"):
            given.ClearField(field)
        given.test_initialization = False
        net_tests.of_caffe(given)
        if given.test_iter:
            given.test_interval = NEVER
        path = self.folder / "state" / "solver.prototxt"
        files.write_text(path, text_format.MessageToString(given))
        return path

    def _pruned_columns(self) -> dict[str, tuple[str, int]]:
        """{left_<layer>/<blob>: layer and number of the blob} of each parameter with `prune`."""
        columns = {}
        for layer, blobs in self.solver.net.params.items():
            names = parameter_names(self.layers[layer], len(blobs))
            # A layer may have fewer `param` than blobs.
            for index, param in enumerate(self.layers[layer].param[: len(blobs)]):
                if param.HasField("prune"):
                    columns[f"left_{layer}/{names[index]}"] = layer, index
        return columns

    def save_record(self, state: str, **changes: Any) -> None:
        """Rewrite run.json with the state that the run is in now."""
        seconds = self.seconds()
        self.record.update(
            state=state,
            iteration=self.solver.iter,
            wall_seconds=round(seconds, 1),
            iterations_per_second=round(self.solver.iter / seconds, 2) if seconds > 0 else None,
            **changes,
        )
        files.write_json(self.folder / "run.json", self.record)

    def save_progress(self) -> None:
        """Rewrite progress.json, for whoever watches."""
        now = time.monotonic()
        since, iteration = self.marks[0]
        self.marks.append((now, self.solver.iter))
        accuracy = [row["test_accuracy"] for row in self.rows if row.get("test_accuracy")]
        files.write_json(
            self.folder / "progress.json",
            {
                "iteration": self.solver.iter,
                "max_iter": self.max_iter,
                "rate": round((self.solver.iter - iteration) / (now - since), 2),
                "updated": time.time(),
                "test_accuracy": float(accuracy[-1]) if accuracy else None,
            },
        )

    def save_snapshot(self) -> None:
        """Save the solver at this iteration, unless that was done."""
        if self.snapshots.has(self.solver.iter):
            return
        self.solver.snapshot()
        notes = {"stuck_since": self.stuck_since, "seconds": self.seconds()}
        self.snapshots.complete(self.solver.iter, notes)

    def seconds(self) -> float:
        """Seconds spent on what the run holds, all sessions together."""
        return self.seconds_before + time.monotonic() - self.started

    # -- what is measured -----------------------------------------------------------------

    def train_loss(self) -> float:
        """Loss of the mini-batch that the last update was made from (its last part, if several)."""
        net = self.solver.net
        return sum(
            weight * float(net.blobs[name].data.sum())
            for name, weight in net.blob_loss_weights.items()
            if weight
        )

    def dump(self) -> None:
        """Write all parameters as float32 arrays named <layer>/<blob>."""
        arrays = {}
        for layer, blobs in self.solver.net.params.items():
            names = parameter_names(self.layers[layer], len(blobs))
            for name, blob in zip(names, blobs, strict=True):
                arrays[f"{layer}/{name}"] = blob.data
        path = self.folder / "weights" / f"iter_{self.solver.iter:06d}.npz"
        with files.atomic_open(path, "wb") as stream:
            np.savez(stream, **arrays)

    def is_due(self, every: int) -> bool:
        return every > 0 and self.solver.iter % every == 0

    def measure(self) -> None:
        """What is due at this iteration: test, weight dump, row."""
        iteration, last = self.solver.iter, self.solver.iter == self.max_iter
        row = {}
        if (self.is_due(self.parameter.test_interval) or last) and (
            iteration > 0 or self.parameter.test_initialization
        ):
            for test, columns in zip(self.tests, self.test_columns, strict=True):
                if last or not test.at_end:
                    means = map(runs.format_number, test.means(self.solver))
                    row.update(zip(columns, means, strict=True))
        if self.is_due(DUMP_EVERY) or last or iteration in self.phase_marks:
            self.dump()
        if iteration > 0 and (self.is_due(self.parameter.display) or last):
            row["train_loss"] = runs.format_number(self.train_loss())
            for column, (layer, index) in self.pruned.items():
                left = np.count_nonzero(self.solver.net.params[layer][index].data)
                row[column] = str(left)
        if row:
            row["iteration"] = str(iteration)
            row["lr"] = runs.format_number(self.solver.lr)
            self.rows.append(row)
            files.write_text(self.folder / "metrics.csv", runs.rows_text(self.header, self.rows))

    def next_look(self) -> int:
        """The iteration up to which Caffe's solver is left alone."""
        iteration = self.solver.iter
        steps = [LOOK_EVERY, DUMP_EVERY, self.parameter.display]
        if self.tests:
            steps.append(self.parameter.test_interval)
        due = [iteration + n - iteration % n for n in steps if n > 0]
        return min(self.max_iter, *due, *(mark for mark in self.phase_marks if mark > iteration))

    def check_loss(self) -> None:
        """Raise Diverged when there is nothing left to be learned."""
        loss = self.train_loss()
        iteration = self.solver.iter
        if not math.isfinite(loss):
            raise Diverged(f"the loss became {loss} by iteration {iteration}")
        if not STUCK_LOSS[0] <= loss <= STUCK_LOSS[1]:
            self.stuck_since = None
        elif self.stuck_since is None:
            self.stuck_since = iteration
        elif iteration - self.stuck_since >= STUCK_ITERATIONS:
            raise Diverged(f"the loss has been stuck at {loss:.2f} since {self.stuck_since}")

    # -- the run --------------------------------------------------------------------------

    def run(self) -> int:
        """Train to the end; returns the exit code."""
        if not self.snapshots.has(self.start_iteration):
            self.measure()
        saved = shown = time.monotonic()
        self.save_record("running")
        self.save_progress()
        while self.solver.iter < self.max_iter and self.stop.received is None:
            self.solver.step(self.next_look() - self.solver.iter)
            self.check_loss()
            self.measure()
            now = time.monotonic()
            if now - saved >= self.snapshot_seconds:
                self.save_snapshot()
                self.save_record("running")
                saved = time.monotonic()  # not `now`: a slow disk shall not take all the time
            if now - shown >= 1.0:
                self.save_progress()
                shown = now
        self.save_snapshot()
        self.save_progress()
        if self.solver.iter < self.max_iter:
            self.save_record("interrupted")
            return EXIT_INTERRUPTED
        self.save_record("finished", finished=now_text(), final=self.final())
        files.write_json(self.folder / "finished.json", self.record)
        return EXIT_FINISHED

    def final(self) -> dict[str, float]:
        """The last value of every column of metrics.csv but the iteration and the rate."""
        last = {}
        for row in self.rows:
            last.update({name: float(row[name]) for name in self.header[2:] if row.get(name)})
        return last


def now_text() -> str:
    """The time as run.json has it: UTC, ISO 8601, seconds."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def blas_name() -> str:
    """Version and kernels of the OpenBLAS that Caffe uses."""
    try:
        library = ctypes.CDLL("libopenblas.so.0")
        library.openblas_get_config.restype = ctypes.c_char_p
        return library.openblas_get_config().decode()
    except (OSError, AttributeError):
        return "unknown"


def onednn_name() -> str | None:
    """Version and vector instructions of the oneDNN that this Caffe is linked with, if it is."""
    for name in ("libdnnl.so.2", "libdnnl.so.3"):
        with suppress(OSError):
            library = ctypes.CDLL(name, os.RTLD_NOW | os.RTLD_NOLOAD)
            break
    else:
        return None

    class Version(ctypes.Structure):
        _fields_ = [("major", ctypes.c_int), ("minor", ctypes.c_int), ("patch", ctypes.c_int)]

    library.dnnl_version.restype = ctypes.POINTER(Version)
    version = library.dnnl_version().contents
    isa = library.dnnl_get_effective_cpu_isa()
    number = f"{version.major}.{version.minor}.{version.patch}"
    return f"{number} {ONEDNN_ISA.get(isa, hex(isa))}"


def set_device(device: dict[str, Any]) -> None:
    """Put Caffe on the device; UserError when this build has no GPU code."""
    if device["mode"] == "cpu":
        caffe.set_mode_cpu()
        return
    if not hasattr(caffe._caffe.Blob, "_gpu_data_ptr"):
        raise UserError(
            "this build of Caffe is for the CPU only: build the other one with CUDA=1 make caffe, "
            "or leave DEVICE=gpu away"
        )
    caffe.set_device(device["number"])
    caffe.set_mode_gpu()


def work(folder: Path, snapshot_seconds: float) -> int:
    """Train the run in `folder`, prepared by scripts.train; returns the exit code."""
    training = Training(folder, snapshot_seconds)
    training.record["versions"]["blas"] = blas_name()
    if (onednn := onednn_name()) is not None:
        training.record["versions"]["onednn"] = onednn
    set_device(training.record["device"])
    training.prepare()
    try:
        return training.run()
    except Diverged as error:
        training.save_record("diverged", message=str(error))
        return EXIT_DIVERGED


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--parent", type=int, required=True, help="process to end with")
    parser.add_argument("--snapshot-seconds", type=float, required=True)
    arguments = parser.parse_args()
    # A failed CHECK of Caffe's aborts the process; its core dump helps nobody here.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    die_with_parent(signal.SIGTERM, arguments.parent)
    try:
        return work(arguments.folder, arguments.snapshot_seconds)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
    except OSError as error:
        print(f"error: {describe_os_error(error)}", file=sys.stderr)
    return EXIT_ERROR


if __name__ == "__main__":
    sys.exit(main())
