"""The line of progress: on a terminal it is written over in place."""

from __future__ import annotations

import sys

import pytest

from scripts.progress import Display

TITLE = "lenet-mnist (10,1)-BD_4 bdip seed 1"
PROGRESS = {"iteration": 5000, "max_iter": 10000, "rate": 21.3, "test_accuracy": 0.9896}
TEXT = "iteration 5000/10000, 21.3 it/s, 4 min left, test accuracy 98.96 %"


@pytest.mark.parametrize(
    ("columns", "line"),
    [(120, f"{TITLE}: {TEXT}"), (80, TEXT), (40, TEXT[:39])],
)
def test_it_takes_no_more_than_one_line_of_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], columns: int, line: str
) -> None:
    """What went on in a second line would stay there."""
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    Display(TITLE).show(PROGRESS)
    assert capsys.readouterr().out == f"\r{line}\033[K"
