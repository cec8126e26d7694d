"""What identifies the records that a run reads, for run.json and for its fingerprint."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.errors import UserError
from scripts.files import sha256_file
from scripts.paths import DATA, ROOT

if TYPE_CHECKING:
    from google.protobuf.message import Message


def manifest_path(dataset: str, data: Path = DATA) -> Path:
    """The file that says what the databases of `dataset` hold; written last when they are built."""
    return data / dataset / "manifest.json"


def of_dataset(dataset: str) -> dict[str, Any]:
    """{split: {"count", "records_sha256"}} of a data set of ours, from its manifest.

    A split that a user imported also has `imported_sha256`, that of the file it came in, and where
    its name is that of a data set of the table `official_count`, and `known_as` if it is known
    there. The databases are read through and held to the manifest first: UserError when they are
    missing or not what the manifest says.
    """
    from scripts import datasets
    from scripts.dataset_table import TABLE

    manifest = datasets.verify(dataset)
    record: dict[str, Any] = {}
    for split, content in manifest.splits.items():
        about: dict[str, Any] = {
            "count": content.count,
            "records_sha256": content.records_sha256,
        }
        if manifest.imported_classes:
            (about["imported_sha256"],) = manifest.files.values()
            if dataset in TABLE:
                official = TABLE[dataset].splits[split]
                about["official_count"] = official.count
                if content.records_sha256 in official.known:
                    about["known_as"] = official.known[content.records_sha256]
        record[split] = about
    return record


def of_net(net: Message) -> dict[str, Any]:
    """What identifies the records that the data layers of `net` read, one entry for each source.

    Our own databases answer by their manifest (see `of_dataset`), any other LMDB by the SHA-256
    of its data file, any other source and a mean image by that of the file. A source that is a list
    of files also answers for these: HDF5 files by what is in them, images, of which there may be a
    million, by their sizes and times of change, so that a copy of them is other data. UserError
    when a source is missing.
    """
    found: dict[str, Any] = {}
    for layer in net.layer:
        if layer.transform_param.mean_file:
            mean = Path(layer.transform_param.mean_file)
            found[f"{len(found)} {mean.name}"] = {"file_sha256": sha256_file(mean)}
        for field in ("data_param", "hdf5_data_param", "image_data_param", "window_data_param"):
            if not layer.HasField(field):
                continue
            source = Path(getattr(layer, field).source)
            file = source / "data.mdb" if field == "data_param" else source
            if not file.is_file():
                raise UserError(
                    f"layer {layer.name} reads {source}, which is not there: correct its source, "
                    "or run make data for the data sets of this project"
                )
            label = f"{len(found)} {source.name}"
            split = source.name.removesuffix("_lmdb")
            dataset = source.parent.name
            if source.parent.parent == DATA and manifest_path(dataset).is_file():
                found[label] = of_dataset(dataset)[split]
            else:
                found[label] = {"file_sha256": sha256_file(file), **_of_listed(layer, file, field)}
    return found


def _of_listed(layer: Message, source: Path, field: str) -> dict[str, Any]:
    """What identifies the content of the files that `source` lists, where it is such a list.

    Their names count from the project's folder, in which the training is done.
    """
    if field not in ("hdf5_data_param", "image_data_param"):
        return {}
    text = source.read_text(encoding="utf-8", errors="surrogateescape")
    if field == "hdf5_data_param":
        listed, identify = text.split(), sha256_file
    else:
        # Folder and name; the last word of a line is the label.
        prefix, lines = layer.image_data_param.root_folder, text.splitlines()
        listed = [prefix + line.rpartition(" ")[0] for line in lines if line.strip()]
        identify = _size_and_time
    digest = hashlib.sha256()
    for name in listed:
        path = ROOT / name
        if not path.is_file():
            raise UserError(
                f"layer {layer.name} reads {name}, which is not there: correct the line in {source}"
            )
        digest.update(f"{identify(path)}\n".encode())
    return {"listed_sha256": digest.hexdigest()}


def _size_and_time(path: Path) -> str:
    about = path.stat()
    return f"{about.st_size} {about.st_mtime_ns}"


def of_weights(solver: Message) -> dict[str, Any]:
    """What identifies the weights that a solver starts from: the SHA-256 of each file."""
    return {
        f"weights {number} {Path(path).name}": {"file_sha256": sha256_file(Path(path))}
        for number, path in enumerate(solver.weights)
    }
