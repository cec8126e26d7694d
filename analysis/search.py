"""Settings compared on a validation split: ``python -m analysis.search`` writes search.csv and .md.

The data sets whose names end in ``-validation`` have the last training images as test set. One row
per net, config and method with its settings; the difference is to the block net of the same config
without pruning, seed by seed: to the one with the same settings of the solver where that was run.
"""

import argparse
import csv
import io
from dataclasses import dataclass
from pathlib import Path

from analysis import methods, paired
from analysis.errors import run_main
from analysis.files import write_text
from analysis.results import Key, Results, Summary, load
from analysis.table1 import Row, accuracy_text, signed

PLAIN = "bdip"


@dataclass(frozen=True)
class Tried:
    """One setting: its accuracies, and its differences to the plain block net."""

    key: Key
    summary: Summary
    difference: paired.Comparison | None


def _is_plain(key: Key) -> bool:
    return key.method.split(",")[0] == PLAIN


def _settings(key: Key) -> set[str]:
    return set(key.method.split(",")[1:])


def _plain(key: Key, rows: dict[Key, Row]) -> Row | None:
    """The block net of the same config that shares most of a method's settings, and has no others.

    Those that it lacks are pruning's, or were not run without pruning.
    """
    shared = [
        other
        for other in rows
        if other[:3] == key[:3] and _is_plain(other) and _settings(other) <= _settings(key)
    ]
    return rows[max(shared, key=lambda other: len(_settings(other)))] if shared else None


def tried(results: Results) -> list[Tried]:
    """What was tried on validation splits; of one config the best mean first."""
    keys = [key for key in dict.fromkeys(run.key for run in results.runs) if key.dataset]
    outcomes = {
        key: results.outcome(key) for key in keys if key.dataset.endswith(methods.VALIDATION)
    }
    rows = {
        key: Row(key, key.method, None, outcome, None)
        for key, outcome in outcomes.items()
        if outcome.shown is not None
    }
    found = []
    for key, row in rows.items():
        plain = _plain(key, rows)
        compared = plain is not None and not _is_plain(key)
        difference = paired.compare(results, row, plain) if compared else None
        found.append(Tried(key, row.shown, difference))
    return sorted(found, key=lambda one: (one.key[:3], -one.summary.mean))


def markdown(found: list[Tried]) -> str:
    """The table for people; empty where nothing was tried."""
    lines = [
        "| Data set | Configuration | Method | Accuracy | Minus BDIP | 95% |",
        "|---|---|---|---|---:|---|",
    ]
    for one in found:
        cells = [one.key.dataset, one.key.config, one.key.method, accuracy_text(one.summary)]
        if one.difference is None:
            cells += ["", ""]
        else:
            cells += [signed(one.difference.mean, 2), paired.interval_text(one.difference)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n" if found else ""


CSV_FIELDS = (
    *("net", "dataset", "config", "method", "source", "iterations", "n_seeds", "seeds"),
    *("accuracies", "mean", "sd", "minus_bdip", "low_95", "high_95"),
)


def csv_text(found: list[Tried]) -> str:
    """One row per setting; accuracies in percent, in the order of `seeds`."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(CSV_FIELDS)
    for one in found:
        summary = one.summary
        low, high = (one.difference and one.difference.interval) or (None, None)
        numbers = [summary.mean, summary.sd, one.difference and one.difference.mean, low, high]
        told = ("" if number is None else f"{number:.6g}" for number in numbers)
        seeds = " ".join(map(str, summary.by_seed))
        values = " ".join(f"{value:.6g}" for value in summary.by_seed.values())
        writer.writerow(
            [*one.key[:4], summary.source, summary.iterations, summary.n, seeds, values, *told]
        )
    return stream.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--out", type=Path, default=Path("report"))
    arguments = parser.parse_args()
    found = tried(load(arguments.results))
    write_text(arguments.out / "search.csv", csv_text(found))
    write_text(arguments.out / "search.md", markdown(found))
    print(markdown(found) or "nothing was tried on a validation split", end="")


if __name__ == "__main__":
    run_main(main)
