"""Times a training step (forward, backward, update) of two networks with convolutions on one core.

    build/venv/bin/python -m scripts.bench.conv_step [--rounds N]

Caffe with `engine: CAFFE`, Caffe with `engine: ONEDNN` and, where /usr/bin/python3 or this Python
can import it, PyTorch, on random data. Each is a process of its own with one thread; they take
turns, so that what else the machine does falls on all of them alike. Printed are the median over
the rounds and the spread from the fastest to the slowest, in CPU time, which with one thread is
the time that passes on a machine with nothing else to do.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from scripts.bench.workers import torch_interpreter
from scripts.errors import ArgumentParser, UserError, run_main
from scripts.paths import ROOT
from scripts.worker_process import worker_environment

ENGINES = ("CAFFE", "ONEDNN")
TORCH = "PyTorch"

# Layers in order: (kind, numbers). conv: outputs, kernel, padding; max and ave: kernel, stride;
# ip: outputs. Both as in Caffe's examples.
NETWORKS = {
    "cuda-convnet": {
        "input": (100, 3, 32, 32),
        "layers": [
            ("conv", 32, 5, 2),
            ("max", 3, 2),
            ("relu",),
            ("conv", 32, 5, 2),
            ("relu",),
            ("ave", 3, 2),
            ("conv", 64, 5, 2),
            ("relu",),
            ("ave", 3, 2),
            ("ip", 64),
            ("ip", 10),
        ],
        "sgd": {"base_lr": 0.001, "momentum": 0.9, "weight_decay": 0.004},
    },
    "LeNet-5": {
        "input": (64, 1, 28, 28),
        "layers": [
            ("conv", 20, 5, 0),
            ("max", 2, 2),
            ("conv", 50, 5, 0),
            ("max", 2, 2),
            ("ip", 500),
            ("relu",),
            ("ip", 10),
        ],
        "sgd": {"base_lr": 0.01, "momentum": 0.9, "weight_decay": 0.0005},
    },
}


def net_prototxt(name: str, engine: str) -> str:
    """The network as Caffe reads it, fed through Input layers, its convolutions with `engine`."""
    network = NETWORKS[name]
    dims = " ".join(f"dim: {n}" for n in network["input"])
    text = [
        f'layer {{ name: "data" type: "Input" top: "data" input_param {{ shape {{ {dims} }} }} }}',
        'layer { name: "label" type: "Input" top: "label" '
        f"input_param {{ shape {{ dim: {network['input'][0]} }} }} }}",
    ]
    filler = 'weight_filler { type: "xavier" }'
    bottom = "data"
    for number, (kind, *size) in enumerate(network["layers"], 1):
        top = f"{kind}{number}"
        if kind == "conv":
            settings = f"num_output: {size[0]} kernel_size: {size[1]} pad: {size[2]}"
            body = f"convolution_param {{ {settings} {filler} engine: {engine} }}"
        elif kind == "ip":
            body = f"inner_product_param {{ num_output: {size[0]} {filler} }}"
        elif kind == "relu":
            top, body = bottom, ""
        else:
            settings = f"pool: {kind.upper()} kernel_size: {size[0]} stride: {size[1]}"
            body = f"pooling_param {{ {settings} engine: {engine} }}"
        types = {"conv": "Convolution", "ip": "InnerProduct", "relu": "ReLU"}
        text.append(
            f'layer {{ name: "{kind}{number}" type: "{types.get(kind, "Pooling")}" '
            f'bottom: "{bottom}" top: "{top}" {body} }}'
        )
        bottom = top
    text.append(
        f'layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "{bottom}" bottom: "label" '
        'top: "loss" }'
    )
    return "\n".join(text)


def caffe_solver(name: str, engine: str) -> Any:
    """Caffe's solver for the network, with one batch of random data in it."""
    import caffe
    import numpy as np

    network = NETWORKS[name]
    with tempfile.TemporaryDirectory() as folder:
        net = Path(folder) / "net.prototxt"
        net.write_text(net_prototxt(name, engine))
        solver_file = Path(folder) / "solver.prototxt"
        settings = "\n".join(f"{key}: {value}" for key, value in network["sgd"].items())
        solver_file.write_text(
            f'net: "{net}"\n{settings}\nlr_policy: "fixed"\nrandom_seed: 1\n'
            "snapshot_after_train: false\nsolver_mode: CPU\n"
        )
        caffe.set_mode_cpu()
        solver = caffe.SGDSolver(str(solver_file))
    generator = np.random.default_rng(1)
    blobs = solver.net.blobs
    blobs["data"].data[...] = generator.standard_normal(network["input"])
    blobs["label"].data[...] = generator.integers(0, 10, network["input"][0])
    return solver


def torch_steps(name: str) -> Callable[[int], None]:
    """A function that makes PyTorch train the same network for so many steps."""
    import torch
    from torch import nn

    torch.set_num_threads(1)
    torch.manual_seed(1)
    network = NETWORKS[name]
    data = torch.randn(network["input"])
    label = torch.randint(0, 10, network["input"][:1])
    layers: list[nn.Module] = []
    shape = data
    flat = False
    for kind, *size in network["layers"]:
        if kind == "conv":
            layers.append(nn.Conv2d(shape.shape[1], size[0], size[1], padding=size[2]))
        elif kind == "max":
            layers.append(nn.MaxPool2d(*size, ceil_mode=True))
        elif kind == "ave":
            layers.append(nn.AvgPool2d(*size, ceil_mode=True))
        elif kind == "relu":
            layers.append(nn.ReLU(inplace=True))
        else:
            if not flat:
                layers.append(nn.Flatten())
                shape, flat = layers[-1](shape), True
            layers.append(nn.Linear(shape.shape[1], size[0]))
        with torch.no_grad():
            shape = layers[-1](shape.clone())
    net = nn.Sequential(*layers)
    sgd = network["sgd"]
    optimizer = torch.optim.SGD(
        net.parameters(), sgd["base_lr"], sgd["momentum"], weight_decay=sgd["weight_decay"]
    )
    loss_of = nn.CrossEntropyLoss()

    def step(count: int) -> None:
        for _ in range(count):
            optimizer.zero_grad()
            loss_of(net(data), label).backward()
            optimizer.step()

    return step


def library(contender: str) -> str:
    """Version of what convolves, in the process that has taken a step."""
    if contender == TORCH:
        import torch

        return str(torch.__version__)
    from scripts.train_worker import blas_name, onednn_name

    return onednn_name() or "" if contender == "ONEDNN" else blas_name()


def serve(name: str, contender: str) -> None:
    """Answer each line, a number of steps, with the CPU seconds; the first answer is a version."""
    step = torch_steps(name) if contender == TORCH else caffe_solver(name, contender).step
    step(1)
    print(json.dumps(library(contender)), flush=True)
    for line in sys.stdin:
        started = time.process_time()
        step(int(line))
        print(json.dumps(time.process_time() - started), flush=True)


class Contender:
    """One process that trains when it is told to."""

    def __init__(self, python: str, network: str, name: str) -> None:
        self.name = name
        self.times: list[float] = []  # CPU seconds a step
        self.process = subprocess.Popen(
            [python, "-m", "scripts.bench.conv_step", "--serve", network, name],
            cwd=ROOT,
            env=worker_environment() | {"GLOG_minloglevel": "2"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.version: str = self.answer()

    def answer(self) -> Any:
        """What it says next; UserError where it has ended."""
        assert self.process.stdout
        told = self.process.stdout.readline()
        if not told:
            raise UserError(f"{self.name} ended before it had trained: see what it wrote above")
        return json.loads(told)

    def take(self, steps: int) -> float:
        """Take `steps` steps; returns CPU seconds a step."""
        assert self.process.stdin
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        return self.answer() / steps

    def end(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait()


def compare(network: str, rounds: int, torch: str | None) -> list[dict[str, object]]:
    """CPU seconds of a step of each contender: a row each, the median over rounds and the range."""
    contenders = [Contender(sys.executable, network, engine) for engine in ENGINES]
    if torch:
        contenders.append(Contender(torch, network, TORCH))
    try:
        for contender in contenders:
            contender.take(3)  # what is made or read at first use
        steps = max(1, round(0.5 / contenders[0].take(3)))
        for _ in range(rounds):
            for contender in contenders:
                contender.times.append(contender.take(steps))
    finally:
        for contender in contenders:
            contender.end()
    return [
        {
            "network": network,
            "images": NETWORKS[network]["input"][0],
            "engine": contender.name,
            "version": contender.version,
            "median_s": f"{statistics.median(contender.times):.4e}",
            "min_s": f"{min(contender.times):.4e}",
            "max_s": f"{max(contender.times):.4e}",
            "rounds": rounds,
            "steps": steps,
        }
        for contender in contenders
    ]


def measure(rounds: int) -> list[dict[str, object]]:
    """Rows of both networks; says so where there is no PyTorch."""
    torch = torch_interpreter()
    if not torch:
        print("PyTorch is left out: no Python here can import it (Debian's python3-torch)")
    return [row for network in NETWORKS for row in compare(network, rounds, torch)]


def show(rows: Sequence[Mapping[str, object]]) -> None:
    """Print the rows, each beside stock Caffe."""
    for network in NETWORKS:
        mine = [row for row in rows if row["network"] == network]
        stock = float(mine[0]["median_s"])
        print(
            f"{network}, steps of {mine[0]['images']} images, {mine[0]['rounds']} rounds of "
            f"{mine[0]['steps']}, CPU time:"
        )
        for row in mine:
            median, low, high = (float(row[name]) for name in ("median_s", "min_s", "max_s"))
            print(
                f"  {row['engine']:8} {1e3 * median:7.1f} ms   ({1e3 * low:.1f} to "
                f"{1e3 * high:.1f})   {stock / median:.2f} times as fast as engine CAFFE"
            )


def main() -> int:
    parser = ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=15, help="default: %(default)s")
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(*arguments.serve)
        return 0
    if arguments.rounds < 1:
        raise UserError("--rounds has to be 1 or more")
    show(measure(arguments.rounds))
    return 0


if __name__ == "__main__":
    os.chdir(ROOT)
    run_main(main)
