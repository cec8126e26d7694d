"""What weight decay alone would do to the weights: the control in closed form.

With momentum mu, rate lr and decay wd, SGD without any gradient multiplies a weight over many
iterations by exp(-wd sum(lr) / (1 - mu)), so a variance by that squared.
"""

import re

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.errors import AnalysisError


def _setting(solver: str, name: str, default: float) -> float:
    found = re.search(rf"^{name}: *([^\s]+)", solver, re.MULTILINE)
    return float(found[1]) if found else default


def learning_rates(solver: str, iterations: int) -> NDArray[np.float64]:
    """Rates of the iterations 0 to `iterations` - 1, as Caffe's lr_policy gives them.

    solver: its prototxt. Raises AnalysisError for a policy other than fixed, inv, step and
    multistep.
    """
    policy = re.search(r'^lr_policy: *"(\w+)"', solver, re.MULTILINE)
    name = policy[1] if policy else "fixed"
    base, gamma = _setting(solver, "base_lr", 0.01), _setting(solver, "gamma", 0.0)
    t = np.arange(iterations)
    if name == "fixed":
        return np.full(iterations, base)
    if name == "inv":
        return base * (1 + gamma * t) ** -_setting(solver, "power", 0.0)
    if name == "step":
        return base * gamma ** (t // int(_setting(solver, "stepsize", iterations)))
    if name == "multistep":
        steps = [int(v) for v in re.findall(r"^stepvalue: *(\d+)", solver, re.MULTILINE)]
        return base * gamma ** sum((t >= step).astype(int) for step in steps)
    raise AnalysisError(
        f"the lr_policy {name} has no closed form here: use fixed, inv, step or multistep"
    )


def variance_factor(solver: str, iterations: ArrayLike) -> NDArray[np.float64]:
    """exp(-2 wd sum(lr) / (1 - momentum)) up to each of `iterations`."""
    iterations = np.asarray(iterations)
    total = np.concatenate([[0.0], np.cumsum(learning_rates(solver, int(iterations.max())))])
    decay = _setting(solver, "weight_decay", 0.0)
    return np.exp(-2 * decay * total[iterations] / (1 - _setting(solver, "momentum", 0.0)))
