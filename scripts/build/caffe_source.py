"""Caffe's source: had, checked, overlaid with caffe_layers/ and patched.

Uses the system's Python and the standard library alone, since it runs before anything is installed.

    python3 scripts/build/caffe_source.py build [--tarball FILE]
        build/upstream/  Caffe as published, build/caffe/  the tree that is compiled
    python3 scripts/build/caffe_source.py overlay DIR
        puts the layer and the patches into a Caffe tree of the user's own

The same code serves both: what is to be changed is staged in a temporary folder, all patches are tried
there, and only if every one fits is the tree touched. Files which would not change keep their time stamps,
so that a build after a change compiles what the change concerns.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LAYERS = ROOT / "caffe_layers"
BUILD = ROOT / "build"
OVERLAID = ("cmake", "include", "src", "python", "tools")  # the folders of caffe_layers that go into Caffe


class SourceError(Exception):
    """What is wrong, in a sentence that says what to do."""


def upstream() -> dict:
    return json.loads((LAYERS / "upstream.json").read_text())


def tree_digest(tree: Path) -> str:
    """SHA-256 over the names and contents of all files below `tree`, in order of their names."""
    digest = hashlib.sha256()
    for path in sorted(p for p in tree.rglob("*") if p.is_symlink() or p.is_file()):
        name = path.relative_to(tree).as_posix()
        content = os.readlink(path).encode() if path.is_symlink() else path.read_bytes()
        digest.update(f"{name}\0{hashlib.sha256(content).hexdigest()}\n".encode())
    return digest.hexdigest()


# ---------------------------------------------------------------- having the source


def run(command: list[str], cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["no message"]
        raise SourceError(f"{command[0]}: {last[0]}")
    return done.stdout


def from_apt(folder: Path) -> Path:
    """The tarball of Debian's source package, by apt's own client, checked by Debian's signature.

    The suite is asked of the mirror that the machine is configured with, through a source list and state
    of our own: the system's apt configuration is neither read for it nor changed.
    """
    if not shutil.which("apt-get"):
        raise SourceError("this system has no apt-get")
    targets = run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)|$(COMPONENT)|$(LABEL)", "Created-By: Packages"], folder
    )
    uris = [
        uri
        for uri, component, label in (line.split("|") for line in targets.splitlines())
        if component == "main" and (label == "Debian" or re.search(r"/debian/?$", uri))
    ]
    if not uris:
        raise SourceError("apt is configured with no Debian mirror")
    debian = upstream()["debian"]
    keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
    (folder / "debian.list").write_text(f"deb-src [signed-by={keyring}] {uris[0]} {debian['suite']} main\n")
    for name in ("lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True)
    options = {
        "Dir::Etc::SourceList": folder / "debian.list",
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::State::Lists": folder / "lists",
        "Dir::Cache": folder / "cache",
        "APT::Sandbox::User": "root" if os.geteuid() == 0 else "",
    }
    apt = ["apt-get", "-q"] + [part for key, value in options.items() for part in ("-o", f"{key}={value}")]
    run([*apt, "update"], folder)
    run([*apt, "source", "--download-only", f"{debian['package']}={debian['version']}"], folder)
    tarball = folder / debian["tarball"]
    if not tarball.exists():
        raise SourceError(f"the source package came without {debian['tarball']}")
    return tarball


def from_repository(folder: Path) -> Path:
    """The repository's own archive of the commit."""
    tarball = folder / "commit.tar.gz"
    try:
        with urllib.request.urlopen(upstream()["archive"], timeout=30) as answer, tarball.open("wb") as out:
            shutil.copyfileobj(answer, out)
    except OSError as error:
        raise SourceError(str(error)) from error
    return tarball


def extract(tarball: Path, tree: Path) -> None:
    """Unpacks an archive with or without a top folder into `tree`, and checks every byte of it."""
    tree.mkdir()
    try:
        run(["tar", "-x", "--no-same-owner", "-f", str(tarball.absolute())], tree)
    except SourceError as error:
        raise SourceError(f"{tarball} cannot be unpacked: {error}") from error
    inside = list(tree.iterdir())
    if len(inside) == 1 and inside[0].is_dir():
        for path in inside[0].iterdir():
            path.rename(tree / path.name)
        inside[0].rmdir()
    if (found := tree_digest(tree)) != upstream()["tree_sha256"]:
        raise SourceError(
            f"{tarball.name} does not hold Caffe {upstream()['commit'][:7]}: the digest of its files is "
            f"{found}, not {upstream()['tree_sha256']}"
        )


def have_upstream(tarball: Path | None) -> Path:
    """build/upstream/, unpacked from the first source that gives the right bytes."""
    tree = BUILD / "upstream"
    if tree.exists():
        return tree
    ways = [("the file named by CAFFE_TARBALL", lambda _: tarball)] if tarball else []
    if not tarball:
        ways = [("Debian's source package", from_apt), ("the repository's archive", from_repository)]
    BUILD.mkdir(exist_ok=True)
    failed = []
    for what, get in ways:
        with tempfile.TemporaryDirectory(prefix="source-", dir=BUILD) as temporary:
            folder = Path(temporary)
            try:
                if not (archive := get(folder)).is_file():
                    raise SourceError(f"{archive} is not a file")
                extract(archive, folder / "tree")
            except SourceError as error:
                failed.append(f"{what}: {error}")
                continue
            (folder / "tree").rename(tree)
            print(f"Caffe {upstream()['commit'][:7]} from {what}, digest checked")
            return tree
    raise SourceError(
        "Caffe's source cannot be had ("
        + "; ".join(failed)
        + "). CAFFE_TARBALL=file names an archive of the commit that you have."
    )


# ---------------------------------------------------------------- overlay and patches


def patches() -> list[Path]:
    return sorted((LAYERS / "patches").glob("*.patch"))


def patched_names(patch: Path) -> list[str]:
    return re.findall(r"^\+\+\+ b/(\S+)", patch.read_text(), re.MULTILINE)


def overlay_files() -> dict[str, Path]:
    """Path within Caffe -> our file."""
    return {
        path.relative_to(LAYERS).as_posix(): path
        for folder in OVERLAID
        for path in sorted((LAYERS / folder).rglob("*"))
        if path.is_file()
    }


def apply(patch: Path, tree: Path, *options: str) -> str | None:
    """None if the patch fits everywhere without fuzz, else what `patch` says first."""
    done = subprocess.run(
        ["patch", "-p1", "-F0", "--batch", "--no-backup-if-mismatch", *options, "-i", str(patch)],
        cwd=tree,
        capture_output=True,
        text=True,
    )
    if done.returncode == 0:
        return None
    said = [line for line in (done.stdout + done.stderr).splitlines() if not line.startswith("patching file")]
    return said[0] if said else "it does not apply"


def stage(tree: Path, folder: Path) -> None:
    """Our files and all patched files of `tree`, as they have to become, in `folder`."""
    names = {name for patch in patches() for name in patched_names(patch)}
    for name in names:
        if (tree / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(tree / name, folder / name)
    for patch in patches():
        if (why := apply(patch, folder)) is not None:
            raise SourceError(f"patch {patch.name} does not fit {tree}: {why}")
    for name, path in overlay_files().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, folder / name)


def sync(staged: Path, tree: Path) -> list[str]:
    """Copies what differs from `staged` to `tree`, each file whole or not at all; the names copied."""
    changed = []
    for path in sorted(p for p in staged.rglob("*") if p.is_file()):
        name = path.relative_to(staged).as_posix()
        target = tree / name
        if target.is_file() and target.read_bytes() == path.read_bytes():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = target.with_name(target.name + ".new")
        shutil.copyfile(path, beside)
        if target.exists():
            shutil.copymode(target, beside)
        beside.rename(target)
        changed.append(name)
    return changed


def prepare(tarball: Path | None) -> None:
    """build/caffe: upstream with our files and patches; what is no longer ours goes away."""
    pristine = have_upstream(tarball)
    tree = BUILD / "caffe"
    with tempfile.TemporaryDirectory(prefix="stage-", dir=BUILD) as temporary:
        staged = Path(temporary)
        shutil.copytree(pristine, staged, dirs_exist_ok=True, symlinks=True)
        stage(pristine, staged)
        ours = {p.relative_to(staged).as_posix() for p in staged.rglob("*") if p.is_file() or p.is_symlink()}
        if not tree.exists():
            shutil.copytree(staged, tree, symlinks=True)
        else:
            sync(staged, tree)
        generated = re.compile(r"python/caffe/(_caffe\.so|proto/)|__pycache__")
        for path in [p for p in tree.rglob("*") if p.is_file() or p.is_symlink()]:
            name = path.relative_to(tree).as_posix()
            if name not in ours and not generated.search(name):
                path.unlink()


def overlay(tree: Path) -> None:
    """Puts our files and patches into the user's Caffe at `tree`, or leaves it as it was."""
    if not (tree / "src/caffe/layer_factory.cpp").is_file():
        raise SourceError(f"{tree} is not a Caffe source tree: it has no src/caffe/layer_factory.cpp")
    with tempfile.TemporaryDirectory() as temporary:
        staged = Path(temporary)
        try:
            stage(tree, staged)
        except SourceError:
            # Patched before? Then taking the patches off, last first, fits.
            again = staged / "again"
            again.mkdir()
            for name in {name for patch in patches() for name in patched_names(patch)}:
                if (tree / name).is_file():
                    (again / name).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(tree / name, again / name)
            if any(apply(patch, again, "-R") is not None for patch in reversed(patches())):
                raise
            shutil.rmtree(again)
            shutil.rmtree(staged)
            staged.mkdir()
            for name, path in overlay_files().items():
                (staged / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, staged / name)
            print(f"{tree} has the patches already")
        new = {p.relative_to(staged).as_posix() for p in staged.rglob("*") if p.is_file()}
        new = {name for name in new if not (tree / name).exists()}
        for name in (changed := sync(staged, tree)):
            print(("added    " if name in new else "changed  ") + name)
        print(f"{len(changed)} files changed in {tree}" if changed else f"{tree} is up to date")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    build = commands.add_parser("build")
    build.add_argument("--tarball", type=Path)
    commands.add_parser("overlay").add_argument("tree", type=Path)
    arguments = parser.parse_args()
    try:
        if not shutil.which("patch"):
            raise SourceError("the program `patch` is missing: install Debian's package patch")
        if arguments.command == "build":
            prepare(arguments.tarball)
        else:
            overlay(arguments.tree)
    except (SourceError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
