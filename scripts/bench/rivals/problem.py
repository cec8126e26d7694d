"""The products that rivals compute, and what every rival has to offer."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from types import ModuleType

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Problem:
    """Y = X W^T for a batch of M, N outputs, K inputs, and W of b blocks or of as many weights."""

    M: int
    N: int
    K: int
    b: int

    def random(self, *shape: int, seed: int = 0) -> NDArray[np.float32]:
        """Numbers in [-1, 1)."""
        return np.random.default_rng(seed).random(shape, dtype=np.float32) * 2 - 1


class Unable(Exception):
    """The rival cannot compute this problem, or is not installed; the text says why."""


def scipy_part(name: str) -> tuple[ModuleType, str]:
    """Return a part of SciPy, such as scipy.fft, and SciPy's version; Unable without SciPy."""
    try:
        part = importlib.import_module(f"scipy.{name}")
        return part, importlib.import_module("scipy").__version__
    except ImportError as error:
        raise Unable("SciPy is not installed for this Python") from error


class Rival:
    """One rival, made for a problem, which may raise Unable."""

    library: str = ""
    version: str = ""
    example = Problem(2, 4, 4, 2)  # a problem that it can compute wherever it is installed

    def __init__(self, problem: Problem, both: bool) -> None:
        self.problem = problem

    def forward(self) -> None:
        """Compute Y."""
        raise NotImplementedError

    def backward(self) -> None:
        """Compute the gradients of weights and inputs, from that of Y."""
        raise NotImplementedError

    def error(self, both: bool) -> float:
        """Compute, and return the largest error over the size of what the definition gives."""
        raise NotImplementedError

    def time(self, state: str, both: bool, seconds: float) -> dict[str, float] | None:
        """Return seconds and calls where a rival has a clock of its own; None: a CPU's is right."""
        return None

    def can(self, state: str, both: bool) -> bool:
        """Return whether it can be timed in this state."""
        return True

    def arrays(self) -> list[NDArray]:
        """Return what a pass touches."""
        raise NotImplementedError


def relative(got: NDArray, wanted: NDArray) -> float:
    """max |got - wanted| / max |wanted|."""
    return float(np.abs(got - wanted).max() / max(float(np.abs(wanted).max()), 1e-30))


def spread(n: int, count: int = 32) -> NDArray[np.intp]:
    """At most so many places out of n."""
    return np.unique(np.linspace(0, n - 1, count).astype(np.intp))


def few_in_first_row(x: NDArray) -> NDArray:
    """Set the first row to 0 but for some entries, at `spread`, and return x.

    Transforms take as long with zeros as without, and what they should give for that row is short
    to compute by their definition, which takes a time of n^2 otherwise.
    """
    kept = spread(x.shape[1])
    values = x[0, kept]
    x[0] = 0
    x[0, kept] = values
    return x
