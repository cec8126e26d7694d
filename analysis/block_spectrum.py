"""Spectra of block diagonal weights, and how near they are to those of random matrices.

A layer's weights come packed, as Caffe's BlockInnerProduct keeps them: N x K/b numbers for N
outputs, K inputs and b blocks, block i in rows i N/b to (i + 1) N/b - 1. With b = 1 that is an
ordinary N x K matrix. In the terms of `random_matrix`, each block's transpose is X: m = K/b rows,
n = N/b columns and y = K/N, whatever b.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from analysis import random_matrix
from analysis.errors import AnalysisError

Array = NDArray[np.float64]


def _check_matrix(weight: NDArray) -> None:
    """AnalysisError unless it is a matrix of finite real numbers."""
    if weight.ndim != 2 or weight.size == 0:
        raise AnalysisError(
            f"the weights have shape {weight.shape}: a matrix of outputs by inputs is needed"
        )
    if weight.dtype.kind not in "fiu":
        raise AnalysisError(f"the weights are of type {weight.dtype}: real numbers are needed")
    if not np.isfinite(weight).all():
        raise AnalysisError("the weights have numbers that are not finite: did training diverge?")


def blocks_of(weight: NDArray, blocks: int) -> Array:
    """The packed N x K/b weights as an array of b blocks: (b, N/b, K/b), float64.

    Raises AnalysisError where it is no matrix of finite real numbers, or b does not divide N.
    """
    _check_matrix(weight)
    outputs = weight.shape[0]
    if blocks < 1 or outputs % blocks:
        raise AnalysisError(
            f"{outputs} outputs cannot be split into {blocks} blocks: name a divisor of {outputs}"
        )
    return weight.astype(float).reshape(blocks, outputs // blocks, weight.shape[1])


def pack(full: NDArray, blocks: int) -> NDArray:
    """The diagonal blocks of an N x K matrix, packed to N x K/b.

    Raises AnalysisError where b does not divide N and K, or where a number off the blocks is not 0.
    """
    _check_matrix(full)
    outputs, inputs = full.shape
    if blocks < 1 or inputs % blocks:
        raise AnalysisError(
            f"{inputs} inputs cannot be split into {blocks} blocks: name a divisor of {inputs}"
        )
    split = blocks_of(full, blocks).reshape(blocks, outputs // blocks, blocks, inputs // blocks)
    index = np.arange(blocks)
    packed = split[index, :, index, :]
    off = np.count_nonzero(full) - np.count_nonzero(packed)
    if off:
        raise AnalysisError(
            f"{off} numbers off the {blocks} diagonal blocks are not zero: name the right number "
            "of blocks, or 1 for a dense matrix"
        )
    return packed.reshape(outputs, inputs // blocks)


def singular_values(weight: NDArray, blocks: int) -> Array:
    """Singular values of all blocks, put together and sorted, the largest first (Section 5.1).

    Their number is min(N, K).
    """
    values = np.linalg.svd(blocks_of(weight, blocks), compute_uv=False)
    return np.sort(values.ravel())[::-1]


def gram_singular_values(blocks: Array) -> Array:
    """Singular values of each block, the largest first: (b, N/b, K/b) to (b, min(N, K)/b).

    From the smaller Gram matrix's eigenvalues: four times as fast as a decomposition, and as exact
    as single precision weights allow, but for singular values that are next to zero by rank.
    """
    turned = np.swapaxes(blocks, 1, 2)
    gram = blocks @ turned if blocks.shape[1] <= blocks.shape[2] else turned @ blocks
    return np.sqrt(np.maximum(np.linalg.eigvalsh(gram), 0))[:, ::-1]


@dataclass(frozen=True)
class Layout:
    """Shape of a block diagonal matrix: N outputs, K inputs, b blocks."""

    outputs: int
    inputs: int
    blocks: int

    @property
    def n(self) -> int:
        """Columns of X: outputs of one block."""
        return self.outputs // self.blocks

    @property
    def m(self) -> int:
        """Rows of X: inputs of one block."""
        return self.inputs // self.blocks

    @property
    def y(self) -> float:
        return self.inputs / self.outputs

    def eigenvalues(self, singular: Array) -> Array:
        """All K eigenvalues of (1/n) X X^T of the blocks, ascending, the zeros among them.

        singular: the min(N, K) singular values of the blocks, in any order.
        """
        zeros = np.zeros(self.inputs - singular.size)
        return np.concatenate([zeros, np.sort(singular**2) / self.n])


def ks_distance(eigenvalues: Array, y: float, variance: float) -> float:
    """Kolmogorov-Smirnov distance of a spectrum to the Marchenko-Pastur law, the atom included.

    eigenvalues: ascending, those that are zero by rank exactly zero.
    """
    count = eigenvalues.size
    law = random_matrix.cdf(eigenvalues, y, variance)
    right = np.searchsorted(eigenvalues, eigenvalues, side="right") / count
    left = np.searchsorted(eigenvalues, eigenvalues, side="left") / count
    law_left = np.where(eigenvalues > 0, law, 0.0)  # the law jumps at 0 and nowhere else
    return float(max(np.abs(right - law).max(), np.abs(left - law_left).max()))


def bulk_ks_distance(layout: Layout, singular: Array, variance: float) -> float:
    """The same for the eigenvalues that are not zero by rank, beside the law without its atom.

    singular: the min(N, K) singular values of the blocks. For y > 1 spectrum and law have the same
    atom, 1 - 1/y, so that the distance of what is left is y times as large.
    """
    whole = ks_distance(layout.eigenvalues(singular), layout.y, variance)
    return whole / (1 - random_matrix.atom(layout.y))


def mean_distance(singular: Array, reference: Array) -> float:
    """E |1 - sigma_W / sigma_R|: the mean over order, as in the paper's Figure 7."""
    return float(np.mean(np.abs(1 - singular / reference)))


@dataclass(frozen=True)
class Draws:
    """Truly random block matrices of one layout, every draw of variance 1.

    singular: (draws, min(N, K)), the largest first. Each draw is scaled to sample variance 1, as
    a trained layer is compared at its own sample variance. deviations: (draws,), the sample
    standard deviations before that, of entries of variance 1.
    """

    layout: Layout
    singular: Array
    deviations: Array

    @cached_property
    def mean(self) -> Array:
        """Mean singular value by order."""
        return self.singular.mean(axis=0)

    @cached_property
    def edge(self) -> float:
        """What the largest eigenvalue of (1/n) X X^T of such a layer stays under in 99 of 100.

        With one block by Tracy and Widom's law. Of b blocks the largest passes it where a single
        one does with the chance 0.01/b: so far out, and for blocks as small as some are, the law
        is no longer near, and the draws decide (scaled to variance 1 each, as a layer is).
        """
        layout = self.layout
        if layout.blocks == 1 and layout.n > 1:
            return random_matrix.edge(layout.m, layout.n)
        return float(np.percentile(self.singular[:, 0], 99)) ** 2 / layout.n

    def others_mean(self, index: int) -> Array:
        """The mean of all draws but one, to hold that one against."""
        count = len(self.singular)
        return (count * self.mean - self.singular[index]) / (count - 1)


def draw(layout: Layout, draws: int, seed: int, uniform: bool = False) -> Draws:
    """Random block matrices; the same seed gives the same ones.

    Entries are Gaussian, or uniform as Xavier's are at the start, which small blocks can tell.
    """
    if draws < 2:
        raise AnalysisError(f"{draws} random draws give no spread: ask for at least 2")
    generator = np.random.default_rng(seed)
    shape = (layout.blocks, layout.n, layout.m)
    singular, deviations = [], []
    for _ in range(draws):
        if uniform:
            weight = generator.uniform(-math.sqrt(3), math.sqrt(3), shape)
        else:
            weight = generator.standard_normal(shape)
        values = gram_singular_values(weight)
        deviations.append(weight.std())
        singular.append(np.sort(values.ravel())[::-1] / deviations[-1])
    return Draws(layout, np.array(singular), np.array(deviations))


@dataclass(frozen=True)
class Comparison:
    """A layer beside random matrices; every null_ value is that of truly random block matrices.

    ratio: singular values over the reference's, by order, the largest first. null_ratio: the
    same for each random draw, (draws, min(N, K)). outliers: eigenvalues above the edge of the bulk.
    """

    layout: Layout
    variance: float
    singular: Array
    ratio: Array
    distance: float
    ks: float
    outliers: int
    null_ratio: Array
    null_distance: Array
    null_ks: Array

    @property
    def eigenvalues(self) -> Array:
        return self.layout.eigenvalues(self.singular)


def compare(
    weight: NDArray, blocks: int, null: Draws, reference: Draws | None = None
) -> Comparison:
    """Holds packed N x K/b weights against random matrices of the weights' own variance.

    null: draws of the weights' own layout. reference: what the ratio is taken to; by default those
    same draws. The paper takes a dense N x K matrix: then its variance is this layer's over b,
    which leaves the law of the singular values what it is.
    """
    layout = null.layout
    if blocks_of(weight, blocks).shape != (layout.blocks, layout.n, layout.m):
        raise ValueError(f"weights of shape {weight.shape} are not laid out as {layout}")
    variance = float(np.var(weight.astype(float)))
    if variance == 0:
        raise AnalysisError("all weights are equal: there is no spectrum to compare")
    singular = singular_values(weight, blocks)
    unit = singular / math.sqrt(variance)

    if reference is None:
        target = null.mean
        targets = np.array([null.others_mean(i) for i in range(len(null.singular))])
    else:
        scale = math.sqrt(reference.layout.blocks / layout.blocks)
        target = reference.mean * scale
        targets = np.broadcast_to(target, null.singular.shape)
    null_ratio = null.singular / targets

    eigenvalues = layout.eigenvalues(singular)
    return Comparison(
        layout=layout,
        variance=variance,
        singular=singular,
        ratio=unit / target,
        distance=mean_distance(unit, target),
        ks=ks_distance(eigenvalues, layout.y, variance),
        outliers=int(np.count_nonzero(eigenvalues > variance * null.edge)),
        null_ratio=null_ratio,
        null_distance=np.abs(1 - null_ratio).mean(axis=1),
        null_ks=np.array(
            [ks_distance(layout.eigenvalues(one), layout.y, 1.0) for one in null.singular]
        ),
    )
