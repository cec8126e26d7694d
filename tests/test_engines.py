"""Whole nets with the two engines of Convolution and Pooling on the CPU: CAFFE and ONEDNN."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from scripts.bench.conv_step import NETWORKS
from scripts.paths import ROOT

STEPS = 100

# Losses of a short training on batches that differ, by pycaffe in a process of its own.
TRAIN = """
import json, sys
import numpy as np
from scripts.bench.conv_step import NETWORKS, caffe_solver
from scripts.train_worker import onednn_name
network, engine, steps = sys.argv[1], sys.argv[2], int(sys.argv[3])
solver = caffe_solver(network, engine)
blobs = solver.net.blobs
generator = np.random.default_rng(2)
shape = NETWORKS[network]["input"]
patterns = generator.standard_normal((10, *shape[1:]))
losses = []
for _ in range(steps):
    label = generator.integers(0, 10, shape[0])
    blobs["label"].data[...] = label
    blobs["data"].data[...] = 0.3 * (patterns[label] + generator.standard_normal(shape))
    solver.step(1)
    losses.append(float(blobs["loss"].data))
print(json.dumps([losses, onednn_name()]))
"""


def train(network: str, engine: str, **environment: str) -> tuple[list[float], str | None]:
    """Losses of `STEPS` steps, and the oneDNN that the process had loaded."""
    command = [sys.executable, "-c", TRAIN, network, engine, str(STEPS)]
    surroundings = {k: v for k, v in os.environ.items() if not k.startswith("OMP_")}
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=surroundings | {"OPENBLAS_NUM_THREADS": "1", "GLOG_minloglevel": "2"} | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    losses, onednn = json.loads(done.stdout)
    return losses, onednn


@pytest.mark.parametrize("network", sorted(NETWORKS))
def test_losses_of_the_engines_stay_together(network: str) -> None:
    stock, _ = train(network, "CAFFE")
    ours, onednn = train(network, "ONEDNN")
    assert onednn is not None
    assert onednn.startswith("2.")
    assert min(stock) < stock[0] - 0.05, "nothing was learned: there is nothing to compare"
    assert ours != stock, "the engine made no difference: was it used?"
    # Sums of float32 in another order are 1e-7 apart at first, and training moves apart what is
    # apart: to 3e-5 of the loss here in 100 steps, on the machine where it was measured.
    assert ours[0] == pytest.approx(stock[0], rel=1e-6)
    assert ours == pytest.approx(stock, rel=1e-3)


def test_default_is_onednn_with_one_thread_and_the_same_bits_again() -> None:
    ours, _ = train("LeNet-5", "ONEDNN", OMP_NUM_THREADS="1")
    assert train("LeNet-5", "DEFAULT")[0] == ours
