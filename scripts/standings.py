"""How far the runs of a workflow are, and how long the rest takes."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts import experiments, files, runs
from scripts.methods import parse_method
from scripts.progress import duration
from scripts.runs import RunSpec


@dataclass(frozen=True)
class Standing:
    """How far one run is."""

    spec: RunSpec
    state: str  # "finished", "running", "diverged", "started" or "new"
    iteration: int
    max_iter: int
    rate: float  # iterations per second: of the run itself, or expected

    @property
    def seconds_left(self) -> float:
        if self.state in ("finished", "diverged"):
            return 0.0
        return (self.max_iter - self.iteration) / self.rate


def measured_rates(results: Path) -> dict[tuple[str | None, ...], float]:
    """Iterations/s of the finished runs under `results`, the slowest seed of each network.

    Keys: (net, dataset, config, method).
    """
    rates: dict[tuple[str | None, ...], float] = {}
    for path in results.glob("*/*/*/seed-*/finished.json"):
        record = files.read_json(path)
        if record and record.get("iterations_per_second"):
            key = tuple(record[name] for name in ("net", "dataset", "config", "method"))
            rate = record["iterations_per_second"]
            rates[key] = min(rate, rates.get(key, rate))
    return rates


def standing(spec: RunSpec, results: Path, rates: dict[tuple[str | None, ...], float]) -> Standing:
    """How far the run `spec` under `results` is, from its files."""
    folder = spec.folder(results)
    max_iter, rate = experiments.TYPICAL.get(str(spec.net), (10000, 20.0))
    max_iter = int(dict(parse_method(spec.method or "bdip").settings).get("max_iter", max_iter))
    rate = rates.get((spec.net, spec.dataset, spec.config, spec.method), rate)
    record = runs.recorded(folder)
    if record is None:
        return Standing(spec, "new", 0, max_iter, rate)
    if runs.finished(folder) is not None:
        return Standing(spec, "finished", record["max_iter"], record["max_iter"], rate)
    if record["state"] == "diverged":
        return Standing(spec, "diverged", record["iteration"], record["max_iter"], rate)
    rate = record.get("iterations_per_second") or rate
    if runs.is_locked(folder):
        progress = files.read_json(folder / "progress.json") or record
        rate = progress.get("rate") or rate
        return Standing(spec, "running", progress["iteration"], record["max_iter"], rate)
    return Standing(spec, "started", record["iteration"], record["max_iter"], rate)


def standings(specs: Sequence[RunSpec], results: Path) -> list[Standing]:
    rates = measured_rates(results)
    return [standing(spec, results, rates) for spec in specs]


def time_left(standings: Sequence[Standing], jobs: int) -> float:
    """Seconds until all are done, `jobs` at a time in the order given, running ones first."""
    ends = [0.0] * jobs
    for item in sorted(standings, key=lambda item: item.state != "running"):
        heapq.heappush(ends, heapq.heappop(ends) + item.seconds_left)
    return max(ends)


def status_line(items: Sequence[Standing], jobs: int) -> str:
    """Runs done of all, each running one, the time left."""
    done = sum(item.state == "finished" for item in items)
    parts = [f"{done} of {len(items)} runs done"]
    for item in items:
        if item.state == "running":
            where = f"{item.iteration}/{item.max_iter}, {item.rate:.0f} it/s"
            parts.append(f"{item.spec.title}: {where}")
    if done < len(items):
        parts.append(f"about {duration(time_left(items, jobs))} left")
    return "; ".join(parts)
