"""The paper's numbers: complete, consistent, and slips flagged but kept."""

import re
from collections import defaultdict

import pytest

from analysis import methods, paper


def test_ids_are_used_once_and_slips_exist() -> None:
    entries = paper.claims()
    named = {slip for claim in entries.values() for slip in claim.slip}
    assert named == set(paper.slips())
    kinds = {claim.kind for claim in entries.values()}
    assert kinds == {
        "accuracy", "speed", "count", "spectrum", "setting", "formula", "statement", "quoted",
    }  # fmt: skip
    assert {claim.relation for claim in entries.values()} <= {"=", "~", "<", "<=", ">", ">="}


def test_value_is_what_is_printed() -> None:
    """Every number that is printed plainly is the entry's value, digit for digit."""
    plain = 0
    for claim in paper.claims().values():
        if isinstance(claim.value, float | int) and re.fullmatch(r"[\d,.]+", claim.printed):
            assert float(claim.printed.replace(",", "")) == claim.value, claim.id
            plain += 1
    assert plain > 80


def test_table1_is_whole() -> None:
    cells = paper.table1_cells()
    assert len(cells) == 27
    sums = defaultdict(float)
    for cell in cells:
        sums[cell.subject["dataset"], cell.subject["config"]] += cell.value
    assert sums == pytest.approx(
        {
            ("mnist", "(1,1)-BD_4"): 99.11,
            ("mnist", "(10,1)-BD_4"): 395.70,
            ("mnist", "(100,10)-BD_4"): 394.01,
            ("svhn", "(1,1)-BD_5"): 91.96,
            ("svhn", "(8,1)-BD_5"): 365.88,
            ("svhn", "(64,2)-BD_5"): 359.85,
            ("cifar10", "(1,1)-BD_5"): 76.29,
            ("cifar10", "(8,1)-BD_5"): 301.85,
            ("cifar10", "(64,2)-BD_5"): 296.14,
        }
    )
    places = {(c.subject["dataset"], c.subject["config"], c.subject["column"]) for c in cells}
    assert len(places) == 27
    assert {column for _, _, column in places} == set(methods.COLUMN_LABELS)


def test_table_and_text_agree_but_for_the_flagged_slip() -> None:
    """Accuracies that stand in the text too are the table's, except (64,2)-BD_5 on CIFAR-10."""
    table = {
        (c.subject["dataset"], c.subject["config"], c.subject["column"]): c
        for c in paper.table1_cells()
    }
    differ, same = [], 0
    for claim in paper.claims().values():
        subject = claim.subject
        column = subject.get("column", "dense")
        place = (subject.get("dataset"), subject.get("config"), column)
        final = claim.kind == "accuracy" and claim.unit == "percent" and place in table
        if not final or claim.id.startswith("table1/"):
            continue
        if subject.get("split") == "train" or "iteration" in subject or "method" in subject:
            continue
        if claim.value == table[place].value:
            same += 1
        else:
            differ.append(claim.id)
            assert "cifar10-64-2-two-values" in claim.slip
            assert "cifar10-64-2-two-values" in table[place].slip
    assert differ == ["4.2.3/test-64-2"]
    assert same == 9


def test_slips_are_slips() -> None:
    """The paper's own numbers contradict the flagged statements."""
    value = {claim.id: claim.value for claim in paper.claims().values()}
    drop = value["table1/svhn/(1,1)-BD_5"] - value["table1/svhn/(64,2)-BD_5/bdip"]
    assert drop > value["4.2.2/drop"]
    assert value["4.1/lenet-ip1"] == value["5.1/shape"][::-1]
    assert value["4.1/convnet-ip1"] == value["5.2/shape"][::-1]


def test_iterations_are_the_papers() -> None:
    assert [paper.iterations(name) for name in ("mnist", "svhn", "cifar10")] == [10000, 9000, 9000]
    assert paper.iterations("fashion-mnist") is None


def test_compression_counts_biases() -> None:
    """405,510 / 5,010, 66,250 / 1,418 and 779,110 / 26,470 give the printed folds."""
    value = {claim.id: claim.value for claim in paper.claims().values()}

    def fold(layers: list[tuple[int, int]], blocks: list[int]) -> float:
        dense = sum(n * k + n for n, k in layers)
        return dense / sum(n * k // b + n for (n, k), b in zip(layers, blocks, strict=True))

    lenet = fold([(500, 800), (10, 500)], [100, 10])
    convnet = fold([(64, 1024), (10, 64)], [64, 2])
    mlp = fold([(980, 784), (10, 980)], [49, 1])
    assert round(lenet) == value["4.2.1/fold-100-10"]
    assert round(convnet) == value["4.2.2/fold-64-2"] == value["4.2.3/fold-64-2"]
    assert round(mlp, 2) == value["4.2.1/mlp-fold"]
