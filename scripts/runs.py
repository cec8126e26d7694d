"""One training run: where it lies, who may write to it, how far it is.

A run folder holds (see README.md for the fields):

    run.json          what the run is and how far it came; rewritten at every snapshot
    metrics.csv       one row a display or test interval
    weights/          NPZ dumps, iter_000000.npz, iter_001000.npz, ...
    state/            snapshots of the solver, for going on after a stop
    solver.prototxt, net.prototxt, caffe.log, progress.json
    finished.json     copy of run.json, written last and only by a finished run
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.errors import UserError
from scripts.files import asides, read_json, set_aside

SCHEMA = 1

# How long a second instance tries for the lock: a worker whose supervisor was killed needs
# a moment to save its snapshot and to leave.
LOCK_GRACE_SECONDS = 5.0


@dataclass(frozen=True)
class RunSpec:
    """What a user asks for: a network by its names, or a solver prototxt of their own."""

    net: str | None
    dataset: str | None
    config: str | None
    method: str | None
    seed: int
    solver_file: Path | None = None

    @property
    def key(self) -> str:
        """Path of the run folder under results/."""
        if self.solver_file is not None:
            return f"custom/{self.solver_file.stem}/seed-{self.seed}"
        return f"{self.net}-{self.dataset}/{self.config}/{self.method}/seed-{self.seed}"

    @property
    def title(self) -> str:
        """Short name for messages."""
        return self.key.removesuffix(f"/seed-{self.seed}").replace("/", " ") + f" seed {self.seed}"

    def folder(self, results: Path) -> Path:
        return results / self.key

    def arguments(self) -> list[str]:
        """The options of `python -m scripts.train` that name this run."""
        if self.solver_file is not None:
            return ["--solver", str(self.solver_file), "--seed", str(self.seed)]
        return [
            *("--net", str(self.net), "--dataset", str(self.dataset)),
            *("--config", str(self.config), "--method", str(self.method)),
            *("--seed", str(self.seed)),
        ]


class RunBusy(Exception):
    """Another process holds the lock of this run."""


def check_writable(folder: Path) -> None:
    """Create `folder` and write a file in it; OSError naming it when either cannot be done."""
    probe = folder / ".probe"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with open(probe, "wb") as stream:
            # Bytes that are really there, since an empty file fits on a full disk.
            stream.write(b"\0" * 65536)
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(folder)) from error
    finally:
        probe.unlink(missing_ok=True)


@contextmanager
def lock(folder: Path, wait: Callable[[], None] | None = None) -> Iterator[int]:
    """Hold the lock of the run in `folder`; yields the descriptor that carries it.

    The lock is the operating system's (flock): it ends with the last process that has the
    descriptor, however that process ends. Its file lies beside the folder, so that the folder
    can be renamed while the lock is held.

    With `wait`, wait as long as it takes and call `wait` once a second; without, try for
    LOCK_GRACE_SECONDS and raise RunBusy.

    Who holds it is written into its file: see `holder`.
    """
    path = folder.parent / f".{folder.name}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        started = time.monotonic()
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if wait is None and time.monotonic() - started > LOCK_GRACE_SECONDS:
                    raise RunBusy(str(folder)) from None
            if wait is not None:
                wait()
            time.sleep(1.0 if wait is not None else 0.1)
        job = os.environ.get("SLURM_JOB_ID")
        name = f"process {os.getpid()} on {os.uname().nodename}"
        name += f", job {job}" if job else ""
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{name}\n{time.time_ns()}\n".encode(), 0)
        os.fsync(descriptor)
        yield descriptor
    finally:
        os.close(descriptor)


def holder(folder: Path) -> list[str]:
    """Who took the lock of the run in `folder` last: name, and when; [] where nobody did.

    On a file system that several machines share, one that was cut off loses its locks and may
    work on when another has taken them: whoever finds another's name here has to stop.
    """
    try:
        path = folder.parent / f".{folder.name}.lock"
        return path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


def is_locked(folder: Path) -> bool:
    """Whether some process is working on the run in `folder` now."""
    try:
        descriptor = os.open(folder.parent / f".{folder.name}.lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def finished(folder: Path) -> dict[str, Any] | None:
    """What the finished run in `folder` says of itself, or None."""
    return read_json(folder / "finished.json")


def recorded(folder: Path) -> dict[str, Any] | None:
    """What the run in `folder`, finished or not, says of itself, or None."""
    return finished(folder) or read_json(folder / "run.json")


def _set_aside_if_stale(folder: Path, fingerprint: dict[str, Any]) -> str | None:
    """Rename the run in `folder` when something else made it than what `fingerprint` says.

    Returns what is to be said of that, or None when nothing was renamed.
    """
    record = recorded(folder)
    if record is None:
        if not (folder / "metrics.csv").exists():
            return None
        reason = "its run.json is missing or damaged"
    elif record.get("fingerprint") == fingerprint["digest"]:
        return None
    else:
        before = record.get("made_from") or {}
        parts = [
            name for name, digest in fingerprint["parts"].items() if before.get(name) != digest
        ]
        reason = f"since it was made, these changed: {', '.join(parts) or 'its fingerprint'}"
    where = set_aside(folder, str((record or {}).get("fingerprint") or "unknown"))
    return f"kept the earlier run as {where} ({reason})"


def kept_aside(folder: Path, digest: str) -> Path | None:
    """The run of this fingerprint that was set aside from `folder`, or None.

    Of several a finished one, else the one that came farthest.
    """
    found = [
        (finished(path) is not None, record.get("iteration", 0), path)
        for path in asides(folder, digest)
        if (record := recorded(path)) is not None and record.get("fingerprint") == digest
    ]
    return max(found)[-1] if found else None


def reconcile(folder: Path, fingerprint: dict[str, Any]) -> str | None:
    """Have in `folder` the run of this fingerprint, as far as there is one, or none.

    A run that something else made is set aside. One that was set aside and is what is wanted now,
    since an edit was undone, say, is taken back. Returns the sentence that says what was renamed,
    or None. The caller holds the run's lock.
    """
    kept = _set_aside_if_stale(folder, fingerprint)
    free = not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))
    back = kept_aside(folder, fingerprint["digest"]) if free else None
    if back is not None:
        back.rename(folder)
    taken = None if back is None else f"took back {back}, made from what is here now"
    if kept is not None and taken is None:
        taken = "start anew"
    return " and ".join(part for part in (kept, taken) if part) or None


# -- rows of metrics.csv ----------------------------------------------------------------------


def format_number(value: float) -> str:
    """Seven digits: what single precision holds, and short where the number is."""
    return format(value, ".7g")


def read_rows(path: Path, header: list[str], last_iteration: int) -> list[dict[str, str]]:
    """The rows of metrics.csv up to `last_iteration`, as text, in order.

    UserError where the file is not one with these columns.
    """
    damaged = UserError(f"{path} is damaged: remove {path.parent}, and the run starts anew")
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        if not lines or lines[0].split(",") != header:
            raise damaged
        rows = [dict(zip(header, line.split(","), strict=True)) for line in lines[1:]]
        return [row for row in rows if int(row["iteration"]) <= last_iteration]
    except ValueError as error:
        raise damaged from error


def rows_text(header: list[str], rows: list[dict[str, str]]) -> str:
    """The text of metrics.csv: a header line and one line a row, empty where not measured."""
    lines = [",".join(header)]
    lines += [",".join(row.get(name, "") for name in header) for row in rows]
    return "\n".join(lines) + "\n"
