"""Images of a user's own as a data set: `make data IMPORT=file.npz NAME=mine`.

The file is an NPZ with the arrays x_train, y_train, x_test and y_test: images as unsigned bytes
(count, height, width, channels) and their labels, whole numbers from 0. data/mine/ then holds what
any data set's folder does, and `DATASET=mine` trains on it; each result records the file's digest.
"""

import re
import zipfile
import zlib
from pathlib import Path

import numpy as np

from scripts.dataset_table import TABLE
from scripts.datasets import Manifest, imported, put, verify, write_manifest, write_splits
from scripts.errors import UserError
from scripts.files import sha256_file
from scripts.image_files import Images
from scripts.paths import DATA

_SPLITS = ("train", "test")
_MOST_CLASSES = 256


def import_file(file: Path, name: str, root: Path = DATA) -> Manifest:
    """Make data/<name>/ of an NPZ file, unless it was made of that very file and is whole.

    UserError where the file is not as described above, or the name is that of other data.
    """
    _check_name(name)
    images, classes = read(file)
    if name in TABLE:
        entry = TABLE[name]
        shape = images["train"].pixels.shape[1:]
        if shape != entry.shape or classes > entry.classes:
            raise UserError(
                f"{file} has {_size(shape)} images of {classes} classes, and {name} has "
                f"{_size(entry.shape)} of {entry.classes}; choose another NAME for it"
            )
    digest = sha256_file(file)
    before = imported(name, root)
    if before is None and (root / name).is_dir() and _is_whole(name, root):
        raise UserError(
            f"{root / name} holds the official {name}; remove it first, or choose another NAME"
        )
    if before is not None and list(before.files.values()) != [digest]:
        raise UserError(
            f"{root / name} was imported from a file with other content ({before.source}); remove "
            "it first, or choose another NAME"
        )

    def build(building: Path) -> Manifest:
        splits, mean_sha256 = write_splits(building, dict.fromkeys(_SPLITS, 0), images.__getitem__)
        source = f"imported from {file.name}"
        manifest = Manifest(name, source, {file.name: digest}, splits, mean_sha256, classes)
        write_manifest(building, manifest)
        return manifest

    return put(name, build, root)


def read(file: Path) -> tuple[dict[str, Images], int]:
    """Return {split: images} of an NPZ file, and the number of classes; UserError for any fault."""
    arrays = _arrays(file)
    images = {}
    for split in _SPLITS:
        x, y = arrays[f"x_{split}"], arrays[f"y_{split}"]
        _check(file, split, x, y)
        images[split] = Images(np.ascontiguousarray(x.transpose(0, 3, 1, 2)), y.astype(np.uint8))
    shapes = [images[split].pixels.shape[1:] for split in _SPLITS]
    if shapes[0] != shapes[1]:
        raise UserError(
            f"{file}: x_train has {_size(shapes[0])} images and x_test {_size(shapes[1])}; bring "
            "them to one size"
        )
    classes = int(images["train"].labels.max()) + 1
    most = int(images["test"].labels.max())
    if most >= classes:
        raise UserError(
            f"{file}: y_test has the label {most}, but those of y_train end at {classes - 1}; "
            "correct the labels"
        )
    return images, classes


def _arrays(file: Path) -> dict[str, np.ndarray]:
    names = [f"{kind}_{split}" for split in _SPLITS for kind in "xy"]
    if not file.is_file():
        raise UserError(f"there is no file {file}; correct IMPORT")
    try:
        content = np.load(file, allow_pickle=False)
        if not isinstance(content, np.lib.npyio.NpzFile):
            raise ValueError("it holds a single array")
        with content:
            missing = [name for name in names if name not in content]
            if missing:
                raise UserError(
                    f"{file} has no array {missing[0]}; it needs {', '.join(names)}, and has "
                    f"{', '.join(content) or 'none'}"
                )
            return {name: content[name] for name in names}
    except (EOFError, OSError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(
            f"{file} cannot be read ({error}); write it with numpy.savez, without pickled objects"
        ) from error


def _check(file: Path, split: str, x: np.ndarray, y: np.ndarray) -> None:
    """Raise UserError for the first fault of a split's images and labels."""
    problem = None
    if x.dtype != np.uint8:
        problem = f"x_{split} is of {x.dtype}; images are uint8, 0 to 255"
    elif x.ndim != 4:
        problem = (
            f"x_{split} has the shape {x.shape}; images are (count, height, width, channels), "
            "with 1 channel where they are grey"
        )
    elif x.shape[3] not in (1, 3, 4):
        problem = (
            f"x_{split} has the shape {x.shape}, so {x.shape[3]} channels; the last axis is that "
            "of the channels: 1, 3 or 4"
        )
    elif 0 in x.shape:
        problem = f"x_{split} has the shape {x.shape}, so nothing in it; put images in"
    elif y.dtype.kind not in "iu":
        problem = f"y_{split} is of {y.dtype}; labels are whole numbers from 0"
    elif y.shape != x.shape[:1]:
        problem = f"y_{split} has the shape {y.shape} for {len(x)} images; write one label for each"
    elif y.min() < 0 or y.max() >= _MOST_CLASSES:
        wrong = y.min() if y.min() < 0 else y.max()
        problem = f"y_{split} has the label {wrong}; labels are from 0 to {_MOST_CLASSES - 1}"
    if problem:
        raise UserError(f"{file}: {problem}")


def _check_name(name: str) -> None:
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,63}", name):
        raise UserError(
            f"NAME={name} cannot name a data set; write small letters, digits, - and _, such as "
            "NAME=mine"
        )
    if name in TABLE and not TABLE[name].importable:
        raise UserError(f"NAME={name} is a data set of this project; choose another NAME")


def _is_whole(name: str, root: Path) -> bool:
    try:
        verify(name, root)
    except UserError:
        return False
    return True


def _size(shape: tuple[int, ...]) -> str:
    channels, height, width = shape
    return f"{height}x{width}x{channels}"
