"""What a refused command has to look like, and what it has to leave alone."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path


def assert_refused(done: subprocess.CompletedProcess[str], *parts: str) -> None:
    """A non-zero exit and one line on stderr, `error: ...`, with all `parts` in it."""
    assert done.returncode != 0, done.stdout
    # After the command's own word, make names the target that failed.
    lines = [line for line in done.stderr.splitlines() if not line.startswith("make: ***")]
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("error: "), done.stderr
    for part in parts:
        assert part in lines[0]


def snapshot(folder: Path) -> dict[str, tuple[str, int, int]]:
    """Name -> content, mode and time stamp of everything in a folder, its subfolders included."""
    found = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        content = "folder"
        if path.is_symlink():
            content = f"link to {path.readlink()}"
        elif path.is_file():
            content = hashlib.sha256(path.read_bytes()).hexdigest()
        stamp = 0 if content == "folder" else status.st_mtime_ns
        found[path.relative_to(folder).as_posix()] = (content, status.st_mode, stamp)
    return found


def contents(folder: Path) -> dict[str, str]:
    """Name -> content alone."""
    return {name: content for name, (content, _, _) in snapshot(folder).items()}
