"""The Slurm cluster of `make reproduce PROFILE=slurm`: its profile, its jobs, a look at a node.

Snakemake's executor sends the jobs. What is here is what happens around it: the profile is read and
checked, one small job tells in a sentence what a node lacks before many jobs fail for it, and jobs
that an earlier start left behind are found, so that no run is trained by two.
"""

from __future__ import annotations

import getpass
import hashlib
import importlib.util
import os
import re
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from scripts.errors import UserError
from scripts.paths import ROOT
from scripts.processes import StopRequest, die_with_parent

PROFILES = ROOT / "scripts" / "profiles"
TOOLS = ("sbatch", "srun", "squeue", "scancel", "scontrol", "sinfo")
LIVE = "PENDING,CONFIGURING,RUNNING,SUSPENDED,COMPLETING"  # not at their end yet
QUERY_SECONDS = 60.0  # for one answer of squeue
PATIENCE_SECONDS = 180.0  # for slurmctld to be back from a restart
LOOK_MINUTES = 10
TOLD_SECONDS = 15.0  # in the queue, before it is said that the small job waits there
CANCEL_SECONDS = 90.0  # for cancelled runs to save their snapshots and to leave


@dataclass(frozen=True)
class Profile:
    """What a profile's config.yaml says that is not for Snakemake alone."""

    folder: Path
    jobs: int  # in Slurm's queue at a time
    resources: Mapping[str, Any]  # what each job asks of Slurm (default-resources)

    @property
    def file(self) -> Path:
        return self.folder / "config.yaml"


@dataclass(frozen=True)
class Job:
    """A job of ours in Slurm's queue."""

    number: int
    state: str
    rule: str  # the Snakefile's rule, "" where it is none

    @property
    def waits(self) -> bool:
        return self.state == "PENDING"


def load_profile(name: str) -> Profile:
    """The profile `name`: a folder of scripts/profiles/, or the path of one. UserError if wrong."""
    folder = Path(name) if "/" in name else PROFILES / name
    path = folder / "config.yaml"
    if not path.is_file():
        raise UserError(
            f"PROFILE={name}: there is no {path}; write PROFILE=slurm and edit "
            f"{PROFILES / 'slurm' / 'config.yaml'}, or give the path of a copy of its folder"
        )
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        where = getattr(error, "problem_mark", None)
        line = f" (line {where.line + 1})" if where is not None else ""
        raise UserError(f"{path} is not YAML{line}: correct it, or take the original") from None
    if not isinstance(content, dict) or content.get("executor") != "slurm":
        raise UserError(f"{path} does not say `executor: slurm`, the only one that is known here")
    jobs = content.get("jobs")
    if type(jobs) is not int or jobs < 1:
        raise UserError(f"{path} has jobs: {jobs}; write how many may be in the queue, from 1")
    resources = content.get("default-resources") or {}
    if not isinstance(resources, dict):
        raise UserError(f"{path}: default-resources has to be lines of `name: value`")
    return Profile(folder.resolve(), jobs, resources)


def require(profile: Profile, device: str) -> None:
    """UserError where runs on `device` cannot be sent to Slurm from this machine."""
    if device.startswith("gpu:"):
        raise UserError(f"DEVICE={device}: Slurm chooses the GPU of a job; write DEVICE=gpu")
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        raise UserError(
            f"PROFILE={profile.folder.name}: this machine has no {missing[0]}; start on one from "
            "which jobs are sent to Slurm"
        )
    if importlib.util.find_spec("snakemake_executor_plugin_slurm") is None:
        raise UserError(
            "Snakemake's executor for Slurm is not installed: run "
            "scripts/build/python_packages.sh slurm"
        )
    done = _ask("squeue", "--noheader", "--user", getpass.getuser())
    if done.returncode != 0:
        raise UserError(f"Slurm does not answer ({_reason(done.stderr)}): is slurmctld running?")


def job_prefix(results: Path) -> str:
    """What the names of the jobs that write to `results` begin with."""
    return f"bdip-{hashlib.sha256(os.fsencode(results)).hexdigest()[:8]}"


def rule_name(kind: str, key: str) -> str:
    """Name of the rule for the run `key`: Slurm's comment, and part of the path of a job's log.

    It is the same in every start, whatever else is to be run, so that a job is known by it.
    Letters, digits and underscores, since keys have parentheses, commas and equals signs.
    """
    readable = re.sub(r"[^A-Za-z0-9]+", "_", key).strip("_")
    return f"{kind}_{readable}_{hashlib.sha256(key.encode()).hexdigest()[:6]}"


def live_jobs(results: Path) -> list[Job]:
    """All jobs on `results` that are not at their end, whoever submitted them, oldest first.

    A slurmctld that is being restarted is waited for; UserError where it does not come back.
    """
    prefix = job_prefix(results)
    command = ("squeue", "--noheader", "--user", getpass.getuser(), "--states", LIVE)
    end = time.monotonic() + PATIENCE_SECONDS
    while (done := _ask(*command, "--format", "%A|%T|%j|%k")).returncode != 0:
        if time.monotonic() > end:
            raise UserError(f"Slurm does not answer any more ({_reason(done.stderr)})")
        time.sleep(2.0)
    found = []
    for line in done.stdout.splitlines():
        number, state, name, comment = (line + "|||").split("|")[:4]
        if name.startswith(prefix + "_"):
            found.append(Job(int(number), state, comment.removeprefix("rule_")))
    return sorted(found, key=lambda job: job.number)


def adopt(results: Path) -> dict[str, int]:
    """{rule: the job that works or will work on it} of what an earlier start left behind.

    Where several are there for one rule (all but the first wait for it), the later are cancelled.
    """
    kept: dict[str, int] = {}
    for job in live_jobs(results):
        if job.rule not in kept:
            kept[job.rule] = job.number
        elif job.waits:
            _ask("scancel", str(job.number))
    return kept


def resources_of(profile: Profile, device: str, before: int | None) -> dict[str, Any]:
    """Resources of one run's rule beside the profile's.

    `before`: a job that is at work on the same run. The new one holds no node while that lives; it
    then finds the run finished, or goes on with it.
    """
    resources: dict[str, Any] = {"gpu": 1} if device != "cpu" else {}
    if before is not None:
        extra = str(profile.resources.get("slurm_extra") or "")
        resources["slurm_extra"] = f"{extra} --dependency=afterany:{before}".strip()
    return resources


def cancel_all(results: Path) -> None:
    """Cancel all jobs on `results` and wait for them: each run that trains saves a snapshot."""
    end = time.monotonic() + CANCEL_SECONDS
    cancelled: set[int] = set()
    while (jobs := live_jobs(results)) and time.monotonic() < end:
        new = [job.number for job in jobs if job.number not in cancelled]
        if new:
            _ask("scancel", *map(str, new))
            cancelled |= set(new)
        time.sleep(1.0)


# -- a look at a node -------------------------------------------------------------------------

# Runs on the node, which may have neither the project nor Python. Sentences go through srun.
_ON_NODE = r"""
node=$(hostname)
cd "$1" 2>/dev/null || {
  echo "error: the node $node has no folder $1: the project has to lie on a file system that this" \
    "machine and all nodes share"
  exit 1
}
build/venv/bin/python -c 'import numpy' 2>/dev/null || {
  echo "error: the node $node cannot run $1/build/venv/bin/python: nodes need the Debian packages" \
    "that scripts/build/system_packages.sh lists"
  exit 1
}
shift
exec build/venv/bin/python -m scripts.node_check "$@" 2>&1
"""


def look_command(profile: Profile, device: str) -> list[str]:
    """srun and its options: what a run would ask for, for a few minutes."""
    asked = profile.resources
    command = [
        *("srun", "--ntasks=1", "--nodes=1", "--chdir=/", "--input=none", f"--time={LOOK_MINUTES}"),
        f"--cpus-per-task={asked.get('cpus_per_task') or 1}",
    ]
    options = {"partition": "slurm_partition", "account": "slurm_account"}
    options |= {"constraint": "constraint", "qos": "qos"}
    options |= {"mem": "mem_mb", "mem-per-cpu": "mem_mb_per_cpu"}
    for option, name in options.items():
        if asked.get(name):
            command.append(f"--{option}={asked[name]}")
    if device != "cpu":
        command.append("--gpus=1")
    return command + shlex.split(str(asked.get("slurm_extra") or ""))


def look_at_node(
    profile: Profile,
    results: Path,
    owner: str,
    device: str,
    datasets: Iterable[str],
    stop: StopRequest,
) -> None:
    """Run scripts.node_check on a node, as a job like the runs'; UserError with what it finds.

    `owner`: what results/.workflow.lock, whose lock the caller holds, says. Returns without a word
    when `stop` is received.
    """
    name = f"{job_prefix(results)}_look"
    command = [*look_command(profile, device), f"--job-name={name}"]
    command += ["/bin/sh", "-c", _ON_NODE, "look", str(ROOT)]
    command += ["--results", str(results), "--owner", owner, "--device", device, *datasets]
    # Inside an allocation srun would start a step of it.
    environment = {
        key: text
        for key, text in os.environ.items()
        if not key.startswith("SLURM_") or key == "SLURM_CONF"
    }
    print("a small job looks at a node first", flush=True)
    log = results / ".logs" / "node.log"
    with open(log, "wb") as stream:
        process = subprocess.Popen(
            command,
            cwd="/",
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
            preexec_fn=partial(die_with_parent, signal.SIGTERM, os.getpid()),
        )
    started = time.monotonic()
    told = stopped = False
    while process.poll() is None:
        if stop.received is not None and not stopped:
            process.terminate()
            stopped = True
        if not told and time.monotonic() - started > TOLD_SECONDS:
            told = True
            done = _ask("squeue", "--noheader", f"--name={name}", "--states=PD", "--format=%r")
            if done.stdout.strip():
                print(f"it waits in Slurm's queue ({done.stdout.split()[0]})", flush=True)
        time.sleep(0.2)
    if process.returncode == 0 or stop.received is not None:
        return
    raise UserError(_look_failure(log.read_text(encoding="utf-8", errors="replace"), profile, log))


def _look_failure(text: str, profile: Profile, log: Path) -> str:
    """The sentence for a look that did not end well, from what was printed."""
    lines = text.splitlines()
    ours = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    if ours:
        return ours[-1]
    theirs = [line for line in lines if line.startswith("srun: error: ")]
    refused = [line for line in theirs if "nable to allocate" in line]
    if refused:
        reason = refused[0].rpartition("allocate resources: ")[2]
        return f"Slurm refuses a job as {profile.file} asks for it: {reason}"
    said = f": {theirs[0].removeprefix('srun: error: ')}" if theirs else ""
    return f"the small job that looks at a node failed{said} (log: {log})"


def _ask(*command: str) -> subprocess.CompletedProcess[str]:
    """Run one of Slurm's commands; no answer in time is an answer of code 124."""
    try:
        return subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=QUERY_SECONDS
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 124, "", f"no answer from {command[0]}")


def _reason(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[0] if lines else "no reason given"


def snakemake_options(profile: Profile, results: Path) -> Sequence[str]:
    """Options of Snakemake that send the graph through Slurm."""
    return ["--profile", str(profile.folder), "--slurm-jobname-prefix", job_prefix(results)]


def complaint(results: Path) -> str | None:
    """What Slurm said against a job, from the logs of this start; None where it said nothing."""
    log = results / "workflow.log"
    text = log.read_text(encoding="utf-8", errors="replace")
    refused = re.findall(
        r"SLURM sbatch failed\. The error message was '(.*?)'\.\n", text, re.DOTALL
    )
    if refused:
        return f"Slurm refused a job: {' '.join(refused[-1].split())} (log: {log})"
    for name in reversed(re.findall(r"SLURM jobid \d+ \(log: (.*)\)\.", text)):
        path = Path(name)
        if not path.is_file():
            continue
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        said = [line for line in lines if re.match(r"(srun|slurmstepd\S*): error: ", line)]
        if said:
            return f"a job failed: {said[-1].partition('error: ')[2]} (log: {path})"
    return None
