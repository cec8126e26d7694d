"""Moments of gradients, step by step: `python -m scripts.gradient_moments --config "(1,1)-BD_4"`.

Equation 4 of the paper takes apart the change of the weights' variance in one step of SGD without
momentum. Both of its sides are estimated here from every step of a training: means over the
entries of a weight matrix W, in double precision, of the mini-batch gradient g and of the update V
that is subtracted (with momentum and weight decay, V is not lr g). What is trained is the run that
`scripts.train` would train, the same digits; the gradient is read back from the updates:

    V[t] = momentum V[t - 1] + lr (g + weight_decay W),  so  g = (V[t] - momentum V[t - 1]) / lr
                                                                 - weight_decay W.

Written to gradient_moments.npz in the run's folder, arrays of T steps named <layer>/<moment>:
variance of W before the step and after it, of g and of V, and the covariances of W with both;
besides `iteration` and `lr`. gradient_moments.json says what made it. A stopped one goes on with
the same command.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from scripts import data_digests, files, provenance, runs
from scripts.config import parse_config
from scripts.errors import ArgumentParser, UserError, run_main
from scripts.methods import parse_method
from scripts.paths import RESULTS, ROOT
from scripts.processes import StopRequest, die_with_parent
from scripts.progress import duration
from scripts.runs import RunSpec
from scripts.snapshots import Snapshots
from scripts.train import prepare, require_current_caffe, waiting
from scripts.worker_process import worker_environment

FILE = "gradient_moments.npz"
RECORD = "gradient_moments.json"
STATE = "gradient_moments"
MOMENTS = (
    "variance",
    "variance_after",
    "gradient_variance",
    "gradient_covariance",
    "update_variance",
    "update_covariance",
)
LINE_SECONDS = 10.0


def moments(
    before: np.ndarray, gradient: np.ndarray, update: np.ndarray, after: np.ndarray
) -> tuple[float, ...]:
    """The numbers of one step of one matrix, in the order of MOMENTS; float64 arrays, flat."""
    mean, gradient_mean, update_mean = before.mean(), gradient.mean(), update.mean()
    count = before.size
    return (
        before.var(),
        after.var(),
        gradient.var(),
        before @ gradient / count - mean * gradient_mean,
        update.var(),
        before @ update / count - mean * update_mean,
    )


class Recorder:
    """A solver that is stepped one iteration at a time, and what was measured of it."""

    def __init__(self, solver_file: Path, parameter: Any, layers: list[str]) -> None:
        import caffe

        if parameter.type != "SGD" or parameter.regularization_type != "L2":
            raise UserError(
                f"the solver is {parameter.type} with {parameter.regularization_type}: moments of "
                "gradients are read back from SGD with L2 only"
            )
        caffe.set_mode_cpu()
        self.solver = caffe.get_solver(str(solver_file))
        self.momentum, self.decay = parameter.momentum, parameter.weight_decay
        self.rows: dict[str, list[tuple[float, ...]]] = {name: [] for name in layers}
        self.steps: list[tuple[int, float]] = []
        self.updates = {name: np.zeros(self._blob(name).count) for name in layers}

    def _blob(self, name: str) -> Any:
        return self.solver.net.params[name][0]

    def step(self) -> None:
        """One iteration of training."""
        rate = self.solver.lr
        before = {name: self._blob(name).data.astype(float).ravel() for name in self.rows}
        self.steps.append((self.solver.iter, rate))
        self.solver.step(1)
        for name, weight in before.items():
            update = self._blob(name).diff.astype(float).ravel()
            gradient = (update - self.momentum * self.updates[name]) / rate - self.decay * weight
            after = self._blob(name).data.astype(float).ravel()
            self.rows[name].append(moments(weight, gradient, update, after))
            self.updates[name] = update

    def arrays(self) -> dict[str, np.ndarray]:
        """What was measured, as it is written."""
        found = {
            "iteration": np.array([step for step, _ in self.steps], dtype=np.int64),
            "lr": np.array([rate for _, rate in self.steps]),
        }
        for name, rows in self.rows.items():
            table = np.array(rows).reshape(len(rows), len(MOMENTS))
            found |= {f"{name}/{what}": table[:, i] for i, what in enumerate(MOMENTS)}
        return found

    def save(self, snapshots: Snapshots, fingerprint: str) -> None:
        """A snapshot of the solver, and beside it what was measured up to it."""
        arrays = self.arrays() | {f"update/{name}": v for name, v in self.updates.items()}
        with files.atomic_open(self._partial(snapshots, self.solver.iter), "wb") as stream:
            np.savez(stream, **arrays)
        self.solver.snapshot()
        snapshots.complete(self.solver.iter, {"fingerprint": fingerprint})
        for path in snapshots.folder.glob("partial_*.npz"):
            if not path.with_name(f"snapshot_iter_{path.stem[8:]}.json").exists():
                path.unlink()

    def restore(self, snapshots: Snapshots) -> None:
        """Go on from the newest snapshot, if there is one."""
        newest = snapshots.newest()
        if newest is None:
            return
        self.solver.restore(str(newest.solverstate))
        with np.load(self._partial(snapshots, newest.iteration)) as arrays:
            pairs = zip(arrays["iteration"].tolist(), arrays["lr"].tolist(), strict=True)
            self.steps = list(pairs)
            for name in self.rows:
                table = np.column_stack([arrays[f"{name}/{what}"] for what in MOMENTS])
                self.rows[name] = [tuple(row) for row in table.tolist()]
                self.updates[name] = arrays[f"update/{name}"]

    @staticmethod
    def _partial(snapshots: Snapshots, iteration: int) -> Path:
        return snapshots.folder / f"partial_{iteration}.npz"


def state_folder(folder: Path, fingerprint: str) -> Path:
    """The folder of solver, net and snapshots; one of another training is set aside.

    One that was set aside and is of this training is taken back.
    """
    state = folder / STATE

    def mark(path: Path) -> str | None:
        file = path / "fingerprint"
        return file.read_text(encoding="utf-8") if file.is_file() else None

    if state.exists() and mark(state) != fingerprint:
        kept = files.set_aside(state, mark(state) or "unknown")
        print(f"kept the unfinished moments of another training as {kept}", flush=True)
    for other in files.asides(state, fingerprint):
        if not state.exists() and mark(other) == fingerprint:
            other.rename(state)
    state.mkdir(parents=True, exist_ok=True)
    files.write_text(state / "fingerprint", fingerprint)
    return state


def contents(path: Path) -> tuple[str, int] | None:
    """(fingerprint, number of steps) of a file of moments; None where it cannot be read."""
    try:
        with np.load(path) as arrays:
            return str(arrays["fingerprint"]), len(arrays["iteration"])
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
        return None


def measured(folder: Path, fingerprint: str, iterations: int) -> Path | None:
    """Where the moments of so many steps of this training are, be it set aside, or None."""
    for path in (folder / FILE, *files.asides(folder / FILE, fingerprint)):
        if contents(path) == (fingerprint, iterations):
            return path
    return None


def reconcile(folder: Path, fingerprint: str, iterations: int) -> str | None:
    """Have in `folder` the moments of so many steps of this training, where there are any.

    Others are set aside, what was set aside is taken back, as scripts.runs.reconcile does with
    runs; returns the sentence that says so, or None. The caller holds the lock of the moments.
    """
    path = folder / FILE
    found = measured(folder, fingerprint, iterations)
    if found == path:
        return None
    said = []
    if path.exists():
        mark, _ = contents(path) or ("unknown", 0)
        kept = files.set_aside(path, mark)
        _rename_record(path, kept)
        said.append(f"kept the earlier moments as {kept}")
    if found is not None:
        found.rename(path)
        _rename_record(found, path)
        said.append(f"took back {found}")
    elif said:
        said.append("start anew")
    return " and ".join(said) or None


def _rename_record(before: Path, after: Path) -> None:
    """Rename what says what made a file of moments, as that file was renamed."""
    record = before.with_suffix(".json")
    if record.is_file():
        record.rename(after.with_suffix(".json"))


def put_aside_if_stale(spec: RunSpec, results: Path) -> None:
    """Rename the moments of `spec` that are not those that are wanted now, and say so."""
    folder = spec.folder(results)
    data = data_digests.manifest_path(str(spec.dataset))
    if not any(folder.glob(f"{STATE}*.npz")) or not data.is_file():
        return
    now = prepare(spec, provenance.parse_device("cpu"))
    try:
        with runs.lock(folder / STATE):
            sentence = reconcile(folder, now.fingerprint["digest"], now.solver.max_iter)
    except runs.RunBusy:
        return  # whoever measures them looks at what is there
    if sentence is not None:
        print(f"{spec.title}: {sentence}", flush=True)


def check_not_past(state: Path, wanted: int) -> None:
    """UserError where the half that is done has more steps than are wanted."""
    newest = Snapshots(state).newest()
    if newest is not None and newest.iteration > wanted:
        raise UserError(
            f"the moments in {state} are at step {newest.iteration} already, past the {wanted} "
            "that are wanted: ask for more --iterations, or remove that folder"
        )


def provenance_of(spec: RunSpec, fingerprint: str) -> dict[str, Any]:
    """Which training on which device, and of which commit."""
    return {
        "net": spec.net,
        "dataset": spec.dataset,
        "config": spec.config,
        "method": spec.method,
        "seed": spec.seed,
        "fingerprint": fingerprint,
        **provenance.circumstances("cpu", 0),
    }


def record(
    spec: RunSpec, results: Path, iterations: int | None, snapshot_seconds: float, wait: bool
) -> int:
    """Write the moments of the run `spec`; returns the exit code.

    `wait`: where another process measures them, wait for it instead of refusing.
    """
    from google.protobuf import text_format

    from scripts import networks

    require_current_caffe()
    prepared = prepare(spec, provenance.parse_device("cpu"))
    fingerprint = prepared.fingerprint["digest"]
    wanted = prepared.solver.max_iter if iterations is None else iterations
    folder = spec.folder(results)
    stop = StopRequest()
    busy = f"{spec.title}: another process is measuring it, waiting for it to end"
    with runs.lock(folder / STATE, waiting(stop, busy) if wait else None):
        there = measured(folder, fingerprint, wanted) is not None
        if not there:
            check_not_past(state_folder(folder, fingerprint), wanted)
        if (sentence := reconcile(folder, fingerprint, wanted)) is not None:
            print(f"{spec.title}: {sentence}", flush=True)
        if there:
            print(f"{spec.title}: its moments are there (in {folder})")
            return 0
        state = folder / STATE
        solver = type(prepared.solver)()
        solver.CopyFrom(prepared.solver)
        solver.net = str(state / "net.prototxt")
        solver.snapshot_prefix = str(state / "snapshot")
        # Tests draw no random numbers and change no weight: they are left away.
        for field in ("test_iter", "test_interval", "display", "snapshot"):
            solver.ClearField(field)
        files.write_text(state / "net.prototxt", text_format.MessageToString(prepared.net))
        files.write_text(state / "solver.prototxt", text_format.MessageToString(solver))
        recorder = Recorder(
            state / "solver.prototxt", solver, networks.inner_products(prepared.net)
        )
        snapshots = Snapshots(state)
        recorder.restore(snapshots)
        saved = shown = time.monotonic()
        started, first = saved, recorder.solver.iter
        while recorder.solver.iter < wanted and stop.received is None:
            recorder.step()
            now = time.monotonic()
            if now - saved > snapshot_seconds:
                recorder.save(snapshots, fingerprint)
                saved = time.monotonic()
            if now - shown > LINE_SECONDS:
                done = recorder.solver.iter
                left = (wanted - done) * (now - started) / (done - first)
                print(f"{spec.title}: moments {done}/{wanted}, {duration(left)} left", flush=True)
                shown = now
        if recorder.solver.iter < wanted:
            recorder.save(snapshots, fingerprint)
            print(f"{spec.title}: stopped at {recorder.solver.iter}; the same command goes on")
            return 128 + stop.received
        # First, so that what is measured is never without it.
        files.write_json(folder / RECORD, provenance_of(spec, fingerprint))
        with files.atomic_open(folder / FILE, "wb") as stream:
            np.savez(stream, fingerprint=np.array(fingerprint), **recorder.arrays())
        shutil.rmtree(state)
    print(f"{spec.title}: moments of {wanted} steps in {folder / FILE}")
    return 0


def parse_arguments() -> argparse.Namespace:
    parser = ArgumentParser(
        prog="python -m scripts.gradient_moments",
        description="Moments of a training's gradients, for the paper's Eq. 4.",
    )
    parser.add_argument("--net", default="lenet")
    parser.add_argument("--dataset", default="mnist")
    parser.add_argument("--config", default="(1,1)-BD_4")
    parser.add_argument(
        "--method", default="bdip", help="bdip,momentum=0,weight_decay=0 for plain SGD"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--iterations", type=int, help="default: the solver's max_iter")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--snapshot-seconds", type=float, default=30.0)
    parser.add_argument(
        "--workflow",
        action="store_true",
        help="wait where another process measures the same, and end with the process that asks",
    )
    return parser.parse_args()


def main() -> int:
    arguments = parse_arguments()
    if arguments.workflow:
        die_with_parent(signal.SIGTERM, os.getppid())
    if arguments.iterations is not None and arguments.iterations < 1:
        raise UserError(f"iterations is {arguments.iterations}; write a number from 1 up")
    config = str(parse_config(arguments.config))
    method = str(parse_method(arguments.method))
    spec = RunSpec(arguments.net, arguments.dataset, config, method, arguments.seed)
    try:
        return record(
            spec,
            arguments.results.resolve(),
            arguments.iterations,
            arguments.snapshot_seconds,
            arguments.workflow,
        )
    except runs.RunBusy:
        raise UserError(
            f"another process is measuring {spec.title} right now: wait for it or stop it"
        ) from None


def environment() -> dict[str, str]:
    """That of a training run, and Caffe as silent as it can be."""
    return worker_environment() | {"GLOG_minloglevel": "2"}


if __name__ == "__main__":
    if any(os.environ.get(name) != value for name, value in environment().items()):
        # OpenBLAS reads these when it is loaded: the process begins anew with them.
        command = [sys.executable, "-m", "scripts.gradient_moments", *sys.argv[1:]]
        os.execve(sys.executable, command, environment())
    os.chdir(ROOT)
    run_main(main)
