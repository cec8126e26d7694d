"""The files of data sets, read: what each format holds, as arrays of images and labels.

A reader takes the contents of the files that make up a split, in the table's order, and raises
ValueError where they are not what the table says.
"""

import hashlib
import io
import json
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from struct import unpack_from

import numpy as np

Shape = tuple[int, int, int]
"""Channels, height, width."""

_IDX_IMAGES, _IDX_LABELS = 2051, 2049


@dataclass(frozen=True)
class Images:
    """`pixels` (count, channels, height, width) and `labels` (count,), both unsigned bytes."""

    pixels: np.ndarray
    labels: np.ndarray

    def __post_init__(self) -> None:
        if len(self.pixels) != len(self.labels):
            raise ValueError(f"{len(self.pixels)} images and {len(self.labels)} labels")

    def part(self, first: int, count: int) -> "Images":
        """`count` of them, from `first` on; ValueError where there are not so many."""
        if first + count > len(self.labels):
            raise ValueError(f"{len(self.labels)} images, not {first + count}")
        return Images(self.pixels[first : first + count], self.labels[first : first + count])


def permuted_labels(images: Images, seed: int) -> Images:
    """The same images with their labels permuted among them.

    The order is that of the SHA-256 of "<seed> <index>": the same with any version of anything.
    """
    indices = range(len(images.labels))
    order = sorted(indices, key=lambda i: hashlib.sha256(f"{seed} {i}".encode()).digest())
    return Images(images.pixels, images.labels[order])


def read_idx(contents: Sequence[bytes], shape: Shape) -> Images:
    """Read MNIST's format: a file of images (count, height, width) and one of labels (count,)."""
    images, labels = contents
    channels, height, width = shape
    magic, count, rows, columns = unpack_from(">4I", images)
    labels_magic, labels_count = unpack_from(">2I", labels)
    if (
        (magic, labels_magic) != (_IDX_IMAGES, _IDX_LABELS)
        or (channels, rows, columns) != (1, height, width)
        or labels_count != count
        or len(images) != 16 + count * height * width
        or len(labels) != 8 + count
    ):
        raise ValueError(f"not a pair of IDX files of images and labels of the shape {shape}")
    pixels = np.frombuffer(images, np.uint8, offset=16).reshape(count, *shape)
    return Images(pixels, np.frombuffer(labels, np.uint8, offset=8))


def read_cifar(contents: Sequence[bytes], shape: Shape) -> Images:
    """Read CIFAR-10's binary format: in each record a label and then the image, plane by plane."""
    size = 1 + int(np.prod(shape))
    if any(len(content) % size for content in contents):
        raise ValueError(f"not files of records of {size} bytes, a label and an image of {shape}")
    records = np.concatenate([np.frombuffer(content, np.uint8) for content in contents])
    records = records.reshape(-1, size)
    return Images(records[:, 1:].reshape(-1, *shape), records[:, 0])


def read_svhn(contents: Sequence[bytes], shape: Shape) -> Images:
    """Read SVHN's format 2, a MATLAB file: X (height, width, channels, count), y (count, 1).

    There the digit 0 has the label 10; here it is 0.
    """
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    (content,) = contents
    try:
        arrays = loadmat(io.BytesIO(content), variable_names=["X", "y"])
        pixels, labels = arrays["X"], arrays["y"].ravel()
    # The reader lets through whatever comes up where a file is cut.
    except (KeyError, OSError, TypeError, ValueError, MatReadError, zlib.error) as error:
        raise ValueError(f"not a MATLAB file with X and y ({error})") from error
    channels, height, width = shape
    if pixels.dtype != np.uint8 or pixels.shape[:3] != (height, width, channels):
        raise ValueError(f"X is {pixels.dtype} {pixels.shape}, not images of the shape {shape}")
    return Images(np.ascontiguousarray(pixels.transpose(3, 2, 0, 1)), (labels % 10).astype("u1"))


FORMATS: dict[str, Callable[[Sequence[bytes], Shape], Images]] = {
    "idx": read_idx,
    "cifar": read_cifar,
    "svhn": read_svhn,
}


def cifar_from_sheet(sheet: bytes, labels: bytes, first: int) -> bytes:
    """Return the binary CIFAR-10 file whose images are the rows of a PNG.

    sheet: a PNG of RGB, one image a row. labels: JSON, a list of the labels of all sheets, of
    which this one's begin at `first`. ValueError where they are not.
    """
    from PIL import Image

    try:
        with Image.open(io.BytesIO(sheet), formats=["PNG"]) as picture:
            if picture.mode != "RGB":
                raise ValueError(f"its pixels are {picture.mode}, not RGB")
            pixels = np.asarray(picture)  # (count, height * width, 3)
        column = np.array(json.loads(labels)[first : first + len(pixels)], np.uint8)
        planes = pixels.transpose(0, 2, 1).reshape(len(pixels), -1)
        return np.hstack([column[:, np.newaxis], planes]).tobytes()
    except (OSError, SyntaxError, TypeError, OverflowError) as error:
        raise ValueError(f"not a sheet of images and its labels ({error})") from error
