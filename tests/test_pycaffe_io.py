"""What the patches change in pycaffe's own Python files."""

from __future__ import annotations

import numpy as np
from caffe import io


def test_a_datums_array_is_the_callers_own() -> None:
    image = np.arange(12, dtype=np.uint8).reshape(3, 2, 2)
    datum = io.array_to_datum(image, label=1)
    array = io.datum_to_array(datum)
    assert np.array_equal(array, image)
    array[0, 0, 0] = 9
    assert np.array_equal(io.datum_to_array(datum), image)
