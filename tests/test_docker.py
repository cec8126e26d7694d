"""The image, as far as it can be told without Docker: what its files say, done by a shell here."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts import provenance
from scripts.paths import ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text()


def steps(begin: str) -> list[str]:
    """The commands of the Dockerfile that begin so, in their order, each in one line."""
    joined = DOCKERFILE.replace("\\\n", " ")
    return re.findall(rf"(?m)^RUN ({re.escape(begin)}.*)", joined)


def shell(command: str, folder: Path = ROOT, **variables: str) -> str:
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin"} | variables,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def git(folder: Path, *arguments: str) -> str:
    own = ("-c", "user.name=test", "-c", "user.email=test@localhost")
    command = ["git", *own, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


def as_committed(folder: Path) -> None:
    pass


def packed(folder: Path) -> None:
    git(folder, "pack-refs", "--all")


def detached(folder: Path) -> None:
    git(folder, "checkout", "--quiet", "--detach")


@pytest.mark.parametrize("prepare", [as_committed, packed, detached])
def test_a_container_knows_its_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prepare: Callable[[Path], None]
) -> None:
    """Though .git stays behind but for some small files; whether files were edited it knows not."""
    checkout, image = tmp_path / "checkout", tmp_path / "image"
    checkout.mkdir()
    git(checkout, "init", "--quiet")
    (checkout / "file").write_text("content")
    git(checkout, "add", "file")
    git(checkout, "commit", "--quiet", "--message", "first")
    prepare(checkout)
    image.mkdir()
    rules = (ROOT / ".dockerignore").read_text().splitlines()
    assert ".git/*" in rules
    for name in (rule[1:] for rule in rules if rule.startswith("!.git/")):
        # Files alone: an empty folder may come or not.
        shell(f"find {name} -type f -exec cp --parents {{}} {image} ';' || true", checkout)
    (step,) = steps("[ ! -d .git ]")
    shell(step, image)
    monkeypatch.setattr(provenance, "ROOT", image)
    assert provenance.commit() == (git(checkout, "rev-parse", "HEAD").strip(), None)


@pytest.mark.parametrize("made_of", ["archive", "worktree"])
def test_an_image_is_made_without_a_git_folder_too(tmp_path: Path, made_of: str) -> None:
    if made_of == "worktree":
        (tmp_path / ".git").write_text("gitdir: /elsewhere\n")
    (step,) = steps("[ ! -d .git ]")
    shell(step, tmp_path)
    assert not (tmp_path / ".git").is_dir()


@pytest.mark.parametrize(("cuda", "flavour"), [("", "cpu"), ("1", "cuda")])
def test_one_flavour_is_built_and_linked(cuda: str, flavour: str) -> None:
    commands = steps("make")
    assert len(commands) == 2
    for command in commands:
        would_run = shell(command.replace("make", "make -n", 1).replace("$CUDA", cuda))
        assert set(re.findall(r"build_caffe\.sh (\w+)", would_run)) == {flavour}


@pytest.mark.parametrize(
    ("arguments", "architectures"),
    [
        ({}, ""),
        ({"CUDA": "1"}, "75"),
        ({"CUDA": "1", "CUDA_ARCH": "90"}, "90"),
    ],
)
def test_a_container_builds_for_no_other_architecture(
    arguments: dict[str, str], architectures: str
) -> None:
    """ENV outlives the image's build; a CPU image that is to build CUDA code asks the card."""
    defaults = dict(re.findall(r"(?m)^ARG (\w+)=(.*)$", DOCKERFILE))
    (environment,) = re.findall(r"(?m)^ENV CUDA_ARCH=(.*)$", DOCKERFILE)
    assert DOCKERFILE.index("ENV CUDA_ARCH") < DOCKERFILE.index("RUN make")
    assert shell(f"echo {environment}", **defaults | arguments).strip() == architectures


def test_containers_get_a_ctrl_c() -> None:
    """Without a terminal, Docker sends it to make alone."""
    commands = re.findall(r"docker run.*", DOCKERFILE + (ROOT / "README.md").read_text())
    assert len(commands) == 3
    for command in commands:
        assert command.startswith("docker run -it --rm ")
