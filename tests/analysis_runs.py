"""Run folders made by hand, for the tests of analysis/."""

import json
from pathlib import Path
from typing import Any

import numpy as np

TEST_INTERVAL = 500


def write_run(
    base: Path,
    config: str,
    method: str,
    seed: int,
    accuracy: float,
    *,
    net: str = "lenet",
    dataset: str = "mnist",
    max_iter: int = 10_000,
    state: str = "finished",
    iteration: int | None = None,
    **changes: Any,
) -> Path:
    """Writes one run (LeNet-5 by default) whose test accuracy (a fraction) climbs to `accuracy`.

    base: results/ for the user's own, results/reference for ours. Returns the run's folder.
    """
    folder = base / f"{net}-{dataset}" / config / method / f"seed-{seed}"
    folder.mkdir(parents=True)
    reached = max_iter if state == "finished" else (iteration or 0)
    record = {
        "schema": 1,
        "net": net,
        "dataset": dataset,
        "config": config,
        "method": method,
        "seed": seed,
        "state": state,
        "iteration": reached,
        "max_iter": max_iter,
        "fingerprint": "f" * 64,
        "started": "2026-01-05T10:00:00Z",
        "finished": "2026-01-05T10:04:10Z" if state == "finished" else None,
        "wall_seconds": 250.5,
        "iterations_per_second": 39.9,
        "device": {"mode": "cpu", "name": "Some CPU @ 2 GHz", "threads": 1},
        "versions": {"caffe_upstream": "99bd997", "overlay": "abc", "python": "3.11.2"},
        "commit": "0123456789abcdef0123456789abcdef01234567",
        "dirty": False,
        "data": {"train": {"count": 60000, "records_sha256": "a" * 64}},
        "solver": "max_iter: 10000\n",
        "net_prototxt": 'name: "LeNet"\n',
        "final": {"test_accuracy": accuracy, "test_loss": 0.05} if state == "finished" else {},
    }
    record.update(changes)
    (folder / "run.json").write_text(json.dumps(record))
    write_metrics(folder, reached, accuracy)
    return folder


def write_convnet_run(
    base: Path, dataset: str, config: str, method: str, seed: int, accuracy: float, **changes: Any
) -> Path:
    """Writes a run of cuda-convnet, as long as the paper's."""
    return write_run(
        base,
        config,
        method,
        seed,
        accuracy,
        net="cuda_convnet",
        dataset=dataset,
        max_iter=9000,
        **changes,
    )


def svhn_run(base: Path, seed: int, **test: object) -> None:
    """Writes a run on an SVHN that was imported; test: what its record knows of the test set."""
    about = {"records_sha256": "a" * 64, "imported_sha256": "b" * 64}
    data = {
        "train": {"count": 73257, "official_count": 73257, "known_as": "all 73,257"} | about,
        "test": {"count": 10000, "official_count": 26032} | about | test,
    }
    write_convnet_run(base, "svhn", "(8,1)-BD_5", "bdip", seed, 0.91, data=data)


def write_metrics(folder: Path, last: int, accuracy: float) -> None:
    """A metrics.csv with display rows every 100 and test rows every TEST_INTERVAL iterations."""
    lines = ["iteration,lr,train_loss,test_accuracy,test_loss"]
    for iteration in range(0, last + 1, 100):
        test = ","
        if iteration % TEST_INTERVAL == 0 or iteration == last:
            share = 1 - np.exp(-iteration / 400)
            value = accuracy if iteration == last else 0.1 + (accuracy - 0.1) * share
            test = f"{float(value)},0.1"
        lines.append(f"{iteration},0.01,0.3,{test}")
    (folder / "metrics.csv").write_text("\n".join(lines) + "\n")


def write_lenet_sisters(base: Path, seeds: int = 3) -> None:
    """The five LeNet-5 results of Table 1 that can be run; PER_PASS is given a large loss."""
    centres = {
        ("(1,1)-BD_4", "bdip"): 0.9908,
        ("(10,1)-BD_4", "bdip"): 0.9889,
        ("(10,1)-BD_4", "shuffle"): 0.9886,
        ("(10,1)-BD_4", "shuffle_per_pass"): 0.9710,
        ("(100,10)-BD_4", "bdip"): 0.9816,
        ("(100,10)-BD_4", "shuffle"): 0.9822,
        ("(100,10)-BD_4", "shuffle_per_pass"): 0.8840,
    }
    for number, ((config, method), centre) in enumerate(centres.items()):
        for seed in range(1, seeds + 1):
            wobble = 0.0008 * float(np.sin(3 * number + 2 * seed))
            write_run(base, config, method, seed, round(centre + wobble, 4))
