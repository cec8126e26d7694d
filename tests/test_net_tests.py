"""Several test nets: names of their columns, where a test begins, what it must not disturb."""

import csv
import signal
from pathlib import Path

import pytest
from caffe.proto import caffe_pb2
from google.protobuf import text_format

from scripts import net_tests
from scripts.errors import UserError
from scripts.files import read_json
from tests import tiny_training as tiny

RUN = "custom/tiny/seed-1"
STATES = """
test_state {}
test_iter: 5 test_state { stage: "train_part" }
test_iter: 21 test_state { stage: "train_set" stage: "at_end" }
"""
# The tiny net's 210 training images: the first 50 of them, and all.
DATA = """
layer {{ name: "data" type: "Data" top: "data" top: "label"
  include {{ phase: TEST stage: "train_part" }} include {{ phase: TEST stage: "train_set" }}
  transform_param {{ scale: 0.00390625 }}
  data_param {{ source: "{data}/train_lmdb" batch_size: 10 backend: LMDB }} }}
"""


def write_problem(folder: Path, **more) -> Path:
    """The tiny problem with accuracy on the training set beside that on the test set."""
    solver = tiny.write_problem(folder, **more)
    net = folder / "net.prototxt"
    text = net.read_text().replace(
        "include { phase: TEST }\n  transform",
        'include { phase: TEST not_stage: "train_part" not_stage: "train_set" }\n  transform',
    )
    net.write_text(text.replace('name: "tiny"', 'name: "tiny"' + DATA.format(data=folder)))
    solver.write_text(solver.read_text() + STATES)
    return solver


def rows_of(run: Path) -> list[dict[str, str]]:
    with open(run / "metrics.csv", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of 600 iterations, tested every 150."""
    folder = tmp_path_factory.mktemp("trained")
    done = tiny.train(write_problem(folder / "problem", max_iter=600), folder)
    assert done.returncode == 0, done.stderr
    return folder / RUN


def test_columns_say_what_they_were_measured_on(trained: Path) -> None:
    rows = rows_of(trained)
    prefixes = ("test", "train_part", "train_set")
    columns = [f"{prefix}_{name}" for prefix in prefixes for name in ("accuracy", "loss")]
    assert list(rows[0]) == ["iteration", "lr", "train_loss", *columns]
    tested = [row for row in rows if row["test_accuracy"]]
    assert [row["iteration"] for row in tested] == ["0", "150", "300", "450", "600"]
    assert all(row["train_part_accuracy"] for row in tested)
    assert [row["iteration"] for row in rows if row["train_set_accuracy"]] == ["600"]
    final = (read_json(trained / "finished.json") or {})["final"]
    # Learnt by heart, the 210 images are known better than 30 new ones.
    assert final["train_set_accuracy"] > final["test_accuracy"]
    assert final["train_set_loss"] < final["test_loss"]


def test_training_is_the_same_with_and_without_them(tmp_path: Path) -> None:
    runs = []
    for name, write in (("with", write_problem), ("without", tiny.write_problem)):
        solver = write(tmp_path / name, max_iter=300)
        net = solver.with_name("net.prototxt")
        dropout = 'layer { name: "drop" type: "Dropout" bottom: "ip1" top: "ip1" }'
        assert dropout in net.read_text()
        net.write_text(net.read_text().replace(dropout, ""))
        assert tiny.train(solver, tmp_path / name).returncode == 0
        runs.append(tmp_path / name / RUN)
    for with_them, without in zip(*map(rows_of, runs), strict=True):
        assert {name: with_them[name] for name in without} == without
    last = [(run / "weights/iter_000300.npz").read_bytes() for run in runs]
    assert last[0] == last[1]


def test_a_test_begins_at_the_first_record_each_time(tmp_path: Path) -> None:
    """Without learning, five batches of 210 records are the same five in each test."""
    solver = write_problem(tmp_path / "problem", max_iter=300, base_lr=0)
    assert tiny.train(solver, tmp_path).returncode == 0
    losses = [row["train_part_loss"] for row in rows_of(tmp_path / RUN) if row["train_part_loss"]]
    assert len(losses) == 3
    assert len(set(losses)) == 1


def test_stopped_and_gone_on_is_the_same(tmp_path: Path) -> None:
    # Long enough to be met on its way by any machine; progress is told once a second only.
    solver = write_problem(tmp_path / "problem", max_iter=3000)
    whole = tmp_path / "whole"
    assert tiny.train(solver, whole).returncode == 0
    process = tiny.start(tiny.command(solver, tmp_path, "--snapshot-seconds", "0"))
    folder = tmp_path / RUN
    # Its marker comes last; it may be gone again, for a newer one, when it is looked at.
    tiny.wait_until(lambda: list(folder.glob("state/snapshot_iter_*.json")))
    tiny.kill_group(process, signal.SIGKILL)
    assert read_json(folder / "finished.json") is None
    assert tiny.train(solver, tmp_path).returncode == 0
    assert tiny.contents(folder) == tiny.contents(whole / RUN)


def solver_of(text: str) -> caffe_pb2.SolverParameter:
    return text_format.Parse(text, caffe_pb2.SolverParameter())


@pytest.mark.parametrize(
    ("text", "prefixes"),
    [
        ("", []),
        ("test_iter: 3", ["test"]),
        ("test_iter: 3 test_iter: 4", ["test0", "test1"]),
        ('test_iter: 3 test_iter: 4 test_state {} test_state { stage: "a" }', ["test", "a"]),
        ('test_iter: 3 test_state { stage: "at_end" }', ["at_end"]),
        ('test_iter: 3 test_state { stage: "a" stage: "b" stage: "at_end" }', ["a_b"]),
    ],
)
def test_names(text: str, prefixes: list[str]) -> None:
    found = net_tests.net_tests(solver_of(text), Path("net"))
    assert [test.prefix for test in found] == prefixes


@pytest.mark.parametrize("stage", ["train", "test", "a,b", "ä"])
def test_a_stage_that_can_name_no_column_is_refused(stage: str) -> None:
    text = f'test_iter: 3 test_iter: 4 test_state {{}} test_state {{ stage: "{stage}" }}'
    with pytest.raises(UserError, match=f"has the stage '{stage}', which cannot name columns"):
        net_tests.net_tests(solver_of(text), Path("net"))


def test_caffe_holds_those_without_a_stage() -> None:
    solver = solver_of(
        'test_iter: 3 test_iter: 4 test_iter: 5 test_state { stage: "a" } test_state {}'
        'test_state { stage: "b" }'
    )
    net_tests.of_caffe(solver)
    assert list(solver.test_iter) == [4]
    assert len(solver.test_state) == 1
