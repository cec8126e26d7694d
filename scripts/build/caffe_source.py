"""Caffe's source: had, checked, overlaid with caffe_layers/ and patched.

Uses the system's Python and the standard library alone, since it runs before anything is installed.

    python3 scripts/build/caffe_source.py build [--tarball FILE]
        build/upstream/  Caffe as published, build/caffe/  the tree that is compiled
    python3 scripts/build/caffe_source.py overlay DIR
        puts the layer and the patches into a Caffe tree of the user's own

The same code serves both: what is to be changed is staged in a temporary folder, all patches are
tried there, and only if every one fits is the tree touched. Files which would not change keep their
time stamps, so that a build after a change compiles what the change concerns.
"""

from __future__ import annotations

import argparse
import errno
import hashlib
import http.client
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LAYERS = ROOT / "caffe_layers"
BUILD = ROOT / "build"
# The folders of caffe_layers that go into Caffe.
OVERLAID = ("cmake", "include", "src", "python", "tools")
# In a Caffe of the user's own: the patches that were applied to it, and the digests of our files in
# it. A later overlay takes these patches off before it applies its own.
RECORD = ".caffe_layers"
FILES = f"{RECORD}/files.sha256"


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
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no message"]
        # The first is the reason, what follows from it comes after; apt has warnings before.
        said = [line for line in lines if line.startswith("E:")] or lines
        raise SourceError(f"{command[0]}: {said[0]}")
    return done.stdout


def from_apt(folder: Path) -> Path:
    """The tarball of Debian's source package, by apt's own client, checked by Debian's signature.

    The suite is asked of the mirror that the machine is configured with, through a source list and
    state of our own: the system's apt configuration is neither read for it nor changed.
    """
    if not shutil.which("apt-get"):
        raise SourceError("this system has no apt-get")
    form = "$(REPO_URI)|$(COMPONENT)|$(LABEL)"
    targets = run(["apt-get", "indextargets", "--format", form, "Created-By: Packages"], folder)
    uris = [
        uri
        for uri, component, label in (line.split("|") for line in targets.splitlines())
        if component == "main" and (label == "Debian" or re.search(r"/debian/?$", uri))
    ]
    if not uris:
        # An image whose package lists were removed: what an update would ask for.
        asked = run(["apt-get", "update", "--print-uris"], folder)
        uris = re.findall(r"^'(\S+/debian)/+dists/[^/']+/InRelease'", asked, re.MULTILINE)
    if not uris:
        raise SourceError("apt is configured with no Debian mirror")
    debian = upstream()["debian"]
    keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
    source = f"deb-src [signed-by={keyring}] {uris[0]} {debian['suite']} main\n"
    (folder / "debian.list").write_text(source)
    for name in ("lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True)
    options = {
        "Dir::Etc::SourceList": folder / "debian.list",
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::State::Lists": folder / "lists",
        "Dir::Cache": folder / "cache",
        "APT::Sandbox::User": "root" if os.geteuid() == 0 else "",
    }
    apt = ["apt-get", "-q"]
    for key, value in options.items():
        apt += ["-o", f"{key}={value}"]
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
        with (
            urllib.request.urlopen(upstream()["archive"], timeout=30) as answer,
            tarball.open("wb") as out,
        ):
            shutil.copyfileobj(answer, out)
    except (OSError, http.client.HTTPException) as error:
        # What the server said may have lines.
        raise SourceError(" ".join(str(error).split())) from error
    return tarball


def extract(tarball: Path, tree: Path) -> None:
    """Unpacks an archive with or without a top folder into `tree`, and checks every byte of it."""
    tree.mkdir()
    try:
        run(["tar", "-x", "--no-same-owner", "-f", str(tarball.absolute())], tree)
    except SourceError as error:
        if shutil.disk_usage(tree).free < 1 << 20:  # which tar does not say
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(tree)) from error
        raise SourceError(f"{tarball} cannot be unpacked: {error}") from error
    inside = list(tree.iterdir())
    if len(inside) == 1 and inside[0].is_dir():
        for path in inside[0].iterdir():
            path.rename(tree / path.name)
        inside[0].rmdir()
    if (found := tree_digest(tree)) != upstream()["tree_sha256"]:
        raise SourceError(
            f"{tarball.name} does not hold Caffe {upstream()['commit'][:7]}: the digest of its "
            f"files is {found}, not {upstream()['tree_sha256']}"
        )


def have_upstream(tarball: Path | None) -> Path:
    """build/upstream/, unpacked from the first source that gives the right bytes.

    Where it is there already its files are checked again, and so is a tarball that the user names.
    """
    tree = BUILD / "upstream"
    if tree.exists() and tree_digest(tree) != upstream()["tree_sha256"]:
        raise SourceError(
            f"{tree} was changed since it was unpacked: remove it, and give the same command again "
            "(changes of yours belong into caffe_layers/)"
        )
    if tree.exists() and not tarball:
        return tree
    if tarball:
        ways = [("the file named by CAFFE_TARBALL", lambda _: tarball)]
    else:
        ways = [
            ("Debian's source package", from_apt),
            ("the repository's archive", from_repository),
        ]
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
            if tree.exists():
                return tree
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
    # --force, since --batch would take off a patch that seems to be applied already.
    command = ["patch", "-p1", "-F0", "--force", "--no-backup-if-mismatch", *options]
    done = subprocess.run([*command, "-i", str(patch)], cwd=tree, capture_output=True, text=True)
    if done.returncode == 0:
        return None
    lines = (done.stdout + done.stderr).splitlines()
    said = [line for line in lines if not line.startswith("patching file")]
    return said[0] if said else "it does not apply"


def stage(tree: Path, folder: Path, applied: Sequence[Path] = ()) -> None:
    """Our files and all patched files of `tree`, as they have to become, in `folder`.

    `applied`: patches which `tree` has already, in the order in which they were applied.
    """
    for name in {name for patch in (*patches(), *applied) for name in patched_names(patch)}:
        if (tree / name).is_file():
            copy(tree / name, folder / name)
    for patch in reversed(applied):
        if (why := apply(patch, folder, "--reverse")) is not None:
            raise SourceError(f"{tree} was changed where it had been given {patch.name}: {why}")
    for patch in patches():
        if (why := apply(patch, folder)) is not None:
            raise SourceError(f"patch {patch.name} does not fit {tree}: {why}")
    for name, path in overlay_files().items():
        copy(path, folder / name)


def copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def sync(staged: Path, tree: Path) -> list[str]:
    """Copies what differs from `staged` to `tree`; the names copied.

    All is written beside before anything is renamed: when the disk is full or a folder cannot be
    written, the tree stays as it was.
    """
    written: list[tuple[Path, Path]] = []
    made: list[Path] = []
    try:
        for path in sorted(p for p in staged.rglob("*") if p.is_file()):
            target = tree / path.relative_to(staged)
            if target.is_file() and target.read_bytes() == path.read_bytes():
                continue
            made = [p for p in target.parents if not p.exists()] + made
            beside = target.with_name(target.name + ".new")
            written.append((beside, target))
            copy(path, beside)
            if target.exists():
                shutil.copymode(target, beside)
    except BaseException:
        for beside, _ in written:
            beside.unlink(missing_ok=True)
        for folder in made:
            if folder.exists():
                folder.rmdir()
        raise
    for beside, target in written:
        beside.rename(target)
    return [target.relative_to(tree).as_posix() for _, target in written]


def prepare(tarball: Path | None) -> None:
    """build/caffe: upstream with our files and patches; what is no longer ours goes away."""
    pristine = have_upstream(tarball)
    tree = BUILD / "caffe"
    with tempfile.TemporaryDirectory(prefix="stage-", dir=BUILD) as temporary:
        staged = Path(temporary)
        shutil.copytree(pristine, staged, dirs_exist_ok=True, symlinks=True)
        stage(pristine, staged)
        ours = {
            path.relative_to(staged).as_posix()
            for path in staged.rglob("*")
            if path.is_file() or path.is_symlink()
        }
        if not tree.exists():
            shutil.copytree(staged, tree, symlinks=True)
        else:
            sync(staged, tree)
        generated = re.compile(r"python/caffe/(_caffe\.so|proto/)|__pycache__")
        for path in [p for p in tree.rglob("*") if p.is_file() or p.is_symlink()]:
            name = path.relative_to(tree).as_posix()
            if name not in ours and not generated.search(name):
                path.unlink()


def file_digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def recorded_files(tree: Path) -> dict[str, str]:
    """The files that an earlier overlay put into `tree`, with their digests then."""
    if not (tree / FILES).exists():
        return {}
    lines = (line.split("  ", 1) for line in (tree / FILES).read_text().splitlines())
    return {name: digest for digest, name in lines}


def check_not_edited(tree: Path, recorded: dict[str, str]) -> None:
    """SourceError where we would overwrite or remove what is not ours, or was edited since."""
    ours = {name: file_digest(path) for name, path in overlay_files().items()}
    for name in sorted({*ours, *recorded}):
        path = tree / name
        if path.exists() and file_digest(path) not in (ours.get(name), recorded.get(name)):
            what = "was edited since we put it there" if name in recorded else "is not ours"
            raise SourceError(f"{path} {what}: move it away, and give the same command again")


def overlay(tree: Path) -> None:
    """Puts our files and patches into the user's Caffe at `tree`, or leaves it as it was.

    What an earlier overlay had put there, and is no longer ours, goes away.
    """
    if not (tree / "src/caffe/layer_factory.cpp").is_file():
        raise SourceError(
            f"{tree} is not a Caffe source tree: it has no src/caffe/layer_factory.cpp"
        )
    recorded = recorded_files(tree)
    applied = sorted((tree / RECORD).glob("*.patch"))
    check_not_edited(tree, recorded)
    with tempfile.TemporaryDirectory() as temporary:
        staged = Path(temporary)
        stage(tree, staged, applied)
        for patch in patches():
            copy(patch, staged / RECORD / patch.name)
        digests = {name: file_digest(path) for name, path in overlay_files().items()}
        lines = [f"{digest}  {name}\n" for name, digest in digests.items()]
        (staged / FILES).write_text("".join(lines))
        before = [*recorded, *(f"{RECORD}/{patch.name}" for patch in applied)]
        removed = [name for name in before if not (staged / name).exists()]
        names = [path.relative_to(staged) for path in staged.rglob("*")]
        new = {name.as_posix() for name in names if not (tree / name).exists()}
        changed = sync(staged, tree)
    for name in changed:
        print(("added    " if name in new else "changed  ") + name)
    for name in removed:
        (tree / name).unlink(missing_ok=True)
        print(f"removed  {name}")
    count = len(changed) + len(removed)
    print(f"{count} files changed in {tree}" if count else f"{tree} is up to date")


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
    except SourceError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except shutil.Error as error:  # one (source, target, why) for each file of a copied tree
        print(f"error: {error.args[0][0][2]}", file=sys.stderr)
        return 1
    except OSError as error:
        where = error.filename2 or error.filename
        print(f"error: {f'{where}: ' if where else ''}{error.strerror}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
