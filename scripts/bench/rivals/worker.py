"""Times rivals: commands and answers as of native/main.cpp, a line each.

Rivals are named on the command line: ``python -m scripts.bench.rivals.worker csr acdc``.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import sys
import time
from pathlib import Path

from scripts.bench.rivals.problem import Problem, Rival, Unable

RIVALS = {
    "torch_bmm": "TorchBmm",
    "csr": "Csr",
    "csr_few": "CsrFew",
    "acdc": "Acdc",
    "toeplitz": "Toeplitz",
    "gpu_bmm": "GpuBmm",
    "gpu_csr": "GpuCsr",
    "gpu_csr_few": "GpuCsrFew",
}
# Where a rival is not in a module of its own name, and what the others call it.
MODULES = {"csr_few": "csr", **dict.fromkeys(("gpu_bmm", "gpu_csr", "gpu_csr_few"), "gpu")}
NAMES = {"gpu_bmm": "torch_bmm", "gpu_csr": "csr", "gpu_csr_few": "csr_few"}
# Calls of a sample at most, and of a cold one: emptying the caches takes longer than a call.
MOST_CALLS = 1000
MOST_COLD_CALLS = 8


def maker(name: str) -> type[Rival]:
    """Return the class of a rival."""
    return getattr(
        importlib.import_module(f"scripts.bench.rivals.{MODULES.get(name, name)}"), RIVALS[name]
    )


class Worker:
    """State of one process."""

    def __init__(self, names: list[str], cache: Path | None) -> None:
        self.makers = {NAMES.get(name, name): maker(name) for name in names}
        self.made: dict[str, Rival] = {}
        self.both = False
        threads = int(os.environ.get("OMP_NUM_THREADS", "1"))
        self.clock = time.perf_counter if threads > 1 else time.thread_time
        self.empty = None
        if cache is not None:
            library = ctypes.CDLL(str(cache))
            if library.CanEmptyCache():
                self.empty = library.EmptyCache
                self.empty.argtypes = (ctypes.c_void_p, ctypes.c_size_t)

    def answer(self, line: str) -> dict:
        """Return the answer to one line of command."""
        command, *words = line.split()
        if command == "describe":
            return self.describe()
        if command == "case":
            return self.case(Problem(*map(int, words[:4])), words[4] == "all", words[5])
        if command == "time":
            return self.time(words[0], words[1], float(words[2]))
        raise ValueError(f"unknown command: {line}")

    def describe(self) -> dict:
        """Return library and version of each rival, or ["", why it is left out]."""
        methods = {}
        for name, make in self.makers.items():
            try:
                rival = make(make.example, False)
            except Unable as reason:
                methods[name] = ["", str(reason)]
            else:
                methods[name] = [rival.library, rival.version]
        return {"methods": methods, "can_empty_cache": int(self.empty is not None)}

    def case(self, problem: Problem, both: bool, state: str) -> dict[str, float]:
        """Make every rival that can compute this in this state, check it, and return the errors."""
        self.both = both
        self.made = {}
        errors = {}
        for name, make in self.makers.items():
            try:
                rival = make(problem, both)
            except Unable:
                continue
            if not rival.can(state, both):
                continue
            errors[name] = rival.error(both)
            self.made[name] = rival
        return errors

    def time(self, name: str, state: str, seconds: float) -> dict[str, float]:
        """Return seconds of a call, over as many calls as fill `seconds`."""
        rival = self.made[name]
        if (timed := rival.time(state, self.both, seconds)) is not None:
            return timed
        cold = state == "cold"

        def run(calls: int) -> float:
            start = self.clock()
            for _ in range(calls):
                rival.forward()
                if self.both:
                    rival.backward()
            return self.clock() - start

        def one() -> float:
            if cold and self.empty is not None:
                for array in rival.arrays():
                    self.empty(array.ctypes.data, array.nbytes)
            return run(1)

        first = one()
        if not cold and first > 5 * seconds:
            # Long enough by itself, and the check was a call before it.
            return {"seconds": first, "calls": 1}
        total, calls = 0.0, 0
        if cold or first > 0.2 * seconds:
            while total < seconds and calls < (MOST_COLD_CALLS if cold else MOST_CALLS):
                total += one()
                calls += 1
        else:
            calls = max(1, round(seconds / max(first, 1e-8)))
            total = run(calls)
        return {"seconds": total / calls, "calls": calls}


def main() -> None:
    cache = os.environ.get("BENCH_CACHE")
    # It is built for a CPU's rivals.
    there = cache is not None and Path(cache).exists()
    worker = Worker(sys.argv[1:], Path(cache) if there else None)
    for line in sys.stdin:
        print(json.dumps(worker.answer(line)), flush=True)


if __name__ == "__main__":
    main()
