"""A small data set of random images in the IDX format, for tests that work without a network."""

import gzip
import hashlib
from pathlib import Path
from struct import pack

import numpy as np

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
        split: Split(count, file(IMAGES[split]), file(LABELS[split]))
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
