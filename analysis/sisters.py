"""Sister networks: nets that differ only by the number of blocks in one layer (Section 5).

A member of a family is held against the dense sister seed by seed, within one source: the user's
own runs where both have some, else the reference's. R is a truly random dense matrix of the layer's
shape and of the dense sister's variance, as in the paper; where the paper drew one, the mean
singular values of many are taken, by order.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from analysis import layer_history
from analysis.block_spectrum import Draws, Layout, bulk_ks_distance
from analysis.layer_history import LayerHistory
from analysis.nulls import Nulls
from analysis.results import OWN, REFERENCE, Key, Results, Run

Array = NDArray[np.float64]

NO_DECAY = "bdip,weight_decay=0"
SHUFFLED_LABELS = "mnist-shuffled-labels"
# Standard deviations to either side, between which 95% of nets lie by chance.
CHANCE = 1.96


class OverBlocks(Protocol):
    """One net of several that differ by the number of blocks, with a number for each seed."""

    @property
    def blocks(self) -> int: ...
    @property
    def source(self) -> str: ...
    @property
    def seeds(self) -> tuple[int, ...]: ...


@dataclass(frozen=True)
class Family:
    """Sisters: `config` has {b} for the blocks of `layer`.

    grows: Xavier's filler, whose variance grows with b; else a Gaussian one, the same for all b.
    """

    name: str
    label: str
    net: str
    dataset: str
    config: str
    layer: str
    blocks: tuple[int, ...]
    iterations: int
    grows: bool
    method: str = "bdip"

    def key(self, blocks: int) -> Key:
        return Key(self.net, self.dataset, self.config.format(b=blocks), self.method)

    def start_ratio(self, blocks: int) -> int:
        """Variance of the block layer's weights over the dense one's at the start, in theory."""
        return blocks if self.grows else 1


_LENET = ("lenet", "mnist", "({b},1)-BD_4", "ip1")
_B1 = (1, 2, 5, 10, 20, 50, 100)
LENET = Family("lenet", "LeNet-5 on MNIST", *_LENET, _B1, 10_000, True)
LENET_NO_DECAY = Family(
    "no_decay", "LeNet-5 without weight decay", *_LENET, _B1, 10_000, True, NO_DECAY
)
LENET_SHUFFLED = Family(
    "shuffled_labels",
    "LeNet-5 on MNIST with shuffled labels",
    *("lenet", SHUFFLED_LABELS, "({b},1)-BD_4", "ip1"),
    *(_B1, 10_000, True),
)
SIGMOID = Family(
    "sigmoid",
    "LeNet-5 with a sigmoid after ip1",
    *("lenet_sigmoid", "mnist", "({b},1)-BD_4", "ip1"),
    *((1, 100), 10_000, True),
)
MLP = Family(
    "mlp500",
    "784-500-500-10 on MNIST",
    *("mlp500", "mnist", "(1,{b},1)-BD_3", "ip2"),
    *(_B1, 10_000, True),
)
CIFAR10 = Family(
    "cifar10",
    "cuda-convnet on CIFAR-10",
    *("cuda_convnet", "cifar10", "({b},1)-BD_5", "ip1"),
    *((1, 2, 4, 8, 16, 32, 64), 9_000, False),
)
FAMILIES = (LENET, LENET_NO_DECAY, LENET_SHUFFLED, SIGMOID, MLP, CIFAR10)


@dataclass(frozen=True)
class Member:
    """One sister and the dense one, seed by seed. S seeds, T dumps, r = min(N, K)."""

    family: Family
    blocks: int
    source: str
    seeds: tuple[int, ...]
    iterations: NDArray[np.int64]
    layout: Layout
    variance: Array  # (S, T)
    dense_variance: Array  # (S, T)
    singular: Array  # (S, T, r), all blocks', the largest first
    by_block: Array  # (S, b, r / b), of the last dump
    runs: tuple[Run, ...]
    nulls: Nulls

    @property
    def last(self) -> int:
        return int(self.iterations[-1])

    def at(self, iteration: int) -> int | None:
        """Index of an iteration, None where it was not dumped."""
        found = np.flatnonzero(self.iterations == iteration)
        return int(found[0]) if found.size else None

    @cached_property
    def variance_ratio(self) -> Array:
        """Variance over the dense sister's, (S, T)."""
        return self.variance / self.dense_variance

    @cached_property
    def deviation(self) -> Array:
        """The variance ratio over what it is at the start in theory, minus 1, (S, T)."""
        return self.variance_ratio / self.family.start_ratio(self.blocks) - 1

    @property
    def draws(self) -> Draws:
        """Truly random blocks of this layer's layout, entries as at the start."""
        return self.nulls.of(self.layout, self.family.grows)

    @property
    def dense_draws(self) -> Draws:
        """The same without blocks."""
        dense = Layout(self.layout.outputs, self.layout.inputs, 1)
        return self.nulls.of(dense, self.family.grows)

    @cached_property
    def reference(self) -> Array:
        """Singular values of R at variance 1, by order, (r,)."""
        return self.dense_draws.mean

    @cached_property
    def singular_ratio(self) -> Array:
        """Singular values over those of R, by order, (S, T, r)."""
        return self.singular / (np.sqrt(self.dense_variance)[..., None] * self.reference)

    @cached_property
    def own_ratio(self) -> Array:
        """Singular values over those of random blocks of the same shape and variance, (S, T, r)."""
        mean = self.draws.mean
        return self.singular / (np.sqrt(self.variance)[..., None] * mean)

    @cached_property
    def distance(self) -> Array:
        """E|1 - sigma_W / sigma_R| over order, (S, T)."""
        return np.abs(1 - self.singular_ratio).mean(axis=-1)

    @cached_property
    def null_ratio(self) -> Array:
        """`singular_ratio` of truly random blocks at the variance of the start, (draws, r)."""
        scale = math.sqrt(self.family.start_ratio(self.blocks))
        draws = self.draws
        return draws.singular * draws.deviations[:, None] * scale / self.reference

    @cached_property
    def null_distance(self) -> Array:
        """`distance` of the same, (draws,)."""
        return np.abs(1 - self.null_ratio).mean(axis=-1)

    @cached_property
    def law_distance(self) -> Array:
        """Kolmogorov-Smirnov distance of the last spectrum to the law, zeros left out, (S,)."""
        last = zip(self.singular[:, -1], self.variance[:, -1], strict=True)
        return np.array([bulk_ks_distance(self.layout, one, float(v)) for one, v in last])

    @cached_property
    def null_law_distance(self) -> Array:
        """The same of truly random blocks, (draws,)."""
        return np.array([bulk_ks_distance(self.layout, s, 1.0) for s in self.draws.singular])

    @cached_property
    def outliers(self) -> NDArray[np.int64]:
        """Eigenvalues above the edge that random blocks pass in one layer of 100, (S, T)."""
        unit = self.singular**2 / (self.layout.n * self.variance[..., None])
        return np.count_nonzero(unit > self.draws.edge, axis=-1)

    def start_noise(self) -> float:
        """Relative standard deviation of the variance ratio at the start, from chance alone.

        The sample variance of n independent numbers of kurtosis k has the relative variance
        (k - 1) / n; k is 9/5 for Xavier's uniform numbers and 3 for Gaussian ones.
        """
        kurtosis = 9 / 5 if self.family.grows else 3
        count = self.layout.outputs * self.layout.inputs
        counts = (count / self.blocks, count) if self.blocks > 1 else (count,)
        return math.sqrt(sum((kurtosis - 1) / one for one in counts))


class Spectra:
    """Layer histories and random matrices of one set of results, read when asked for."""

    def __init__(self, results: Results, nulls: Nulls) -> None:
        self.results = results
        self.nulls = nulls
        self._read: dict[Path, dict[str, LayerHistory]] = {}
        self._members: dict[tuple[Family, int], Member | None] = {}

    def layers(self, run: Run) -> dict[str, LayerHistory]:
        if run.folder not in self._read:
            self._read[run.folder] = layer_history.read(run)
        return self._read[run.folder]

    def histories(
        self, key: Key, layer: str, iterations: int, source: str
    ) -> dict[int, tuple[Run, LayerHistory]]:
        """Finished runs of one source that went to `iterations` and left spectra, by seed."""
        summary = self.results.as_long(key, source, iterations)
        if summary is None:
            return {}
        runs = self.results.finished_runs(summary, key)
        found = ((run, self.layers(run).get(layer)) for run in runs)
        return {run.seed: (run, history) for run, history in found if history is not None}

    def member(self, family: Family, blocks: int) -> Member | None:
        """A sister, None where its runs or the dense one's are missing."""
        place = (family, blocks)
        if place not in self._members:
            self._members[place] = self._member(family, blocks)
        return self._members[place]

    def members(self, family: Family) -> list[Member]:
        found = (self.member(family, blocks) for blocks in family.blocks)
        return [member for member in found if member is not None]

    def _member(self, family: Family, blocks: int) -> Member | None:
        for source in (OWN, REFERENCE):
            sister, dense = (
                self.histories(family.key(b), family.layer, family.iterations, source)
                for b in (blocks, 1)
            )
            seeds = sorted(sister.keys() & dense.keys())
            if seeds:
                return self._join(family, blocks, source, [(sister[s], dense[s]) for s in seeds])
        return None

    def _join(
        self,
        family: Family,
        blocks: int,
        source: str,
        pairs: list[tuple[tuple[Run, LayerHistory], tuple[Run, LayerHistory]]],
    ) -> Member:
        both = [(one, dense) for (_, one), (_, dense) in pairs]
        shared = set.intersection(*(set(h.iterations.tolist()) for pair in both for h in pair))
        iterations = np.array(sorted(shared))
        ones = [one for one, _ in both]
        chosen = [[np.isin(h.iterations, iterations) for h in pair] for pair in both]
        return Member(
            family=family,
            blocks=blocks,
            source=source,
            seeds=tuple(run.seed for (run, _), _ in pairs),
            iterations=iterations,
            layout=ones[0].layout,
            variance=np.array(
                [one.variance[c[0]] for (one, _), c in zip(both, chosen, strict=True)]
            ),
            dense_variance=np.array(
                [dense.variance[c[1]] for (_, dense), c in zip(both, chosen, strict=True)]
            ),
            singular=np.array(
                [one.sorted_singular()[c[0]] for one, c in zip(ones, chosen, strict=True)]
            ),
            by_block=np.array(
                [one.singular[c[0]][-1] for one, c in zip(ones, chosen, strict=True)]
            ),
            runs=tuple(run for (run, _), _ in pairs),
            nulls=self.nulls,
        )
