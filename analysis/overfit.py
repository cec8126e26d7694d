"""Accuracy on the training set minus accuracy on the test set: Figures 4 and 5 of the paper.

Over the iterations the training accuracy is that of a fixed part of the training set, 10,000
images, as many as the test set has; at the end also that of all of it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis import paper
from analysis.results import OWN, REFERENCE, Key, Results, Run, measured_curve
from analysis.sisters import CIFAR10, Family

Array = NDArray[np.float64]

TRAIN_PART = "train_part_accuracy"
TRAIN_SET = "train_set_accuracy"
TEST = "test_accuracy"


@dataclass(frozen=True)
class Overfit:
    """Accuracies in percent of one net, seed by seed. S seeds, T measured iterations."""

    key: Key
    blocks: int
    source: str
    seeds: tuple[int, ...]
    iterations: Array  # (T,)
    test: Array  # (S, T)
    train_part: Array  # (S, T)
    train_set: Array  # (S,), all training images, at the end

    @property
    def gap(self) -> Array:
        """Training minus test accuracy in points, over the iterations: (S, T)."""
        return self.train_part - self.test

    @property
    def final_gap(self) -> Array:
        """The same at the end, from all training images: (S,)."""
        return self.train_set - self.test[:, -1]

    @property
    def final_ratio(self) -> Array:
        """Test accuracy over `final_gap`, (S,)."""
        return self.test[:, -1] / self.final_gap


def _curves(run: Run) -> tuple[Array, Array, Array] | None:
    """Iterations, test accuracy and that on the part of the training set, where both are known."""
    if TRAIN_SET not in run.record["final"]:
        return None
    iterations, test = measured_curve(run, TEST)
    part_iterations, part = measured_curve(run, TRAIN_PART)
    shared = np.intersect1d(iterations, part_iterations)
    shared = shared[shared > 0]
    return (
        shared,
        100 * test[np.isin(iterations, shared)],
        100 * part[np.isin(part_iterations, shared)],
    )


def of_key(results: Results, key: Key, blocks: int) -> Overfit | None:
    """The finished runs of a net with both accuracies; None where there are none.

    On the paper's data sets only those as long as the paper's; the user's own, else the
    reference's.
    """
    length = paper.iterations(key.dataset)
    summary = results.as_long(key, OWN, length) or results.as_long(key, REFERENCE, length)
    if summary is None:
        return None
    runs = results.finished_runs(summary, key)
    measured = [(run, curves) for run in runs if (curves := _curves(run)) is not None]
    if not measured:
        return None
    iterations = measured[0][1][0]
    measured = [(run, curves) for run, curves in measured if np.array_equal(curves[0], iterations)]
    return Overfit(
        key,
        blocks,
        summary.source,
        tuple(run.seed for run, _ in measured),
        iterations,
        np.array([test for _, (_, test, _) in measured]),
        np.array([part for _, (_, _, part) in measured]),
        np.array([100 * run.record["final"][TRAIN_SET] for run, _ in measured]),
    )


def members(results: Results, family: Family = CIFAR10) -> list[Overfit]:
    """All nets of a family that have both accuracies, by number of blocks."""
    found = (of_key(results, family.key(blocks), blocks) for blocks in family.blocks)
    return [one for one in found if one is not None]
