"""Run folders: read, grouped, refused when damaged."""

import json
from pathlib import Path

import numpy as np
import pytest
from analysis_runs import write_lenet_sisters, write_run

from analysis.errors import AnalysisError
from analysis.results import OWN, REFERENCE, Key, load, measured_curve

BDIP = Key("lenet", "mnist", "(10,1)-BD_4", "bdip")


def test_mean_and_sample_standard_deviation(tmp_path: Path) -> None:
    for seed, accuracy in ((1, 0.98), (2, 0.99), (3, 0.985)):
        write_run(tmp_path, BDIP.config, BDIP.method, seed, accuracy)
    summary = load(tmp_path).outcome(BDIP).shown
    assert summary.mean == pytest.approx(98.5)
    assert summary.sd == pytest.approx(0.5)  # n - 1: sqrt((0.25 + 0.25) / 2)
    assert summary.by_seed == pytest.approx({1: 98.0, 2: 99.0, 3: 98.5})


def test_one_seed_has_no_spread(tmp_path: Path) -> None:
    write_run(tmp_path, BDIP.config, BDIP.method, 1, 0.98)
    assert load(tmp_path).outcome(BDIP).shown.sd is None


def test_own_results_win_and_are_not_mixed(tmp_path: Path) -> None:
    write_lenet_sisters(tmp_path / "reference")
    write_run(tmp_path, BDIP.config, BDIP.method, 7, 0.5)
    outcome = load(tmp_path).outcome(BDIP)
    assert outcome.shown.source == OWN
    assert outcome.shown.by_seed == {7: 50.0}
    assert outcome.reference.source == REFERENCE
    assert outcome.reference.n == 3


@pytest.mark.parametrize("state", ["running", "interrupted", "diverged"])
def test_unfinished_runs_have_no_number(tmp_path: Path, state: str) -> None:
    folder = write_run(tmp_path, BDIP.config, BDIP.method, 1, 0.9, state=state, iteration=3000)
    (folder / "progress.json").write_text(json.dumps({"iteration": 3200, "max_iter": 10_000}))
    outcome = load(tmp_path).outcome(BDIP)
    assert outcome.shown is None
    assert [run.progress for run in outcome.unfinished] == [f"{state} 3,200/10,000"]


def test_a_running_own_run_leaves_the_reference_shown(tmp_path: Path) -> None:
    write_lenet_sisters(tmp_path / "reference")
    write_run(tmp_path, BDIP.config, BDIP.method, 1, 0.9, state="running", iteration=10)
    outcome = load(tmp_path).outcome(BDIP)
    assert outcome.shown.source == REFERENCE
    assert len(outcome.unfinished) == 1


def test_runs_of_another_length_are_not_averaged(tmp_path: Path) -> None:
    write_run(tmp_path, BDIP.config, BDIP.method, 1, 0.98)
    write_run(tmp_path, BDIP.config, BDIP.method, 2, 0.97, max_iter=3000)
    results = load(tmp_path)
    assert results.outcome(BDIP, 10_000).shown.by_seed == {1: 98.0}
    assert results.outcome(BDIP, 3000).shown.by_seed == {2: 97.0}
    assert results.outcome(BDIP, 777).shown.iterations == 10_000


def test_a_solver_of_the_users_own(tmp_path: Path) -> None:
    nothing = dict.fromkeys(("net", "dataset", "config", "method"))
    made = write_run(tmp_path, "x", "y", 4, 0.91)
    change(**nothing, solver_file="/home/me/wide.prototxt")(made)
    place = tmp_path / "custom" / "wide" / "seed-4"
    place.parent.mkdir(parents=True)
    made.rename(place)
    (run,) = load(tmp_path).runs
    assert run.key == Key(None, None, None, None, "wide")
    assert run.accuracy == pytest.approx(91.0)


def test_no_folder_holds_no_runs(tmp_path: Path) -> None:
    assert load(tmp_path / "nowhere").runs == ()


def test_a_folder_set_aside_is_not_read(tmp_path: Path) -> None:
    folder = write_run(tmp_path, BDIP.config, BDIP.method, 1, 0.98)
    folder.rename(folder.with_name("seed-1.0a1b2c3d"))
    assert load(tmp_path).runs == ()


def test_measured_curve_skips_rows_without_a_test(tmp_path: Path) -> None:
    write_run(tmp_path, BDIP.config, BDIP.method, 1, 0.98)
    iterations, values = measured_curve(load(tmp_path).runs[0])
    np.testing.assert_array_equal(iterations, np.arange(0, 10_001, 500))
    assert values[0] == pytest.approx(0.1)
    assert values[-1] == pytest.approx(0.98)


def cut_json(folder: Path) -> None:
    path = folder / "run.json"
    path.write_text(path.read_text()[:200])


def change(**values: object):
    def apply(folder: Path) -> None:
        path = folder / "run.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **values}))

    return apply


def cut_metrics(folder: Path) -> None:
    path = folder / "metrics.csv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:50]) + "\n")


def cut_last_line(folder: Path) -> None:
    path = folder / "metrics.csv"
    path.write_text(path.read_text()[:-12])


def other_accuracy(folder: Path) -> None:
    path = folder / "metrics.csv"
    head, _, last = path.read_text().rstrip("\n").rpartition("\n")
    path.write_text(f"{head}\n{last.replace('0.98', '0.12')}\n")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (cut_json, "run.json cannot be read"),
        (lambda folder: (folder / "run.json").write_text("[]"), "holds no run record"),
        (change(schema=2), "schema 2"),
        (change(seed="one"), "seed = 'one'"),
        (change(seed=True), "seed = True"),
        (change(state="asleep"), "state 'asleep'"),
        (change(max_iter=None), "max_iter = None"),
        (change(final=None), "final = None"),
        (change(final={"test_accuracy": 98.0}), "test_accuracy 98.0"),
        (change(final={"test_accuracy": float("nan")}), "test_accuracy nan"),
        (change(config="(20,1)-BD_4"), "move that folder"),
        (cut_metrics, "ends at iteration 4800 of 10000"),
        (cut_last_line, "cut short"),
        (other_accuracy, "ends with a test accuracy of 12.0000%"),
        (lambda folder: (folder / "metrics.csv").unlink(), "metrics.csv cannot be read"),
        (lambda folder: (folder / "metrics.csv").write_text(""), "metrics.csv cannot be read"),
    ],
)
def test_damage_is_one_sentence(tmp_path: Path, damage, words: str) -> None:
    folder = write_run(tmp_path, BDIP.config, BDIP.method, 1, 0.98)
    damage(folder)
    with pytest.raises(AnalysisError) as caught:
        load(tmp_path)
    assert words in str(caught.value)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)
