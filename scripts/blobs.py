"""Caffe's BlobProto as arrays: what caffemodel and solverstate files are made of."""

from collections.abc import Callable

import numpy as np
from caffe.proto import caffe_pb2

Blob = caffe_pb2.BlobProto

_FIELDS = {
    "data": np.float32,
    "diff": np.float32,
    "double_data": np.float64,
    "double_diff": np.float64,
}


def shape(blob: Blob) -> tuple[int, ...]:
    """Return a blob's shape; of the four numbers of old files, those from the first above 1."""
    if blob.HasField("shape"):
        return tuple(blob.shape.dim)
    axes = [blob.num, blob.channels, blob.height, blob.width]
    while len(axes) > 1 and axes[0] == 1:
        del axes[0]
    return tuple(axes)


def values(blob: Blob) -> np.ndarray:
    """Return a blob's data as an array of its shape, float32 or float64 as they are stored."""
    field = "double_data" if blob.double_data else "data"
    return np.array(getattr(blob, field), _FIELDS[field]).reshape(shape(blob))


def like(blob: Blob, array: np.ndarray) -> Blob:
    """Return a blob that holds `array` in the precision in which `blob` holds its data."""
    new = Blob()
    new.shape.dim.extend(array.shape)
    (new.double_data if blob.double_data else new.data).extend(array.ravel().tolist())
    return new


def mapped(blob: Blob, function: Callable[[np.ndarray], np.ndarray]) -> Blob:
    """Return a blob with `function` applied to the data, and to the diff where there is one."""
    new = Blob()
    for field, dtype in _FIELDS.items():
        stored = getattr(blob, field)
        if stored:
            array = function(np.array(stored, dtype).reshape(shape(blob)))
            getattr(new, field).extend(array.ravel().tolist())
            if not new.shape.dim:
                new.shape.dim.extend(array.shape)
    return new
