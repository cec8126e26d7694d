"""Paired differences over seeds: the same seeds with one method and with another."""

import csv
import io
import math
from dataclasses import dataclass

from scipy import stats

from analysis import methods
from analysis.results import OWN, REFERENCE, OverSeeds, Results
from analysis.table1 import Row, signed

LEVEL = 0.95

# Which method is held against which, within one config; `dense` is the net without blocks.
PAIRS = (
    ("bdip", "dense"),
    ("shuffle", "bdip"),
    ("shuffle_per_pass", "bdip"),
    ("ip_bdip", "bdip"),
    ("ip_bdip", "magnitude"),
    ("ip_bdip", "node"),
)


@dataclass(frozen=True)
class Comparison(OverSeeds):
    """Method `first` minus method `second`, in points, seed by seed, within one source."""

    first: Row
    second: Row
    source: str
    by_seed: dict[int, float]

    @property
    def interval(self) -> tuple[float, float] | None:
        """Student's 95% interval of the mean difference; None for one seed or no spread."""
        if not self.sd:
            return None
        half = stats.t.ppf((1 + LEVEL) / 2, self.n - 1) * self.sd / math.sqrt(self.n)
        return self.mean - half, self.mean + half

    @property
    def printed(self) -> float | None:
        """The same difference between the paper's own numbers."""
        if self.first.cell is None or self.second.cell is None:
            return None
        return self.first.cell.value - self.second.cell.value

    @property
    def words(self) -> str:
        """What the seeds say of the sign of the difference."""
        if self.n < 2:
            return "one seed: no spread to judge it by"
        if self.interval is None:
            return "the same difference with every seed"
        low, high = self.interval
        if low > 0:
            return "higher, beyond what the seeds explain"
        if high < 0:
            return "lower, beyond what the seeds explain"
        return f"no difference that {self.n} seeds can show"


def interval_text(comparison: Comparison) -> str:
    """``−0.20 to +0.14``, or nothing."""
    if comparison.interval is None:
        return ""
    return " to ".join(signed(end, 2) for end in comparison.interval)


def compare(results: Results, first: Row, second: Row) -> Comparison | None:
    """Both rows' seeds in common: the user's own where there are any, else the reference's."""
    for source in (OWN, REFERENCE):
        summaries = []
        for row in (first, second):
            iterations = row.cell.subject["iterations"] if row.cell else None
            summaries.append(results.summary(row.key, source, iterations))
        one, other = summaries
        if one is None or other is None or one.iterations != other.iterations:
            continue
        seeds = sorted(one.by_seed.keys() & other.by_seed.keys())
        if seeds:
            by_seed = {seed: one.by_seed[seed] - other.by_seed[seed] for seed in seeds}
            return Comparison(first, second, source, by_seed)
    return None


def comparisons(results: Results, rows: list[Row]) -> list[Comparison]:
    """Every pair of PAIRS that the rows of one net and data set allow, config by config."""
    found = []
    places = dict.fromkeys(row.key[:3] for row in rows if row.key.net is not None)
    for net, dataset, config in places:
        if methods.is_dense(config):
            continue
        here = {row.key.method: row for row in rows if row.key[:3] == (net, dataset, config)}
        for row in rows:
            if row.key[:2] == (net, dataset) and methods.is_plain_dense(row.key):
                here["dense"] = row
        for first, second in PAIRS:
            if first in here and second in here:
                comparison = compare(results, here[first], here[second])
                found += [comparison] if comparison else []
    return found


CSV_FIELDS = (
    *("net", "dataset", "config", "first", "second", "source", "n_seeds", "seeds"),
    *("differences_points", "mean_points", "sd_points", "low_95", "high_95", "paper_points"),
    "words",
)


def csv_text(found: list[Comparison]) -> str:
    """One row per pair; the seeds' differences in points, in the order of `seeds`."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(CSV_FIELDS)
    for pair in found:
        key = pair.first.key
        low, high = pair.interval or (None, None)
        numbers = [pair.mean, pair.sd, low, high, pair.printed]
        second = pair.second.key
        other = "dense" if methods.is_dense(second.config) else second.method
        seeds = " ".join(str(seed) for seed in pair.by_seed)
        values = " ".join(f"{value:.6g}" for value in pair.by_seed.values())
        told = ("" if number is None else f"{number:.6g}" for number in numbers)
        writer.writerow(
            [*key[:4], other, pair.source, pair.n, seeds, values, *told, pair.words],
        )
    return stream.getvalue()
