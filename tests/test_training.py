"""The trainer with Caffe: stops of every kind, and what a user can do wrong."""

from __future__ import annotations

import csv
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from scripts import runs
from scripts.files import read_json
from scripts.paths import ROOT
from tests import tiny_training as tiny
from tests.conftest import remount

RUN = Path("custom/tiny/seed-1")


@pytest.fixture(scope="session")
def problem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A solver whose run takes about four seconds."""
    return tiny.write_problem(tmp_path_factory.mktemp("problem"))


@pytest.fixture(scope="session")
def never_stopped(problem: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of that run, made in one go."""
    results = tmp_path_factory.mktemp("never-stopped")
    done = tiny.train(problem, results)
    assert done.returncode == 0, done.stderr
    return results / RUN


def assert_same_bits(run: Path, never_stopped: Path) -> None:
    expected, got = tiny.contents(never_stopped), tiny.contents(run)
    assert got.keys() == expected.keys()
    assert [name for name in expected if got[name] != expected[name]] == []


def worker_of(process: subprocess.Popen[str]) -> int:
    """The process number of a trainer's worker."""
    path = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    tiny.wait_until(lambda: path.read_text().split())
    return int(path.read_text().split()[0])


# -- what a run leaves ------------------------------------------------------------------------


def test_a_run_says_what_made_it(never_stopped: Path, problem: Path) -> None:
    record = read_json(never_stopped / "finished.json")
    assert record is not None
    assert record == read_json(never_stopped / "run.json")
    assert (record["state"], record["iteration"], record["seed"]) == ("finished", 4000, 1)
    assert record["solver_file"] == str(problem)
    assert record["device"]["mode"] == "cpu"
    assert record["wall_seconds"] > 0
    assert "max_iter: 4000" in record["solver"]
    assert 'type: "BlockInnerProduct"' in record["net_prototxt"]
    assert record["versions"]["caffe_upstream"].startswith("99bd997")


def test_rows_stand_at_the_intervals_of_the_solver(never_stopped: Path) -> None:
    with open(never_stopped / "metrics.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    header = ["iteration", "lr", "train_loss", "test_accuracy", "test_loss"]
    assert list(rows[0]) == header
    tested = [int(row["iteration"]) for row in rows if row["test_accuracy"]]
    shown = [int(row["iteration"]) for row in rows if row["train_loss"]]
    assert tested == [*range(0, 4001, 150), 4000]  # the last iteration is tested in any case
    assert shown == list(range(40, 4001, 40))
    assert float(rows[-1]["lr"]) == pytest.approx(0.05 * (1 + 1e-4 * 4000) ** -0.75, rel=1e-6)
    final = (read_json(never_stopped / "finished.json") or {})["final"]
    assert final == {name: float(rows[-1][name]) for name in header[2:]}


def test_weights_are_dumped_by_layer_and_blob(never_stopped: Path) -> None:
    names = [path.name for path in sorted((never_stopped / "weights").iterdir())]
    assert names == [f"iter_{n:06d}.npz" for n in range(0, 4001, 1000)]
    with np.load(never_stopped / "weights" / "iter_004000.npz") as dump:
        shapes = {name: dump[name].shape for name in dump.files}
        assert {dump[name].dtype for name in dump.files} == {np.dtype(np.float32)}
        permutation = dump["ip2/permutation"]
    assert shapes == {
        "ip1/weight": (2048, 36),
        "ip1/bias": (2048,),
        "ip2/weight": (64, 256),
        "ip2/bias": (64,),
        "ip2/permutation": (8,),
        "ip3/weight": (4, 64),
        "ip3/bias": (4,),
    }
    assert sorted(permutation) == list(range(8))


def test_the_net_learns(never_stopped: Path) -> None:
    """A run that trains on shuffled labels, or not at all, would stay at log(4) = 1.39."""
    final = (read_json(never_stopped / "finished.json") or {})["final"]
    assert final["train_loss"] < 0.7


def test_the_test_means_are_caffes_own(problem: Path, tmp_path: Path) -> None:
    """The first test of a run against the same solver with Caffe's own testing."""
    solver = tiny.write_problem(tmp_path / "short", max_iter=1)
    results = tmp_path / "results"
    assert tiny.train(solver, results).returncode == 0
    own = solver.with_name("caffe.prototxt")
    net = solver.with_name("net.prototxt")
    text = solver.read_text().replace('"net.prototxt"', f'"{net}"')
    own.write_text(f"{text}random_seed: 1\nsnapshot_after_train: false\n")
    script = f"import caffe; caffe.set_mode_cpu(); caffe.get_solver({str(own)!r}).solve()"
    log = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stderr
    with open(results / RUN / "metrics.csv", newline="") as stream:
        first = next(csv.DictReader(stream))
    for name in ("accuracy", "loss"):
        line = next(line for line in log.splitlines() if f": {name} = " in line and "Test" in line)
        value = float(line.split(f": {name} = ")[1].split()[0])
        assert float(first[f"test_{name}"]) == pytest.approx(value, rel=1e-5)


def test_each_test_net_has_its_columns(tmp_path: Path) -> None:
    solver = tiny.write_problem(tmp_path / "problem", max_iter=20)
    solver.write_text(solver.read_text().replace("test_iter: 3", "test_iter: 5 test_iter: 1"))
    assert tiny.train(solver, tmp_path / "results").returncode == 0
    with open(tmp_path / "results" / RUN / "metrics.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    columns = ["test0_accuracy", "test0_loss", "test1_accuracy", "test1_loss"]
    assert list(rows[0]) == ["iteration", "lr", "train_loss", *columns]
    # The first reads all 50 records, the second ten: hardly the same loss to seven digits.
    assert rows[-1]["test0_loss"] != rows[-1]["test1_loss"]


def test_a_finished_run_is_not_touched(problem: Path, never_stopped: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in never_stopped.rglob("*")}
    again = tiny.train(problem, never_stopped.parents[2])
    assert again.returncode == 0
    assert "already finished" in again.stdout
    assert {path: path.stat().st_mtime_ns for path in never_stopped.rglob("*")} == before


# -- stops ------------------------------------------------------------------------------------


def test_kills_at_random_moments_change_no_bit(
    problem: Path, never_stopped: Path, tmp_path: Path
) -> None:
    """Kills while it starts, and while it trains, soon after a snapshot: far from the end."""
    generator = random.Random(7)
    state = tmp_path / RUN / "state"
    for kill in range(6):
        before = set(state.glob("snapshot_iter_*.json"))
        process = tiny.start(tiny.command(problem, tmp_path, "--snapshot-seconds", "0.05"))
        if kill % 2:
            tiny.wait_until(lambda old=before: set(state.glob("snapshot_iter_*.json")) - old)
            time.sleep(generator.uniform(0.0, 0.15))
        else:
            time.sleep(generator.uniform(0.0, 1.0))
        assert "Traceback" not in tiny.kill_group(process)
        assert not (tmp_path / RUN / "finished.json").exists()
    done = tiny.train(problem, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "goes on from iteration" in done.stdout
    assert_same_bits(tmp_path / RUN, never_stopped)


def test_what_a_kill_leaves_half_written_is_removed(problem: Path, tmp_path: Path) -> None:
    process = tiny.start(tiny.command(problem, tmp_path))
    run = tmp_path / RUN
    tiny.wait_until(lambda: tiny.iteration(run) > 0)
    tiny.kill_group(process)
    left = [run / ".run.json.1.part", run / "weights" / ".iter_001000.npz.1.part"]
    for path in left:
        path.write_bytes(b"half")
    assert tiny.train(problem, tmp_path).returncode == 0
    assert list(run.rglob(".*")) == []


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_stop_saves_where_it_is(
    problem: Path, never_stopped: Path, tmp_path: Path, number: int, code: int
) -> None:
    process = tiny.start(tiny.command(problem, tmp_path, "--snapshot-seconds", "1000"))
    tiny.wait_until(lambda: tiny.iteration(tmp_path / RUN) > 500)
    output = tiny.kill_group(process, number)
    assert process.returncode == code
    assert "the same command goes on from there" in output
    record = read_json(tmp_path / RUN / "run.json") or {}
    assert record["state"] == "interrupted"
    stopped_at = record["iteration"]
    assert 500 < stopped_at < 4000
    done = tiny.train(problem, tmp_path)
    assert f"goes on from iteration {stopped_at}" in done.stdout
    assert_same_bits(tmp_path / RUN, never_stopped)


def test_a_worker_without_its_trainer_saves_and_leaves(
    problem: Path, never_stopped: Path, tmp_path: Path
) -> None:
    process = tiny.start(tiny.command(problem, tmp_path, "--snapshot-seconds", "1000"))
    tiny.wait_until(lambda: tiny.iteration(tmp_path / RUN) > 500)
    process.kill()  # the trainer alone
    process.communicate()
    tiny.wait_until(lambda: not runs.is_locked(tmp_path / RUN))
    assert (read_json(tmp_path / RUN / "run.json") or {})["state"] == "interrupted"
    done = tiny.train(problem, tmp_path)
    assert "goes on from iteration" in done.stdout
    assert_same_bits(tmp_path / RUN, never_stopped)


def test_a_killed_worker_is_reported(problem: Path, tmp_path: Path) -> None:
    process = tiny.start(tiny.command(problem, tmp_path))
    tiny.wait_until(lambda: tiny.iteration(tmp_path / RUN) > 500)
    os.kill(worker_of(process), signal.SIGKILL)
    output = process.communicate(timeout=300)[0]
    assert process.returncode == 1
    assert "error: custom tiny seed 1: the training process was killed" in output


def test_a_damaged_snapshot_is_passed_over(
    problem: Path, never_stopped: Path, tmp_path: Path
) -> None:
    process = tiny.start(tiny.command(problem, tmp_path))
    state = tmp_path / RUN / "state"
    tiny.wait_until(lambda: len(list(state.glob("*.json"))) == 2)
    tiny.kill_group(process)
    markers = sorted(state.glob("snapshot_iter_*.json"), key=lambda path: path.stat().st_mtime_ns)
    newest = markers[-1].with_suffix(".solverstate")
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    newest.write_bytes(bytes(content))
    done = tiny.train(problem, tmp_path)
    assert done.returncode == 0, done.stderr
    earlier = markers[-2].stem.removeprefix("snapshot_iter_")
    assert f"{newest.with_suffix('').name} is damaged" in done.stdout
    assert f"goes on from iteration {earlier}" in done.stdout
    assert_same_bits(tmp_path / RUN, never_stopped)


# -- two at a time, other makings -------------------------------------------------------------


def test_a_second_instance_is_refused(problem: Path, tmp_path: Path) -> None:
    first = tiny.start(tiny.command(problem, tmp_path))
    tiny.wait_until(lambda: tiny.iteration(tmp_path / RUN) > 0)
    os.kill(worker_of(first), signal.SIGSTOP)  # it takes as long as the second needs
    second = tiny.train(problem, tmp_path)
    os.kill(worker_of(first), signal.SIGCONT)
    assert second.returncode == 1
    assert second.stderr.startswith("error: another process is training custom tiny seed 1")
    assert second.stderr.count("\n") == 1
    first.communicate(timeout=300)
    assert first.returncode == 0


def test_under_the_workflow_a_second_instance_waits(problem: Path, tmp_path: Path) -> None:
    first = tiny.start(tiny.command(problem, tmp_path))
    tiny.wait_until(lambda: tiny.iteration(tmp_path / RUN) > 0)
    second = tiny.train(problem, tmp_path, "--workflow")
    first.communicate(timeout=300)
    assert (first.returncode, second.returncode) == (0, 0)
    assert "waiting for it to end" in second.stdout
    assert "already finished" in second.stdout


def test_a_run_of_another_solver_is_kept_aside(tmp_path: Path) -> None:
    results = tmp_path / "results"
    solver = tiny.write_problem(tmp_path / "problem", max_iter=50)
    assert tiny.train(solver, results).returncode == 0
    old = read_json(results / RUN / "finished.json") or {}
    tiny.write_problem(tmp_path / "problem", max_iter=50, base_lr=0.01)
    done = tiny.train(solver, results)
    assert done.returncode == 0
    assert "these changed: solver" in done.stdout
    kept = results / f"{RUN}.{old['fingerprint'][:8]}"
    assert read_json(kept / "finished.json") == old
    new = read_json(results / RUN / "finished.json") or {}
    assert new["fingerprint"] != old["fingerprint"]
    # The edit is undone: nothing is trained again.
    tiny.write_problem(tmp_path / "problem", max_iter=50)
    done = tiny.train(solver, results)
    assert f"and took back {kept}, made from what is here now" in done.stdout
    assert "already finished" in done.stdout
    assert read_json(results / RUN / "finished.json") == old


def test_settings_that_the_command_decides_are_told(tmp_path: Path) -> None:
    solver = tiny.write_problem(tmp_path / "problem", max_iter=20)
    solver.write_text(solver.read_text() + "random_seed: 42\nsolver_mode: GPU\ndevice_id: 3\n")
    for _ in range(2):  # a finished run is just what one with another random_seed would be
        done = tiny.train(solver, tmp_path / "results")
        assert done.returncode == 0, done.stderr
        told = [line for line in done.stdout.splitlines() if " says " in line]
        assert told == [
            "tiny.prototxt says random_seed: 42; SEED=1 decides",
            "tiny.prototxt says solver_mode: GPU; DEVICE=cpu decides",
        ]


def test_changed_data_are_other_data(tmp_path: Path) -> None:
    results = tmp_path / "results"
    solver = tiny.write_problem(tmp_path / "problem", max_iter=50)
    assert tiny.train(solver, results).returncode == 0
    shutil.rmtree(tmp_path / "problem" / "train_lmdb")
    tiny.make_database(tmp_path / "problem" / "train_lmdb", 210, seed=9)
    done = tiny.train(solver, results)
    assert done.returncode == 0
    assert "these changed: data" in done.stdout


# -- errors: one sentence, exit code 1 --------------------------------------------------------


def assert_refused(done: subprocess.CompletedProcess[str], *parts: str) -> None:
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1, done.stderr
    for part in parts:
        assert part in done.stderr


@pytest.mark.parametrize("base_lr", [1e20, 1e4])
def test_divergence_ends_the_run(tmp_path: Path, base_lr: float) -> None:
    solver = tiny.write_problem(tmp_path / "problem", base_lr=base_lr)
    done = tiny.train(solver, tmp_path / "results")
    assert_refused(done, "diverged: the loss ", "lower base_lr")
    record = read_json(tmp_path / "results" / RUN / "run.json") or {}
    assert record["state"] == "diverged"
    assert record["iteration"] < 4000
    assert not (tmp_path / "results" / RUN / "finished.json").exists()
    again = tiny.train(solver, tmp_path / "results")
    assert again.stderr == done.stderr


def test_a_folder_that_cannot_be_written(problem: Path, tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file where a folder should be")
    assert_refused(tiny.train(problem, tmp_path / "results"), str(tmp_path / "results"))


def test_a_full_disk_loses_nothing(problem: Path, never_stopped: Path, small_disk: Path) -> None:
    done = tiny.train(problem, small_disk)
    assert_refused(done, "full", str(small_disk))
    remount(small_disk, "size=64m")
    done = tiny.train(problem, small_disk)
    assert done.returncode == 0, done.stderr
    assert "goes on from iteration" in done.stdout
    assert_same_bits(small_disk / RUN, never_stopped)


def test_a_disk_that_is_full_from_the_start(problem: Path, small_disk: Path) -> None:
    (small_disk / "filler").write_bytes(b"\0" * (4 << 20))
    assert_refused(tiny.train(problem, small_disk), "no space is left", str(small_disk))


def test_a_read_only_disk(problem: Path, small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    assert_refused(tiny.train(problem, small_disk), str(small_disk))


def test_missing_data_are_named(tmp_path: Path) -> None:
    solver = tiny.write_problem(tmp_path / "problem")
    shutil.rmtree(tmp_path / "problem" / "test_lmdb")
    assert_refused(tiny.train(solver, tmp_path / "results"), "test_lmdb", "make data")


def test_the_gpu_is_refused_by_a_build_for_the_cpu(problem: Path, tmp_path: Path) -> None:
    import caffe

    if hasattr(caffe._caffe.Blob, "_gpu_data_ptr"):
        pytest.skip("this build has GPU code")
    assert_refused(tiny.train(problem, tmp_path, "--device", "gpu"), "CUDA=1 make caffe")


def test_a_check_of_caffes_becomes_a_sentence(tmp_path: Path) -> None:
    """A fault that only Caffe finds: the label has another shape than the prediction."""
    solver = tiny.write_problem(tmp_path / "problem")
    net = solver.with_name("net.prototxt")
    net.write_text(net.read_text().replace('bottom: "ip3" bottom: "label"', 'bottom: "ip3"'))
    done = tiny.train(solver, tmp_path / "results")
    assert_refused(done, "Caffe stopped: Check failed", "caffe.log")


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (["--net", "alexnet", "--config", "(10,1)-BD_4"], "alexnet"),
        (["--config", "(7,1)-BD_4"], "7"),
        (["--config", "(10,1,1)-BD_4"], "(10,1,1)-BD_4"),
        (["--config", "(10,1)-BD_4", "--dataset", "imagenet"], "imagenet"),
        (["--config", "(1,1)-BD_4", "--method", "shuffle"], "shuffle"),
        (["--config", "(10,1)-BD_4", "--method", "random"], "random"),
        (["--config", "(10,1)-BD_4", "--device", "tpu"], "tpu"),
    ],
)
def test_unknown_names(tmp_path: Path, options: list[str], part: str) -> None:
    command = [sys.executable, "-m", "scripts.train", "--results", str(tmp_path), *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert_refused(done, part)
    assert json.dumps(os.listdir(tmp_path)) == "[]"
