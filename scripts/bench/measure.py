"""Interleaved timing: A B C A B C ..., so that a busy moment of the machine harms all alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

# Seconds of one sample, where one call is not longer; samples of a method, fewest and most.
SAMPLE = 0.004
FEWEST, MOST = 5, 11
# Interquartile range over median that is small enough.
SPREAD = 0.04
# A method so many times slower than the fastest dense product gets FEW samples, and so does a dense
# product so many times slower than another one.
HOPELESS = 8
BEATEN = 1.2
FEW = 3
# Seconds of a case after which FEW samples are enough of each method that takes more than a
# BRIEFth of it for a call: rivals that are near to each other can be told apart by the others.
BUDGET = 2.5
BRIEF = 50

Timer = Callable[[float], Mapping[str, float]]


@dataclass
class Samples:
    """Seconds of a call, by round."""

    seconds: list[float] = field(default_factory=list)
    calls: int = 0

    @property
    def median(self) -> float:
        return float(np.median(self.seconds))

    @property
    def quartiles(self) -> tuple[float, float]:
        low, high = np.percentile(self.seconds, (25, 75))
        return float(low), float(high)

    @property
    def settled(self) -> bool:
        """Whether more rounds would say little more."""
        if len(self.seconds) < FEWEST:
            return False
        low, high = self.quartiles
        return high - low <= SPREAD * self.median


def interleaved(
    timers: Mapping[str, Timer], sample: float = SAMPLE, budget: float = BUDGET
) -> dict[str, Samples]:
    """Seconds of each method, by rounds in which every method that still spreads takes a turn.

    Methods whose name begins with "dense" take part in every round, but for those that another one
    beats: all speedups rest on the fastest. budget: seconds after which FEW rounds are enough of
    what is not brief.
    """
    found = {name: Samples() for name in timers}
    spent = 0.0

    def slow(name: str) -> bool:
        dense = [own.median for other, own in found.items() if other.startswith("dense")]
        factor = BEATEN if name.startswith("dense") else HOPELESS
        return bool(dense) and found[name].median > factor * min(dense)

    def enough(name: str, over: bool) -> bool:
        """Whether it has as many samples as it needs, with FEW of each."""
        return slow(name) or (over and BRIEF * found[name].median > budget)

    for turn in range(MOST):
        over = spent > budget
        if turn >= FEW and all(own.settled or enough(n, over) for n, own in found.items()):
            break
        for name, timer in timers.items():
            own = found[name]
            if own.settled and (over or not name.startswith("dense")):
                continue
            if turn >= FEW and enough(name, over):
                continue
            answer = timer(sample)
            own.seconds.append(answer["seconds"])
            own.calls += int(answer["calls"])
            spent += answer["seconds"] * answer["calls"]
    return found
