"""Timings that `make bench` measured: read from its CSV files, and turned into speedups.

A speedup is over the fastest dense product that was timed in the same rounds, whatever library it
is from; so no choice of a slow one makes block layers look good.
"""

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from analysis.errors import AnalysisError

FILES = ("times.csv", "machine.csv", "updates.csv", "nets.csv")
COMMAND = "make bench"
# What every row of times.csv has to have.
NEEDED = ("group", "layer", "M", "N", "K", "b", "product", "state", "method", "median_s", "device")


@dataclass(frozen=True, order=True)
class Place:
    """One case: a group ("square" or a network) with its layer, shape, blocks and products."""

    group: str
    layer: str
    M: int
    N: int
    K: int
    b: int
    product: str
    state: str = "warm"

    @property
    def weights(self) -> int:
        """Non-zero weights."""
        return self.N * (self.K // self.b)


@dataclass(frozen=True)
class Timings:
    """The files of one device."""

    folder: Path
    times: tuple[dict[str, str], ...]
    machine: tuple[dict[str, str], ...]
    updates: tuple[dict[str, str], ...]
    nets: tuple[dict[str, str], ...]

    @property
    def device(self) -> str:
        """Name, instruction set and threads."""
        row = self.times[0]
        threads = int(row.get("threads") or 1)
        isa = f", {row['isa']}" if row.get("isa") else ""
        return f"{row['device']}{isa}, {threads} thread{'s' if threads > 1 else ''}"

    @cached_property
    def seconds(self) -> dict[Place, dict[str, float]]:
        """Median seconds of a call by case and method."""
        found: dict[Place, dict[str, float]] = {}
        for row in self.times:
            numbers = (int(row[name]) for name in ("M", "N", "K", "b"))
            place = Place(row["group"], row["layer"], *numbers, row["product"], row["state"])
            found.setdefault(place, {})[row["method"]] = float(row["median_s"])
        return found

    def places(self, group: str, product: str, state: str = "warm", **fixed: object) -> list[Place]:
        """The cases of a group, ordered by shape and blocks; `fixed` are fields of Place."""
        return sorted(
            place
            for place in self.seconds
            if (place.group, place.product, place.state) == (group, product, state)
            and all(getattr(place, name) == value for name, value in fixed.items())
        )

    def dense(self, place: Place) -> float:
        """Seconds of the fastest dense product."""
        return min(s for name, s in self.seconds[place].items() if name.startswith("dense"))

    def speedup(self, place: Place, method: str = "layer") -> float | None:
        """How many times faster than dense; None where the method was not timed."""
        found = self.seconds[place].get(method)
        return None if found is None else self.dense(place) / found

    def prune_seconds(self, n: int) -> float | None:
        """T(Prune) of Eq. 2 for n x n weights: what pruning adds to an update, at most over b."""
        by_blocks: dict[str, dict[str, float]] = {}
        for row in self.updates:
            if int(row["N"]) == n == int(row["K"]):
                by_blocks.setdefault(row["b"], {})[row["method"]] = float(row["median_s"])
        return max((both["prune"] - both["update"] for both in by_blocks.values()), default=None)


def _rows(path: Path) -> tuple[dict[str, str], ...]:
    if not path.is_file():
        return ()
    with path.open(encoding="utf-8", newline="") as stream:
        return tuple(csv.DictReader(stream))


def load(folder: Path) -> Timings:
    """The timings in a folder.

    Raises AnalysisError where times.csv is no such file or a number in it is none.
    """
    timings = Timings(folder, *(_rows(folder / name) for name in FILES))
    path = folder / "times.csv"
    lacking = [name for name in NEEDED if not timings.times or name not in timings.times[0]]
    if lacking:
        raise AnalysisError(f"{path} has no column {lacking[0]}: run `{COMMAND}` again")
    try:
        for place in timings.seconds:
            timings.dense(place)
    except (ValueError, TypeError) as error:
        raise AnalysisError(
            f"{path} has a row that cannot be read ({error}): run `{COMMAND}` again"
        ) from error
    return timings


def find(results: Path) -> Timings | None:
    """The user's own timings, else those that come with the project; None where there are none.

    Of several devices the one measured last: rows have the time.
    """
    for folder in (results / "bench", results / "reference" / "bench"):
        found = [load(path.parent) for path in sorted(folder.glob("*/times.csv"))]
        if found:
            return max(found, key=lambda one: _last(one.times))
    return None


def _last(rows: Iterable[dict[str, str]]) -> str:
    return max(row.get("time") or "" for row in rows)
