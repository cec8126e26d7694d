"""Progress of one run, as a user sees it."""

from __future__ import annotations

import shutil
import sys
import time
from typing import Any

LINE_SECONDS = 10.0  # between two lines where the output is not a terminal


def duration(seconds: float) -> str:
    """A time span in words short enough for a line: 45 s, 12 min, 3 h 20 min."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def progress_text(progress: dict[str, Any]) -> str:
    """One line from progress.json: iteration, rate, time left, last test accuracy."""
    text = f"iteration {progress['iteration']}/{progress['max_iter']}"
    if progress["rate"] > 0:
        left = (progress["max_iter"] - progress["iteration"]) / progress["rate"]
        text += f", {progress['rate']:.1f} it/s, {duration(left)} left"
    if progress.get("test_accuracy") is not None:
        text += f", test accuracy {100 * progress['test_accuracy']:.2f} %"
    return text


class Display:
    """Shows progress: in place on a terminal, else a line now and then."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.in_place = sys.stdout.isatty()
        self.last_time = time.monotonic()
        self.last_text = ""

    def show(self, progress: dict[str, Any] | None) -> None:
        if progress is None:
            return
        text = progress_text(progress)
        if self.in_place:
            if text != self.last_text:
                print(f"\r{self.fitted(text)}\033[K", end="", flush=True)
        elif time.monotonic() - self.last_time >= LINE_SECONDS:
            print(f"{self.title}: {text}", flush=True)
            self.last_time = time.monotonic()
        self.last_text = text

    def fitted(self, text: str) -> str:
        """`text` after the title, or alone, or cut, so that it takes one line of the terminal.

        From a line that goes on below, the next one would not take away the first part.
        """
        width = shutil.get_terminal_size().columns - 1
        line = f"{self.title}: {text}"
        return line if len(line) <= width else text[:width]

    def end(self) -> None:
        if self.in_place and self.last_text:
            print()
