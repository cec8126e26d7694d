"""Files that appear whole or not at all: written beside, flushed to disk, renamed."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

_PART = ".part"


@contextmanager
def atomic_open(path: Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Open a temporary neighbour of `path` for writing ("w" or "wb"); rename it on success.

    A reader sees the old file or the new one, never a part. When the block raises, the old
    file stays and the neighbour is removed. OSError when the folder cannot be written.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}{_PART}")
    try:
        with open(beside, mode, encoding=None if "b" in mode else "utf-8") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def remove_parts(folder: Path) -> None:
    """Remove what was written beside by a process that was killed before the rename.

    For a folder that no other process writes to now.
    """
    for path in folder.glob(f".*{_PART}"):
        path.unlink()


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path`, whole or not at all."""
    with atomic_open(path) as stream:
        stream.write(text)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON to `path`, whole or not at all."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def read_json(path: Path) -> dict[str, Any] | None:
    """The JSON object in `path`, or None where there is no such file or no JSON object in it."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def set_aside(path: Path, mark: str) -> Path:
    """Rename a file or folder to <stem>.<first 8 of mark><suffix>; returns the new path.

    Results are never overwritten by other results: where the name is taken, a number follows.
    """
    target = path.with_name(f"{path.stem}.{mark[:8]}{path.suffix}")
    number = 1
    while target.exists():
        number += 1
        target = path.with_name(f"{path.stem}.{mark[:8]}-{number}{path.suffix}")
    path.rename(target)
    return target


def asides(path: Path, mark: str = "") -> list[Path]:
    """Where `set_aside` may have put what was at `path` and had this mark, or any."""
    return sorted(path.parent.glob(f"{path.stem}.{mark[:8]}*{path.suffix}"))


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
