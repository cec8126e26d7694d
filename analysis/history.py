"""How the runs were made: devices, seeds, commits, versions, times."""

import csv
import io
import math
import re
from collections.abc import Callable
from statistics import median

from analysis import methods
from analysis.results import Key, Run

UNKNOWN = "not recorded"
DIGEST = re.compile(r"\b[0-9a-f]{40,}\b")


def device_text(run: Run) -> str:
    """``cpu, Some CPU, 1 thread``."""
    device = run.record.get("device") or {}
    threads = device.get("threads")
    parts = [device.get("mode"), device.get("name")]
    if threads is not None:
        parts.append(f"{threads} thread" + ("" if threads == 1 else "s"))
    return ", ".join(str(part) for part in parts if part) or UNKNOWN


def commit_text(run: Run) -> str:
    """The first twelve digits, with a word on uncommitted changes."""
    commit = run.record.get("commit")
    if not commit:
        return UNKNOWN
    return commit[:12] + (" with uncommitted changes" if run.record.get("dirty") else "")


def versions_text(run: Run) -> str:
    """``caffe_upstream 99bd99795dcd, python 3.11.2``; digests cut to twelve digits."""
    versions = run.record.get("versions") or {}
    told = (f"{name} {DIGEST.sub(cut, str(value))}" for name, value in versions.items())
    return ", ".join(told) or UNKNOWN


def cut(match: re.Match) -> str:
    """The first twelve digits of a digest, which tell it from any other here."""
    return match[0][:12]


def data_text(run: Run) -> str:
    """``train 60,000 records 0a1b2c…, test 10,000 records …``; of an import, its file's digest."""
    splits = run.record.get("data") or {}
    told = [
        f"{split} {about['count']:,} records, SHA-256 {about['records_sha256'][:12]}…"
        + (f", imported ({about['imported_sha256'][:12]}…)" if "imported_sha256" in about else "")
        for split, about in splits.items()
    ]
    return "; ".join(told) or UNKNOWN


def duration_text(seconds: float) -> str:
    """``4 min 10 s``, ``2 h 05 min``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def distinct(runs: list[Run], describe: Callable[[Run], str]) -> str:
    """Each different description once, in the order of the runs."""
    return "; ".join(dict.fromkeys(describe(run) for run in runs))


def seconds(run: Run) -> float | None:
    """Wall time of a run, where it was recorded."""
    return run.record.get("wall_seconds")


def facts(runs: list[Run]) -> list[tuple[str, str]]:
    """What a reader wants to know of finished runs: pairs of a name and a text."""
    seeds = sorted({run.seed for run in runs})
    times = [seconds(run) for run in runs if seconds(run) is not None]
    rates = [run.record["iterations_per_second"] for run in runs
             if run.record.get("iterations_per_second")]  # fmt: skip
    started = sorted(run.record["started"] for run in runs if run.record.get("started"))
    told = [
        ("Runs", f"{len(runs)} finished"),
        ("Seeds", ", ".join(str(seed) for seed in seeds)),
        ("Device", distinct(runs, device_text)),
        ("Commit", distinct(runs, commit_text)),
        ("Versions", distinct(runs, versions_text)),
    ]
    datasets = dict.fromkeys(run.key.dataset for run in runs if run.key.dataset)
    told += [
        (
            methods.DATASET_LABELS.get(dataset, dataset),
            distinct([run for run in runs if run.key.dataset == dataset], data_text),
        )
        for dataset in datasets
    ]
    if times:
        told.append(
            ("Training time", f"{duration_text(math.fsum(times))} in all, "
             f"{duration_text(median(times))} a run (median)")
        )  # fmt: skip
    if rates:
        ends = dict.fromkeys(f"{rate:.1f}" for rate in (min(rates), max(rates)))
        told.append(("Speed", f"{' to '.join(ends)} iterations/s"))
    if started:
        told.append(("Started", " to ".join(dict.fromkeys([started[0], started[-1]]))))
    return told


CSV_FIELDS = (
    *("source", *Key._fields, "seed", "state", "iteration", "max_iter", "test_accuracy_percent"),
    *("device", "commit", "versions"),
    *("wall_seconds", "iterations_per_second", "started", "finished"),
)


def csv_text(runs: list[Run]) -> str:
    """One row per run, whatever its state."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(CSV_FIELDS)
    for run in runs:
        record = run.record
        accuracy = "" if run.accuracy is None else f"{run.accuracy:.6g}"
        what = (run.source, *(part or "" for part in run.key), run.seed)
        reached = (run.state, run.iteration, run.max_iter, accuracy)
        how = (device_text(run), commit_text(run), versions_text(run))
        times = [record.get(name) for name in CSV_FIELDS[-4:]]
        writer.writerow([*what, *reached, *how, *times])
    return stream.getvalue()
