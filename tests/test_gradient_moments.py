"""Moments of gradients: exact in one step, the same when stopped, refused where they cannot be."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from caffe.proto import caffe_pb2
from google.protobuf import text_format

from scripts.errors import UserError
from scripts.gradient_moments import FILE, MOMENTS, RECORD, Recorder, moments
from scripts.paths import ROOT
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
