"""What was tried on a validation split, as a table."""

import csv

import pytest

from analysis import search, table1
from analysis.results import load
from tests.analysis_runs import write_run

CONFIG = "(100,10)-BD_4"


@pytest.fixture
def results(tmp_path):
    for method, accuracies in {
        "bdip": (0.9830, 0.9840, 0.9835),
        "ip_bdip,alpha=1e-3": (0.9850, 0.9862, 0.9853),
        "ip_bdip": (0.9820,),
    }.items():
        for seed, accuracy in enumerate(accuracies, 1):
            write_run(tmp_path, CONFIG, method, seed, accuracy, dataset="mnist-validation")
    write_run(tmp_path, CONFIG, "bdip", 1, 0.99)  # the test set has no say here
    return tmp_path


def test_the_best_comes_first_and_differences_are_seed_by_seed(results):
    found = search.tried(load(results))
    assert [one.key.method for one in found] == ["ip_bdip,alpha=1e-3", "bdip", "ip_bdip"]
    best, plain, single = found
    assert best.difference.by_seed == pytest.approx({1: 0.20, 2: 0.22, 3: 0.18})
    assert plain.difference is None
    assert single.difference.by_seed == pytest.approx({1: -0.10})


def test_a_setting_of_the_solver_is_compared_to_blocks_with_the_same(results):
    for method, accuracy in {
        "bdip,base_lr=0.1": 0.9900,
        "ip_bdip,base_lr=0.1,start=9": 0.9880,
        "ip_bdip,base_lr=0.05": 0.9800,
    }.items():
        write_run(results, CONFIG, method, 1, accuracy, dataset="mnist-validation")
    found = {one.key.method: one.difference for one in search.tried(load(results))}
    assert found["bdip,base_lr=0.1"] is None
    assert found["ip_bdip,base_lr=0.1,start=9"].by_seed == pytest.approx({1: -0.20})
    assert found["ip_bdip,base_lr=0.05"].by_seed == pytest.approx({1: -0.30})


def test_the_tables_say_the_same(results):
    found = search.tried(load(results))
    rows = list(csv.DictReader(search.csv_text(found).splitlines()))
    assert [row["n_seeds"] for row in rows] == ["3", "3", "1"]
    assert float(rows[0]["minus_bdip"]) == pytest.approx(0.20)
    assert float(rows[0]["low_95"]) < 0.20 < float(rows[0]["high_95"])
    assert rows[2]["low_95"] == ""
    text = search.markdown(found)
    assert "| ip_bdip,alpha=1e-3 | 98.55 \u00b1 0.06 (3 seeds) | +0.20 |" in text


def test_the_table_of_results_does_not_repeat_them(results):
    assert table1.other_rows(load(results)) == []


def test_nothing_tried_is_an_empty_table(tmp_path):
    assert search.markdown(search.tried(load(tmp_path))) == ""
