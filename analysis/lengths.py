"""How long was the paper's net with one hidden layer trained?

Section 4.2.1 gives the error of 784-980-10 pruned to blocks and a bound on it, and neither a solver
nor a number of iterations. LeNet's solver as it is comes first here, then longer trainings: which
of them has the paper's error is what its number says of the length.
"""

from dataclasses import dataclass

from analysis import paper, words
from analysis.claims.core import key_of
from analysis.results import Results, Summary

# Settings of the solver: what they mean.
READINGS = {
    "": "10,000 iterations",
    "max_iter=40000": "40,000 iterations",
    "max_iter=40000,weight_decay=0": "40,000 iterations without weight decay",
}
ERROR = "4.2.1/mlp-error"
BOUND = "4.2.1/mlp-error-bound"


@dataclass(frozen=True)
class Reading:
    """One training: accuracies pruned to blocks, and in blocks from the start (None: not run)."""

    name: str
    pruned: Summary
    blocks: Summary | None

    @property
    def as_lenet(self) -> bool:
        """Whether this is LeNet's solver as it is."""
        return self.name == READINGS[""]

    @property
    def error(self) -> float:
        """Percent of test images, the mean over seeds, pruned to blocks."""
        return 100 - self.pruned.mean


def evidence(results: Results) -> list[Reading]:
    """The readings that were run, the user's own or else the reference's."""
    pruned = key_of(paper.claims()[ERROR])
    found = []
    for settings, name in READINGS.items():
        both = [
            results.outcome(pruned._replace(method=f"{method},{settings}".rstrip(","))).shown
            for method in (pruned.method, "bdip")
        ]
        if both[0] is not None:
            found.append(Reading(name, *both))
    return found


def conclusion(found: list[Reading]) -> str:
    """What the paper's error says of the length; it decides only where all readings were run."""
    if len(found) < len(READINGS):
        return f"{len(found)} of {len(READINGS)} readings were run: nothing is decided."
    claims = paper.claims()
    bound, printed = claims[BOUND].value, claims[ERROR].value
    nearest = min(found, key=lambda one: abs(one.error - printed))
    under = [one for one in found if one.error < bound]
    near = (
        f"the nearest to {claims[ERROR].printed}% is {nearest.name} "
        f"({abs(nearest.error - printed):.2f} points off)"
    )
    if not under:
        return f"None of them errs on less than {bound:g}%, as the paper's net does; {near}."
    names = words.listing([one.name for one in under])
    said = f"Less than {bound:g}%, as the paper says, is reached with {names}; {near}."
    if any(one.as_lenet for one in under):
        return said
    return f"{said} LeNet-5's solver as it is does not give the paper's error."
