"""A training run that prunes: what its files say of it, and kills inside the pruning phase."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from scripts.files import read_json
from tests import tiny_training as tiny

RUN = Path("custom/tiny/seed-1")
START, ITERS, MAX_ITER = 500, 2000, 3000
BLOCKS, OUTPUTS, INPUTS = 4, 4, 64
COLUMN = "left_ip3/weight"


@pytest.fixture(scope="module")
def problem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # Wide enough for a second to be a part of the phase: progress is told once a second.
    folder = tmp_path_factory.mktemp("pruned")
    solver = tiny.write_problem(folder, max_iter=MAX_ITER, hidden=8192)
    net = solver.with_name("net.prototxt")
    prune = f"prune {{ blocks: {BLOCKS} start: {START} iters: {ITERS} alpha: 1e-3 }}"
    layer = 'bottom: "ip2" top: "ip3"'
    net.write_text(net.read_text().replace(layer, f"{layer} param {{ lr_mult: 1 {prune} }}"))
    return solver


@pytest.fixture(scope="module")
def never_stopped(problem: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    results = tmp_path_factory.mktemp("never-stopped")
    done = tiny.train(problem, results)
    assert done.returncode == 0, done.stderr
    return results / RUN


def test_the_rows_say_how_much_is_left(never_stopped: Path) -> None:
    with open(never_stopped / "metrics.csv", newline="") as stream:
        left = {int(row["iteration"]): row[COLUMN] for row in csv.DictReader(stream)}
    shown = {iteration: int(value) for iteration, value in left.items() if value}
    whole, blocks = OUTPUTS * INPUTS, OUTPUTS * INPUTS // BLOCKS
    assert {shown[i] for i in shown if i <= START} == {whole}
    assert {shown[i] for i in shown if i >= START + ITERS} == {blocks}
    within = [shown[i] for i in sorted(shown) if START <= i <= START + ITERS]
    assert within == sorted(within, reverse=True)
    assert any(blocks < value < whole for value in within)
    final = (read_json(never_stopped / "finished.json") or {})["final"]
    assert final[COLUMN] == blocks


def test_weights_are_dumped_before_within_and_after_the_phase(never_stopped: Path) -> None:
    dumps = {int(path.stem.removeprefix("iter_")) for path in never_stopped.glob("weights/*.npz")}
    assert dumps == {0, 500, 1000, 1500, 2000, 2500, 3000}
    for iteration, blocks in ((START, False), (START + ITERS, True)):
        with np.load(never_stopped / f"weights/iter_{iteration:06d}.npz") as dump:
            weights = dump["ip3/weight"].reshape(BLOCKS, OUTPUTS // BLOCKS, BLOCKS, -1)
        off = [weights[i, :, j] for i in range(BLOCKS) for j in range(BLOCKS) if i != j]
        assert np.any(off) != blocks


def test_what_is_left_is_what_the_dumped_weights_have(never_stopped: Path) -> None:
    with open(never_stopped / "metrics.csv", newline="") as stream:
        left = {row["iteration"]: row[COLUMN] for row in csv.DictReader(stream)}
    for iteration in (1000, 2000, 3000):
        with np.load(never_stopped / f"weights/iter_{iteration:06d}.npz") as dump:
            assert np.count_nonzero(dump["ip3/weight"]) == int(left[str(iteration)])


def test_kills_inside_the_phase_change_no_bit(
    problem: Path, never_stopped: Path, tmp_path: Path
) -> None:
    run = tmp_path / RUN
    for iteration in (START + 100, START + ITERS // 2):
        process = tiny.start(tiny.command(problem, tmp_path))
        tiny.wait_until(lambda past=iteration: tiny.iteration(run) > past)
        tiny.kill_group(process)
        assert tiny.iteration(run) < START + ITERS, "too late: the phase was over"
    done = tiny.train(problem, tmp_path)
    assert done.returncode == 0, done.stderr
    assert tiny.contents(run) == tiny.contents(never_stopped)
