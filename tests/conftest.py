"""Fixtures that several files of tests use."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.file_server import Server

# `make test` gives its own state and settings to what it runs. The tests give commands as a user
# does, in whose shell there are none.
_makefile = (Path(__file__).resolve().parents[1] / "Makefile").read_text()
for _name in ["MAKEFLAGS", "MAKELEVEL", "MFLAGS", *re.findall(r"(?m)^([A-Z_]+) *\?=", _makefile)]:
    os.environ.pop(_name, None)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MB (`mount -o remount,size=...` changes that); only root may make one."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)]
    mounted = subprocess.run(mount, capture_output=True, text=True)
    if mounted.returncode != 0:
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def remount(disk: Path, option: str) -> None:
    """Change a mounted file system: its size ("size=64m"), or whether it can be written ("ro")."""
    subprocess.run(["mount", "-o", f"remount,{option}", str(disk)], check=True)


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[dict[str, bytes]], Server]]:
    """Starts a web server with the given files (path -> content) at each call."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    servers: list[Server] = []

    def start(content: dict[str, bytes]) -> Server:
        servers.append(Server(content))
        return servers[-1]

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()
