"""Data sets as LMDBs: `python -m scripts.datasets mnist fashion-mnist [--mirror DIR]`.

data/<name>/ holds train_lmdb, test_lmdb and manifest.json. The folder is built beside and renamed,
so it is there whole or not at all; a manifest says what must be in it, and `verify` holds the files
to it. No byte is used whose digest is not the one in scripts/dataset_table.py.
"""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

from scripts.dataset_sources import Damaged, Source, Unavailable, sources
from scripts.dataset_table import TABLE, Dataset, File
from scripts.errors import ArgumentParser, UserError, run_main
from scripts.files import read_json, sha256_file, write_json
from scripts.paths import DATA

_FORMAT = 1


@dataclass(frozen=True)
class SplitManifest:
    """One LMDB. `records_sha256` is over keys and values in order, whatever LMDB's page layout;
    `file_sha256` and `file_bytes` are of data.mdb itself."""

    count: int
    shape: tuple[int, int, int]
    records_sha256: str
    file_sha256: str
    file_bytes: int


@dataclass(frozen=True)
class Manifest:
    """What data/<name>/ holds, where it came from, and the SHA-256 of the files it is made of."""

    name: str
    source: str
    files: dict[str, str]
    splits: dict[str, SplitManifest]


def dataset(name: str) -> Dataset:
    """Return the table's entry; UserError for a name that is not in it."""
    if name not in TABLE:
        raise UserError(f"there is no data set '{name}'; those known are {', '.join(TABLE)}")
    return TABLE[name]


def lmdb_path(name: str, split: str, root: Path = DATA) -> Path:
    """Return the absolute path of the LMDB of a split, "train" or "test"."""
    return (root / name / f"{split}_lmdb").resolve()


def ensure(name: str, mirror: Path | None = None, root: Path = DATA) -> Manifest:
    """Build the data set under `root` unless it is there, whole and unchanged.

    `mirror`: a folder to look into first. A second call at the same time waits for the first.
    UserError when no source has the right files, OSError when the disk is full.
    """
    entry = dataset(name)
    if mirror is not None and not mirror.is_dir():
        raise UserError(f"the mirror {mirror} is not a folder; name one that holds the files")
    root.mkdir(parents=True, exist_ok=True)
    with _lock(root / f".{name}.lock", name):
        folder, building, old = root / name, root / f".{name}.building", root / f".{name}.old"
        try:
            # What an earlier build left when it was killed.
            for leftover in (building, old):
                if leftover.exists():
                    shutil.rmtree(leftover)
            if folder.exists():
                try:
                    manifest = verify(name, root)
                except UserError as reason:
                    print(f"{name}: {reason}; building it again", flush=True)
                else:
                    print(f"{name}: there already, unchanged ({manifest.source})", flush=True)
                    return manifest
            building.mkdir()
            manifest = _build(name, entry, mirror, building)
            if folder.exists():
                os.rename(folder, old)
            os.rename(building, folder)
            _flush_folder(root)
            counts = ", ".join(f"{split.count} {key}" for key, split in manifest.splits.items())
            print(f"{name}: {counts} images in {folder}", flush=True)
            return manifest
        finally:
            shutil.rmtree(building, ignore_errors=True)
            shutil.rmtree(old, ignore_errors=True)


def verify(name: str, root: Path = DATA) -> Manifest:
    """Check both LMDBs of a data set against the manifest and the table, and return the manifest.

    Reads each file once for its digest (about 60 MB for MNIST). UserError when something is
    missing, cut or changed.
    """
    entry = dataset(name)
    cure = "run `make data`"
    path = root / name / "manifest.json"
    if not path.parent.is_dir():
        raise UserError(f"the data set {name} is not there ({path.parent}); {cure}")
    manifest = _read_manifest(path)
    if manifest is None:
        raise UserError(f"{path} is missing or not a manifest of this version; {cure}")
    expected = {file.name: file.sha256 for file in _files(entry)}
    counts = {split: manifest.splits[split].count for split in manifest.splits}
    if (
        manifest.name != name
        or manifest.files != expected
        or counts != {key: split.count for key, split in entry.splits.items()}
    ):
        raise UserError(f"{path} describes other data than {name}'s; {cure}")
    for key, split in manifest.splits.items():
        file = lmdb_path(name, key, root) / "data.mdb"
        if not file.is_file():
            raise UserError(f"{file} is missing; {cure}")
        size = file.stat().st_size
        if size != split.file_bytes:
            raise UserError(f"{file} has {size} bytes, not {split.file_bytes} as built; {cure}")
        if sha256_file(file) != split.file_sha256:
            raise UserError(f"{file} has changed since it was built; {cure}")
    return manifest


def _read_manifest(path: Path) -> Manifest | None:
    value = read_json(path)
    if value is None or value.get("format") != _FORMAT:
        return None
    try:
        splits = {
            key: SplitManifest(**(split | {"shape": tuple(split["shape"])}))
            for key, split in value["splits"].items()
        }
        return Manifest(value["name"], value["source"], value["files"], splits)
    except (AttributeError, KeyError, TypeError):
        return None


def _files(entry: Dataset) -> Iterator[File]:
    for split in entry.splits.values():
        yield split.images
        yield split.labels


def _build(name: str, entry: Dataset, mirror: Path | None, building: Path) -> Manifest:
    """Fetch the files and write the LMDBs and the manifest into the folder `building`."""
    # Brings Caffe along, which takes a second: checking what is there does without.
    from scripts import lmdb_build

    scratch = building / "packages"
    scratch.mkdir()
    official = entry.made_of or name
    tried = list(sources(official, mirror, entry.addresses, entry.packages, scratch))
    used: dict[str, None] = {}
    splits = {}
    for key, split in entry.splits.items():
        images, source = _fetch(split.images, tried, official)
        used[source] = None
        labels, source = _fetch(split.labels, tried, official)
        used[source] = None
        if key == "train" and entry.label_seed is not None:
            labels = lmdb_build.permute_labels(labels, entry.label_seed)
        folder = building / f"{key}_lmdb"
        records = lmdb_build.idx_records(images, labels, entry.shape)
        records = islice(records, split.first, split.first + split.count)
        written = lmdb_build.write(folder, records, len(images) + 64 * split.count)
        if written.count != split.count:
            raise ValueError(f"{name}: {written.count} {key} records, {split.count} in the table")
        file = folder / "data.mdb"
        splits[key] = SplitManifest(
            written.count,
            entry.shape,
            written.records_sha256,
            sha256_file(file),
            file.stat().st_size,
        )
        _flush_folder(folder)
    shutil.rmtree(scratch)
    source = ", ".join(used)
    print(f"{name}: the files came from {source}, all digests as they should be", flush=True)
    manifest = Manifest(name, source, {file.name: file.sha256 for file in _files(entry)}, splits)
    write_json(building / "manifest.json", {"format": _FORMAT} | asdict(manifest))
    _flush_folder(building)
    return manifest


def _fetch(file: File, tried: list[Source], dataset_name: str) -> tuple[bytes, str]:
    """Return the content of a file, checked, and the name of the source that had it."""
    reasons = []
    for source in tried:
        try:
            content = source.fetch(file.name, file.size)
        except Damaged as error:
            wrong = f"expected sha256 {file.sha256}, got what is no whole file: {error}"
        except Unavailable as error:
            reasons.append(f"{source.name}: {error}")
            continue
        else:
            wrong = _difference(file, content)
        if wrong is None:
            return content, source.name
        reasons.append(f"{source.name}: {wrong}")
        print(f"{dataset_name}: refused {file.name} from {source.name}: {wrong}", flush=True)
    raise UserError(
        f"no source has the file {file.name} of {dataset_name} ({'; '.join(reasons)}); put it into "
        f"a folder FOLDER/{dataset_name}/ and say `make data MIRROR=FOLDER`"
    )


def _difference(file: File, content: bytes) -> str | None:
    """Say in what the content is not that of the official file, or None."""
    if len(content) != file.size:
        found = f"more than {file.size}" if len(content) > file.size else str(len(content))
        return f"expected {file.size} bytes, got {found}"
    for algorithm, expected in (("sha256", file.sha256), ("md5", file.md5)):
        got = hashlib.new(algorithm, content, usedforsecurity=False).hexdigest()
        if got != expected:
            return f"expected {algorithm} {expected}, got {got}"
    return None


@contextmanager
def _lock(path: Path, name: str) -> Iterator[None]:
    """Hold a lock of the operating system: it goes when the process does, however it ends."""
    with open(path, "w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"{name}: another process is building it; waiting", flush=True)
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _flush_folder(folder: Path) -> None:
    """Make renames and new files in a folder last through a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def main() -> None:
    """Build the data sets named on the command line."""
    parser = ArgumentParser(prog="python -m scripts.datasets", description=main.__doc__)
    parser.add_argument("names", nargs="+", metavar="NAME", help=f"of {', '.join(TABLE)}")
    parser.add_argument("--mirror", type=Path, metavar="DIR", help="a folder with the files")
    arguments = parser.parse_args()
    for name in arguments.names:
        dataset(name)
    for name in arguments.names:
        ensure(name, arguments.mirror)


if __name__ == "__main__":
    run_main(main)
