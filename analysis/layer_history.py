"""Spectra of a run's inner product layers over its training, from its weight dumps.

What is needed of the dumps is small and is kept beside them as spectra.npz, so that it is computed
once, and so that a run whose dumps were removed (a reference run, say) can still be read.
"""

import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from analysis import block_spectrum
from analysis.errors import AnalysisError
from analysis.files import write_atomically
from analysis.results import Run

FILE = "spectra.npz"
FIELDS = ("shape", "iterations", "variance", "weights", "singular")

_LAYER = re.compile(r"^layer \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
_NAME = re.compile(r'^  name: "([^"]+)"', re.MULTILINE)
_TYPE = re.compile(r'^  type: "(?:Block)?InnerProduct"', re.MULTILINE)
_BLOCKS = re.compile(r"^  block_inner_product_param \{\n.*?^    blocks: (\d+)", re.M | re.S)


@dataclass(frozen=True)
class LayerHistory:
    """One layer over training; T dumps, b blocks of N/b x K/b.

    variance: of the entries inside the blocks, (T,). weights: how many of them are not zero, (T,).
    singular: of each block at each dump, the largest first, (T, b, min(N, K)/b); without dumps of
    every iteration (T,) is only the last one.
    """

    outputs: int
    inputs: int
    blocks: int
    iterations: NDArray[np.int64]
    variance: NDArray[np.float64]
    weights: NDArray[np.int64]
    singular: NDArray[np.float64]

    @property
    def layout(self) -> block_spectrum.Layout:
        return block_spectrum.Layout(self.outputs, self.inputs, self.blocks)

    def index(self, iteration: int) -> int | None:
        """Where in the arrays an iteration is, None where it was not dumped."""
        found = np.flatnonzero(self.iterations == iteration)
        return int(found[0]) if found.size else None

    def sorted_singular(self) -> NDArray[np.float64]:
        """All blocks' singular values put together, the largest first: (T, min(N, K))."""
        flat = self.singular.reshape(len(self.singular), -1)
        return -np.sort(-flat, axis=1)


def layer_blocks(net_prototxt: str) -> dict[str, int]:
    """Inner product layers of a net, in order: name and number of blocks (1 where dense)."""
    found = {}
    for body in _LAYER.findall(net_prototxt):
        if _TYPE.search(body):
            blocks = _BLOCKS.search(body)
            found[_NAME.search(body)[1]] = int(blocks[1]) if blocks else 1
    return found


def is_sister(run: Run) -> bool:
    """True for nets without pruning or shuffling, whose spectra Section 5 is about."""
    return (run.key.method or "bdip").split(",")[0] == "bdip"


def read(run: Run) -> dict[str, LayerHistory]:
    """Layers of a finished run by name, in the net's order; empty where it left no dumps.

    Of a pruned or shuffled run only the last dump is looked at.
    """
    saved = run.folder / FILE
    dumps = sorted((run.folder / "weights").glob("iter_*.npz"))
    if dumps and not is_sister(run):
        dumps = dumps[-1:]
    if saved.is_file():
        histories = _load(saved)
        reached = [int(path.stem.removeprefix("iter_")) for path in dumps]
        if all(set(reached) <= set(one.iterations.tolist()) for one in histories.values()):
            return histories
    if not dumps:
        return {}
    histories = _from_dumps(run, dumps)
    # The results may lie where nothing can be written: then they are computed again next time.
    with suppress(AnalysisError):
        _save(saved, histories)
    return histories


def _from_dumps(run: Run, dumps: list[Path]) -> dict[str, LayerHistory]:
    layers = layer_blocks(run.record["net_prototxt"])
    rows: dict[str, list[tuple[float, int, np.ndarray]]] = {name: [] for name in layers}
    shapes = {}
    for path in dumps:
        try:
            with np.load(path) as arrays:
                weights = {name: arrays[f"{name}/weight"] for name in layers}
        except (OSError, ValueError, KeyError, BadZipFile) as error:
            raise AnalysisError(
                f"{path} cannot be read ({error}): remove the run's folder and train it again"
            ) from error
        for name, weight in weights.items():
            split = block_spectrum.blocks_of(weight, layers[name])
            shapes[name] = (weight.shape[0], weight.shape[1] * layers[name])
            singular = block_spectrum.gram_singular_values(split)
            rows[name].append((float(split.var()), np.count_nonzero(weight), singular))
    iterations = np.array([int(path.stem.removeprefix("iter_")) for path in dumps])
    return {
        name: LayerHistory(
            *shapes[name],
            layers[name],
            iterations,
            np.array([row[0] for row in rows[name]]),
            np.array([row[1] for row in rows[name]]),
            np.array([row[2] for row in rows[name]]),
        )
        for name in layers
    }


def _save(path: Path, histories: dict[str, LayerHistory]) -> None:
    """One array a field, named <layer>/<field>; singular values in single precision."""
    arrays = {}
    for name, one in histories.items():
        values = (
            np.array([one.outputs, one.inputs, one.blocks]),
            one.iterations,
            one.variance,
            one.weights,
            one.singular.astype(np.float32),
        )
        arrays |= {f"{name}/{field}": value for field, value in zip(FIELDS, values, strict=True)}
    write_atomically(path, lambda stream: np.savez_compressed(stream, **arrays))


def _load(path: Path) -> dict[str, LayerHistory]:
    try:
        with np.load(path) as arrays:
            names = dict.fromkeys(name.rpartition("/")[0] for name in arrays.files)
            read = {name: [arrays[f"{name}/{field}"] for field in FIELDS] for name in names}
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise AnalysisError(f"{path} cannot be read ({error}): remove that file") from error
    return {
        name: LayerHistory(
            *(int(number) for number in shape),
            iterations,
            variance,
            weights,
            singular.astype(float),
        )
        for name, (shape, iterations, variance, weights, singular) in read.items()
    }
