"""Many runs: `python -m scripts.workflow quick|reproduce|plan`.

The graph of data, runs, table and report is scripts/Snakefile's. This command decides which runs
there are to be, puts runs aside that something else made than what is here now, starts Snakemake,
shows progress and the time left, and refreshes the report as each run ends.

After a stop of any kind, kill -9 included, the same command goes on: what guards against two at
a time is a lock of the operating system, and Snakemake's own lock stays unused. With --profile the
runs are jobs of a Slurm cluster (scripts.slurm), which live on when this command is killed.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from scripts import (
    data_digests,
    experiments,
    files,
    gradient_moments,
    provenance,
    runs,
    section5_runs,
    slurm,
)
from scripts.dataset_table import TABLE
from scripts.errors import ArgumentParser, UserError, disk_is_full, run_main
from scripts.paths import RESULTS, ROOT
from scripts.processes import StopRequest, die_with_parent
from scripts.progress import duration
from scripts.runs import RunSpec
from scripts.standings import Standing, standings, status_line, time_left
from scripts.train import prepare, require_caffe, require_current_caffe

Process = subprocess.Popen[bytes]

SNAKEFILE = ROOT / "scripts" / "Snakefile"
LINE_SECONDS = 10.0
POLL_SECONDS = 0.5
STOP_SECONDS = 120.0  # for the runs to save their snapshots, before they are killed


def report_folder(results: Path) -> Path:
    """Where table and page for `results` go: report/, or beside results that lie elsewhere."""
    return ROOT / "report" if results == RESULTS else results / "report"


def report_commands(results: Path) -> list[list[str]]:
    """Arguments of Python for each command that makes table and page from `results`."""
    options = ["--results", str(results), "--out", str(report_folder(results))]
    return [["-m", module, *options] for module in ("analysis.table1", "analysis.report")]


def fingerprint_of(
    spec: RunSpec, device: tuple[str, int], data: dict[str, Any], record: dict[str, Any]
) -> dict[str, Any]:
    """The fingerprint that the run `spec` would have now.

    `data` maps the data sets that are there to what identifies their records. One that is not is
    made of the same bytes when it is made again, so that what the run recorded is taken.
    """
    return prepare(spec, device, data.get(str(spec.dataset)) or record["data"]).fingerprint


def datasets_needed(specs: Sequence[RunSpec]) -> dict[str, bool]:
    """{data set that the runs need: whether it is there}."""
    names = sorted({spec.dataset for spec in specs if spec.dataset is not None})
    return {name: data_digests.manifest_path(name).is_file() for name in names}


def datasets_there(specs: Sequence[RunSpec]) -> dict[str, dict[str, Any]]:
    """{data set: what identifies its records} of the data sets that the runs need and have."""
    needed = datasets_needed(specs)
    return {name: data_digests.of_dataset(name) for name, there in needed.items() if there}


def parts_to_run(only: str) -> tuple[list[str], list[str]]:
    """The parts of `reproduce` that ONLY names (all for ""), and those of them without data.

    Data that has to be brought by hand counts as not there. UserError for a name that is no part.
    """
    wanted = re.split(r"[,\s]+", only.strip()) if only.strip() else list(experiments.PARTS)
    for part in wanted:
        if part not in experiments.CHOICES:
            raise UserError(
                f"ONLY={only}: there is no part '{part}'; write some of "
                f"{', '.join(experiments.CHOICES)}, or leave it out for "
                f"{', '.join(experiments.PARTS)}"
            )
    by_hand = [
        part
        for part in wanted
        if part in TABLE
        and TABLE[part].importable
        and not data_digests.manifest_path(part).is_file()
    ]
    return [part for part in wanted if part not in by_hand], by_hand


def not_at_hand(dataset: str) -> str:
    """What the plan says of runs whose data is not there."""
    return (
        f"{dataset}: not run: data not at hand (`make data DATASETS={dataset}` downloads it, "
        f"`make data IMPORT=file.npz NAME={dataset}` takes it from a file)"
    )


def mark_of(
    spec: RunSpec, results: Path, device: tuple[str, int], data: dict[str, Any]
) -> dict[str, Any] | None:
    """`fingerprint_of` a run of which something is there, be it set aside; None for all others."""
    folder = spec.folder(results)
    there = (runs.recorded(path) for path in (folder, *files.asides(folder)))
    record = next((record for record in there if record is not None), None)
    return None if record is None else fingerprint_of(spec, device, data, record)


def put_stale_aside(specs: Sequence[RunSpec], results: Path, device: tuple[str, int]) -> None:
    """Rename every run that something else made than what is here now, and say so.

    One that was put aside and is what is wanted now is taken back.
    """
    data = datasets_there(specs)
    for spec in specs:
        folder = spec.folder(results)
        if runs.is_locked(folder):
            continue
        mark = mark_of(spec, results, device, data)
        if mark is None:
            continue
        try:
            with runs.lock(folder):
                sentence = runs.reconcile(folder, mark)
        except runs.RunBusy:
            continue  # whoever has it has just checked it
        if sentence is not None:
            print(f"{spec.title}: {sentence}", flush=True)


# -- Snakemake --------------------------------------------------------------------------------


@contextmanager
def only_one(results: Path) -> Iterator[str]:
    """Hold the lock of all of `results`; UserError when another workflow holds it.

    Yields what its file says now.
    """
    with open(results / ".workflow.lock", "a+", encoding="utf-8") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.seek(0)
            number, host = [*stream.read().split(), "unknown", "unknown"][:2]
            where = "" if host == os.uname().nodename else f" on {host}"
            raise UserError(
                f"a workflow is at work on {results} already (process {number}{where}): wait for "
                "it or stop it"
            ) from None
        owner = f"{os.getpid()}\n{os.uname().nodename}\n"
        stream.truncate(0)
        stream.write(owner)
        stream.flush()
        os.fsync(stream.fileno())  # other machines are to see it, too
        yield owner


def log_path(spec: RunSpec, results: Path) -> Path:
    """Where a run that the workflow started puts what it has to say."""
    return results / ".logs" / (spec.key.replace("/", "_") + ".log")


def moments_log_path(spec: RunSpec, results: Path) -> Path:
    """Where the measuring of a run's moments puts what it has to say."""
    return results / ".logs" / ("moments_" + log_path(spec, results).name)


def data_log_path(dataset: str, results: Path) -> Path:
    """Where the making of a data set puts what it has to say: several are made at a time."""
    return results / ".logs" / f"data_{dataset}.log"


def write_config(
    specs: Sequence[RunSpec],
    moments: Sequence[RunSpec],
    results: Path,
    device: str,
    mirror: Path | None,
    report: str,
    profile: slurm.Profile | None = None,
    adopted: Mapping[str, int] | None = None,
) -> Path:
    """Write what scripts/Snakefile has to know; returns the file.

    `adopted`: {rule: job of the cluster that is at work on it}.
    """

    def rule(kind: str, key: str) -> dict[str, Any]:
        name = slurm.rule_name(kind, key)
        if profile is None:
            return {"rule": name, "resources": {}}
        before = (adopted or {}).get(name)
        asked = slurm.resources_of(profile, device if kind == "train" else "cpu", before)
        return {"rule": name, "resources": asked}

    table = {}
    for spec in specs:
        log_path(spec, results).unlink(missing_ok=True)  # what it said of an earlier time
        command = [sys.executable, "-m", "scripts.train", *spec.arguments(), "--workflow"]
        command += ["--device", device, "--results", str(results)]
        table[spec.key] = {
            "command": command,
            "log": str(log_path(spec, results)),
            "datasets": [] if spec.dataset is None else [spec.dataset],
            **rule("train", spec.key),
        }
    measured = {}
    for spec in moments:
        log = moments_log_path(spec, results)
        log.unlink(missing_ok=True)
        command = [sys.executable, "-m", "scripts.gradient_moments", *spec.arguments()]
        measured[spec.key] = {
            "command": [*command, "--workflow", "--results", str(results)],
            "log": str(log),
            "datasets": [spec.dataset],
            **rule("moments", spec.key),
        }
    path = results / ".workflow.json"
    mirror_options = [] if mirror is None else ["--mirror", str(mirror)]
    content = {"root": str(ROOT), "python": sys.executable, "mirror": mirror_options}
    data_logs = {name: data_log_path(name, results) for name in datasets_needed([*specs, *moments])}
    for log in data_logs.values():
        log.unlink(missing_ok=True)
    content["data_logs"] = {name: str(log) for name, log in data_logs.items()}
    files.write_json(path, content | {"runs": table, "moments": measured, "report": report})
    return path


def forget_unfinished(results: Path) -> None:
    """Remove Snakemake's marks of outputs that it did not see the end of.

    What is declared to it appears whole or not at all, so that a file that is there is whole. A job
    that went on after Snakemake was killed would otherwise be taken for a broken one.
    """
    for path in (results / ".snakemake" / "incomplete").glob("**/*"):
        if path.is_file():
            path.unlink(missing_ok=True)


def start_snakemake(results: Path, config: Path, more: Sequence[str]) -> Process:
    """Start Snakemake in a session of its own: a ctrl-C on the terminal is for us to pass on."""
    forget_unfinished(results)
    command = [
        *(sys.executable, "-m", "snakemake", "--snakefile", str(SNAKEFILE)),
        *("--directory", str(results), "--configfile", str(config), "--nolock", "--keep-going"),
        *("--rerun-incomplete", "--keep-incomplete", "--rerun-triggers", "mtime"),
        *("--forcerun", "report", "--quiet", "rules", *more, "--", "report"),
    ]
    environment = dict(os.environ, XDG_CACHE_HOME=str(ROOT / "build" / "cache"))
    with open(results / "workflow.log", "wb") as log:
        return subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            # safe here: this process has one thread
            preexec_fn=partial(die_with_parent, signal.SIGKILL, os.getpid()),
        )


class Report:
    """Makes the report anew when runs have ended, one at a time, beside the training."""

    def __init__(self, command: str, results: Path) -> None:
        self.command = command
        self.log = results / ".logs" / "report.log"
        self.process: Process | None = None
        self.shown = 0

    def refresh(self, done: int) -> None:
        """Start the report's commands when more runs are done than it shows."""
        if done > self.shown and (self.process is None or self.process.poll() is not None):
            self.shown = done
            with open(self.log, "wb") as log:
                self.process = subprocess.Popen(
                    ["/bin/sh", "-c", self.command], cwd=ROOT, stdout=log, stderr=log
                )

    def wait(self) -> None:
        if self.process is not None:
            self.process.wait()


def watch(
    snakemake: Process,
    specs: Sequence[RunSpec],
    results: Path,
    jobs: int,
    stop: StopRequest,
    report: Report,
    moments: Sequence[RunSpec] = (),
    on_cluster: bool = False,
) -> int:
    """Show progress until Snakemake ends; returns its exit code.

    A stop is passed on to the runs. Not to those `on_cluster`, which are no children of ours.
    """
    shown = 0.0
    all_done = False
    stopping: float | None = None
    while snakemake.poll() is None:
        now = time.monotonic()
        if stop.received is not None and stopping is None:
            if not on_cluster:
                print("stopping: every run saves a snapshot", flush=True)
            # On a cluster Snakemake would send what is cancelled anew.
            os.killpg(snakemake.pid, signal.SIGKILL if on_cluster else signal.SIGTERM)
            stopping = now
        if stopping is not None and now - stopping > STOP_SECONDS:
            os.killpg(snakemake.pid, signal.SIGKILL)
        if stopping is None:
            items = standings(specs, results)
            done = sum(item.state == "finished" for item in items)
            if 0 < done < len(items):
                report.refresh(done)
            if done == len(items):
                if not all_done:
                    last = " the moments of gradients (Eq. 4), then" if moments else ""
                    print(f"all runs are done;{last} table and page are made", flush=True)
                all_done = True
            elif now - shown >= LINE_SECONDS:
                print(status_line(items, jobs), flush=True)
                shown = now
        time.sleep(POLL_SECONDS)
    return snakemake.returncode


def jobs_unfinished(
    specs: Sequence[RunSpec], moments: Sequence[RunSpec], results: Path
) -> Iterator[tuple[str, Path]]:
    """(what a sentence calls it, its log) of each job that is not done, in the order of the graph.

    Only jobs that were started have a log.
    """
    for name, there in datasets_needed([*specs, *moments]).items():
        if not there:
            yield f"the data set {name}", data_log_path(name, results)
    for spec in specs:
        if runs.finished(spec.folder(results)) is None:
            yield spec.title, log_path(spec, results)
    for spec in moments:
        if not (spec.folder(results) / gradient_moments.FILE).is_file():
            yield f"{spec.title}, moments of gradients", moments_log_path(spec, results)


def failure(specs: Sequence[RunSpec], moments: Sequence[RunSpec], results: Path) -> str:
    """The sentence for a workflow that did not get through."""
    told = []
    for title, log in jobs_unfinished(specs, moments, results):
        text = log.read_text(encoding="utf-8", errors="replace") if log.is_file() else ""
        errors = [line for line in text.splitlines() if line.startswith("error: ")]
        if errors:
            told.append((title, log, errors[-1].removeprefix("error: ")))
    if not told and disk_is_full(results):
        return f"the disk that holds {results} is full: free some space; the same command goes on"
    if not told and (complaint := slurm.complaint(results)) is not None:
        return complaint
    if not told:
        return f"the workflow stopped before its end; {results / 'workflow.log'} says why"
    title, log, error = told[0]
    others = f" and {len(told) - 1} more" if len(told) > 1 else ""
    return f"{title}{others} failed: {error} (log: {log})"


def execute(
    specs: Sequence[RunSpec],
    results: Path,
    device: str,
    jobs: int,
    report: Sequence[Sequence[str]],
    mirror: Path | None = None,
    more: Sequence[str] = (),
    moments: Sequence[RunSpec] = (),
    profile: slurm.Profile | None = None,
) -> int:
    """Bring all runs to their end and make the report; returns the exit code.

    `report`: arguments of Python for each command that makes the report. `more`: options for
    Snakemake. `moments`: trainings of which scripts.gradient_moments measures every step. With
    `profile` the runs are jobs of a Slurm cluster.
    """
    parsed = provenance.parse_device(device)
    require_current_caffe()
    if profile is not None:
        slurm.require(profile, device)
    runs.check_writable(results)
    (results / ".logs").mkdir(exist_ok=True)
    stop = StopRequest()
    with only_one(results) as owner:
        put_stale_aside(specs, results, parsed)
        command = " && ".join(shlex.join([sys.executable, *part]) for part in report)
        for spec in moments:
            gradient_moments.put_aside_if_stale(spec, results)
        adopted: dict[str, int] = {}
        if profile is None:
            more = ["--cores", str(jobs), *more]
        else:
            jobs = profile.jobs
            more = [*slurm.snakemake_options(profile, results), *more]
            adopted = slurm.adopt(results)
            if adopted:
                print(f"jobs of an earlier start that go on: {len(adopted)}", flush=True)
            elif any(runs.finished(spec.folder(results)) is None for spec in specs):
                there = [name for name, found in datasets_needed(specs).items() if found]
                slurm.look_at_node(profile, results, owner, device, there, stop)
        if stop.received is not None:
            return 128 + stop.received
        config = write_config(specs, moments, results, device, mirror, command, profile, adopted)
        refresher = Report(command, results)
        for name, there in datasets_needed([*specs, *moments]).items():
            if not there:
                log = data_log_path(name, results)
                print(f"the data set {name} is fetched first (log: {log})", flush=True)
        snakemake = start_snakemake(results, config, more)
        on_cluster = profile is not None
        code = watch(snakemake, specs, results, jobs, stop, refresher, moments, on_cluster)
        if on_cluster and stop.received == signal.SIGHUP:
            # The terminal is gone, and with it whoever would start this again at once.
            print("the jobs in Slurm's queue go on; the same command waits for them", flush=True)
            return 128 + stop.received
        if on_cluster and stop.received is not None:
            print("stopping: jobs are cancelled, every run saves a snapshot", flush=True)
            slurm.cancel_all(results)
        items = standings(specs, results)
        if stop.received is not None:
            refresher.wait()
            done = sum(item.state == "finished" for item in items)
            print(f"stopped with {done} of {len(items)} runs done; the same command goes on")
            return 128 + stop.received
        if code != 0:
            refresher.wait()
            refresher.refresh(sum(item.state == "finished" for item in items))
            refresher.wait()
            raise UserError(failure(specs, moments, results))
    print(status_line(items, jobs))
    return 0


# -- the plan ---------------------------------------------------------------------------------


def expected(item: Standing, results: Path, mark: dict[str, Any] | None) -> tuple[Standing, str]:
    """Where a run will stand once what is stale was put aside, and the plan's words for it.

    `mark`: the fingerprint that it would have now, where that is known.
    """
    words = {"new": "to run", "started": "goes on", "running": "running now"}
    folder = item.spec.folder(results)
    record = runs.recorded(folder)
    if mark is None or (record is not None and record.get("fingerprint") == mark["digest"]):
        return item, words.get(item.state, item.state)
    back = runs.kept_aside(folder, mark["digest"])
    if back is not None:
        kept = runs.recorded(back) or {}
        state = "started" if runs.finished(back) is None else "finished"
        item = replace(item, state=state, iteration=kept["iteration"], max_iter=kept["max_iter"])
        return item, f"taken back, as before a change: {words.get(state, state)}"
    if record is None:
        return item, words.get(item.state, item.state)
    return replace(item, state="new", iteration=0), "changed: kept aside, run anew"


def print_plan(specs: Sequence[RunSpec], results: Path, device: str, jobs: int) -> None:
    """Print what is there, what would run and about how long. Needs no build and no data."""
    parsed = provenance.parse_device(device)
    items = standings(specs, results)
    notes = []
    marks: dict[RunSpec, dict[str, Any] | None] = {}
    try:
        require_caffe()
    except UserError:
        notes.append("Caffe is not built: the build comes first, about 5 minutes on two cores.")
        if any(item.state != "new" for item in items):
            notes.append("Whether the runs that are there fit this program is seen when it is.")
    else:
        data = datasets_there(specs)
        marks = {spec: mark_of(spec, results, parsed, data) for spec in specs}
    left = []
    for item in items:
        item, state = expected(item, results, marks.get(item.spec))
        left.append(item)
        where = (
            f" at {item.iteration}/{item.max_iter}" if 0 < item.iteration < item.max_iter else ""
        )
        time_text = f", about {duration(item.seconds_left)}" if item.seconds_left else ""
        print(f"{item.spec.title}: {state}{where}{time_text}")
    for name, there in datasets_needed(specs).items():
        print(f"data {name}: {'there' if there else 'to be fetched'}")
    print("\n".join(notes), end="\n" if notes else "")
    done = sum(item.state == "finished" for item in left)
    print(
        f"{done} of {len(left)} runs are done; the rest takes about "
        f"{duration(time_left(left, jobs))}, {jobs} at a time"
    )


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = ArgumentParser(
        prog="python -m scripts.workflow", description="Train many runs and make the report."
    )
    parser.add_argument("what", choices=("quick", "reproduce", "plan"))
    parser.add_argument(
        "--only",
        default="",
        help=f"parts of reproduce and plan, of {', '.join(experiments.CHOICES)} (default: what is "
        "the paper's)",
    )
    parser.add_argument("--seeds", type=int, default=3, help="seeds 1 to N (default: 3)")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--device", default="cpu", help="cpu, gpu or gpu:N")
    parser.add_argument("--mirror", type=Path, help="a folder that holds the data sets' files")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument(
        "--profile",
        default="",
        help="send the runs to a cluster: a folder of scripts/profiles/, or the path of one",
    )
    parser.add_argument("--snakemake", default="", help="more options for Snakemake")
    return parser.parse_args(argv)


def main() -> int:
    arguments = parse_arguments()
    for name in ("seeds", "jobs"):
        if getattr(arguments, name) < 1:
            raise UserError(f"{name.upper()}={getattr(arguments, name)} must be 1 or more")
    results = arguments.results.resolve()
    moments: list[RunSpec] = []
    if arguments.what == "quick":
        specs = experiments.quick()
    else:
        parts, left_out = parts_to_run(arguments.only)
        specs = experiments.reproduce(arguments.seeds, parts)
        if "mnist" in parts:
            moments = section5_runs.moments()
        for part in left_out:
            print(not_at_hand(part))
        if not specs:
            raise UserError(f"ONLY={arguments.only} leaves nothing to run without that data")
    if arguments.what == "plan":
        print_plan(specs, results, arguments.device, arguments.jobs)
        return 0
    mirror = None if arguments.mirror is None else arguments.mirror.resolve()
    report = report_commands(results)
    more = shlex.split(arguments.snakemake)
    profile = slurm.load_profile(arguments.profile) if arguments.profile else None
    code = execute(
        specs, results, arguments.device, arguments.jobs, report, mirror, more, moments, profile
    )
    if code == 0:
        print(f"table and page: {report_folder(results)}")
    return code


if __name__ == "__main__":
    run_main(main)
