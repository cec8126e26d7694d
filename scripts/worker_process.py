"""The process that trains, seen from the one that started it: its start, its stop, its end."""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO

from scripts.paths import ROOT

Worker = subprocess.Popen[bytes]

TAIL = 1 << 16  # characters of the log in which the reason of an end is looked for

# glog: F20261123 17:06:31.123456 12345 file.cpp:12] Check failed: ... (older: F1123)
_FATAL = re.compile(r"^F\d{4,8} \S+ +\d+ [^\]]+\] (.*)$", re.MULTILINE)


def failure(log: str, code: int, log_path: Path) -> str:
    """The sentence for a worker that ended with `code`, from what it wrote to its log."""
    errors = [line for line in log.splitlines() if line.startswith("error: ")]
    if code == 1 and errors:
        return errors[-1].removeprefix("error: ")
    fatal = _FATAL.findall(log)
    if fatal:
        return f"Caffe stopped: {fatal[-1].strip().rstrip('.')} (see {log_path})"
    if code == -signal.SIGKILL:
        return (
            "the training process was killed (out of memory?): the same command goes on from the "
            "last snapshot"
        )
    how = f"by signal {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
    return f"the training process ended {how}: see the end of {log_path}"


class Relay:
    """Reads a session's part of the log as it grows; shows the lines that are for the user."""

    def __init__(self, path: Path, offset: int) -> None:
        self.path = path
        self.offset = offset  # where in the log the next line begins
        self.tail = ""

    def pass_on(self) -> str:
        """Print what is new and marked for the user; returns the last of what was read."""
        with open(self.path, "rb") as log:
            log.seek(self.offset)
            new = log.read()
        new = new[: new.rfind(b"\n") + 1]
        self.offset += len(new)
        text = new.decode("utf-8", "replace")
        for line in text.splitlines():
            if line.startswith(("note: ", "warning: ")):
                print(line.removeprefix("note: "), flush=True)
        self.tail = (self.tail + text)[-TAIL:]
        return self.tail


def lacks_room(folder: Path) -> bool:
    """Whether a snapshot of the run in `folder` finds no room any more."""
    snapshots = [path.stat().st_size for path in (folder / "state").glob("snapshot_iter_*")]
    probe = folder / ".probe"
    try:
        with open(probe, "wb") as stream:
            os.posix_fallocate(stream.fileno(), 0, 2 * max(snapshots, default=8 << 20))
    except OSError as error:
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    finally:
        probe.unlink(missing_ok=True)
    return False


def worker_environment() -> dict[str, str]:
    """The environment of a worker: one thread, and one choice of OpenBLAS's kernels."""
    environment = dict(os.environ)
    # One thread: the nets are small, and several runs at a time use the cores better.
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        environment[name] = "1"
    # OpenBLAS picks its kernels by processor, and some of those for AVX-512 were wrong in the
    # version that Debian bookworm has. One choice for all processors with AVX2 also makes a run's
    # digits the same on all of them.
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file() and " avx2 " in cpuinfo.read_text(encoding="utf-8"):
        environment.setdefault("OPENBLAS_CORETYPE", "Haswell")
    return environment


def start_worker(folder: Path, snapshot_seconds: float, lock: int, log: IO[bytes]) -> Worker:
    """Start the worker on the run in `folder`; it inherits the run's lock."""
    command = [
        *(sys.executable, "-m", "scripts.train_worker", str(folder)),
        *("--parent", str(os.getpid()), "--snapshot-seconds", str(snapshot_seconds)),
    ]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=worker_environment(),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        pass_fds=(lock,),
    )
