"""Timings that `make bench` measured: read from its CSV files, and turned into speedups.

A speedup is over the fastest dense product that was timed in the same rounds, whatever library it
is from; so no choice of a slow one makes block layers look good.
"""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from analysis.errors import AnalysisError

FILES = ("times.csv", "machine.csv", "updates.csv", "nets.csv", "engines.csv")
KINDS = ("cpu", "gpu")
# Rows of x in the n x n cases of Figures 1 and 2.
BATCH = 100
COMMAND = "make bench"
COMMANDS = {"cpu": COMMAND, "gpu": f"{COMMAND} DEVICE=gpu"}
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
    engines: tuple[dict[str, str], ...]

    @property
    def kind(self) -> str:
        """One of KINDS."""
        return self.times[0].get("kind") or "cpu"

    @property
    def is_reference(self) -> bool:
        """Whether it came with the project."""
        return self.folder.parent.parent.name == "reference"

    @property
    def threads(self) -> int:
        return int(self.times[0].get("threads") or 1)

    @property
    def device(self) -> str:
        """Name, instruction set and, of a CPU, threads."""
        row = self.times[0]
        name = f"{row['device']}, {row['isa']}" if row.get("isa") else row["device"]
        if self.kind == "gpu":
            return name
        return f"{name}, {self.threads} thread{'s' if self.threads > 1 else ''}"

    def has(self, method: str) -> bool:
        """Whether a method was timed at all."""
        return any(row["method"] == method for row in self.times)

    @cached_property
    def _work(self) -> dict[Place, tuple[float, float, int]]:
        """Operations, bytes and working set by case."""
        return {
            _place(row): (float(row["flops"]), float(row["bytes"]), int(row["working_set"]))
            for row in self.times
            if row.get("flops")
        }

    def limit(self, place: Place) -> float | None:
        """Seconds at peak arithmetic or full bandwidth, whichever takes longer; None if unknown.

        Both are of as many cores as there are threads; bandwidth is that of the working set.
        """
        mine = [row for row in self.machine if int(row.get("cores") or 1) == self.threads]
        peaks = [float(row["value"]) for row in mine if row["what"] == "peak"]
        wide = sorted(
            (int(row["working_set"]), float(row["value"]))
            for row in mine
            if row["what"] == "bandwidth"
        )
        if not peaks or not wide or place not in self._work:
            return None
        flops, size, working_set = self._work[place]
        speed = next((value for upto, value in wide if upto >= working_set), wide[-1][1])
        return max(flops / peaks[0], size / speed)

    @cached_property
    def seconds(self) -> dict[Place, dict[str, float]]:
        """Median seconds of a call by case and method."""
        found: dict[Place, dict[str, float]] = {}
        for row in self.times:
            found.setdefault(_place(row), {})[row["method"]] = float(row["median_s"])
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

    def layers_seconds(
        self, net: str, product: str, blocks: Sequence[int], method: str
    ) -> float | None:
        """Seconds of ip1, ip2, ... of a network together, with so many blocks each.

        method: "dense" for the fastest dense product, which stands for a rival's layers of one
        block too; our layer counts as it was timed with one. None where a layer was not timed so.
        """
        total = 0.0
        for number, b in enumerate(blocks, 1):
            places = self.places(net, product, layer=f"ip{number}", b=b)
            if not places:
                return None
            dense = method == "dense" or (b == 1 and method != "layer")
            seconds = self.dense(places[0]) if dense else self.seconds[places[0]].get(method)
            if seconds is None:
                return None
            total += seconds
        return total

    def slowest_sparse(self, net: str) -> float | None:
        """How many times slower than dense CSR is in a network's layers, forward, at most.

        A matrix with all weights in CSR (b = 1) is not a sparse one. None where it was not timed.
        """
        places = (place for place in self.places(net, "forward") if place.b > 1)
        found = [self.speedup(place, "csr") for place in places]
        return max((1 / one for one in found if one is not None), default=None)

    @cached_property
    def net_seconds(self) -> dict[str, dict[str, dict[str, float]]]:
        """{net: {config: {"step": , "ip": }}}: a training iteration, and its inner products.

        A net's dense config was measured first.
        """
        found: dict[str, dict[str, dict[str, float]]] = {}
        for row in self.nets:
            its = found.setdefault(row["net"], {}).setdefault(row["config"], {})
            its[row["what"]] = float(row["median_s"])
        return found

    @cached_property
    def _updates(self) -> dict[tuple[int, int, int], dict[str, float]]:
        found: dict[tuple[int, int, int], dict[str, float]] = {}
        for row in self.updates:
            key = int(row["N"]), int(row["K"]), int(row["b"])
            found.setdefault(key, {})[row["method"]] = float(row["median_s"])
        return found

    @cached_property
    def update_seconds(self) -> dict[tuple[int, int], dict[str, float]]:
        """Seconds of an update of n x n weights in b blocks: {(n, b): {"update": , "prune": }}."""
        return {(n, b): both for (n, k, b), both in self._updates.items() if n == k}

    def layers_prune_seconds(self, net: str, blocks: Sequence[int]) -> float | None:
        """T(Prune) of ip1, ip2, ... of a network together; a layer of one block is not pruned.

        None where a layer's update was not timed.
        """
        total = 0.0
        for number, b in enumerate(blocks, 1):
            places = self.places(net, "all", layer=f"ip{number}", b=b)
            both = self._updates.get((places[0].N, places[0].K, b)) if places else None
            if b > 1 and both is None:
                return None
            total += both["prune"] - both["update"] if b > 1 else 0.0
        return total

    def prune_seconds(self, n: int) -> float | None:
        """T(Prune) of Eq. 2 for n x n weights: what pruning adds to an update, at most over b."""
        found = [both for (size, _), both in self.update_seconds.items() if size == n]
        return max((both["prune"] - both["update"] for both in found), default=None)


def _place(row: dict[str, str]) -> Place:
    numbers = (int(row[name]) for name in ("M", "N", "K", "b"))
    return Place(row["group"], row["layer"], *numbers, row["product"], row["state"])


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


def find(results: Path, kind: str | None = None, own: bool = True) -> Timings | None:
    """The user's own timings, else those that come with the project; None where there are none.

    kind: "cpu" or "gpu"; without it a GPU's, which the paper's are, else a CPU's. own: whether
    the user's count. Of several devices the one measured last: rows have the time.
    """
    if kind is None:
        return find(results, "gpu", own) or find(results, "cpu", own)
    reference = results / "reference" / "bench"
    for folder in (results / "bench", reference) if own else (reference,):
        found = [load(path.parent) for path in sorted(folder.glob("*/times.csv"))]
        found = [one for one in found if one.kind == kind]
        if found:
            return max(found, key=lambda one: _last(one.times))
    return None


def _last(rows: Iterable[dict[str, str]]) -> str:
    return max(row.get("time") or "" for row in rows)
