"""What condensing and expanding make of a single layer, and when they cannot."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from caffe.proto import caffe_pb2
from scipy.optimize import linear_sum_assignment

from scripts import blobs, networks, shapes
from scripts.errors import UserError

Layer = caffe_pb2.LayerParameter
Prune = caffe_pb2.PruneParameter
_Shuffle = caffe_pb2.BlockInnerProductParameter


@dataclass(frozen=True)
class Change:
    """What becomes of a layer: `edit` changes its message, the others its blobs.

    `matrix` and `bias` are gathers, right for weights and for anything that a solver keeps beside
    each weight. `permutation` (b) is the blob that a FIXED shuffle adds; `first` cuts it off.
    """

    edit: Callable[[Layer], None]
    matrix: Callable[[np.ndarray], np.ndarray]
    bias: Callable[[np.ndarray], np.ndarray] = lambda bias: bias
    permutation: np.ndarray | None = None
    first: int | None = None

    def blobs(self, old: list[blobs.Blob], history: bool) -> list[blobs.Blob]:
        """Return the layer's new blobs, or those of the solver's history of them."""
        new = [
            blobs.mapped(blob, self.matrix if i == 0 else self.bias)
            for i, blob in enumerate(old[: self.first])
        ]
        if self.permutation is not None:
            # It is never updated, so that there is no history of it: zeros.
            value = self.permutation * (not history)
            new.append(blobs.like(old[0], value))
        return new


def to_blocks(layer: Layer, prune: Prune) -> Change:
    """Make a BlockInnerProduct of an InnerProduct (a caffemodel's) that was pruned to blocks."""
    order = _order(layer, prune)
    own = np.arange(len(order))
    permuted = bool(np.any(order != own))

    def gather(matrix: np.ndarray) -> np.ndarray:
        return _cut(matrix, len(order))[own, :, order, :].reshape(len(matrix), -1)

    def edit(layer: Layer) -> None:
        shuffle = _Shuffle.FIXED if permuted else _Shuffle.NONE
        networks.set_layer_blocks(layer, len(order), shuffle)
        _drop_prune(layer)

    return Change(edit, gather, permutation=order if permuted else None)


def to_dense(layer: Layer) -> Change:
    """Make an InnerProduct of a BlockInnerProduct (a caffemodel's)."""
    parameter = layer.block_inner_product_param
    blocks = parameter.blocks
    own = order = np.arange(blocks)
    if any(spec.HasField("prune") for spec in layer.param):
        raise UserError(
            f"{shapes.label(layer)} is pruned itself, for which an InnerProduct has no words; take "
            "its `prune` out"
        )
    if parameter.shuffle == _Shuffle.PER_PASS:
        raise UserError(
            f"{shapes.label(layer)} draws a permutation in each pass, which no InnerProduct does; "
            "take its shuffle out to expand what it computes in tests"
        )
    if parameter.shuffle == _Shuffle.FIXED:
        order = blobs.values(layer.blobs[-1]).astype(int)
        if sorted(order) != list(own):
            raise UserError(f"the last blob of {shapes.label(layer)} is not a permutation")

    def scatter(matrix: np.ndarray) -> np.ndarray:
        outputs, inputs = matrix.shape
        dense = np.zeros((outputs, inputs * blocks), matrix.dtype)
        _cut(dense, blocks)[own, :, order, :] = matrix.reshape(blocks, outputs // blocks, inputs)
        return dense

    first = 1 + parameter.bias_term

    def edit(layer: Layer) -> None:
        networks.set_layer_blocks(layer, 1)
        del layer.param[first:]

    return Change(edit, scatter, first=first)


def smaller(layer: Layer, rows: np.ndarray | None, columns: np.ndarray | None) -> Change:
    """Keep some rows (outputs) and some columns (inputs) of an InnerProduct."""

    def gather(matrix: np.ndarray) -> np.ndarray:
        if rows is not None:
            matrix = matrix[rows]
        return matrix if columns is None else matrix[:, columns]

    size = gather(blobs.values(layer.blobs[0])).size

    def edit(layer: Layer) -> None:
        if rows is not None:
            layer.inner_product_param.num_output = len(rows)
            _drop_prune(layer)
        elif layer.param and layer.param[0].prune.keep > size:
            layer.param[0].prune.keep = size

    return Change(edit, gather, (lambda bias: bias) if rows is None else (lambda bias: bias[rows]))


def _past_the_phase(prune: Prune) -> str:
    return (
        f"train past the end of the phase, iteration {prune.start + prune.iters}, and take the "
        "weights from there"
    )


def _order(layer: Layer, prune: Prune) -> np.ndarray:
    """Return the block of inputs (b) that each block of outputs is connected with.

    UserError where entries off the blocks are not 0, or nothing tells which block is which.
    """
    blocks = prune.blocks
    matrix = blobs.values(layer.blobs[0])
    if blocks < 1 or matrix.shape[0] % blocks or matrix.shape[1] % blocks:
        raise UserError(
            f"{shapes.label(layer)} has the shape {matrix.shape}, which {blocks} blocks do not "
            "divide; do the weights belong to another net?"
        )
    cut = _cut(matrix, blocks)
    alive = np.count_nonzero(cut, axis=(1, 3))
    order = np.arange(blocks)
    if prune.HasField("shuffle_seed"):
        order = linear_sum_assignment(alive, maximize=True)[1]
    off = np.ones((blocks, blocks), bool)
    off[np.arange(blocks), order] = False
    count = int(alive[off].sum())
    if count:
        total = matrix.size - matrix.size // blocks
        largest = np.abs(cut).max(axis=(1, 3))[off].max()
        raise UserError(
            f"{shapes.label(layer)} is not block diagonal: {count:,} of the {total:,} entries off "
            f"its {blocks} blocks are not 0 ({count / total:.2%}), and the largest of them is "
            f"{largest:.3g}; {_past_the_phase(prune)}"
        )
    empty = blocks - np.count_nonzero(alive.any(axis=1))
    if empty > 1 and prune.HasField("shuffle_seed"):
        raise UserError(
            f"{shapes.label(layer)} has {empty} permuted blocks in which all is 0: which inputs "
            "they belong to cannot be told"
        )
    return order


def kept_outputs(layer: Layer, prune: Prune) -> np.ndarray:
    """Return the indices of the outputs that `prune { type: NODE }` left, of which none is 0."""
    alive = blobs.values(layer.blobs[0]).any(axis=1)
    kept = np.flatnonzero(alive)
    if len(kept) > prune.keep:
        raise UserError(
            f"{shapes.label(layer)} still has {len(kept):,} of its {len(alive):,} outputs, of "
            f"which it is to keep {prune.keep:,}; {_past_the_phase(prune)}"
        )
    if not len(kept):
        raise UserError(f"{shapes.label(layer)} has no output left: all of its weights are 0")
    for bias in layer.blobs[1:]:
        count = np.count_nonzero(blobs.values(bias)[~alive])
        if count:
            raise UserError(
                f"{shapes.label(layer)} has {count:,} outputs without weights but with a bias; "
                "they were not removed by `prune`, which sets both to 0"
            )
    return kept


def check_lost_inputs(layer: Layer, before: str, kept: np.ndarray) -> None:
    """Raise UserError unless `layer` has weights 0 for all but the `kept` outputs of `before`."""
    matrix = blobs.values(layer.blobs[0])
    if kept[-1] >= matrix.shape[1]:
        raise UserError(
            f"{shapes.label(layer)} takes {matrix.shape[1]} inputs, fewer than '{before}' has "
            "outputs; do the weights belong to another net?"
        )
    count = np.count_nonzero(np.delete(matrix, kept, axis=1))
    if count:
        raise UserError(
            f"{shapes.label(layer)} has {count:,} weights that are not 0 for removed outputs of "
            f"'{before}'; they were not removed by `prune`, which sets these to 0 too"
        )


def _cut(matrix: np.ndarray, blocks: int) -> np.ndarray:
    """View a matrix (N, K) as (b, N/b, b, K/b): element [i, :, j, :] is its block (i, j)."""
    outputs, inputs = matrix.shape
    return matrix.reshape(blocks, outputs // blocks, blocks, inputs // blocks)


def _drop_prune(layer: Layer) -> None:
    if layer.param:
        layer.param[0].ClearField("prune")
