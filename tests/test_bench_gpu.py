"""`make bench DEVICE=gpu` without a GPU: on the CPU double of CUDA, and what it says."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
from bench_timings import write

from analysis import timings
from scripts.bench import __main__ as command
from scripts.bench import check, workers
from scripts.bench.cases import GPU_STATES, Case, chosen_for_gpu
from scripts.bench.rivals import gpu
from scripts.bench.rivals.problem import Problem, Unable
from scripts.errors import UserError
from scripts.paths import ROOT

DOUBLE = ROOT / "build" / "cuda_host"


@pytest.fixture(scope="module")
def bench() -> Iterator[command.Bench]:
    """The processes of a GPU's benchmark, its program on the double."""
    subprocess.run(
        ["nice", "ninja", "-C", str(DOUBLE), "bdip_bench"], check=True, stdout=subprocess.DEVNULL
    )
    patch = pytest.MonkeyPatch()
    patch.setenv("BENCH_LARGE", "64")
    made = command.Bench(1, 0, command.gpu_workers(0, DOUBLE / "bdip_bench"))
    patch.undo()
    yield made
    made.close()


def test_products_are_right_in_every_state(bench: command.Bench) -> None:
    """Bench.case refuses a wrong result; captured graphs are what the double lacks."""
    assert bench.about["graphs"] == 0
    cases = bench.cases(full=False)
    assert max(case.N for case in cases) == 16384  # three dense copies fit in 16 GiB
    states = {case.state for case in cases}
    assert states == {state for state in GPU_STATES if "graph" not in state}
    for state in sorted(states):
        rows = bench.case(Case("square", 5, 16, 16, 4, "all", state))
        assert {row["method"] for row in rows} == {"dense", "cublas_loop", "product", "layer"}
        for row in rows:
            assert float(row["median_s"]) > 0
            assert row["kind"] == "gpu"
            assert row["isa"] == "sm_70"
    with pytest.raises(UserError, match="this device captures no graphs"):
        bench.native.ask("time", "layer", "graph", 0.001)


def test_its_files_are_read_as_a_gpus(tmp_path: Path) -> None:
    """Updates that prune, a whole net and the machine, as the CSV files that analysis/ reads."""
    patch = pytest.MonkeyPatch()
    patch.setenv("BENCH_LARGE", "64")
    patch.setattr(command, "PRUNED", (32,))
    patch.setattr(command, "NETS", {"lenet": ("(10,1)-BD_4",)})
    made = command.Bench(1, 0, command.gpu_workers(0, DOUBLE / "bdip_bench"))
    rows = {
        "times": made.case(Case("square", 100, 16, 16, 4, "all")),
        "updates": list(made.updates()),
        "nets": list(made.nets()),
        "machine": made.machine(),
    }
    made.close()
    patch.undo()
    for name, its in rows.items():
        write(tmp_path / "bench" / "double" / f"{name}.csv", its)
    found = timings.find(tmp_path)
    assert found.kind == "gpu"
    assert found.device == "CUDA on the host (test double), sm_70"
    assert found.limit(found.places("square", "all")[0]) > 0
    assert found.prune_seconds(32) is not None
    assert [(row["config"], row["what"]) for row in found.nets] == [
        ("(10,1)-BD_4", "step"),
        ("(10,1)-BD_4", "ip"),
    ]


def test_without_a_gpu_it_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whatever card this machine has: the driver's tool is one that lists none, or one."""
    tool = tmp_path / "nvidia-smi"
    for listed, told in (("", "no GPU"), ("GPU 0: Card", "only 1")):
        tool.write_text(f"#!/bin/sh\necho '{listed}'\n")
        tool.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
        with pytest.raises(UserError, match=f"DEVICE=gpu:1: nvidia-smi lists {told} on this"):
            check.device("gpu:1")
    assert check.device("gpu") == ("gpu", 0)
    done = subprocess.run(
        ["make", "-s", "bench", "DEVICE=gpu:1"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode != 0
    assert done.stderr.startswith("error: DEVICE=gpu:1: nvidia-smi lists only 1")


def test_memory_and_graphs_decide_what_is_timed() -> None:
    everything = chosen_for_gpu(full=True, graphs=True, memory=80 << 30)
    assert {case.state for case in everything} == set(GPU_STATES)
    assert max(case.N for case in everything) == 16384
    for case in chosen_for_gpu(full=True, graphs=False, memory=1 << 30):
        assert "graph" not in case.state
        assert 3 * 4 * case.N * case.K < 1 << 30


def test_calls_fill_the_time() -> None:
    asked: list[int] = []

    def run(calls: int) -> float:
        asked.append(calls)
        return 0.01 * calls

    assert gpu.calls_that_fill(run, 0.05, one_by_one=False) == {"seconds": 0.01, "calls": 5}
    assert asked == [1, 5]
    assert gpu.calls_that_fill(run, 0.025, one_by_one=True)["calls"] == 3


class Tf32:
    """A rival that notes whether TF32 is allowed whenever it computes, on a card that is none."""

    def __init__(self, can_capture: bool) -> None:
        def capture(graph: object) -> object:
            if not can_capture:
                raise RuntimeError("operation not permitted when stream is capturing")
            return nullcontext()

        event = SimpleNamespace(record=int, synchronize=int, elapsed_time=lambda end: 1.0)
        self.matmul = SimpleNamespace(allow_tf32=False)
        self.seen: list[bool] = []
        self.torch = SimpleNamespace(
            backends=SimpleNamespace(cuda=SimpleNamespace(matmul=self.matmul)),
            cuda=SimpleNamespace(
                Event=lambda enable_timing: event,
                CUDAGraph=lambda: SimpleNamespace(replay=self.forward),
                synchronize=int,
                graph=capture,
            ),
        )

    def forward(self) -> None:
        self.seen.append(self.matmul.allow_tf32)


def rival_on(card: Tf32, monkeypatch: pytest.MonkeyPatch) -> gpu.GpuRival:
    monkeypatch.setattr(gpu, "torch_with_gpu", lambda: card.torch)
    rival = gpu.GpuRival(Problem(1, 1, 1, 1), False)
    rival.forward = card.forward
    return rival


def test_tf32_ends_with_its_case(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is checked after it has to be right in single precision."""
    card = Tf32(can_capture=True)
    rival = rival_on(card, monkeypatch)
    rival.time("tf32+graph", False, 0.002)
    rival.forward()
    assert card.seen[:-1]
    assert all(card.seen[:-1])
    assert not card.seen[-1]


def test_a_rival_that_no_graph_captures_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    for can in (True, False):
        rival = rival_on(Tf32(can), monkeypatch)
        assert rival.can("graph+cold", False) == can
        assert rival.can("tf32", False)


def test_rivals_need_a_gpu() -> None:
    interpreter = workers.torch_interpreter()
    if interpreter is None:
        with pytest.raises(Unable):
            gpu.torch_with_gpu()
        return
    # With PyTorch: right on the CPU, and left out where it finds no GPU.
    code = (
        "from scripts.bench.rivals import gpu; from scripts.bench.rivals.problem import *\n"
        "p = Problem(3, 16, 16, 4)\n"
        "print(gpu.TorchBmm(p, True, 'cpu').error(True) < 1e-6)\n"
        "try: gpu.GpuBmm(p, True); print('has a GPU')\n"
        "except Unable as reason: print(reason)\n"
    )
    done = subprocess.run([interpreter, "-c", code], cwd=ROOT, capture_output=True, text=True)
    right, reason = done.stdout.splitlines()
    assert right == "True", done.stderr
    assert reason in ("has a GPU", "this Python's PyTorch has no CUDA, or finds no GPU")
