"""Equation 4: the change of the weights' variance in a step, from gradients measured at each.

Read from the gradient_moments.npz that ``python -m scripts.gradient_moments`` leaves in a run's
folder: the moments, over the entries of ip1, of the weights W, of the mini-batch gradient g and of
the update V that is subtracted. For any V it holds exactly that

    Var(W - V) - Var(W) = Var(V) - 2 Cov(W, V),

and with V = lr g, plain SGD, this is Eq. 4. With momentum and weight decay V is more than lr g;
the two terms of Eq. 4 can be measured there too, but are only a part of the change.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from analysis.errors import AnalysisError
from analysis.results import OWN, REFERENCE, Results

Array = NDArray[np.float64]

FILE = "gradient_moments.npz"
CONFIG = "(1,1)-BD_4"
LAYER = "ip1"
PAPERS_TRAINING = "bdip"
PLAIN_SGD = "bdip,momentum=0,weight_decay=0"
MOMENTS = (
    *("variance", "variance_after", "gradient_variance", "gradient_covariance"),
    *("update_variance", "update_covariance"),
)
WINDOW = 100


@dataclass(frozen=True)
class Steps:
    """One training, T steps: every array is (T,)."""

    source: str
    lr: Array
    moments: dict[str, Array]

    @property
    def count(self) -> int:
        return self.lr.size

    @cached_property
    def change(self) -> Array:
        """Left side of Eq. 4, measured: variance after the step minus before it."""
        return self.moments["variance_after"] - self.moments["variance"]

    @cached_property
    def variance_term(self) -> Array:
        """lr^2 Var(g)."""
        return self.lr**2 * self.moments["gradient_variance"]

    @cached_property
    def covariance_term(self) -> Array:
        """-2 lr Cov(W, g)."""
        return -2 * self.lr * self.moments["gradient_covariance"]

    @cached_property
    def update_terms(self) -> Array:
        """Var(V) - 2 Cov(W, V), what the change is exactly."""
        return self.moments["update_variance"] - 2 * self.moments["update_covariance"]

    def error(self, right: Array) -> float:
        """Root mean square of change - right, over that of the change."""
        return float(np.sqrt(np.mean((self.change - right) ** 2) / np.mean(self.change**2)))

    @cached_property
    def dominated(self) -> NDArray[np.bool_]:
        """Where the covariance term is the larger one in size."""
        return np.abs(self.covariance_term) > self.variance_term

    def dominates_from(self) -> int | None:
        """The step from which a window's mean size of the covariance term is always larger."""
        size = np.convolve(np.abs(self.covariance_term), np.ones(WINDOW) / WINDOW, "valid")
        other = np.convolve(self.variance_term, np.ones(WINDOW) / WINDOW, "valid")
        below = np.flatnonzero(size <= other)
        if below.size == 0:
            return 0
        last = int(below[-1]) + 1
        return last if last < size.size else None


def command(method: str) -> str:
    """What measures a training's moments."""
    given = "" if method == PAPERS_TRAINING else f" --method {method}"
    return f'build/venv/bin/python -m scripts.gradient_moments --config "{CONFIG}"{given}'


def read(results: Results, method: str) -> Steps | None:
    """Moments of LeNet-5's dense ip1 with a method: the user's own, else the reference's."""
    if results.root is None:
        return None
    for source, base in ((OWN, results.root), (REFERENCE, results.root / "reference")):
        found = sorted((base / "lenet-mnist" / CONFIG / method).glob(f"seed-?/{FILE}"))
        if found:
            return _load(found[0], source)
    return None


def _load(path: Path, source: str) -> Steps:
    try:
        with np.load(path) as arrays:
            moments = {what: arrays[f"{LAYER}/{what}"] for what in MOMENTS}
            return Steps(source, arrays["lr"], moments)
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise AnalysisError(
            f"{path} cannot be read ({error}): remove it and measure it again"
        ) from error
