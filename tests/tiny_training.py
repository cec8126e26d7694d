"""A training run that takes seconds: random images, a small net, a solver, and how to start it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from caffe.proto import caffe_pb2

from scripts import lmdb_build
from scripts.files import read_json
from scripts.paths import ROOT

# Some 1,500 iterations a second. Everything that must be restored for the same digits is in it:
# data cursors that do not come out even (the test reads 30 of 50 records), Dropout's random
# numbers, momentum, the count of passes that PER_PASS draws from, a FIXED permutation.
NET = """
name: "tiny"
layer {{ name: "data" type: "Data" top: "data" top: "label" include {{ phase: TRAIN }}
  transform_param {{ scale: 0.00390625 }}
  data_param {{ source: "{data}/train_lmdb" batch_size: 32 backend: LMDB }} }}
layer {{ name: "data" type: "Data" top: "data" top: "label" include {{ phase: TEST }}
  transform_param {{ scale: 0.00390625 }}
  data_param {{ source: "{data}/test_lmdb" batch_size: 10 backend: LMDB }} }}
layer {{ name: "ip1" type: "BlockInnerProduct" bottom: "data" top: "ip1"
  block_inner_product_param {{ num_output: {hidden} blocks: 4 shuffle: PER_PASS
    weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "relu" type: "ReLU" bottom: "ip1" top: "ip1" }}
layer {{ name: "drop" type: "Dropout" bottom: "ip1" top: "ip1" }}
layer {{ name: "ip2" type: "BlockInnerProduct" bottom: "ip1" top: "ip2"
  block_inner_product_param {{ num_output: 64 blocks: 8 shuffle: FIXED
    weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "ip3" type: "InnerProduct" bottom: "ip2" top: "ip3"
  inner_product_param {{ num_output: 4 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "accuracy" type: "Accuracy" bottom: "ip3" bottom: "label" top: "accuracy"
  include {{ phase: TEST }} }}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "ip3" bottom: "label" top: "loss" }}
"""

SOLVER = """
net: "net.prototxt"
test_iter: 3
test_interval: 150
base_lr: {base_lr}
momentum: 0.9
weight_decay: 0.0005
lr_policy: "inv"
gamma: 0.0001
power: 0.75
display: 40
max_iter: {max_iter}
"""

SIDE = 12
CLASSES = 4


def make_database(folder: Path, count: int, seed: int) -> None:
    """Write an LMDB of `count` random images whose class is the brightest quadrant."""
    generator = np.random.default_rng(seed)
    records = []
    for index in range(count):
        image = generator.integers(0, 256, (SIDE, SIDE), dtype=np.uint8)
        half = SIDE // 2
        quadrants = [image[r : r + half, c : c + half].sum() for r in (0, half) for c in (0, half)]
        datum = caffe_pb2.Datum(channels=1, height=SIDE, width=SIDE, data=image.tobytes())
        datum.label = int(np.argmax(quadrants))
        records.append((b"%08d" % index, datum.SerializeToString(deterministic=True)))
    lmdb_build.write(folder, iter(records), sum(len(key) + len(value) for key, value in records))


def write_problem(
    folder: Path, max_iter: int = 4000, base_lr: float = 0.05, hidden: int = 2048
) -> Path:
    """Write databases, net and solver into `folder`; returns the solver's path."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "train_lmdb").exists():
        make_database(folder / "train_lmdb", 210, seed=1)
        make_database(folder / "test_lmdb", 50, seed=2)
    (folder / "net.prototxt").write_text(NET.format(data=folder, hidden=hidden))
    solver = folder / "tiny.prototxt"
    solver.write_text(SOLVER.format(max_iter=max_iter, base_lr=base_lr))
    return solver


def command(solver: Path, results: Path, *options: str) -> list[str]:
    """The command that trains `solver` into `results`, with a snapshot every 0.3 s."""
    options = ("--snapshot-seconds", "0.3", *options)
    train = [sys.executable, "-m", "scripts.train", "--solver", str(solver), "--seed", "1"]
    return [*train, "--results", str(results), *options]


def train(solver: Path, results: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Train to the end, or to the error."""
    return subprocess.run(
        command(solver, results, *options), cwd=ROOT, capture_output=True, text=True, timeout=300
    )


def start(arguments: list[str]) -> subprocess.Popen[str]:
    """Start a command in a process group of its own, its output in one pipe."""
    return subprocess.Popen(
        arguments,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def kill_group(process: subprocess.Popen[str], number: int = signal.SIGKILL) -> str:
    """Send a signal to all processes of the group; returns what it had printed when it ended."""
    os.killpg(process.pid, number)
    return process.communicate(timeout=300)[0]


def wait_until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    """Wait for a condition; AssertionError when it does not come true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def iteration(run: Path) -> int:
    """How far the run in folder `run` says it is."""
    return (read_json(run / "progress.json") or {}).get("iteration", 0)


def contents(run: Path) -> dict[str, bytes]:
    """The bytes of everything that must not depend on how often a run was stopped."""
    paths = [run / "metrics.csv", *sorted((run / "weights").iterdir())]
    return {path.name: path.read_bytes() for path in paths}
