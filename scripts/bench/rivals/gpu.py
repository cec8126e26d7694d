"""Rivals on a GPU, by PyTorch: torch.bmm, and CSR by cuSPARSE, which PyTorch calls.

States are those of native/gpu.cpp: cold, tf32 and graph, joined by "+".
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from scripts.bench.rivals import csr
from scripts.bench.rivals.problem import Problem, Rival, Unable, relative
from scripts.bench.rivals.torch_bmm import TorchBmm

# More than any GPU's L2 cache has.
FLUSH = 256 << 20


def torch_with_gpu() -> ModuleType:
    """PyTorch; Unable where it has no GPU."""
    try:
        import torch
    except ImportError as error:
        raise Unable("PyTorch is not installed for this Python") from error
    if not torch.cuda.is_available():
        raise Unable("this Python's PyTorch has no CUDA, or finds no GPU")
    torch.cuda.set_device(int(os.environ.get("BENCH_GPU", "0")))
    return torch


class GpuRival(Rival):
    """Timed by events."""

    def time(self, state: str, both: bool, seconds: float) -> dict[str, float]:
        """Seconds of a call, over as many calls as fill `seconds`."""
        torch = torch_with_gpu()
        words = state.split("+")
        torch.backends.cuda.matmul.allow_tf32 = "tf32" in words
        try:
            return self._timed(torch, words, both, seconds)
        finally:
            # What is checked next is checked in single precision.
            torch.backends.cuda.matmul.allow_tf32 = False

    def can(self, state: str, both: bool) -> bool:
        """Whether its calls can be captured in a graph, where the state asks for one."""
        if "graph" not in state.split("+"):
            return True
        try:
            self._captured(torch_with_gpu(), both)
        except RuntimeError:
            return False
        return True

    def _pass(self, both: bool) -> None:
        self.forward()
        if both:
            self.backward()

    def _captured(self, torch: ModuleType, both: bool) -> Callable[[], None]:
        """A graph of a pass, as a call that replays it."""
        self._pass(both)  # what is made at first use
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._pass(both)
        return graph.replay

    def _timed(
        self, torch: ModuleType, words: list[str], both: bool, seconds: float
    ) -> dict[str, float]:
        call = partial(self._pass, both)
        if "graph" in words:
            call = self._captured(torch, both)
        flush = torch.empty(FLUSH // 4, device="cuda") if "cold" in words else None
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))

        def run(calls: int) -> float:
            if flush is not None:
                flush.zero_()
            begin.record()
            for _ in range(calls):
                call()
            end.record()
            end.synchronize()
            return 1e-3 * begin.elapsed_time(end)

        return calls_that_fill(run, seconds, one_by_one=flush is not None)


def calls_that_fill(
    run: Callable[[int], float], seconds: float, one_by_one: bool
) -> dict[str, float]:
    """The mean over calls; run: seconds of so many calls. The first warms up."""
    first = max(run(1), 1e-7)
    total, calls = 0.0, 0
    if not one_by_one:
        calls = max(1, round(seconds / first))
        total = run(calls)
    while one_by_one and total < seconds and calls < 1000:
        total += run(1)
        calls += 1
    return {"seconds": total / calls, "calls": calls}


class GpuBmm(GpuRival, TorchBmm):
    """torch.bmm as on the CPU, its arrays on the GPU."""

    def __init__(self, problem: Problem, both: bool) -> None:
        torch = torch_with_gpu()
        TorchBmm.__init__(self, problem, both, torch.device("cuda"))


class GpuCsr(GpuRival):
    """The matrix of the CPU's CSR rival, on the GPU."""

    library = "PyTorch (cuSPARSE)"
    on_cpu = csr.Csr

    def __init__(self, problem: Problem, both: bool, device: object = "cuda") -> None:
        torch = torch_with_gpu() if device == "cuda" else __import__("torch")
        torch.set_grad_enabled(False)
        host = self.on_cpu(problem, both)
        self.host, self.version = host, str(torch.__version__)
        parts = (host.w.indptr, host.w.indices, host.w.data)
        starts, columns, values = (torch.from_numpy(part).to(device) for part in parts)
        self.w = torch.sparse_csr_tensor(starts, columns, values, size=host.w.shape)
        self.x = torch.from_numpy(host.x).to(device)
        self.y = self.w @ self.x

    def forward(self) -> None:
        self.y = self.w @ self.x

    def error(self, both: bool) -> float:
        self.forward()
        wanted = self.host.w.astype(np.float64) @ self.host.x
        return relative(self.y.cpu().numpy(), wanted)

    def arrays(self) -> list[NDArray]:
        return []


class GpuCsrFew(GpuCsr):
    """The same with few entries."""

    example = csr.CsrFew.example
    on_cpu = csr.CsrFew
