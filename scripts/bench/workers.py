"""Processes that time: bdip_bench for Caffe and the libraries, Python for the other rivals.

Each computes only when asked, so that one process after the other has the processor.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scripts.errors import UserError
from scripts.paths import ROOT
from scripts.worker_process import worker_environment

NATIVE = ROOT / "build" / "bench" / "bdip_bench"
NATIVE_GPU = ROOT / "build" / "bench-gpu" / "bdip_bench"
CACHE = ROOT / "build" / "bench" / "libbench_cache.so"


class Worker:
    """One process; `ask` sends it a line and returns the answer."""

    def __init__(self, name: str, command: Sequence[str], environment: dict[str, str]) -> None:
        self.name = name
        # What libraries say to stderr is shown only if the process ends.
        self.log = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the process
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
        )

    def ask(self, *words: object) -> dict[str, Any]:
        """UserError with the process's last words where it has ended."""
        line = " ".join(str(word) for word in words)
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
            answer = self.process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            self.log.seek(0)
            told = self.log.read().decode(errors="replace").strip().splitlines()
            # Not glog's stack: "*** Check failure stack trace: ***" and lines with "@".
            said = [one for one in told if not one.lstrip().startswith(("@ ", "***"))]
            raise UserError(f"{self.name} ended at `{line}`: " + " | ".join(said[-5:]))
        return json.loads(answer)

    def close(self) -> None:
        """End the process."""
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()
        self.log.close()


def environment(threads: int, core: str | None = None) -> dict[str, str]:
    """The training's own environment, with so many threads and OpenBLAS's kernels as named.

    core "" leaves the choice to OpenBLAS; None is what training uses.
    """
    made = worker_environment()
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        made[name] = str(threads)
    if core == "":
        made.pop("OPENBLAS_CORETYPE", None)
    made["GLOG_minloglevel"] = "2"
    made["BENCH_CACHE"] = str(CACHE)
    return made


def native(
    threads: int, core: str | None = None, program: Path = NATIVE, methods: Sequence[str] = ()
) -> Worker:
    """bdip_bench with these of its methods, or all; UserError where it was not built."""
    if not program.exists():
        raise UserError(f"{program} is not there; run `make bench`, which builds it")
    name = "bdip_bench" if core is None else "bdip_bench with OpenBLAS's own choice"
    made = environment(threads, core)
    if methods:
        made["BENCH_METHODS"] = ",".join(methods)
    return Worker(name, [str(program)], made)


def python(rivals: Sequence[str], threads: int, interpreter: str = sys.executable) -> Worker:
    """Rivals written in Python, by an interpreter that has their libraries."""
    command = [interpreter, "-m", "scripts.bench.rivals.worker", *rivals]
    return Worker(f"{interpreter} ({', '.join(rivals)})", command, environment(threads))


def torch_interpreter(gpu: bool = False) -> str | None:
    """A Python that has PyTorch: BENCH_TORCH, this one or the system's; None where none has it.

    gpu: PyTorch has to find a GPU.
    """
    named = os.environ.get("BENCH_TORCH")
    for candidate in [named] if named else [sys.executable, "/usr/bin/python3"]:
        if not Path(candidate).exists():
            continue
        code = "import numpy, torch" + ("; assert torch.cuda.is_available()" if gpu else "")
        probe = [candidate, "-c", code]
        if subprocess.run(probe, capture_output=True, check=False).returncode == 0:
            return candidate
    if named:
        raise UserError(f"BENCH_TORCH is {named}, which cannot import torch; name one that can")
    return None
