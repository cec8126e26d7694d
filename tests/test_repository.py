"""The repository's own files: ruff finds nothing in them, and they name no package registry."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.paths import ROOT

# At the top, and anywhere: what is made from the rest, and never committed.
MADE = {".git", "build", "data", "report", "results"}
CACHES = {"__pycache__", ".hypothesis", ".pytest_cache", ".ruff_cache", ".snakemake"}

# Hosts of package registries and of their mirrors, in halves: this file is looked through as well.
# Which registry or mirror a machine uses is in its own configuration of pip, npm and apt.
REGISTRIES = [
    "".join(halves)
    for halves in (
        ("pypi", ".org"),
        ("pypi.python", ".org"),
        ("python", "hosted.org"),
        ("registry.npm", "js.org"),
        ("npm", "js.com"),
        ("registry.yarn", "pkg.com"),
        ("npm", "mirror.com"),
        ("deb.debian", ".org"),
        ("ftp.debian", ".org"),
        ("security.debian", ".org"),
        ("snapshot.debian", ".org"),
        ("archive.ubuntu", ".com"),
        ("crates", ".io"),
        ("ruby", "gems.org"),
        ("ana", "conda.org"),
        ("hub.docker", ".com"),
        ("docker", ".io"),
        ("gh", "cr.io"),
        ("proxy.go", "lang.org"),
        ("art", "ifactory"),
        ("--index", "-url"),
        ("--extra-index", "-url"),
        ("--reg", "istry"),
    )
]


def repository_files() -> Iterator[Path]:
    """All files that are, or would be, under version control (which a container has not)."""
    for top in ROOT.iterdir():
        for path in [top] if top.is_file() else top.rglob("*"):
            parts = path.relative_to(ROOT).parts
            made = parts[0] in MADE and parts[:2] != ("results", "reference")
            if path.is_file() and not made and not CACHES & set(parts):
                yield path


def test_no_file_names_a_host_of_a_package_registry() -> None:
    files = list(repository_files())
    assert ROOT / "scripts" / "build" / "requirements.txt" in files
    assert Path(__file__) in files
    found = [
        f"{path.relative_to(ROOT)}: {host}"
        for path in files
        for host in REGISTRIES
        if host in path.read_text(encoding="utf-8", errors="replace").lower()
    ]
    assert found == []


def ruff(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ruff", *arguments, "."]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


@pytest.mark.parametrize("command", [("check",), ("format", "--check")], ids=" ".join)
def test_ruff_has_nothing_to_say(command: tuple[str, ...]) -> None:
    done = ruff(*command, "--no-cache")
    assert done.returncode == 0, done.stdout + done.stderr


def test_ruff_looks_at_all_of_our_python() -> None:
    """Its default leaves out every folder of the name build."""
    done = ruff("check", "--show-files")
    seen = {Path(line) for line in done.stdout.splitlines()}
    assert {path for path in repository_files() if path.suffix == ".py"} <= seen
