"""Table 1: which cell gets what."""

import csv
import subprocess
import sys
from pathlib import Path

import pytest
from analysis_runs import svhn_run, write_convnet_run, write_lenet_sisters, write_run

from analysis import history, table1
from analysis.results import Results, load

ROOT = Path(__file__).resolve().parent.parent


def rows_by_name(results: Results) -> dict[tuple[str, str, str], table1.Row]:
    rows = table1.paper_rows(results) + table1.other_rows(results)
    return {(row.key.dataset, row.key.config, row.key.method): row for row in rows}


def test_a_cell_beside_the_papers(tmp_path: Path) -> None:
    for seed, accuracy in ((1, 0.9881), (2, 0.9883), (3, 0.9885)):
        write_run(tmp_path, "(10,1)-BD_4", "shuffle", seed, accuracy)
    row = rows_by_name(load(tmp_path))["mnist", "(10,1)-BD_4", "shuffle"]
    assert row.cell.printed == "98.81"
    assert table1.accuracy_text(row.shown) == "98.83 ± 0.02 (3 seeds)"
    assert row.difference == pytest.approx(0.02)
    assert row.difference_in_sd == pytest.approx(1.0)
    assert row.command is None


def test_shuffle_has_two_rows_of_ours_and_one_number_of_the_papers(tmp_path: Path) -> None:
    rows = rows_by_name(load(tmp_path))
    fixed = rows["mnist", "(10,1)-BD_4", "shuffle"]
    per_pass = rows["mnist", "(10,1)-BD_4", "shuffle_per_pass"]
    assert fixed.cell is per_pass.cell
    assert (fixed.label, per_pass.label) == ("rand. shuff., FIXED", "rand. shuff., PER_PASS")


def test_what_is_not_run_names_its_command(tmp_path: Path) -> None:
    rows = rows_by_name(load(tmp_path))
    wanted = 'make train NET=lenet CONFIG="(100,10)-BD_4" METHOD=bdip SEED=1'
    assert rows["mnist", "(100,10)-BD_4", "bdip"].command == wanted
    assert table1.ours_text(rows["mnist", "(100,10)-BD_4", "bdip"]) == f"not run: `{wanted}`"


def test_cuda_convnets_command_names_its_data_set(tmp_path: Path) -> None:
    row = rows_by_name(load(tmp_path))["cifar10", "(64,2)-BD_5", "bdip"]
    wanted = 'make train NET=cuda_convnet DATASET=cifar10 CONFIG="(64,2)-BD_5" METHOD=bdip SEED=1'
    assert table1.ours_text(row) == f"not run: `{wanted}`"


def test_data_that_is_not_at_hand_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table1.data_at_hand, "__defaults__", (tmp_path / "data",))
    place = ("svhn", "(8,1)-BD_5", "ip_bdip")
    row = rows_by_name(load(tmp_path))[place]
    cure = "make data IMPORT=file.npz NAME=svhn"
    assert table1.ours_text(row) == f"not run: data not at hand: `{cure}`"
    (tmp_path / "data/svhn").mkdir(parents=True)
    (tmp_path / "data/svhn/manifest.json").write_text("{}")
    row = rows_by_name(load(tmp_path))[place]
    assert table1.ours_text(row).startswith("not run: `make train NET=cuda_convnet DATASET=svhn")


def test_what_was_imported_is_said_beside_the_number(tmp_path: Path) -> None:
    svhn_run(tmp_path / "known", 1, known_as="the first 10,000 of 26,032")
    svhn_run(tmp_path / "other", 1)
    known, other = (
        rows_by_name(load(tmp_path / name))["svhn", "(8,1)-BD_5", "bdip"]
        for name in ("known", "other")
    )
    assert table1.ours_text(known) == (
        "91.00 (1 seed), trained on all 73,257, tested on the first 10,000 of 26,032"
    )
    assert table1.ours_text(other).endswith(
        "tested on 10,000 imported images (the official set has 26,032)"
    )
    for path in table1.write(load(tmp_path / "known"), tmp_path / "report"):
        assert "tested on the first 10,000 of 26,032" in path.read_text()
    # Runs on different images are told apart.
    svhn_run(tmp_path / "known", 2)
    row = rows_by_name(load(tmp_path / "known"))["svhn", "(8,1)-BD_5", "bdip"]
    assert row.data_note.count("tested on") == 2


def test_data_that_is_not_official_is_told_once_for_its_results(tmp_path: Path) -> None:
    svhn_run(tmp_path, 1, known_as="the first 10,000 of 26,032")
    write_run(tmp_path, "(10,1)-BD_4", "bdip", 1, 0.99)
    told = "trained on all 73,257, tested on the first 10,000 of 26,032"
    said = table1.data_sentences(table1.paper_rows(load(tmp_path)))
    assert said == [f"cuda-convnet on SVHN: {told}."]
    # Beside a result on the official data it says which of them is meant.
    write_convnet_run(tmp_path, "svhn", "(1,1)-BD_5", "bdip", 1, 0.92)
    said = table1.data_sentences(table1.paper_rows(load(tmp_path)))
    assert said == [f"cuda-convnet on SVHN, (8,1)-BD_5 BDIP: {told}."]


def test_the_history_says_which_file_was_imported(tmp_path: Path) -> None:
    svhn_run(tmp_path, 1)
    (run,) = load(tmp_path).runs
    told = history.data_text(run)
    assert told.count("imported (bbbbbbbbbbbb…)") == 2
    assert "test 10,000 records" in told


def test_official_data_needs_no_word(tmp_path: Path) -> None:
    write_run(tmp_path, "(10,1)-BD_4", "bdip", 1, 0.99)
    assert rows_by_name(load(tmp_path))["mnist", "(10,1)-BD_4", "bdip"].data_note == ""


def test_a_result_of_pruning_is_shown(tmp_path: Path) -> None:
    write_run(tmp_path, "(10,1)-BD_4", "ip_bdip", 1, 0.99)
    row = rows_by_name(load(tmp_path))["mnist", "(10,1)-BD_4", "ip_bdip"]
    assert row.difference == pytest.approx(99.0 - 99.02)
    assert row.status == "finished"


def test_one_seed_has_no_difference_in_sd(tmp_path: Path) -> None:
    write_run(tmp_path, "(10,1)-BD_4", "bdip", 1, 0.99)
    row = rows_by_name(load(tmp_path))["mnist", "(10,1)-BD_4", "bdip"]
    assert row.difference_in_sd is None
    assert table1.sd_text(row) == "one seed"


def test_equal_seeds_have_no_difference_in_sd(tmp_path: Path) -> None:
    for seed in (1, 2):
        write_run(tmp_path, "(10,1)-BD_4", "bdip", seed, 0.99)
    row = rows_by_name(load(tmp_path))["mnist", "(10,1)-BD_4", "bdip"]
    assert row.difference_in_sd is None
    assert table1.sd_text(row) == "no spread"


def test_a_running_cell_is_no_number(tmp_path: Path) -> None:
    write_run(tmp_path, "(10,1)-BD_4", "bdip", 2, 0.97, state="running", iteration=3200)
    row = rows_by_name(load(tmp_path))["mnist", "(10,1)-BD_4", "bdip"]
    assert table1.ours_text(row) == "seed 2 running 3,200/10,000"


def test_another_length_than_the_papers_is_said(tmp_path: Path) -> None:
    write_run(tmp_path, "(10,1)-BD_4", "bdip", 1, 0.97, max_iter=3000)
    row = rows_by_name(load(tmp_path))["mnist", "(10,1)-BD_4", "bdip"]
    assert table1.ours_text(row) == "97.00 (1 seed), at 3,000 iterations"


def test_results_without_a_cell_follow(tmp_path: Path) -> None:
    write_run(tmp_path, "(50,1)-BD_4", "bdip", 1, 0.97)
    write_run(tmp_path, "(1,1)-BD_4", "bdip", 1, 0.89, dataset="fashion-mnist")
    others = table1.other_rows(load(tmp_path))
    assert [table1.section_text(row.key) for row in others] == [
        "LeNet-5 on Fashion-MNIST",
        "LeNet-5 on MNIST",
    ]
    assert all(row.cell is None and row.difference is None for row in others)


def test_files(tmp_path: Path) -> None:
    write_lenet_sisters(tmp_path / "results" / "reference")
    write_run(tmp_path / "results", "(50,1)-BD_4", "bdip", 1, 0.97)
    table1.write(load(tmp_path / "results"), tmp_path / "report")
    with open(tmp_path / "report" / "table1.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 27 + 6 + 1  # cells, the second shuffle of each config, one more
    dense = rows[0]
    assert (dense["paper_percent"], dense["n_seeds"], dense["source"]) == (
        "99.11",
        "3",
        "reference",
    )
    assert float(dense["difference_points"]) == pytest.approx(
        float(dense["mean_percent"]) - 99.11, abs=1e-4
    )
    text = (tmp_path / "report" / "table1.md").read_text()
    columns = {line.count("|") for line in text.splitlines() if line.startswith("|")}
    assert columns == {8}
    tex = (tmp_path / "report" / "table1.tex").read_text()
    assert tex.count("&") == 5 * tex.count(r" \\") - 5 * tex.count("multicolumn")


def test_command_prints_one_sentence_for_a_damaged_file(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "results", "(10,1)-BD_4", "bdip", 1, 0.97)
    (folder / "run.json").write_text("{")
    command = [sys.executable, "-m", "analysis.table1", "--results", str(tmp_path / "results")]
    done = subprocess.run(
        [*command, "--out", str(tmp_path / "report")], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "report").exists()
