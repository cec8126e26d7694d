"""Run folders read and grouped: the user's own under results/, ours under results/reference/.

A run is one (net, data set, config, method, seed), or one solver file and a seed. An unfinished run
is known by its iteration alone: none of its numbers is taken for a result. What cannot be read is
an AnalysisError that names the file.
"""

import csv
import json
import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from analysis.errors import AnalysisError

OWN = "own"
REFERENCE = "reference"
STATES = ("running", "interrupted", "diverged", "finished")


class Key(NamedTuple):
    """What the seeds of one result have in common; `solver_file` alone for a user's own solver."""

    net: str | None
    dataset: str | None
    config: str | None
    method: str | None
    solver_file: str | None = None


@dataclass(frozen=True)
class Run:
    """One run folder. `accuracy` is the final test accuracy in percent, None where not known."""

    folder: Path
    source: str
    key: Key
    seed: int
    state: str
    iteration: int
    max_iter: int
    accuracy: float | None
    record: dict[str, Any]

    @property
    def finished(self) -> bool:
        return self.state == "finished"

    @property
    def progress(self) -> str:
        """Such as ``running 3,200/10,000``."""
        return f"{self.state} {self.iteration:,}/{self.max_iter:,}"


class OverSeeds:
    """Mean and spread of `by_seed`, which has a number for each seed."""

    by_seed: dict[int, float]

    @property
    def n(self) -> int:
        return len(self.by_seed)

    @property
    def mean(self) -> float:
        return math.fsum(self.by_seed.values()) / self.n

    @property
    def sd(self) -> float | None:
        """Sample standard deviation (n - 1) in points; None for one seed."""
        if self.n < 2:
            return None
        return float(np.std(list(self.by_seed.values()), ddof=1))


@dataclass(frozen=True)
class Summary(OverSeeds):
    """Final test accuracies of finished runs: percent by seed, at the same number of iterations."""

    source: str
    iterations: int
    by_seed: dict[int, float]


@dataclass(frozen=True)
class Outcome:
    """What there is for one key: `shown` is the user's own result where there is one."""

    shown: Summary | None
    reference: Summary | None
    unfinished: tuple[Run, ...]


class Results:
    """All runs that were found; see `load`. root: the folder they were found under."""

    def __init__(self, runs: Iterable[Run], root: Path | None = None) -> None:
        self.runs = tuple(runs)
        self.root = root
        self._by_key: dict[tuple[Key, str], list[Run]] = defaultdict(list)
        for run in self.runs:
            self._by_key[run.key, run.source].append(run)

    def keys(self) -> list[Key]:
        """Every key that has a run, in the order found."""
        return list(dict.fromkeys(run.key for run in self.runs))

    def finished_runs(self, summary: Summary, key: Key) -> list[Run]:
        """The runs behind a summary, by seed."""
        runs = self._by_key[key, summary.source]
        return [run for run in runs if run.finished and run.max_iter == summary.iterations]

    def summary(self, key: Key, source: str, iterations: int | None = None) -> Summary | None:
        """Finished runs of one source that ran equally long.

        Those of `iterations` iterations where there are any, else the longest ones.
        """
        runs = [
            run
            for run in self._by_key.get((key, source), ())
            if run.finished and run.accuracy is not None
        ]
        if not runs:
            return None
        lengths = {run.max_iter for run in runs}
        length = iterations if iterations in lengths else max(lengths)
        return Summary(
            source,
            length,
            {run.seed: run.accuracy for run in runs if run.max_iter == length},
        )

    def as_long(self, key: Key, source: str, iterations: int | None) -> Summary | None:
        """The same, but of runs of just so many iterations alone (None: of any length)."""
        summary = self.summary(key, source, iterations)
        fits = summary is not None and iterations in (None, summary.iterations)
        return summary if fits else None

    def outcome(self, key: Key, iterations: int | None = None) -> Outcome:
        """The user's own result if one is finished, else the reference; never the two mixed."""
        own = self.summary(key, OWN, iterations)
        reference = self.summary(key, REFERENCE, iterations)
        unfinished = tuple(run for run in self._by_key.get((key, OWN), ()) if not run.finished)
        return Outcome(own or reference, reference, unfinished)


def load(results: Path) -> Results:
    """Reads every run under `results`; a folder that is not there holds none.

    Raises AnalysisError for a file that is damaged or that lies in another run's place.
    """
    found = []
    for pattern, base, source in (
        ("*/*/*/seed-*/run.json", results, OWN),
        ("custom/*/seed-*/run.json", results, OWN),
        ("*/*/*/seed-*/run.json", results / "reference", REFERENCE),
    ):
        # A folder set aside has more in its name: seed-1.0a1b2c3d.
        folders = sorted(path.parent for path in base.glob(pattern))
        folders = [folder for folder in folders if folder.name.removeprefix("seed-").isdigit()]
        found += [read_run(folder, base, source) for folder in folders]
    return Results(sorted(found, key=lambda run: run.seed), results)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise AnalysisError(
            f"{path} cannot be read ({error}): remove its folder and train that run again"
        ) from error
    if not isinstance(record, dict):
        raise AnalysisError(
            f"{path} holds no run record: remove its folder and train that run again"
        )
    return record


def _require(record: dict[str, Any], name: str, kind: type | tuple[type, ...], path: Path) -> Any:
    value = record.get(name)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise AnalysisError(
            f"{path} has {name} = {value!r}: remove its folder and train that run again"
        )
    return value


def read_run(folder: Path, base: Path, source: str) -> Run:
    """Reads run.json, and for a finished run checks metrics.csv against it.

    folder: the run's own folder, seed-<k>. base: what its place is relative to.
    """
    path = folder / "run.json"
    record = _read_json(path)
    if record.get("schema") != 1:
        raise AnalysisError(
            f"{path} has schema {record.get('schema')!r}, not 1: "
            "it was written by another version of this project, train that run again"
        )
    seed = _require(record, "seed", int, path)
    state = _require(record, "state", str, path)
    max_iter = _require(record, "max_iter", int, path)
    iteration = _require(record, "iteration", int, path)
    if state not in STATES:
        raise AnalysisError(f"{path} has state {state!r}, which is none of {', '.join(STATES)}")

    if record.get("net") is None:
        key = Key(None, None, None, None, Path(_require(record, "solver_file", str, path)).stem)
        place = Path("custom") / key.solver_file
    else:
        names = [_require(record, name, str, path) for name in Key._fields[:4]]
        key = Key(*names)
        place = Path(f"{key.net}-{key.dataset}") / key.config / key.method
    place /= f"seed-{seed}"
    if folder.relative_to(base) != place:
        raise AnalysisError(f"{path} is the record of {place}: move that folder to {base / place}")

    accuracy = None
    if state == "finished":
        accuracy = _final_accuracy(record, path)
        _check_end(folder / "metrics.csv", max_iter if key.net else None, accuracy)
    else:
        iteration = _live_iteration(folder / "progress.json", iteration)
    return Run(folder, source, key, seed, state, iteration, max_iter, accuracy, record)


def _live_iteration(path: Path, recorded: int) -> int:
    """How far a run is now; what run.json says where there is no progress.json."""
    try:
        path.stat()
    except FileNotFoundError:
        return recorded
    return _require(_read_json(path), "iteration", int, path)


def _final_accuracy(record: dict[str, Any], path: Path) -> float | None:
    """In percent; None for a net (the user's own) that has no output of that name."""
    final = _require(record, "final", dict, path)
    if "test_accuracy" not in final:
        return None
    value = _require(final, "test_accuracy", (int, float), path)
    if not 0 <= value <= 1:
        raise AnalysisError(
            f"{path} has test_accuracy {value}, which is no fraction: "
            "remove its folder and train that run again"
        )
    return 100 * value


def _check_end(path: Path, max_iter: int | None, accuracy: float | None) -> None:
    """A finished run's rows go on to `max_iter` and to the accuracy of run.json.

    max_iter: None for a user's own solver, whose intervals need not divide it.
    """
    metrics = read_metrics(path)
    last = metrics["iteration"][-1]
    if max_iter is not None and last != max_iter:
        raise AnalysisError(
            f"{path} ends at iteration {last:.0f} of {max_iter}: "
            "remove its folder and train that run again"
        )
    if accuracy is None:
        return
    column = metrics.get("test_accuracy", np.empty(0))
    measured = column[~np.isnan(column)]
    written = 100 * measured[-1] if measured.size else math.nan
    if not math.isclose(written, accuracy, abs_tol=1e-4):
        raise AnalysisError(
            f"{path} ends with a test accuracy of {written:.4f}%, run.json has {accuracy:.4f}%: "
            "remove its folder and train that run again"
        )


def read_metrics(path: Path) -> dict[str, np.ndarray]:
    """Columns of a metrics.csv by name, float64, NaN where nothing was measured."""
    try:
        with open(path, newline="") as stream:
            header, *rows = list(csv.reader(stream))
        if header[0] != "iteration" or not rows or any(len(row) != len(header) for row in rows):
            raise ValueError("a header or a row is cut short")
        table = np.array([[float(cell) if cell else np.nan for cell in row] for row in rows])
    except (OSError, ValueError) as error:
        raise AnalysisError(
            f"{path} cannot be read ({error}): remove its folder and train that run again"
        ) from error
    return dict(zip(header, table.T, strict=True))


def measured_curve(run: Run, output: str = "test_accuracy") -> tuple[np.ndarray, np.ndarray]:
    """Iterations and values of one test output, at the iterations where it was measured."""
    metrics = read_metrics(run.folder / "metrics.csv")
    measured = ~np.isnan(metrics[output])
    return metrics["iteration"][measured], metrics[output][measured]
