"""Data sets as LMDBs: `python -m scripts.datasets mnist fashion-mnist [--mirror DIR]`.

data/<name>/ holds train_lmdb, test_lmdb, mean.binaryproto and manifest.json. The folder is built
beside and renamed, so it is there whole or not at all; a manifest says what must be in it, and
`verify` holds the files to it. No byte is used whose digest is not the one in
scripts/dataset_table.py; images of a user's own come in by scripts/data_import.py.
"""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from scripts.dataset_sources import Damaged, Source, Unavailable, sources
from scripts.dataset_table import TABLE, Dataset, File
from scripts.errors import ArgumentParser, UserError, run_main
from scripts.files import atomic_open, read_json, sha256_file, write_json
from scripts.image_files import FORMATS, Images, permuted_labels
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
    """What data/<name>/ holds, where it came from, and the SHA-256 of the files it is made of.

    `mean_sha256`: of the training set's mean image ("" in a data set built before there was one).
    `imported_classes`: how many, where the images are a user's own; 0 for a data set of the table.
    """

    name: str
    source: str
    files: dict[str, str]
    splits: dict[str, SplitManifest]
    mean_sha256: str = ""
    imported_classes: int = 0


@dataclass(frozen=True)
class Facts:
    """What a net has to fit: (channels, height, width), labels from 0 to `classes` - 1, and the
    number of images of each split."""

    shape: tuple[int, int, int]
    classes: int
    counts: dict[str, int]


def dataset(name: str) -> Dataset:
    """Return the table's entry; UserError for a name that is not in it."""
    if name not in TABLE:
        raise UserError(
            f"there is no data set '{name}'; those known are {', '.join(TABLE)}, and "
            f"`make data IMPORT=file.npz NAME={name}` would make one of images of your own"
        )
    return TABLE[name]


def facts(name: str, root: Path = DATA) -> Facts:
    """Return what a net has to fit, by the import of that name or else by the table.

    UserError for a name that is neither.
    """
    manifest = imported(name, root)
    if manifest is not None:
        counts = {key: split.count for key, split in manifest.splits.items()}
        return Facts(manifest.splits["train"].shape, manifest.imported_classes, counts)
    entry = dataset(name)
    counts = {key: split.count for key, split in entry.splits.items()}
    return Facts(entry.shape, entry.classes, counts)


def imported(name: str, root: Path = DATA) -> Manifest | None:
    """Return the manifest of a data set that a user imported, None for any other name."""
    if name in TABLE and not TABLE[name].importable:
        return None
    manifest = _read_manifest(root / name / "manifest.json")
    return manifest if manifest is not None and manifest.imported_classes else None


def lmdb_path(name: str, split: str, root: Path = DATA) -> Path:
    """Return the absolute path of the LMDB of a split, "train" or "test"."""
    return (root / name / f"{split}_lmdb").resolve()


def mean_path(name: str, root: Path = DATA) -> Path:
    """Return the absolute path of the training set's mean image."""
    return (root / name / "mean.binaryproto").resolve()


def ensure(name: str, mirror: Path | None = None, root: Path = DATA) -> Manifest:
    """Build the data set under `root` unless it is there, whole and unchanged.

    `mirror`: a folder to look into first. A second call at the same time waits for the first.
    UserError when no source has the right files, or an import is damaged; OSError when the disk is
    full.
    """
    if imported(name, root) is not None:
        manifest = verify(name, root)
        print(f"{name}: there already, unchanged ({manifest.source})", flush=True)
        return manifest
    entry = dataset(name)
    if mirror is not None and not mirror.is_dir():
        raise UserError(f"the mirror {mirror} is not a folder; name one that holds the files")

    def build(building: Path) -> Manifest:
        return _build(name, entry, mirror, building)

    return put(name, build, root)


def put(name: str, build: Callable[[Path], Manifest], root: Path) -> Manifest:
    """Have `build` write the data set into an empty folder, unless data/<name>/ is whole.

    It appears whole or not at all, in place of what is damaged there.
    """
    root.mkdir(parents=True, exist_ok=True)
    with _lock(root / f".{name}.lock", name):
        folder, building, old = root / name, root / f".{name}.building", root / f".{name}.old"
        try:
            # What an earlier build left when it was killed.
            for leftover in (building, old):
                if leftover.exists():
                    shutil.rmtree(leftover)
            if folder.exists() and not _is_empty(folder):
                try:
                    manifest = verify(name, root)
                except UserError as reason:
                    print(f"{name}: {reason}; building it again", flush=True)
                else:
                    print(f"{name}: there already, unchanged ({manifest.source})", flush=True)
                    return manifest
            building.mkdir()
            manifest = build(building)
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
    """Check the files of a data set against the manifest and the table, and return the manifest.

    Reads each file once for its digest (about 60 MB for MNIST). UserError when something is
    missing, cut or changed.
    """
    manifest = imported(name, root)
    if manifest is not None:
        cure = f"import it again: `make data IMPORT=file.npz NAME={name}`"
    else:
        cure = f"run `make data DATASETS={name}`"
        manifest = _of_the_table(name, root, cure)
    for key, split in manifest.splits.items():
        file = lmdb_path(name, key, root) / "data.mdb"
        if not file.is_file():
            raise UserError(f"{file} is missing; {cure}")
        size = file.stat().st_size
        if size != split.file_bytes:
            raise UserError(f"{file} has {size} bytes, not {split.file_bytes} as built; {cure}")
        if sha256_file(file) != split.file_sha256:
            raise UserError(f"{file} has changed since it was built; {cure}")
    mean = mean_path(name, root)
    if manifest.mean_sha256 and not mean.is_file():
        raise UserError(f"{mean} is missing; {cure}")
    if manifest.mean_sha256 and sha256_file(mean) != manifest.mean_sha256:
        raise UserError(f"{mean} has changed since it was built; {cure}")
    return manifest


def _of_the_table(name: str, root: Path, cure: str) -> Manifest:
    """Return the manifest of a data set of the table; UserError where it is none."""
    entry = dataset(name)
    path = root / name / "manifest.json"
    if not path.parent.is_dir() or _is_empty(path.parent):
        if entry.importable:
            cure += f", or `make data IMPORT=file.npz NAME={name}`"
        raise UserError(f"the data set {name} is not there ({path.parent}); {cure}")
    manifest = _read_manifest(path)
    if manifest is None:
        raise UserError(f"{path} is missing or not a manifest of this version; {cure}")
    expected = {file.name: file.sha256 for file in _files(entry)}
    counts = {key: split.count for key, split in manifest.splits.items()}
    if (
        manifest.name != name
        or manifest.files != expected
        or counts != {key: split.count for key, split in entry.splits.items()}
    ):
        raise UserError(f"{path} describes other data than {name}'s; {cure}")
    return manifest


def _is_empty(folder: Path) -> bool:
    """Tell whether this is a folder with nothing in it, as Snakemake makes one before its job."""
    return folder.is_dir() and not any(folder.iterdir())


def _read_manifest(path: Path) -> Manifest | None:
    value = read_json(path)
    if value is None or value.get("format") != _FORMAT:
        return None
    try:
        splits = {
            key: SplitManifest(**(split | {"shape": tuple(split["shape"])}))
            for key, split in value["splits"].items()
        }
        more = {key: value[key] for key in ("mean_sha256", "imported_classes") if key in value}
        return Manifest(value["name"], value["source"], value["files"], splits, **more)
    except (AttributeError, KeyError, TypeError):
        return None


def _files(entry: Dataset) -> Iterator[File]:
    for split in entry.splits.values():
        yield from split.files


def _build(name: str, entry: Dataset, mirror: Path | None, building: Path) -> Manifest:
    """Fetch the files and write the LMDBs, the mean image and the manifest into `building`."""
    scratch = building / "packages"
    scratch.mkdir()
    official = entry.made_of or name
    tried = list(
        sources(
            official,
            mirror,
            entry.addresses,
            entry.packages,
            scratch,
            entry.suffix,
            entry.archive,
        )
    )
    used: dict[str, None] = {}

    def read(key: str) -> Images:
        split = entry.splits[key]
        contents = []
        for file in split.files:
            content, source = _fetch(file, tried, official, name)
            contents.append(content)
            used[source] = None
        images = FORMATS[entry.format](contents, entry.shape)
        if key == "train" and entry.label_seed is not None:
            images = permuted_labels(images, entry.label_seed)
        return images.part(split.first, split.count)

    firsts = {key: split.first for key, split in entry.splits.items()}
    splits, mean_sha256 = write_splits(building, firsts, read)
    shutil.rmtree(scratch)
    source = ", ".join(used)
    print(f"{name}: the files came from {source}, all digests as they should be", flush=True)
    files = {file.name: file.sha256 for file in _files(entry)}
    manifest = Manifest(name, source, files, splits, mean_sha256)
    write_manifest(building, manifest)
    return manifest


def write_splits(
    building: Path, firsts: dict[str, int], read: Callable[[str], Images]
) -> tuple[dict[str, SplitManifest], str]:
    """Write the LMDB of each split and the training set's mean image into `building`.

    firsts: {split: number of its first record}. read: gives a split's images, one split at a time.
    Returns what the manifest has to say of them: the splits, and the SHA-256 of the mean image.
    """
    # Brings Caffe along, which takes a second: checking what is there does without.
    from scripts import lmdb_build

    splits = {}
    for key, first in firsts.items():
        images = read(key)
        folder = building / f"{key}_lmdb"
        size_hint = images.pixels.size + 64 * len(images.labels)
        written = lmdb_build.write(folder, lmdb_build.datums(images, first), size_hint)
        file = folder / "data.mdb"
        splits[key] = SplitManifest(
            written.count,
            images.pixels.shape[1:],
            written.records_sha256,
            sha256_file(file),
            file.stat().st_size,
        )
        _flush_folder(folder)
        if key == "train":
            mean = building / "mean.binaryproto"
            with atomic_open(mean, "wb") as stream:
                stream.write(lmdb_build.mean_image(images))
    return splits, sha256_file(mean)


def write_manifest(building: Path, manifest: Manifest) -> None:
    """Write the manifest, which is the last file of a data set to be there."""
    write_json(building / "manifest.json", {"format": _FORMAT} | asdict(manifest))
    _flush_folder(building)


def _fetch(file: File, tried: list[Source], official: str, name: str) -> tuple[bytes, str]:
    """Return the content of a file, checked, and the name of the source that had it.

    official: the data set whose file it is. name: the data set that is made of it.
    """
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
        print(f"{official}: refused {file.name} from {source.name}: {wrong}", flush=True)
    say = f"make data DATASETS={name} MIRROR=FOLDER"
    cure = f"put it into a folder FOLDER/{official}/ and say `{say}`"
    if TABLE[name].importable:
        cure += f", or import images at hand: `make data IMPORT=file.npz NAME={name}`"
    raise UserError(
        f"no source has the file {file.name} of {official} ({'; '.join(reasons)}); {cure}"
    )


def _difference(file: File, content: bytes) -> str | None:
    """Say in what the content is not that of the official file, or None."""
    if len(content) != file.size:
        found = f"more than {file.size}" if len(content) > file.size else str(len(content))
        return f"expected {file.size} bytes, got {found}"
    for algorithm, expected in (("sha256", file.sha256), ("md5", file.md5)):
        if not expected:
            continue
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
    """Build the data sets named on the command line, or import one."""
    parser = ArgumentParser(prog="python -m scripts.datasets", description=main.__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(TABLE)}")
    parser.add_argument("--mirror", type=Path, metavar="DIR", help="a folder with the files")
    parser.add_argument("--import", type=Path, metavar="NPZ", dest="file", help="make NAME of this")
    arguments = parser.parse_args()
    if arguments.file is not None:
        from scripts.data_import import import_file

        if len(arguments.names) != 1:
            raise UserError("IMPORT needs a NAME: write `make data IMPORT=file.npz NAME=mine`")
        import_file(arguments.file, arguments.names[0])
        return
    for name in arguments.names:
        facts(name)
    for name in arguments.names:
        ensure(name, arguments.mirror)


if __name__ == "__main__":
    run_main(main)
