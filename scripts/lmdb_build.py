"""LMDB databases of Caffe's Datum records: writing them from images, and a look at one."""

import errno
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import lmdb
import numpy as np
from caffe.proto import caffe_pb2
from google.protobuf.message import DecodeError

from scripts.errors import UserError, disk_is_full
from scripts.image_files import Images


@dataclass(frozen=True)
class Written:
    """What was written: the number of records and the SHA-256 over keys and values in order."""

    count: int
    records_sha256: str


def datums(images: Images, first: int = 0) -> Iterator[tuple[bytes, bytes]]:
    """Yield (key, serialized Datum) for each image.

    Keys are the index in eight digits, as Caffe's convert_mnist_data writes them, from `first` on.
    """
    _, channels, height, width = images.pixels.shape
    datum = caffe_pb2.Datum(channels=channels, height=height, width=width)
    for i, (pixels, label) in enumerate(zip(images.pixels, images.labels, strict=True)):
        datum.data = pixels.tobytes()
        datum.label = int(label)
        yield b"%08d" % (first + i), datum.SerializeToString(deterministic=True)


def mean_image(images: Images) -> bytes:
    """Return the mean of all images as Caffe's compute_image_mean writes it: a BlobProto."""
    # Summed exactly, and rounded to single precision before the division as after it.
    total = images.pixels.sum(axis=0, dtype=np.int64).astype(np.float32)
    mean = total / np.float32(len(images.pixels))
    channels, height, width = mean.shape
    blob = caffe_pb2.BlobProto(num=1, channels=channels, height=height, width=width)
    blob.data.extend(mean.ravel().tolist())
    return blob.SerializeToString(deterministic=True)


def write(folder: Path, records: Iterator[tuple[bytes, bytes]], size_hint: int) -> Written:
    """Write records, sorted by key, to a new LMDB in `folder`, and flush them to the disk.

    `size_hint`: the bytes of all keys and values together, at most; the room that LMDB sets aside
    in the address space follows from it, the file takes only what is used.
    OSError when the disk is full or cannot be written; ValueError for keys out of order.
    """
    folder.mkdir()
    digest = hashlib.sha256()
    count = 0
    try:
        # Three times the content: a record may take one page (4 KiB) more than it needs, or leave
        # half of one empty; page headers and the inner pages of the tree come on top.
        with (
            lmdb.open(str(folder), map_size=3 * size_hint + 64 * 4096, lock=False) as environment,
            environment.begin(write=True) as transaction,  # one commit, flushed when it returns
        ):
            for key, value in records:
                if not transaction.put(key, value, append=True):
                    raise ValueError(f"the key {key!r} does not come after the one before it")
                digest.update(key)
                digest.update(value)
                count += 1
    except lmdb.Error as error:
        raise _as_os_error(error, folder) from error
    return Written(count, digest.hexdigest())


def _as_os_error(error: lmdb.Error, folder: Path) -> OSError:
    """Give LMDB's errors their system error number, which it only has in its text.

    LMDB calls it an input/output error when the disk took only a part of what it wrote.
    """
    for code in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS):
        if os.strerror(code) in str(error):
            return OSError(code, os.strerror(code), str(folder))
    if os.strerror(errno.EIO) in str(error) and disk_is_full(folder):
        return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))
    return OSError(errno.EIO, str(error), str(folder))


def inspect(folder: Path) -> tuple[int, tuple[int, int, int] | None]:
    """Return the number of records of an LMDB and the (channels, height, width) of the first.

    The shape is None where the records are encoded images. UserError where the database is
    missing, cut, empty, or not of Datum records: Caffe would abort, or loop over what is left.
    """
    cure = "make it again (`make data DATASETS=<name>` for a data set of this project)"
    file = folder / "data.mdb"
    if not file.is_file():
        raise UserError(f"there is no LMDB at {folder} (no file data.mdb in it); {cure}")
    try:
        with lmdb.open(str(folder), readonly=True, lock=False, create=False) as environment:
            # Reading beyond the end of a cut file would kill the process: sizes first.
            needed = (environment.info()["last_pgno"] + 1) * environment.stat()["psize"]
            found = file.stat().st_size
            if found < needed:
                raise UserError(
                    f"the LMDB {file} is cut: it has {found} bytes and should have {needed}; {cure}"
                )
            with environment.begin() as transaction, transaction.cursor() as cursor:
                count = environment.stat()["entries"]
                if not cursor.first():
                    raise UserError(f"the LMDB {folder} has no records; {cure}")
                datum = caffe_pb2.Datum.FromString(cursor.value())
    except lmdb.Error as error:
        raise UserError(f"the LMDB {file} cannot be read ({error}); {cure}") from error
    except DecodeError as error:
        raise UserError(f"the first record of {folder} is not a Caffe Datum; {cure}") from error
    if datum.encoded:
        return count, None
    return count, (datum.channels, datum.height, datum.width)
