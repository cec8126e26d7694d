"""Run folders, rows, locks, snapshots' bookkeeping: what needs no training."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from scripts import (
    data_digests,
    experiments,
    files,
    networks,
    runs,
    standings,
    train,
    worker_process,
    workflow,
)
from scripts.config import parse_config
from scripts.errors import UserError
from scripts.paths import ROOT
from scripts.provenance import parse_device, program_digest
from scripts.runs import RunSpec
from scripts.snapshots import Snapshots

SPEC = RunSpec("lenet", "mnist", "(10,1)-BD_4", "bdip", 1)


def fingerprint(**parts: str) -> dict[str, object]:
    return {"digest": "0123456789abcdef" + "".join(parts.values()), "parts": parts}


def write_run(folder: Path, mark: dict[str, object], **more: object) -> None:
    folder.mkdir(parents=True)
    record = {"fingerprint": mark["digest"], "made_from": mark["parts"], "state": "finished"}
    files.write_json(folder / "run.json", record | more)
    files.write_json(folder / "finished.json", record | more)


def test_a_run_lies_where_its_names_say() -> None:
    assert SPEC.key == "lenet-mnist/(10,1)-BD_4/bdip/seed-1"
    own = RunSpec(None, None, None, None, 7, Path("/home/me/wide_solver.prototxt"))
    assert own.key == "custom/wide_solver/seed-7"


def test_the_options_of_a_run_name_that_run_again() -> None:
    assert train.spec_from(train.parse_arguments(SPEC.arguments())) == SPEC


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--config", "ten-one"], "ten-one"),
        (["--config", "(10,1)-BD_4", "--seed", "-1"], "-1"),
        (["--solver", "no/such_solver.prototxt"], "no/such_solver.prototxt"),
        ([], "CONFIG"),
    ],
)
def test_a_wrong_option_is_named(options: list[str], named: str) -> None:
    with pytest.raises(UserError, match=named):
        train.spec_from(train.parse_arguments(options))


def test_devices() -> None:
    assert [parse_device(text) for text in ("cpu", "gpu", "gpu:3")] == [
        ("cpu", 0),
        ("gpu", 0),
        ("gpu", 3),
    ]
    for text in ("tpu", "gpu:", "gpu:x", "cpu:1", ""):
        with pytest.raises(UserError, match="DEVICE="):
            parse_device(text)


def test_a_finished_run_of_the_same_making_stays(tmp_path: Path) -> None:
    folder = tmp_path / "seed-1"
    write_run(folder, fingerprint(net="a"))
    assert runs.reconcile(folder, fingerprint(net="a")) is None
    assert runs.finished(folder) is not None


def test_a_run_of_another_making_is_kept_aside(tmp_path: Path) -> None:
    folder = tmp_path / "seed-1"
    write_run(folder, fingerprint(net="a", data="d"), final={"test_accuracy": 0.9})
    sentence = runs.reconcile(folder, fingerprint(net="b", data="d"))
    assert sentence is not None
    assert "changed: net)" in sentence
    assert not folder.exists()
    kept = runs.finished(tmp_path / "seed-1.01234567")
    assert kept is not None
    assert kept["final"] == {"test_accuracy": 0.9}


def test_what_was_kept_aside_is_not_overwritten(tmp_path: Path) -> None:
    folder = tmp_path / "seed-1"
    for value in ("b", "c"):
        write_run(folder, fingerprint(net="a"), final={"came": value})
        runs.reconcile(folder, fingerprint(net="z"))
    first, second = (runs.finished(tmp_path / f"seed-1.01234567{end}") for end in ("", "-2"))
    assert first is not None
    assert second is not None
    assert (first["final"], second["final"]) == ({"came": "b"}, {"came": "c"})


def other() -> dict[str, object]:
    return {"digest": "fedcba98", "parts": {"net": "other"}}


def test_a_run_comes_back_when_the_edit_is_undone(tmp_path: Path) -> None:
    folder = tmp_path / "seed-1"
    mark = fingerprint(net="a")
    write_run(folder, mark, final={"test_accuracy": 0.9})
    assert str(runs.reconcile(folder, other())).endswith(" and start anew")
    write_run(folder, other(), state="interrupted")
    (folder / "finished.json").unlink()
    sentence = str(runs.reconcile(folder, mark))
    assert f"kept the earlier run as {folder}.fedcba98 " in sentence
    assert f"took back {folder}.01234567, " in sentence
    assert (runs.finished(folder) or {})["final"] == {"test_accuracy": 0.9}


@pytest.mark.parametrize("empty_folder", [False, True])
def test_a_run_that_was_begun_comes_back_where_none_is(tmp_path: Path, empty_folder: bool) -> None:
    """An empty folder is what a start leaves that was stopped at once."""
    folder, mark = tmp_path / "seed-1", fingerprint(net="a")
    write_run(tmp_path / "seed-1.01234567", mark, state="interrupted", iteration=500)
    (tmp_path / "seed-1.01234567" / "finished.json").unlink()
    if empty_folder:
        folder.mkdir()
    assert str(runs.reconcile(folder, mark)).startswith(f"took back {folder}.01234567, ")
    assert (runs.recorded(folder) or {})["iteration"] == 500


def test_of_several_kept_aside_a_finished_one_comes_back(tmp_path: Path) -> None:
    folder, mark = tmp_path / "seed-1", fingerprint(net="a")
    for name, iteration in (("-2", 100), ("-3", 900), ("", 500)):
        write_run(tmp_path / f"seed-1.01234567{name}", mark, iteration=iteration)
        if iteration != 100:
            (tmp_path / f"seed-1.01234567{name}" / "finished.json").unlink()
    write_run(tmp_path / "seed-1.01234567-4", fingerprint(net="b"), iteration=999)
    write_run(tmp_path / "seed-11.01234567", mark, iteration=999)
    assert runs.reconcile(folder, mark) == (
        f"took back {folder}.01234567-2, made from what is here now"
    )
    files.set_aside(folder, "gone")
    assert f"{folder}.01234567-3," in str(runs.reconcile(folder, mark))


def test_what_is_there_is_not_displaced_by_what_was_kept_aside(tmp_path: Path) -> None:
    folder, mark = tmp_path / "seed-1", fingerprint(net="a")
    write_run(tmp_path / "seed-1.01234567", mark)
    write_run(folder, mark)
    assert runs.reconcile(folder, mark) is None
    for path in folder.iterdir():
        path.unlink()
    (folder / "gradient_moments.npz").write_bytes(b"of somebody")
    assert runs.reconcile(folder, mark) is None


def test_the_workflow_takes_back_what_an_undone_edit_put_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The run, and what the plan says of it, before and after."""
    mark = fingerprint(net="a")
    monkeypatch.setattr(workflow, "datasets_there", lambda specs: {})
    monkeypatch.setattr(workflow, "fingerprint_of", lambda *about: mark)
    folder = SPEC.folder(tmp_path)
    numbers = {"iteration": 10000, "max_iter": 10000, "iterations_per_second": 10.0}
    names = {"net": "lenet", "dataset": "mnist", "config": SPEC.config, "method": SPEC.method}
    write_run(folder, mark, **names, **numbers)
    files.set_aside(folder, str(mark["digest"]))
    for there in (False, True):
        if there:
            write_run(folder, other(), **names, **numbers)
        workflow.print_plan([SPEC], tmp_path, "cpu", 1)
        planned = capsys.readouterr().out
        assert "taken back, as before a change: finished" in planned
        assert "1 of 1 runs are done" in planned
        workflow.put_stale_aside([SPEC], tmp_path, ("cpu", 0))
        assert f"took back {folder}.01234567, " in capsys.readouterr().out
        assert (runs.finished(folder) or {})["fingerprint"] == mark["digest"]
        files.set_aside(folder, str(mark["digest"]))


def test_results_without_a_record_are_kept_aside(tmp_path: Path) -> None:
    folder = tmp_path / "seed-1"
    folder.mkdir()
    assert runs.reconcile(folder, fingerprint(net="a")) is None
    (folder / "metrics.csv").write_text("iteration\n")
    assert "run.json" in str(runs.reconcile(folder, fingerprint(net="a")))
    assert (tmp_path / "seed-1.unknown" / "metrics.csv").exists()


def test_rows_after_the_snapshot_are_dropped(tmp_path: Path) -> None:
    header = ["iteration", "lr", "train_loss", "test_accuracy"]
    rows = [
        {"iteration": "0", "lr": "0.01", "test_accuracy": "0.1"},
        {"iteration": "100", "lr": "0.009", "train_loss": "0.5"},
        {"iteration": "200", "lr": "0.008", "train_loss": "0.4"},
    ]
    path = tmp_path / "metrics.csv"
    files.write_text(path, runs.rows_text(header, rows))
    kept = runs.read_rows(path, header, 100)
    assert runs.rows_text(header, kept) == (
        "iteration,lr,train_loss,test_accuracy\n0,0.01,,0.1\n100,0.009,0.5,\n"
    )


@pytest.mark.parametrize(
    "text", ["", "iteration,lr\n0,1\n", "{header}\n0,1\n", "{header}\nx,1,1,1\n"]
)
def test_a_damaged_table_is_refused(tmp_path: Path, text: str) -> None:
    header = ["iteration", "lr", "train_loss", "test_accuracy"]
    path = tmp_path / "metrics.csv"
    files.write_text(path, text.format(header=",".join(header)))
    with pytest.raises(UserError, match=r"metrics\.csv is damaged"):
        runs.read_rows(path, header, 100)


def test_numbers_have_the_digits_of_single_precision() -> None:
    assert runs.format_number(0.9899999737739563) == "0.99"
    assert runs.format_number(0.009999999776482582) == "0.01"
    assert runs.format_number(2.302585092994046) == "2.302585"


def test_only_one_process_has_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "LOCK_GRACE_SECONDS", 0.2)
    folder = tmp_path / "seed-1"
    hold = (
        "import sys, pathlib; from scripts import runs\n"
        "with runs.lock(pathlib.Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", hold, str(folder)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert other.stdout is not None
    assert other.stdout.readline() == "held\n"
    assert runs.is_locked(folder)
    with pytest.raises(runs.RunBusy), runs.lock(folder):
        pass
    other.kill()  # as hard as can be: the lock has to go all the same
    other.communicate()
    assert not runs.is_locked(folder)
    with runs.lock(folder):
        assert runs.is_locked(folder)


def write_snapshot(snapshots: Snapshots, iteration: int) -> None:
    for suffix in (".caffemodel", ".solverstate"):
        path = snapshots.folder / f"snapshot_iter_{iteration}{suffix}"
        path.write_bytes(f"{iteration}{suffix}".encode())
    snapshots.complete(iteration, {"seconds": float(iteration)})


def test_the_two_newest_snapshots_are_kept(tmp_path: Path) -> None:
    snapshots = Snapshots(tmp_path / "state")
    for iteration in (9, 100, 1000):
        write_snapshot(snapshots, iteration)
    assert {path.stem for path in snapshots.folder.iterdir()} == {
        "snapshot_iter_100",
        "snapshot_iter_1000",
    }
    newest = Snapshots(tmp_path / "state").newest()
    assert newest is not None
    assert (newest.iteration, newest.notes) == (1000, {"seconds": 1000.0})


@pytest.mark.parametrize("damage", ["cut", "changed", "missing", "unmarked", "marker"])
def test_a_damaged_snapshot_is_passed_over(
    tmp_path: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    snapshots = Snapshots(tmp_path / "state")
    write_snapshot(snapshots, 100)
    write_snapshot(snapshots, 200)
    state = snapshots.folder / "snapshot_iter_200.solverstate"
    marker = snapshots.folder / "snapshot_iter_200.json"
    if damage == "cut":
        state.write_bytes(state.read_bytes()[:-1])
    elif damage == "changed":
        state.write_bytes(state.read_bytes().swapcase())
    elif damage == "missing":
        state.unlink()
    elif damage == "marker":
        marker.write_text(marker.read_text()[:20])
    else:
        marker.unlink()
    newest = Snapshots(tmp_path / "state").newest()
    assert newest is not None
    assert newest.iteration == 100
    assert ("damaged" in capsys.readouterr().err) == (damage != "unmarked")


def test_the_program_is_what_goes_into_the_library(tmp_path: Path) -> None:
    for name in ("src/caffe/layers/a.cpp", "src/caffe/test/test_a.cpp", "upstream.env"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("1")
    first = program_digest(tmp_path)
    (tmp_path / "src/caffe/test/test_a.cpp").write_text("2")
    assert program_digest(tmp_path) == first
    (tmp_path / "src/caffe/layers/a.cpp").write_text("2")
    assert program_digest(tmp_path) != first


FATAL = """I1123 17:06:31.0 1 net.cpp:1] fine
F20261123 17:06:31.123456 12345 inner.cpp:12] Check failed: K % b == 0 (2 vs. 0) ip1: K = 800.
*** Check failure stack trace: ***
    @     0x7f  google::LogMessage::Fail()
"""


@pytest.mark.parametrize(
    ("log", "code", "sentence"),
    [
        (FATAL, -6, "Caffe stopped: Check failed: K % b == 0 (2 vs. 0) ip1: K = 800 (see LOG)"),
        ("I1123 text\nerror: no room\n", 1, "no room"),
        ("", -11, "the training process ended by signal SIGSEGV: see the end of LOG"),
        ("Traceback", 1, "the training process ended with exit code 1: see the end of LOG"),
    ],
)
def test_a_dead_worker_becomes_a_sentence(log: str, code: int, sentence: str) -> None:
    assert worker_process.failure(log, code, Path("LOG")) == sentence


def test_the_mnist_rows_of_table_1() -> None:
    specs = experiments.reproduce(3)
    assert len(specs) == len(set(specs))
    # First the dense net, and two configurations by five methods, three seeds each.
    table1 = specs[: 3 * (1 + 2 * 5)]
    nets = {(spec.config, spec.method) for spec in table1}
    assert len(nets) == 1 + 2 * 5
    assert {config for config, _ in nets} == {"(1,1)-BD_4", "(10,1)-BD_4", "(100,10)-BD_4"}
    assert set(experiments.quick()) <= set(experiments.reproduce(1))


def test_the_convnet_rows_of_table_1() -> None:
    every = experiments.reproduce(3)
    for dataset in ("cifar10", "svhn"):
        rows = experiments.reproduce(3, [dataset])
        # The dense net, and two configurations by four methods, three seeds each, seed by seed.
        table1 = [spec for spec in every if spec.dataset == dataset][: 3 * 9]
        assert {(spec.config, spec.method) for spec in table1} == {
            (spec.config, spec.method) for spec in table1[:9]
        }
        assert [spec.seed for spec in table1] == [1] * 9 + [2] * 9 + [3] * 9
        assert set(table1) <= set(rows) <= set(every)
        assert {spec.dataset for spec in rows} == {dataset}
    parts = [set(experiments.reproduce(2, [part])) for part in experiments.PARTS]
    assert set.union(*parts) == set(experiments.reproduce(2))
    assert {spec.dataset for spec in every[:33]} == {"mnist"}


def test_the_search_for_settings_never_sees_the_test_set() -> None:
    specs = experiments.reproduce(2, ["search"])
    assert len(specs) == 2 * sum(len(search[-1]) for search in experiments.SEARCHES)
    assert len(specs) == len(set(specs))
    assert {spec.dataset for spec in specs} == {"mnist-validation", "cifar10-validation"}
    assert not set(specs) & set(experiments.reproduce(2))
    for spec in specs:
        networks.build(
            spec.net, parse_config(str(spec.config)), spec.method, spec.dataset, spec.seed
        )


def test_every_run_on_cifar10_fits_its_net() -> None:
    for spec in experiments.reproduce(1, ["cifar10"]):
        config = parse_config(str(spec.config))
        solver, _ = networks.build(spec.net, config, spec.method, spec.dataset, spec.seed)
        assert solver.max_iter == experiments.TYPICAL["cuda_convnet"][0]


def test_parts_can_be_chosen_and_data_brought_by_hand_may_be_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data_digests.manifest_path, "__defaults__", (tmp_path,))
    assert workflow.parts_to_run("") == (["mnist", "cifar10"], ["svhn"])
    assert workflow.parts_to_run("cifar10, svhn") == (["cifar10"], ["svhn"])
    (tmp_path / "svhn").mkdir()
    (tmp_path / "svhn/manifest.json").write_text("{}")
    assert workflow.parts_to_run(" svhn mnist ") == (["svhn", "mnist"], [])
    assert workflow.parts_to_run("search") == (["search"], [])
    with pytest.raises(UserError, match="there is no part 'cifar'; write some of mnist, cifar10"):
        workflow.parts_to_run("cifar")
    assert "svhn: not run: data not at hand (`make data DATASETS=svhn`" in workflow.not_at_hand(
        "svhn"
    )


def test_time_left_counts_runs_side_by_side() -> None:
    def left(state: str, iteration: int) -> standings.Standing:
        return standings.Standing(SPEC, state, iteration, 100, 10.0)

    assert standings.time_left([left("new", 0)] * 4, 2) == 20.0
    assert standings.time_left([left("new", 0), left("running", 50)], 1) == 15.0
    assert standings.time_left([left("finished", 100), left("diverged", 5)], 2) == 0.0


def test_the_plan_reads_what_is_there_and_runs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "caffe", None)  # as where it is not built
    specs = [RunSpec("lenet", "mnist", "(10,1)-BD_4", "bdip", seed) for seed in (1, 2, 3)]
    names = {"net": "lenet", "dataset": "mnist", "config": "(10,1)-BD_4", "method": "bdip"}
    write_run(
        specs[0].folder(tmp_path),
        fingerprint(net="a"),
        **names,
        max_iter=10000,
        iterations_per_second=10.0,
    )
    begun = specs[1].folder(tmp_path)
    begun.mkdir()
    files.write_json(
        begun / "run.json", {"state": "interrupted", "iteration": 4000, "max_iter": 10000}
    )
    before = sorted(tmp_path.rglob("*"))
    workflow.print_plan(specs, tmp_path, "cpu", 1)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("seed 1: finished")
    assert lines[1].endswith("seed 2: goes on at 4000/10000, about 10 min")
    assert lines[2].endswith("seed 3: to run, about 17 min")
    assert lines[-1] == "1 of 3 runs are done; the rest takes about 27 min, 1 at a time"
    assert sorted(tmp_path.rglob("*")) == before


def test_a_run_that_is_to_be_longer_takes_longer(tmp_path: Path) -> None:
    def new(method: str) -> standings.Standing:
        spec = RunSpec("mlp980", "mnist", "(49,1)-BD_2", method, 1)
        return standings.standing(spec, tmp_path, {})

    usual, longer = new("bdip"), new("bdip,max_iter=40000,weight_decay=0")
    assert longer.max_iter == 40000
    assert longer.seconds_left == 4 * usual.seconds_left
