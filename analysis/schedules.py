"""Which schedule of the learning rate has the paper on CIFAR-10? Three readings of its 9,000.

Caffe's example goes on from 4,000 iterations at 1e-3 with 1,000 at 1e-4; the paper has 9,000 in
all and leaves the hyperparameters unchanged. Two of its numbers tell the readings apart: the
accuracy of the dense net and the variance of its ip1 at the end.
"""

from dataclasses import dataclass

import numpy as np

from analysis import paper, words
from analysis.claims.core import REACH, half_digit
from analysis.results import OWN, REFERENCE, Summary
from analysis.sisters import CIFAR10, Spectra

# Method: iterations at 1e-3 and at 1e-4.
READINGS = {
    "bdip": "4,000 + 5,000",
    "bdip,stepvalue=8000": "8,000 + 1,000",
    "bdip,lr_policy=fixed": "9,000 + 0",
}
ACCURACY = "4.2.3/dense"
VARIANCE = "5.2/dense-variance"


@dataclass(frozen=True)
class Reading:
    """What one schedule gives: the dense net's accuracies, and ip1's variances, seed by seed."""

    name: str
    summary: Summary
    variance: tuple[float, ...]

    @property
    def n(self) -> int:
        """Number of seeds."""
        return self.summary.n

    @property
    def off(self) -> float:
        """Points of accuracy from the paper's."""
        return self.summary.mean - paper.claims()[ACCURACY].value

    @property
    def has_variance(self) -> bool:
        """Whether the variance is the paper's to the digit that it prints."""
        claim = paper.claims()[VARIANCE]
        return abs(float(np.mean(self.variance)) - claim.value) <= half_digit(claim.printed)


def evidence(spectra: Spectra) -> list[Reading]:
    """The readings that have a run, the user's own or else the reference's."""
    found = []
    for method, name in READINGS.items():
        key = CIFAR10.key(1)._replace(method=method)
        for source in (OWN, REFERENCE):
            histories = spectra.histories(key, CIFAR10.layer, CIFAR10.iterations, source)
            if histories:
                summary = spectra.results.as_long(key, source, CIFAR10.iterations)
                variance = tuple(float(one.variance[-1]) for _, one in histories.values())
                found.append(Reading(name, summary, variance))
                break
    return found


def _accuracies(found: list[Reading]) -> str:
    """How far each reading's accuracy is from the paper's, which is that of a single run."""
    off = [f"{abs(one.off):.2f} with {one.name} ({words.seeds(one.n)})" for one in found]
    said = f"accuracies are off by {words.listing(off)} points"
    spreads = [one.summary.sd for one in found if one.n > 1]
    if not spreads:
        return said
    sd = max(spreads)
    near = [one.name for one in found if abs(one.off) <= REACH * sd]
    names = words.listing(near) if near else "none"
    return f"{said}; within two standard deviations of a seed, {REACH * sd:.2f}: {names}"


def conclusion(found: list[Reading]) -> str:
    """One sentence; it decides only where all readings were run."""
    if len(found) < len(READINGS):
        return f"{len(found)} of {len(READINGS)} readings were run: nothing is decided."
    accuracy = _accuracies(found)
    same = [one for one in found if one.has_variance]
    printed = paper.claims()[VARIANCE].printed
    if len(same) != 1:
        told = words.listing([one.name for one in same]) if same else "none of them"
        return f"The paper's variance, {printed}, is that of {told}; {accuracy}."
    return f"The paper's variance, {printed}, is that of {same[0].name} alone; {accuracy}."
