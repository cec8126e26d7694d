"""Moments of gradients: exact in one step, the same when stopped, refused where they cannot be."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from caffe.proto import caffe_pb2
from google.protobuf import text_format

from scripts import gradient_moments, runs
from scripts.errors import UserError
from scripts.gradient_moments import FILE, MOMENTS, RECORD, STATE, Recorder, moments
from scripts.paths import ROOT
from scripts.runs import RunSpec
from scripts.snapshots import Snapshots
from tests import tiny_training as tiny

LAYERS = ["ip1", "ip2", "ip3"]


def recorder(folder: Path, solver: Path, **changes: object) -> Recorder:
    """A recorder of the tiny problem; its snapshots go to `folder`."""
    parameter = text_format.Parse(solver.read_text(), caffe_pb2.SolverParameter())
    parameter.net = str(solver.with_name("net.prototxt"))
    parameter.snapshot_prefix = str(folder / "snapshot")
    parameter.random_seed = 5
    for field in ("test_iter", "test_interval", "display"):
        parameter.ClearField(field)
    for field, value in changes.items():
        setattr(parameter, field, value)
    folder.mkdir(exist_ok=True)
    given = folder / "solver.prototxt"
    given.write_text(text_format.MessageToString(parameter))
    return Recorder(given, parameter, LAYERS)


@pytest.fixture(scope="module")
def solver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write_problem(tmp_path_factory.mktemp("problem"), max_iter=60, hidden=64)


def test_moments_by_hand() -> None:
    before, gradient = np.array([1.0, 2.0, 4.0]), np.array([0.5, -1.0, 2.0])
    update = 0.1 * gradient
    found = dict(zip(MOMENTS, moments(before, gradient, update, before - update), strict=True))
    assert found["gradient_covariance"] == pytest.approx(np.cov(before, gradient, ddof=0)[0, 1])
    assert found["update_variance"] == pytest.approx(0.01 * np.var(gradient))
    change = found["variance_after"] - found["variance"]
    assert change == pytest.approx(found["update_variance"] - 2 * found["update_covariance"])


def test_equation_4_holds_for_plain_sgd(solver: Path, tmp_path: Path) -> None:
    made = recorder(tmp_path, solver, momentum=0.0, weight_decay=0.0)
    for _ in range(30):
        made.step()
    found = made.arrays()
    for layer in LAYERS:
        get = {what: found[f"{layer}/{what}"] for what in MOMENTS}
        change = get["variance_after"] - get["variance"]
        right = found["lr"] ** 2 * get["gradient_variance"]
        right -= 2 * found["lr"] * get["gradient_covariance"]
        assert np.abs(change - right).max() < 1e-4 * np.abs(change).max()
        assert np.abs(change).max() > 0


def test_gradient_is_that_of_the_loss(solver: Path, tmp_path: Path) -> None:
    """With momentum and decay, the first step's gradient is that of the same net without them."""
    measured = []
    for momentum, weight_decay in ((0.0, 0.0), (0.9, 0.1)):
        # Both draw from Caffe's one generator: made and stepped one after the other.
        made = recorder(tmp_path, solver, momentum=momentum, weight_decay=weight_decay)
        made.step()
        measured.append(made.arrays())
    one, other = measured
    for layer in LAYERS:
        for what in ("variance", "gradient_variance", "gradient_covariance"):
            name = f"{layer}/{what}"
            scale = np.sqrt(one[f"{layer}/variance"] * one[f"{layer}/gradient_variance"])
            assert one[name] == pytest.approx(other[name], rel=1e-4, abs=1e-4 * float(scale[0]))
        assert one[f"{layer}/update_variance"] != pytest.approx(other[f"{layer}/update_variance"])


def test_stopped_and_resumed_is_the_same(solver: Path, tmp_path: Path) -> None:
    whole = recorder(tmp_path / "whole", solver)
    for _ in range(20):
        whole.step()
    snapshots = Snapshots(tmp_path / "parts")
    first = recorder(tmp_path / "parts", solver)
    for _ in range(8):
        first.step()
    first.save(snapshots, "mark")
    second = recorder(tmp_path / "parts", solver)
    second.restore(Snapshots(tmp_path / "parts"))
    assert second.solver.iter == 8
    for _ in range(12):
        second.step()
    expected = whole.arrays()
    for name, values in second.arrays().items():
        assert np.array_equal(values, expected[name]), name


def test_other_solvers_are_refused(solver: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Adam with L2"):
        recorder(tmp_path, solver, type="Adam")


# -- what is there already --------------------------------------------------------------------


def spec_of(solver: Path) -> RunSpec:
    return RunSpec(None, None, None, None, 1, solver)


@pytest.fixture
def measure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """A function that measures so many steps of a tiny training, and may be stopped after some."""
    solver = tiny.write_problem(tmp_path / "problem", max_iter=9, hidden=16)

    def run(iterations: int | None, stop_after: int = 1000, base_lr: float = 0.05) -> int:
        tiny.write_problem(solver.parent, max_iter=9, hidden=16, base_lr=base_lr)
        stop = SimpleNamespace(received=None)
        step = Recorder.step

        def stepped(recorder: Recorder) -> None:
            step(recorder)
            if recorder.solver.iter >= stop_after:
                stop.received = signal.SIGINT

        with monkeypatch.context() as changed:
            changed.setattr(gradient_moments, "StopRequest", lambda: stop)
            changed.setattr(Recorder, "step", stepped)
            return gradient_moments.record(
                spec_of(solver), tmp_path, iterations, snapshot_seconds=1000.0, wait=False
            )

    return run


def found(tmp_path: Path) -> tuple[dict[str, int], set[str]]:
    """({file of moments: steps in it}, everything else) in the run's folder."""
    folder = tmp_path / "custom" / "tiny" / "seed-1"
    names = {path.name for path in folder.glob("[!.]*")}
    steps = {}
    for name in [name for name in names if name.endswith(".npz")]:
        with np.load(folder / name) as arrays:
            steps[name] = len(arrays["iteration"])
    return steps, names - set(steps)


def test_other_numbers_of_steps_are_kept(
    measure: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A short try beside what is finished, which comes back when it is wanted again."""
    assert measure(4) == 0
    assert measure(2) == 0
    steps, others = found(tmp_path)
    assert steps.pop(FILE) == 2
    ((kept, number),) = steps.items()
    assert number == 4
    assert others == {RECORD, Path(kept).with_suffix(".json").name}
    capsys.readouterr()
    assert measure(4) == 0
    said = capsys.readouterr().out
    assert "kept the earlier moments as " in said
    assert " and took back " in said
    assert "its moments are there" in said
    assert found(tmp_path)[0][FILE] == 4
    assert measure(None) == 0
    steps, _ = found(tmp_path)
    assert steps.pop(FILE) == 9
    assert sorted(steps.values()) == [2, 4]


def test_moments_of_another_training_are_kept(
    measure: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Finished ones and unfinished ones; both come back with the solver that made them."""
    assert measure(4) == 0
    assert measure(9, stop_after=6) == 130
    first = found(tmp_path)[1]
    assert STATE in first
    assert measure(9, stop_after=3, base_lr=0.01) == 130
    assert "kept the unfinished moments of another training as " in capsys.readouterr().out
    assert measure(9, stop_after=7) == 130
    assert measure(4, base_lr=0.05) == 0  # what was finished first
    assert found(tmp_path)[0] == {FILE: 4}
    state = tmp_path / "custom" / "tiny" / "seed-1" / STATE
    # It went on from where it was.
    snapshots = {path.name for path in state.glob("snapshot_iter_*.json")}
    assert snapshots == {"snapshot_iter_6.json", "snapshot_iter_7.json"}


def test_a_state_that_is_past_what_is_wanted_is_refused(
    measure: Callable[..., int], tmp_path: Path
) -> None:
    assert measure(4) == 0
    assert measure(None, stop_after=6) == 130
    before = found(tmp_path)
    with pytest.raises(UserError, match=r"at step 6 already, past the 5 that are wanted"):
        measure(5)
    assert found(tmp_path) == before
    assert measure(None) == 0
    assert found(tmp_path)[0][FILE] == 9


def test_the_workflow_wants_all_steps(
    measure: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A short try is put aside before Snakemake looks whether the file is there."""
    manifest = tmp_path / "manifest.json"
    manifest.touch()
    monkeypatch.setattr(gradient_moments.data_digests, "manifest_path", lambda name: manifest)
    spec = spec_of(tmp_path / "problem" / "tiny.prototxt")
    gradient_moments.put_aside_if_stale(spec, tmp_path)
    assert measure(2) == 0
    gradient_moments.put_aside_if_stale(spec, tmp_path)
    assert FILE not in found(tmp_path)[0]
    assert measure(None) == 0
    gradient_moments.put_aside_if_stale(spec, tmp_path)
    assert found(tmp_path)[0][FILE] == 9


WAITING = """
import sys
from pathlib import Path
from scripts import errors, gradient_moments
from scripts.runs import RunSpec

spec = RunSpec(None, None, None, None, 1, Path(sys.argv[1]))
errors.run_main(lambda: gradient_moments.record(spec, Path(sys.argv[2]), 2, 1000.0, wait=True))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_who_waits_for_another_can_be_stopped(tmp_path: Path, number: int) -> None:
    solver = tiny.write_problem(tmp_path / "problem", max_iter=9, hidden=16)
    with runs.lock(spec_of(solver).folder(tmp_path) / STATE):
        process = tiny.start([sys.executable, "-c", WAITING, str(solver), str(tmp_path)])
        assert process.stdout is not None
        for line in process.stdout:
            if "another process is measuring it, waiting for it to end" in line:
                break
        os.kill(process.pid, number)
        output = process.communicate(timeout=30)[0]
    assert process.returncode == 130, output
    assert output == "error: interrupted; the same command goes on from here\n"


def test_command(tmp_path: Path) -> None:
    """Two steps of LeNet: a file in the run's folder, and nothing to do the second time."""
    command = [sys.executable, "-m", "scripts.gradient_moments", "--iterations", "2"]
    command += ["--config", "(100,1)-BD_4", "--results", str(tmp_path)]
    if not (ROOT / "data" / "mnist" / "manifest.json").is_file():
        pytest.skip("MNIST is not there: make data")
    said = []
    for _ in range(2):
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        said.append(done.stdout)
    folder = tmp_path / "lenet-mnist" / "(100,1)-BD_4" / "bdip" / "seed-1"
    assert {path.name for path in folder.glob("[!.]*")} == {FILE, RECORD}
    made = json.loads((folder / RECORD).read_text())
    assert (made["config"], made["method"], made["seed"]) == ("(100,1)-BD_4", "bdip", 1)
    assert made["device"]["mode"] == "cpu"
    with np.load(folder / FILE) as arrays:
        assert arrays["iteration"].tolist() == [0, 1]
        assert arrays["ip1/variance"][0] == pytest.approx(100 / 800, rel=0.1)
    assert "moments of 2 steps" in said[0]
    assert "its moments are there" in said[1]
