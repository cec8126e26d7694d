"""make reproduce PROFILE=slurm: the runs as jobs of a real Slurm, which is started here.

With what happens on clusters: a job is cancelled, a node drained, slurmctld restarted, and the
machine that sends the jobs dies.
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from scripts import runs, slurm
from scripts.errors import UserError
from scripts.files import read_json
from scripts.paths import ROOT
from tests import tiny_training as tiny
from tests.slurm_cluster import Cluster, missing

# What `make reproduce PROFILE=...` does, with runs of our own; without a profile, as without Slurm.
SCRIPT = """
import sys
from pathlib import Path
from scripts import errors, slurm, workflow
from scripts.runs import RunSpec

results, solver, profile = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
specs = [RunSpec(None, None, None, None, seed, solver) for seed in (1, 2, 3)]
errors.run_main(lambda: workflow.execute(
    specs, results, "cpu", 1, report=[["-c", "print(1)"]],
    profile=slurm.load_profile(profile) if profile else None,
))
"""
SEEDS = (1, 2, 3)
NAME = "bdip,weight_decay=0 (10,1)"  # what names of runs have in them

KEYS = [
    "lenet-mnist/(10,1)-BD_4/bdip,weight_decay=0/seed-1",
    "lenet-mnist/(10,1)-BD_4/bdip,weight_decay=0.1/seed-1",
    "lenet-mnist/(10,1)-BD_4/bdip,weight_decay=0,1/seed-1",
    "lenet-mnist/(101)-BD_4/bdip,weight_decay=0/seed-1",
]


def write_profile(folder: Path, **changes: object) -> Path:
    """A copy of the project's profile, as a person edits it; returns the folder."""
    text = (slurm.PROFILES / "slurm" / "config.yaml").read_text()
    content = yaml.safe_load(text)
    content |= {"slurm-init-seconds-before-status-checks": 1, "latency-wait": 10}
    content["default-resources"] |= {"mem_mb": 500} | changes
    folder.mkdir()
    (folder / "config.yaml").write_text(yaml.safe_dump(content))
    return folder


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    if (reason := missing()) is not None:
        pytest.skip(reason)
    if importlib.util.find_spec("snakemake_executor_plugin_slurm") is None:
        pytest.skip("Snakemake's executor is not there: scripts/build/python_packages.sh slurm")
    started = Cluster(tmp_path_factory.mktemp("slurm"))
    try:
        started.start()
        yield started
    finally:
        started.stop()


@pytest.fixture
def problem(tmp_path: Path) -> Path:
    solver = tiny.write_problem(tmp_path / "problem", max_iter=8000)
    return solver.rename(solver.with_name(f"{NAME}.prototxt"))


def command(results: Path, solver: Path, profile: Path | str) -> list[str]:
    return [sys.executable, "-c", SCRIPT, str(results), str(solver), str(profile)]


def start(cluster: Cluster, *arguments: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(*arguments),
        cwd=ROOT,
        env=os.environ | cluster.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def job_of(cluster: Cluster, seed: int) -> str:
    """Number of the one job in the queue that trains with this seed."""
    (number,) = [number for number, _, rule in cluster.queue() if f"_seed_{seed}_" in rule]
    return number


def starts(run: Path) -> int:
    """How often a run's training was begun or gone on with."""
    return (run / "caffe.log").read_text(errors="replace").count("Creating training net")


def test_nothing_is_lost_and_nothing_run_twice(
    cluster: Cluster, problem: Path, tmp_path: Path
) -> None:
    results, alone = tmp_path / "results", tmp_path / "alone"
    profile = write_profile(tmp_path / "profile")
    folders = [Path("custom") / NAME / f"seed-{seed}" for seed in SEEDS]
    first = start(cluster, results, problem, profile)
    jobs: dict[int, str] = {}

    def all_train() -> bool:
        """Suspends each as soon as it trains, so that none is done while all this happens."""
        for seed, run in zip(SEEDS, folders, strict=True):
            if seed not in jobs and tiny.iteration(results / run) > 0:
                jobs[seed] = job_of(cluster, seed)
                cluster.ask("scontrol", "suspend", jobs[seed])
        return len(jobs) == len(SEEDS)

    tiny.wait_until(all_train, 90)
    cluster.ask("scontrol", "update", f"node={cluster.node}", "state=drain", "reason=test")
    cluster.stop_controller()
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    cluster.start_controller()
    tiny.wait_until(lambda: [job for job, _, _ in cluster.queue()])
    found = {job: state for job, state, _ in cluster.queue()}
    assert found == dict.fromkeys(jobs.values(), "SUSPENDED")

    second = start(cluster, results, problem, profile)
    tiny.wait_until(lambda: len(cluster.queue()) == 2 * len(SEEDS), 90)
    cluster.ask("scontrol", "resume", jobs[1])
    cluster.ask("scancel", jobs[1])
    for seed in SEEDS[1:]:
        cluster.ask("scontrol", "resume", jobs[seed])
    tiny.wait_until(lambda: {state for _, state, _ in cluster.queue()} == {"PENDING"}, 90)
    cluster.ask("scontrol", "update", f"node={cluster.node}", "state=resume")
    output = second.communicate(timeout=240)[0]
    assert second.returncode == 0, output
    assert "jobs of an earlier start that go on: " in output
    assert "3 of 3 runs done" in output
    assert cluster.queue() == []

    done = subprocess.run(
        command(alone, problem, ""), cwd=ROOT, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    for run in folders:
        assert tiny.contents(results / run) == tiny.contents(alone / run)
    assert [starts(results / run) for run in folders] == [2, 1, 1]
    holders = [runs.holder(results / run)[0] for run in folders]
    assert all(re.fullmatch(r"process \d+ on \S+, job \d+", name) for name in holders), holders


def test_a_cancelled_job_is_sent_again_and_ctrl_c_cancels_all(
    cluster: Cluster, problem: Path, tmp_path: Path
) -> None:
    results = tmp_path / "results"
    process = start(cluster, results, problem, write_profile(tmp_path / "profile"))
    folder = results / "custom" / NAME / "seed-1"
    tiny.wait_until(lambda: tiny.iteration(folder) > 0, 90)
    victim = job_of(cluster, 1)
    cluster.ask("scancel", victim)
    tiny.wait_until(lambda: {n for n, _, r in cluster.queue() if "_seed_1_" in r} - {victim}, 90)
    os.killpg(process.pid, signal.SIGINT)
    output = process.communicate(timeout=120)[0]
    assert process.returncode == 130, output
    assert "stopping: jobs are cancelled, every run saves a snapshot" in output
    assert cluster.queue() == []
    states = {(read_json(p) or {})["state"] for p in results.glob("custom/*/*/run.json")}
    assert states <= {"interrupted", "finished"}


def test_what_is_wrong_is_said_before_any_run_is_sent(
    cluster: Cluster, problem: Path, tmp_path: Path
) -> None:
    results = tmp_path / "results"
    profile = write_profile(tmp_path / "profile", slurm_partition="nosuch")
    process = start(cluster, results, problem, profile)
    output = process.communicate(timeout=60)[0]
    assert process.returncode == 1
    assert output.splitlines()[-1] == (
        f"error: Slurm refuses a job as {profile}/config.yaml asks for it: "
        "Invalid partition name specified"
    )
    assert cluster.queue() == []


def test_slurm_away_is_one_sentence(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile = slurm.load_profile(str(write_profile(tmp_path / "profile")))
    monkeypatch.setattr(slurm, "_ask", lambda *_: subprocess.CompletedProcess([], 1, "", "gone\n"))
    with pytest.raises(UserError, match=r"Slurm does not answer \(gone\)"):
        slurm.require(profile, "cpu")


# -- without a Slurm --------------------------------------------------------------------------


def test_rules_are_told_apart_and_fit_for_a_file_and_a_comment() -> None:
    names = [slurm.rule_name("train", key) for key in KEYS]
    assert len(set(names)) == len(KEYS)
    assert all(re.fullmatch(r"[A-Za-z0-9_]+", name) for name in names)
    assert names[0].startswith("train_lenet_mnist_10_1_BD_4_bdip_weight_decay_0_seed_1_")


def test_a_job_that_follows_another_keeps_what_the_profile_asks(tmp_path: Path) -> None:
    profile = slurm.load_profile(str(write_profile(tmp_path / "p", slurm_extra="--nice=5")))
    assert slurm.resources_of(profile, "cpu", None) == {}
    assert slurm.resources_of(profile, "gpu", 12) == {
        "gpu": 1,
        "slurm_extra": "--nice=5 --dependency=afterany:12",
    }


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("executor: [", r"is not YAML \(line 1\)"),
        ("executor: local\njobs: 3", "does not say `executor: slurm`"),
        ("executor: slurm\njobs: many", "has jobs: many; write how many"),
        ("executor: slurm\njobs: 0", "has jobs: 0; write how many"),
        ("executor: slurm\njobs: 1\ndefault-resources: [a=1]", "lines of `name: value`"),
    ],
)
def test_profiles_that_are_wrong(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(UserError, match=sentence):
        slurm.load_profile(str(tmp_path))


def test_a_profile_that_is_not_there() -> None:
    with pytest.raises(UserError, match=r"^PROFILE=slrum: there is no .*slrum/config\.yaml; write"):
        slurm.load_profile("slrum")


def test_a_machine_without_slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    profile = slurm.load_profile("slurm")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match=r"^PROFILE=slurm: this machine has no sbatch; start"):
        slurm.require(profile, "cpu")
    with pytest.raises(UserError, match="Slurm chooses the GPU of a job; write DEVICE=gpu"):
        slurm.require(profile, "gpu:1")


def look(results: Path, owner: str) -> subprocess.CompletedProcess[str]:
    """What a node says of `results`; this process is the machine that sends the runs."""
    options = ["--results", str(results), "--owner", owner]
    check = [sys.executable, "-m", "scripts.node_check", *options]
    return subprocess.run(check, cwd=ROOT, capture_output=True, text=True, timeout=60)


def test_a_node_where_locks_or_results_are_others(tmp_path: Path) -> None:
    node = os.uname().nodename
    absent = look(tmp_path, "1\n")
    assert f"{tmp_path} of here is not there on the node {node}" in absent.stderr
    with open(tmp_path / ".workflow.lock", "w+") as stream:
        stream.write("1\n")
        stream.flush()
        unlocked = look(tmp_path, "1\n")
        assert f"do not reach from this machine to the node {node}" in unlocked.stderr
        fcntl.flock(stream, fcntl.LOCK_EX)
        assert f"on the node {node} is another folder than here" in look(tmp_path, "2\n").stderr
        fits = look(tmp_path, "1\n")
    assert fits.stdout == f"the node {node} has what a run needs\n", fits.stderr
    assert {done.returncode for done in (absent, unlocked)} == {1}
    assert absent.stderr.count("\n") == unlocked.stderr.count("\n") == 1


def test_a_run_that_another_took_over_is_left_to_it(tmp_path: Path) -> None:
    """As on a file system without locks between machines: the earlier of the two stops."""
    solver = tiny.write_problem(tmp_path / "problem", max_iter=200000)
    process = tiny.start(tiny.command(solver, tmp_path / "results"))
    run = tmp_path / "results" / "custom" / "tiny" / "seed-1"
    tiny.wait_until(lambda: tiny.iteration(run) > 0)
    (run.parent / ".seed-1.lock").write_text("process 1 on elsewhere, job 7\n123\n")
    output = process.communicate(timeout=60)[0]
    assert process.returncode == 1
    assert "another has taken this run over (process 1 on elsewhere, job 7)" in output


def test_packages_for_slurm_are_those_of_the_project() -> None:
    """One environment has both: a version that differs would be changed to and fro."""
    pins = []
    for name in ("requirements.txt", "requirements.slurm.txt"):
        text = (ROOT / "scripts" / "build" / name).read_text()
        pins.append(dict(re.findall(r"(?m)^([a-z0-9-]+)==(\S+)", text)))
    shared = pins[0].keys() & pins[1].keys()
    assert {name: pins[1][name] for name in shared} == {name: pins[0][name] for name in shared}
    assert "snakemake-executor-plugin-slurm" in pins[1]
