"""What a user can do wrong: one sentence, a non-zero exit, and nothing lost of what was there.

Commands are given as a user gives them, in a copy of the project with results of its own in it.
`-o caffe` takes Caffe for built, as it is; nothing is downloaded: every way to a network is closed.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from scripts.files import read_json
from scripts.paths import ROOT
from tests import tiny_training as tiny
from tests.conftest import remount
from tests.refusals import assert_refused, contents

PARTS = ("analysis", "caffe_layers", "prototxt", "scripts", "Makefile")
TRAIN = ("make", "-o", "caffe", "train")
PYTHON = "build/venv/bin/python"
LENET = (PYTHON, "-m", "scripts.train", "--config", "(10,1)-BD_4")
MINE = (*TRAIN, "SOLVER=mine/tiny.prototxt")
RUN = Path("results/custom/tiny/seed-1")


def environment(project: Path) -> dict[str, str]:
    """An environment without a network: proxies that nobody listens to, no package managers."""
    closed = {name: "http://127.0.0.1:9" for name in ("http_proxy", "https_proxy", "HTTPS_PROXY")}
    return os.environ | closed | {"PATH": f"{project / 'programs'}:{os.environ['PATH']}"}


def run(project: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=project, env=environment(project), capture_output=True, text=True, timeout=120
    )


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's files, MNIST if it is there, a solver of the user's and its finished run."""
    folder = tmp_path_factory.mktemp("template") / "project"
    folder.mkdir()
    ignored = shutil.ignore_patterns("__pycache__", ".snakemake")
    for name in PARTS:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=ignored)
        else:
            shutil.copy(source, folder)
    (folder / "programs").mkdir()
    for name in ("npm", "apt-get"):
        (folder / "programs" / name).write_text("#!/bin/sh\necho 'no network' >&2\nexit 1\n")
        (folder / "programs" / name).chmod(0o755)
    (folder / "build").mkdir()
    for name in ("venv", "python"):
        (folder / "build" / name).symlink_to(ROOT / "build" / name)
    if (ROOT / "data" / "mnist").is_dir():
        mnist = folder / "data" / "mnist"
        mnist.mkdir(parents=True)
        shutil.copy(ROOT / "data" / "mnist" / "manifest.json", mnist)
        for path in (ROOT / "data" / "mnist").iterdir():
            if path.name != "manifest.json":
                (mnist / path.name).symlink_to(path)
    solver = tiny.write_problem(folder / "mine", max_iter=100, hidden=64)
    net = solver.with_name("net.prototxt")
    net.write_text(net.read_text().replace(f"{folder}/mine/", ""))
    done = run(folder, *MINE)
    assert done.returncode == 0, done.stderr
    assert (folder / RUN / "finished.json").exists()
    (folder / "results" / "notes.txt").write_text("the user's own")
    return folder


@pytest.fixture
def project(template: Path, tmp_path: Path) -> Path:
    """A copy of the template."""
    folder = tmp_path / "project"
    shutil.copytree(template, folder, symlinks=True)
    return folder


def needs_mnist(project: Path) -> None:
    if not (project / "data" / "mnist").exists():
        pytest.skip("data/mnist is not there; `make data` makes it")


def assert_nothing_lost(before: dict[str, str], project: Path) -> None:
    """All that was there is there, byte for byte; what is new is a lock, a log or a cache."""
    after = contents(project)
    assert {name: after.get(name) for name in before} == before
    for name in after.keys() - before.keys():
        assert after[name] == "folder" or name.endswith(("lock", ".log", ".pyc")), name


# -- the table --------------------------------------------------------------------------------

Damage = Callable[[Path], None]


@dataclass(frozen=True)
class Bad:
    """A command, what is wrong before it is given, and words of the sentence that it gets."""

    command: tuple[str, ...]
    said: tuple[str, ...]
    damage: Damage | None = None


def edit(name: str, old: str, new: str) -> Damage:
    """Replace text in a file, which must have it."""

    def damage(project: Path) -> None:
        path = project / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    return damage


def remove(*names: str) -> Damage:
    def damage(project: Path) -> None:
        for name in names:
            path = project / name
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()

    return damage


def own(path: Path) -> bytearray:
    """Make the folder of a linked database the project's own; the content of its file."""
    folder = path.parent
    if folder.is_symlink():
        target = folder.resolve()
        folder.unlink()
        shutil.copytree(target, folder)
    return bytearray(path.read_bytes())


def cut(name: str) -> Damage:
    def damage(project: Path) -> None:
        content = own(project / name)
        (project / name).write_bytes(content[: len(content) // 2])

    return damage


def flip(name: str) -> Damage:
    def damage(project: Path) -> None:
        content = own(project / name)
        content[len(content) // 2] ^= 1
        (project / name).write_bytes(content)

    return damage


def mnist_then(damage: Damage) -> Damage:
    def both(project: Path) -> None:
        needs_mnist(project)
        damage(project)

    return both


def mirror_of(content: bytes, compressed: bool = False) -> Damage:
    """A mirror with MNIST's names and other bytes; no data yet."""

    def damage(project: Path) -> None:
        shutil.rmtree(project / "data", ignore_errors=True)
        (project / "mirror").mkdir()
        suffix = ".gz" if compressed else ""
        for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3"):
            (project / "mirror" / f"{name}-ubyte{suffix}").write_bytes(content)

    return damage


def write(name: str, text: str) -> Damage:
    def damage(project: Path) -> None:
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(text)

    return damage


def old_toolkit(project: Path) -> None:
    write("cuda/bin/nvcc", "#!/bin/sh\necho 'Cuda compilation tools, release 11.8, V11'\n")(project)
    (project / "cuda/bin/nvcc").chmod(0o755)


NET, LMDB = "mine/net.prototxt", "mine/train_lmdb/data.mdb"
IP1, IP2 = "num_output: 64 blocks: 4 shuffle: PER_PASS", "num_output: 64 blocks: 8 shuffle: FIXED"

TABLE: dict[str, Bad] = {
    # names
    "config in other words": Bad((*TRAIN, "CONFIG=(10,1)BD4"), ("'(10,1)BD4'", "(b1,b2)-BD_m")),
    "config with no blocks": Bad((*TRAIN, "CONFIG=(0,1)-BD_4"), ("'(0,1)-BD_4'",)),
    "config of three layers": Bad(
        (*TRAIN, "CONFIG=(10,1,1)-BD_4"), ("2 inner product", "ip1, ip2")
    ),
    "config of five layers": Bad((*TRAIN, "CONFIG=(10,1)-BD_5"), ("BD_4", "BD_5")),
    "blocks that do not divide": Bad((*TRAIN, "CONFIG=(7,1)-BD_4"), ("'ip1'", "7", "800", "500")),
    "blocks of the last layer": Bad((*TRAIN, "CONFIG=(10,3)-BD_4"), ("'ip2'", "3", "500", "10")),
    "no such method": Bad((*TRAIN, "METHOD=prune"), ("'prune'", "shuffle")),
    "nothing to shuffle": Bad(
        (*TRAIN, "METHOD=shuffle", "CONFIG=(1,1)-BD_4"), ("shuffle", "(1,1)-BD_4")
    ),
    "no such net": Bad((*TRAIN, "NET=alexnet"), ("'alexnet'", "lenet")),
    "no such data set": Bad((*TRAIN, "DATASET=imagenet"), ("'imagenet'", "mnist")),
    "no such device": Bad((*TRAIN, "DEVICE=tpu"), ("DEVICE=tpu", "gpu:N")),
    "no device number": Bad((*TRAIN, "DEVICE=gpu:x"), ("DEVICE=gpu:x", "gpu:N")),
    "a device number beyond all": Bad((*TRAIN, "DEVICE=gpu:99999999999"), ("gpu:N",)),
    "a negative seed": Bad((*TRAIN, "SEED=-1"), ("SEED=-1",)),
    "a seed that Caffe would take for 1": Bad((*MINE, f"SEED={2**32 + 1}"), ("4294967297",)),
    "a seed in words": Bad((*TRAIN, "SEED=one"), ("one",)),
    "no seeds": Bad(("make", "plan", "SEEDS=0"), ("SEEDS=0",)),
    "seeds in words": Bad(("make", "plan", "SEEDS=three"), ("three",)),
    "no jobs": Bad(("make", "-o", "caffe", "reproduce", "JOBS=0"), ("JOBS=0",)),
    # solvers and nets
    "no such solver": Bad((*TRAIN, "SOLVER=mine/tony.prototxt"), ("mine/tony.prototxt",)),
    "a folder for a solver": Bad((*TRAIN, "SOLVER=mine"), ("mine",)),
    "a net for a solver": Bad((*TRAIN, f"SOLVER={NET}"), (NET, "line 2")),
    "a solver that does not parse": Bad(
        MINE,
        ("tiny.prototxt, line", "max_iters"),
        edit("mine/tiny.prototxt", "max_iter", "max_iters"),
    ),
    "an empty solver": Bad(MINE, ("max_iter is missing",), write("mine/tiny.prototxt", "")),
    "more iterations than there are numbers": Bad(
        MINE,
        ("tiny.prototxt, line", "99999999999"),
        edit("mine/tiny.prototxt", "max_iter: 100", "max_iter: 99999999999"),
    ),
    "a missing net": Bad(MINE, ("net.prototxt", "tiny.prototxt"), remove(NET)),
    "a net that does not parse": Bad(
        MINE, ("net.prototxt, line", "blcks"), edit(NET, "blocks", "blcks")
    ),
    "a net cut short": Bad(MINE, ("net.prototxt",), edit(NET, 'top: "loss" }', 'top: "loss"')),
    "blocks that do not divide inputs": Bad(
        MINE,
        ("'ip1'", "K = 144", "blocks: 5"),
        edit(NET, IP1, IP1.replace("64 blocks: 4", "65 blocks: 5")),
    ),
    "blocks that do not divide outputs": Bad(
        MINE, ("'ip1'", "N = 64", "blocks: 6"), edit(NET, IP1, IP1.replace("4 sh", "6 sh"))
    ),
    "no blocks": Bad(MINE, ("'ip2'", "blocks: 0"), edit(NET, IP2, IP2.replace("8", "0"))),
    "one block to shuffle": Bad(
        MINE,
        ("'ip1'", "PER_PASS", "one block"),
        edit(NET, IP1, IP1.replace("blocks: 4", "blocks: 1")),
    ),
    "an unknown layer": Bad(
        MINE, ("BlockInnerProducts",), edit(NET, '"BlockInnerProduct"', '"BlockInnerProducts"')
    ),
    "LeNet edited to what does not divide": Bad(
        (*TRAIN, "SOLVER=prototxt/lenet/lenet_solver.prototxt"),
        ("'ip1'", "blocks: 7", "K = 800", "N = 500"),
        mnist_then(
            edit("prototxt/lenet/lenet_train_test.prototxt", "blocks: 10  # b1", "blocks: 7")
        ),
    ),
    # data
    "a missing database of the user's": Bad(MINE, ("train_lmdb",), remove("mine/train_lmdb")),
    "a cut database of the user's": Bad(MINE, ("train_lmdb", "is cut"), cut(LMDB)),
    "a database that is none": Bad(MINE, ("train_lmdb",), write(LMDB, "text " * 9999)),
    "an empty database": Bad(MINE, ("train_lmdb",), write(LMDB, "")),
    "no data": Bad(LENET, ("make data",), mnist_then(remove("data/mnist"))),
    "cut data": Bad(
        LENET, ("data.mdb has", "make data"), mnist_then(cut("data/mnist/test_lmdb/data.mdb"))
    ),
    "data with one bit changed": Bad(
        LENET, ("has changed", "make data"), mnist_then(flip("data/mnist/test_lmdb/data.mdb"))
    ),
    "half of the data": Bad(
        LENET, ("test_lmdb", "missing", "make data"), mnist_then(remove("data/mnist/test_lmdb"))
    ),
    "data without a manifest": Bad(
        LENET, ("manifest.json", "make data"), mnist_then(remove("data/mnist/manifest.json"))
    ),
    "a file where data should be": Bad(
        ("make", "-o", "caffe", "data"),
        ("data",),
        mnist_then(lambda project: (remove("data")(project), write("data", "x")(project))),
    ),
    "no such mirror": Bad(("make", "-o", "caffe", "data", "MIRROR=none"), ("none", "not a folder")),
    "a damaged download": Bad(
        ("make", "-o", "caffe", "data", "MIRROR=mirror"),
        ("train-images-idx3-ubyte", "the folder mirror: expected 47040016 bytes, got 4"),
        mirror_of(b"cut."),
    ),
    "a damaged compressed download": Bad(
        ("make", "-o", "caffe", "data", "MIRROR=mirror"),
        ("train-images-idx3-ubyte", "the folder mirror: expected sha256"),
        mirror_of(b"\x1f\x8b\x08cut", compressed=True),
    ),
    # Caffe
    "a wrong tarball": Bad(
        ("make", "caffe", "CAFFE_TARBALL=wrong.tar.gz"),
        ("wrong.tar.gz cannot be unpacked",),
        write("wrong.tar.gz", "not an archive"),
    ),
    "no such tarball": Bad(("make", "caffe", "CAFFE_TARBALL=none.tar.gz"), ("none.tar.gz",)),
    "no Caffe named": Bad(("make", "overlay"), ("CAFFE_SRC=path",)),
    "what is no Caffe": Bad(("make", "overlay", "CAFFE_SRC=mine"), ("mine is not a Caffe",)),
    "a CUDA of long ago": Bad(
        ("env", "CUDA_HOME=cuda", "PATH=/usr/bin:/bin", "scripts/build/cuda_toolkit.sh"),
        ("is CUDA 11; 12 and 13 are supported",),
        old_toolkit,
    ),
    "a CUDA that is not there": Bad(
        ("env", "CUDA_HOME=cuda", "scripts/build/cuda_toolkit.sh"),
        ("CUDA_HOME is cuda, which has no bin/nvcc",),
    ),
    # results
    "a file where results should be": Bad(
        LENET,
        ("results",),
        mnist_then(lambda project: (remove("results")(project), write("results", "x")(project))),
    ),
    "a file where the run should be": Bad(
        (*MINE, "SEED=5"), ("custom/tiny/seed-5",), write("results/custom/tiny/seed-5", "x")
    ),
    "a damaged record": Bad(
        ("make", "table1"), ("run.json",), write(f"{RUN}/run.json", '{"schema": 1, ')
    ),
    "cut metrics": Bad(
        ("make", "table1"), ("metrics.csv",), write(f"{RUN}/metrics.csv", "iteration,lr\n100")
    ),
    "a file where the report should be": Bad(("make", "report"), ("report",), write("report", "x")),
}


@pytest.mark.parametrize("name", TABLE)
def test_a_bad_input_is_one_sentence_and_loses_nothing(project: Path, name: str) -> None:
    bad = TABLE[name]
    if bad.damage is not None:
        bad.damage(project)
    before = contents(project)
    assert_refused(run(project, *bad.command), *bad.said)
    assert_nothing_lost(before, project)


# -- what takes more than a command -----------------------------------------------------------


def test_a_workflow_without_data_says_what_is_missing(project: Path) -> None:
    """Two data sets are made at a time: each has a log, and the sentence is that of the first."""
    shutil.rmtree(project / "data", ignore_errors=True)
    done = run(project, "make", "-o", "caffe", "reproduce", "ONLY=mnist", "JOBS=2", "SEEDS=1")
    logs = project / "results" / ".logs"
    assert_refused(
        done,
        "the data set mnist and 1 more failed: no source has the file train-images-idx3-ubyte",
        "`make data DATASETS=mnist MIRROR=FOLDER`",
        f"(log: {logs}/data_mnist.log)",
    )
    for name in ("mnist", "mnist-shuffled-labels"):
        assert f"the data set {name} is fetched first (log: {logs}/data_{name}.log)" in done.stdout
        said = (logs / f"data_{name}.log").read_text()
        assert said.startswith("error: no source has the file")
        assert f"`make data DATASETS={name} MIRROR=FOLDER`" in said


def results_on(project: Path, disk: Path) -> None:
    """Move results/ to another file system, with a link in its place."""
    shutil.move(project / "results", disk / "results")
    (project / "results").symlink_to(disk / "results")


def test_results_on_a_full_disk(project: Path, small_disk: Path) -> None:
    results_on(project, small_disk)
    free = shutil.disk_usage(small_disk).free
    (small_disk / "filler").write_bytes(b"\0" * free)
    before = contents(small_disk)
    assert_refused(run(project, *MINE, "SEED=2"), "no space is left", str(small_disk))
    assert_nothing_lost(before, small_disk)


def test_results_that_cannot_be_written(project: Path, small_disk: Path) -> None:
    results_on(project, small_disk)
    remount(small_disk, "ro")
    before = contents(small_disk)
    assert_refused(run(project, *MINE, "SEED=2"), str(small_disk))
    assert contents(small_disk) == before


def test_a_report_on_a_full_disk(project: Path, small_disk: Path) -> None:
    """The report that is there stays whole."""
    (project / "report").symlink_to(small_disk)
    assert run(project, "make", "table1").returncode == 0
    before = contents(small_disk)
    (small_disk / "filler").write_bytes(b"\0" * shutil.disk_usage(small_disk).free)
    shutil.rmtree(project / RUN)  # the table would be another one
    assert_refused(run(project, "make", "table1"), "table1.csv", "No space left")
    assert_nothing_lost(before | {"filler": contents(small_disk)["filler"]}, small_disk)


def start(project: Path, *command: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command,
        cwd=project,
        env=environment(project),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def test_a_second_instance_and_a_kill(project: Path) -> None:
    """The second is refused, the first goes on; killed with -9, the same command goes on too."""
    edit("mine/tiny.prototxt", "max_iter: 100", "max_iter: 2000")(project)
    folder = project / "results/custom/tiny/seed-3"
    # A snapshot every 20 s would be none at all: it is asked for by the option behind `make`.
    command = (PYTHON, "-m", "scripts.train", "--solver", "mine/tiny.prototxt", "--seed", "3")
    first = start(project, *command, "--snapshot-seconds", "0.1")
    tiny.wait_until(lambda: list((folder / "state").glob("snapshot_iter_*.json")))
    os.killpg(first.pid, signal.SIGSTOP)
    try:
        before = contents(project)
        assert_refused(run(project, *MINE, "SEED=3"), "another process is training custom tiny")
        assert_nothing_lost(before, project)
    finally:
        os.killpg(first.pid, signal.SIGCONT)
        tiny.kill_group(first)
    if (folder / "finished.json").exists():
        pytest.skip("the run was done before it could be killed")
    again = run(project, *MINE, "SEED=3")
    assert again.returncode == 0, again.stderr
    assert "goes on from iteration" in again.stdout
    assert (read_json(folder / "finished.json") or {})["iteration"] == 2000


def test_two_workflows_at_once(project: Path) -> None:
    needs_mnist(project)
    lock = project / "results" / ".workflow.lock"
    before = contents(project)
    with subprocess.Popen(["flock", "--no-fork", str(lock), "sleep", "60"]) as holder:
        tiny.wait_until(lock.exists)
        try:
            done = run(project, "make", "-o", "caffe", "reproduce", "JOBS=1")
        finally:
            holder.terminate()
    assert_refused(done, "a workflow is at work on", "results")
    assert_nothing_lost(before, project)
