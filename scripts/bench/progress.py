"""What a benchmark has measured so far: a stop loses at most some seconds of it.

The tables are written when all are there, so that a folder never mixes two benchmarks.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path

from scripts.files import read_json, write_json

# How often what has been timed is written.
WRITE_SECONDS = 20.0


class Progress:
    """Rows by table, kept in `unfinished.json` of the benchmark's folder until `finish`.

    about: everything that the numbers depend on, as JSON knows it. What an earlier benchmark left
    there is gone on with where that is the same, and forgotten otherwise.
    """

    def __init__(self, folder: Path, about: dict) -> None:
        self.path = folder / "unfinished.json"
        self.about = about
        before = read_json(self.path) or {}
        same = before.get("about") == about
        self.tables: dict[str, list[dict]] = before["tables"] if same else {}
        self.written = time.monotonic()

    def table(self, name: str, measure: Callable[[], Iterable[dict]]) -> list[dict]:
        """The rows of a table: those from before, or measured now, and kept."""
        if name not in self.tables:
            self.tables[name] = list(measure())
            self.write()
        return self.tables[name]

    def add(self, name: str, rows: Iterable[dict]) -> None:
        """Some more rows of a table; written now and then."""
        self.tables.setdefault(name, []).extend(rows)
        if time.monotonic() - self.written > WRITE_SECONDS:
            self.write()

    def write(self) -> None:
        """Keep what there is."""
        write_json(self.path, {"about": self.about, "tables": self.tables})
        self.written = time.monotonic()

    def finish(self, write_table: Callable[[str, list[dict]], None]) -> None:
        """Hand every table to `write_table`, and forget what is kept of them."""
        for name, rows in self.tables.items():
            write_table(name, rows)
        self.path.unlink(missing_ok=True)
