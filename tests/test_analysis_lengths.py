"""Trainings of the net with one hidden layer, held against the paper's error."""

from pathlib import Path

import pytest
from analysis_runs import write_run

from analysis import lengths, report
from analysis.results import load

CONFIG = "(49,1)-BD_2"


def write_readings(base: Path, errors: dict[str, float]) -> None:
    """Runs pruned to blocks, and in blocks with half a point less, that err on so many percent."""
    for settings, error in errors.items():
        for method, less in (("ip_bdip", 0.0), ("bdip", 0.5)):
            name = f"{method},{settings}".rstrip(",")
            accuracy = 1 - (error - less) / 100
            iterations = 40_000 if settings else 10_000
            write_run(base, CONFIG, name, 1, accuracy, net="mlp980", max_iter=iterations)


@pytest.mark.parametrize(
    ("errors", "said"),
    [
        (
            (5.9, 4.9, 4.4),
            "reached with 40,000 iterations and 40,000 iterations without weight decay",
        ),
        ((5.9, 4.9, 4.4), "is 40,000 iterations without weight decay (0.03 points off)"),
        ((5.9, 4.9, 4.4), "LeNet-5's solver as it is does not give"),
        ((5.9, 5.2, 5.1), "None of them errs on less than 5%"),
    ],
)
def test_the_error_tells_the_length(errors: tuple[float, ...], said: str, tmp_path: Path) -> None:
    write_readings(tmp_path, dict(zip(lengths.READINGS, errors, strict=True)))
    assert said in lengths.conclusion(lengths.evidence(load(tmp_path)))


def test_lenets_own_length_is_no_longer_training(tmp_path: Path) -> None:
    write_readings(tmp_path, dict(zip(lengths.READINGS, (4.4, 4.3, 4.2), strict=True)))
    said = lengths.conclusion(lengths.evidence(load(tmp_path)))
    assert "reached with 10,000 iterations" in said
    assert "does not give" not in said


def test_the_report_shows_what_was_run(tmp_path: Path) -> None:
    write_readings(tmp_path / "runs", {"": 5.9, "max_iter=40000": 4.95})
    page = report.write(load(tmp_path / "runs"), tmp_path / "page", draws=5).read_text()
    assert "2 of 3 readings were run: nothing is decided." in page
    assert "4.45 (1 seed)" in page
    assert "trained for longer: 4.95 (40,000 iterations)" in page
    write_run(tmp_path / "none", "(10,1)-BD_4", "bdip", 1, 0.98)
    page = report.write(load(tmp_path / "none"), tmp_path / "page2", draws=5).read_text()
    assert "How long was 784-980-10 trained?" not in page
