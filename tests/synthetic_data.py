"""Small data sets of random images in each format, for tests that work without a network."""

import gzip
import hashlib
import io
import json
from pathlib import Path
from struct import pack

import numpy as np
from PIL import Image
from scipy.io import savemat

from scripts.dataset_sources import Package
from scripts.dataset_table import Dataset, File, Split

IMAGES = {"train": "train-images-idx3-ubyte", "test": "t10k-images-idx3-ubyte"}
LABELS = {"train": "train-labels-idx1-ubyte", "test": "t10k-labels-idx1-ubyte"}


def files(counts: dict[str, int], shape: tuple[int, int, int], seed: int = 0) -> dict[str, bytes]:
    """Return the IDX files of `counts[split]` random images of (1, height, width), by name."""
    random = np.random.default_rng(seed)
    _, height, width = shape
    content = {}
    for split, count in counts.items():
        pixels = random.integers(0, 256, (count, height, width), dtype=np.uint8)
        labels = random.integers(0, 10, count, dtype=np.uint8)
        content[IMAGES[split]] = pack(">4I", 2051, count, height, width) + pixels.tobytes()
        content[LABELS[split]] = pack(">2I", 2049, count) + labels.tobytes()
    return content


def entry(
    content: dict[str, bytes],
    counts: dict[str, int],
    shape: tuple[int, int, int],
    addresses: tuple[str, ...] = (),
    packages: tuple[Package, ...] = (),
) -> Dataset:
    """Return the table's entry that describes these files."""

    def file(name: str) -> File:
        data = content[name]
        return File(
            name, len(data), hashlib.sha256(data).hexdigest(), hashlib.md5(data).hexdigest()
        )

    splits = {
        split: Split(count, (file(IMAGES[split]), file(LABELS[split])))
        for split, count in counts.items()
    }
    return Dataset(shape, 10, splits, addresses, packages)


def save(folder: Path, content: dict[str, bytes], compress: bool = False) -> Path:
    """Write the files into a new folder, gzipped or not, and return it."""
    folder.mkdir(parents=True)
    for name, data in content.items():
        if compress:
            (folder / f"{name}.gz").write_bytes(gzip.compress(data))
        else:
            (folder / name).write_bytes(data)
    return folder


def random_images(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return random colour pictures (count, 6, 5, 3) and labels from 0 to 9, as unsigned bytes."""
    random = np.random.default_rng(seed)
    return (
        random.integers(0, 256, (count, 6, 5, 3), dtype=np.uint8),
        random.integers(0, 10, count, dtype=np.uint8),
    )


def file_entry(name: str, content: bytes) -> File:
    """Return what the table says of a file."""
    return File(name, len(content), hashlib.sha256(content).hexdigest())


CIFAR_FILES = ("batch_1.bin", "batch_2.bin", "test.bin")


def cifar_files() -> dict[str, bytes]:
    """Return three files of 7 pictures each in CIFAR-10's binary format."""
    content = {}
    for seed, name in enumerate(CIFAR_FILES):
        pictures, labels = random_images(7, seed)
        records = [
            bytes([label]) + picture.transpose(2, 0, 1).tobytes()
            for picture, label in zip(pictures, labels, strict=True)
        ]
        content[name] = b"".join(records)
    return content


def cifar_sheets() -> dict[str, bytes]:
    """Return the same pictures as PNGs with one in each row, and JSON lists of the labels."""
    content = {}
    labels = []
    for seed, name in enumerate(CIFAR_FILES):
        pictures, some = random_images(7, seed)
        labels.append(some.tolist())
        stream = io.BytesIO()
        Image.fromarray(pictures.reshape(7, 30, 3)).save(stream, "png")
        content[name.replace(".bin", ".png")] = stream.getvalue()
    content["train.json"] = json.dumps(labels[0] + labels[1]).encode()
    content["test.json"] = json.dumps(labels[2]).encode()
    return content


def cifar_entry(content: dict[str, bytes], **more) -> Dataset:
    """Return the table's entry that describes `cifar_files`."""
    entries = [file_entry(name, content[name]) for name in CIFAR_FILES]
    splits = {"train": Split(14, tuple(entries[:2])), "test": Split(7, (entries[2],))}
    more = {"addresses": (), "packages": (), "format": "cifar"} | more
    return Dataset((3, 6, 5), 10, splits, **more)


def mat_file(pictures: np.ndarray, labels: np.ndarray) -> bytes:
    """Return pictures (count, height, width, 3) and labels 0 to 9 as SVHN's format 2 has them."""
    stream = io.BytesIO()
    shifted = np.where(labels == 0, 10, labels).astype(np.uint8)
    arrays = {"X": pictures.transpose(1, 2, 3, 0), "y": shifted[:, np.newaxis]}
    savemat(stream, arrays, do_compression=True)
    return stream.getvalue()
