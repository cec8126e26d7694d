"""What the README says is so: its table, its make targets, its paths and its links."""

from __future__ import annotations

import re
import subprocess

import pytest

from analysis import readme
from analysis.errors import AnalysisError

ROOT = readme.README.parent
TEXT = readme.README.read_text()


def test_table_is_what_the_reference_runs_give() -> None:
    assert readme.replaced(TEXT, readme.block(ROOT / "results" / "reference")) == TEXT


def test_marks_that_are_gone_are_reported() -> None:
    with pytest.raises(AnalysisError, match=r"README\.md has no lines"):
        readme.replaced("no marks", "table\n")


def test_targets_exist() -> None:
    named = set(re.findall(r"\bmake ([a-z][a-z0-9-]+)", TEXT))
    help_text = subprocess.run(["make", "-s"], cwd=ROOT, capture_output=True, text=True, check=True)
    there = set(re.findall(r"^  make ([a-z0-9-]+)", help_text.stdout, re.MULTILINE))
    assert named
    assert named <= there


def test_paths_exist() -> None:
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\n")
    # Where there is no git (an image made of the files alone), nothing can be compared.
    if tracked == [""]:
        pytest.skip("not a git checkout")
    folders = {"/".join(path.split("/")[:n]) for path in tracked for n in range(1, 8)}
    pattern = r"`((?:caffe_layers|prototxt|scripts|analysis|tests)/[\w./-]*)`"
    for path in [*re.findall(pattern, TEXT), *re.findall(r"\]\((?!http)([^)]+)\)", TEXT)]:
        assert path.rstrip("/") in folders, f"README names {path}"
