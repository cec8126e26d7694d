"""The workflow over a few tiny runs: to the end, stopped, killed, with a run that fails."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from scripts import workflow
from scripts.files import read_json
from scripts.paths import ROOT
from scripts.runs import RunSpec
from tests import tiny_training as tiny

# What `make reproduce` does, with runs of our own and a report that counts them.
SCRIPT = """
import sys
from pathlib import Path
from scripts import errors, workflow
from scripts.runs import RunSpec

results, solvers = Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]]
specs = [RunSpec(None, None, None, None, seed, path) for path in solvers for seed in (1, 2)]
count = f"import pathlib; r = pathlib.Path({str(results)!r}); " \\
    "n = len(list(r.glob('custom/*/seed-?/finished.json'))); " \\
    "stream = open(r / 'report.txt', 'a'); print(n, file=stream)"
errors.run_main(lambda: workflow.execute(specs, results, "cpu", 2, report=[["-c", count]]))
"""


def command(results: Path, *solvers: Path) -> list[str]:
    return [sys.executable, "-c", SCRIPT, str(results), *map(str, solvers)]


def run(results: Path, *solvers: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(results, *solvers), cwd=ROOT, capture_output=True, text=True, timeout=300
    )


@pytest.fixture(scope="module")
def problem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write_problem(tmp_path_factory.mktemp("problem"))


@pytest.fixture(scope="module")
def never_stopped(problem: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of a workflow that was left alone: two seeds of one solver."""
    results = tmp_path_factory.mktemp("results")
    done = run(results, problem)
    assert done.returncode == 0, done.stdout + done.stderr
    return results


def runs_of(results: Path) -> list[Path]:
    return [results / "custom" / "tiny" / f"seed-{seed}" for seed in (1, 2)]


def assert_same_bits(results: Path, never_stopped: Path) -> None:
    for got, expected in zip(runs_of(results), runs_of(never_stopped), strict=True):
        assert tiny.contents(got) == tiny.contents(expected)


def descendants(process: int) -> list[int]:
    """All processes below `process`, in whatever session they are."""
    found = []
    for task in Path(f"/proc/{process}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += [int(child), *descendants(int(child))]
    return found


def both_train(results: Path) -> bool:
    return all(tiny.iteration(run) > 300 for run in runs_of(results))


def test_all_runs_are_made_and_reported(problem: Path, never_stopped: Path) -> None:
    records = [read_json(run / "finished.json") or {} for run in runs_of(never_stopped)]
    assert [(record["state"], record["seed"]) for record in records] == [
        ("finished", 1),
        ("finished", 2),
    ]
    # The report grew with the runs, and its last making saw them all.
    assert (never_stopped / "report.txt").read_text().splitlines()[-1] == "2"
    # Different seeds are different runs.
    first, second = (tiny.contents(run) for run in runs_of(never_stopped))
    assert first["iter_000000.npz"] != second["iter_000000.npz"]


def test_finished_runs_are_not_made_again(problem: Path, never_stopped: Path) -> None:
    before = {run: (run / "run.json").stat().st_mtime_ns for run in runs_of(never_stopped)}
    done = run(never_stopped, problem)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 of 2 runs done" in done.stdout
    assert {run: (run / "run.json").stat().st_mtime_ns for run in before} == before


def test_after_a_kill_of_everything_the_same_command_goes_on(
    problem: Path, never_stopped: Path, tmp_path: Path
) -> None:
    process = tiny.start(command(tmp_path, problem))
    tiny.wait_until(lambda: both_train(tmp_path))
    for victim in [process.pid, *descendants(process.pid)]:
        os.kill(victim, signal.SIGKILL)
    process.communicate()
    done = run(tmp_path, problem)
    assert done.returncode == 0, done.stdout + done.stderr
    assert_same_bits(tmp_path, never_stopped)


def test_after_a_kill_of_the_workflow_alone_its_runs_stop(
    problem: Path, never_stopped: Path, tmp_path: Path
) -> None:
    process = tiny.start(command(tmp_path, problem))
    tiny.wait_until(lambda: both_train(tmp_path))
    family = descendants(process.pid)
    process.kill()
    process.communicate()
    tiny.wait_until(lambda: not any(Path(f"/proc/{child}").exists() for child in family))
    states = [read_json(run / "run.json") or {} for run in runs_of(tmp_path)]
    assert {state["state"] for state in states} == {"interrupted"}
    done = run(tmp_path, problem)
    assert done.returncode == 0, done.stdout + done.stderr
    assert_same_bits(tmp_path, never_stopped)


def test_a_stop_saves_every_run(problem: Path, never_stopped: Path, tmp_path: Path) -> None:
    process = tiny.start(command(tmp_path, problem))
    tiny.wait_until(lambda: both_train(tmp_path))
    family = descendants(process.pid)
    output = tiny.kill_group(process, signal.SIGINT)
    assert process.returncode == 130, output
    assert "stopped with 0 of 2 runs done; the same command goes on" in output
    assert not any(Path(f"/proc/{child}").exists() for child in family)
    states = [read_json(run / "run.json") or {} for run in runs_of(tmp_path)]
    assert {state["state"] for state in states} == {"interrupted"}
    done = run(tmp_path, problem)
    assert done.returncode == 0, done.stdout + done.stderr
    assert_same_bits(tmp_path, never_stopped)


def test_a_second_workflow_is_refused(problem: Path, tmp_path: Path) -> None:
    process = tiny.start(command(tmp_path, problem))
    tiny.wait_until(lambda: (tmp_path / "workflow.log").exists())
    second = run(tmp_path, problem)
    assert second.returncode == 1
    assert second.stderr == (
        f"error: a workflow is at work on {tmp_path} already (process {process.pid}): wait for it "
        "or stop it\n"
    )
    tiny.kill_group(process, signal.SIGTERM)
    assert process.returncode == 143


def test_one_failure_does_not_stop_the_others(problem: Path, tmp_path: Path) -> None:
    bad = tiny.write_problem(tmp_path / "bad", base_lr=1e20).rename(tmp_path / "bad/bad.prototxt")
    results = tmp_path / "results"
    short = tiny.write_problem(tmp_path / "short", max_iter=200)
    done = run(results, bad, short)
    assert done.returncode == 1
    assert done.stderr.startswith("error: custom bad seed 1 and 1 more failed: ")
    assert "diverged" in done.stderr
    assert done.stderr.count("\n") == 1
    log = done.stderr.rsplit("(log: ", 1)[1].rstrip(")\n")
    assert "diverged" in Path(log).read_text()
    finished = {run: (run / "finished.json").exists() for run in runs_of(results)}
    assert all(finished.values())
    assert (results / "report.txt").read_text().splitlines()[-1] == "2"


def test_runs_of_another_making_are_kept_aside_first(problem: Path, tmp_path: Path) -> None:
    solver = tiny.write_problem(tmp_path / "problem", max_iter=60)
    assert run(tmp_path / "results", solver).returncode == 0
    tiny.write_problem(tmp_path / "problem", max_iter=70)
    done = run(tmp_path / "results", solver)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("kept the earlier run as") == 2
    for folder in runs_of(tmp_path / "results"):
        assert (read_json(folder / "finished.json") or {})["max_iter"] == 70
        (kept,) = folder.parent.glob(f"{folder.name}.*")
        assert (read_json(kept / "finished.json") or {})["max_iter"] == 60


def test_a_failure_of_the_moments_is_told(tmp_path: Path) -> None:
    spec = RunSpec("lenet", "mnist", "(1,1)-BD_4", "bdip,max_iter=2", 1)
    log = workflow.moments_log_path(spec, tmp_path)
    log.parent.mkdir()
    log.write_text("step 1\nerror: no space is left\n")
    title = "lenet-mnist (1,1)-BD_4 bdip,max_iter=2 seed 1, moments of gradients"
    said = workflow.failure([], [spec], tmp_path)
    assert said == f"{title} failed: no space is left (log: {log})"


MOMENTS_SCRIPT = """
import sys
from pathlib import Path
from scripts import errors, gradient_moments, workflow
from scripts.runs import RunSpec

results, solver = Path(sys.argv[1]), Path(sys.argv[2])
runs = [RunSpec(None, None, None, None, 1, solver)]
moments = [RunSpec("lenet", "mnist", "(1,1)-BD_4", "bdip,max_iter=2", 1)]
command = ["-c", "print(1)"]
errors.run_main(
    lambda: workflow.execute(runs, results, "cpu", 1, report=[command], moments=moments)
)
"""


def test_moments_are_measured_after_the_runs(problem: Path, tmp_path: Path) -> None:
    """Once; again where another program, net or data made them."""
    if not (ROOT / "data" / "mnist" / "manifest.json").is_file():
        pytest.skip("MNIST is not there: make data")
    arguments = [sys.executable, "-c", MOMENTS_SCRIPT, str(tmp_path), str(problem)]
    folder = tmp_path / "lenet-mnist" / "(1,1)-BD_4" / "bdip,max_iter=2" / "seed-1"
    stamps = []
    for _ in range(3):
        done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
        stamps.append((folder / "gradient_moments.npz").stat().st_mtime_ns)
        if len(stamps) == 2:
            with np.load(folder / "gradient_moments.npz") as arrays:
                content = dict(arrays) | {"fingerprint": np.array("0123456789")}
            np.savez(folder / "gradient_moments.npz", **content)
    assert stamps[0] == stamps[1] != stamps[2]
    assert "kept the earlier moments" in done.stdout
    assert (folder / "gradient_moments.01234567.npz").is_file()
