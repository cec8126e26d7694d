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
# A method so many times slower than the fastest dense product of the first round gets few samples.
HOPELESS = 8

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
        low, high = self.quartiles
        return len(self.seconds) >= FEWEST and high - low <= SPREAD * self.median


def interleaved(timers: Mapping[str, Timer], sample: float = SAMPLE) -> dict[str, Samples]:
    """Seconds of each method, by rounds in which every method that still spreads takes a turn.

    Methods whose name begins with "dense" take part in every round: all speedups rest on them.
    """
    found = {name: Samples() for name in timers}
    for turn in range(MOST):
        dense = [found[name].median for name in found if turn and name.startswith("dense")]
        for name, timer in timers.items():
            own = found[name]
            if turn and own.settled and not name.startswith("dense"):
                continue
            if turn >= 3 and dense and own.median > HOPELESS * min(dense):
                continue
            answer = timer(sample)
            own.seconds.append(answer["seconds"])
            own.calls += int(answer["calls"])
        waiting = [
            name
            for name, own in found.items()
            if not own.settled and not (dense and own.median > HOPELESS * min(dense))
        ]
        if turn + 1 >= FEWEST and not waiting:
            break
    return found
