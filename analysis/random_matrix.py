r"""The laws that the spectrum of a large random matrix follows.

X is m x n with independent entries of mean 0 and variance sigma^2, and y = m / n. What is described
is the spectrum of the m x m matrix (1/n) X X^T, in the notation of the paper's Section 5.

Sources
-------
[MP]  Marchenko and Pastur, "Distribution of eigenvalues for some sets of random matrices", 1967.
[BS]  Bai and Silverstein, "Spectral Analysis of Large Dimensional Random Matrices", 2nd ed., 2010.
[J]   Johnstone, "On the distribution of the largest eigenvalue in principal components analysis",
      Annals of Statistics 29, 2001.
[C]   Chiani, "Distribution of the largest eigenvalue for real Wishart and Gaussian random matrices
      and a simple approximation for the Tracy-Widom distribution", J. Multivariate Analysis 129,
      2014.

The paper prints the ends of the support as sigma^2 (1 -/+ y^2). They are sigma^2 (1 -/+ sqrt y)^2:
only with these does the printed density integrate to 1 (y <= 1) or 1/y (y > 1), see the tests.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Array = NDArray[np.float64]


def _check(y: float, variance: float) -> None:
    if not (y > 0 and variance > 0):
        raise ValueError(f"y = {y} and variance = {variance} must both be above 0")


def support(y: float, variance: float = 1.0) -> tuple[float, float]:
    """Ends a, b of the continuous part: sigma^2 (1 -/+ sqrt y)^2 [MP; BS, Section 3.1]."""
    _check(y, variance)
    return variance * (1 - math.sqrt(y)) ** 2, variance * (1 + math.sqrt(y)) ** 2


def atom(y: float) -> float:
    """Mass of the point 0: 1 - 1/y for y > 1, where m - n eigenvalues are zero, else 0 [MP]."""
    _check(y, 1.0)
    return max(0.0, 1 - 1 / y)


def density(x: ArrayLike, y: float, variance: float = 1.0) -> Array:
    """Density of the continuous part, sqrt((b - x)(x - a)) / (2 pi sigma^2 y x) [MP; Eq. 3].

    x: eigenvalues, any shape. It integrates to 1 - atom(y). At y = 1 it grows without bound
    towards x = 0, where it is given as infinite.
    """
    low, high = support(y, variance)
    x = np.asarray(x, dtype=float)
    inside = (x >= low) & (x <= high)
    root = np.sqrt(np.where(inside, (high - x) * (x - low), 0.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        value = root / (2 * np.pi * variance * y * x)
    value = np.where(inside, value, 0.0)
    return np.where(inside & (x == 0), np.inf, value)


def _mass_above(theta: Array, y: float) -> Array:
    r"""Mass of the law above x = sigma^2 (1 + y + 2 sqrt(y) cos theta), 0 <= theta <= pi.

    Under this substitution the density times dx is (2 / pi) sin^2 t / (1 + y + 2 sqrt(y) cos t) dt,
    whose antiderivative is elementary:

        (2 / pi) [ (1 + y) t / (4 y) - sin t / (2 sqrt y)
                   - |1 - y| / (2 y) arctan( |1 - sqrt y| / (1 + sqrt y) tan(t / 2) ) ].
    """
    root = math.sqrt(y)
    half_tan = np.tan(np.minimum(theta, np.pi) / 2)
    angle = np.arctan(abs(1 - root) / (1 + root) * half_tan)
    # tan(pi / 2) is a large finite number in floating point, right but for y next to 1.
    angle = np.where(theta >= np.pi, np.pi / 2 if y != 1 else 0.0, angle)
    return (2 / np.pi) * (
        (1 + y) * theta / (4 * y) - np.sin(theta) / (2 * root) - abs(1 - y) * angle / (2 * y)
    )


def cdf(x: ArrayLike, y: float, variance: float = 1.0) -> Array:
    """Distribution function of the whole law, the atom at 0 included; closed form, any x.

    Accurate to about 1e-15 max(1, 1/y).
    """
    _check(y, variance)
    x = np.asarray(x, dtype=float)
    cosine = np.clip((x / variance - 1 - y) / (2 * math.sqrt(y)), -1, 1)
    value = np.clip(1 - _mass_above(np.arccos(cosine), y), 0, 1)
    return np.where(x < 0, 0.0, value)


def quantile(p: ArrayLike, y: float, variance: float = 1.0) -> Array:
    """Smallest x with cdf(x) >= p; 0 for p within the atom. p: probabilities, any shape.

    Bisection in the angle of `_mass_above`, to the last bit.
    """
    _check(y, variance)
    p = np.asarray(p, dtype=float)
    if np.any((p < 0) | (p > 1)):
        raise ValueError("a probability lies between 0 and 1")
    low, high = np.zeros_like(p), np.full_like(p, np.pi)
    for _ in range(60):
        middle = (low + high) / 2
        above = _mass_above(middle, y) < 1 - p
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    x = variance * (1 + y + 2 * math.sqrt(y) * np.cos((low + high) / 2))
    return np.where(p <= atom(y), 0.0 if y > 1 else support(y, variance)[0], x)


def moment(order: int, y: float, variance: float = 1.0) -> float:
    """E x^k = sigma^2k sum_{r<k} y^r C(k, r) C(k - 1, r) / (r + 1) [BS, Lemma 3.1]."""
    _check(y, variance)
    terms = (y**r * math.comb(order, r) * math.comb(order - 1, r) / (r + 1) for r in range(order))
    return variance**order * math.fsum(terms)


def singular_value_quantile(p: ArrayLike, m: int, n: int, variance: float = 1.0) -> Array:
    """Quantiles of the singular values of the m x n matrix X itself: sqrt(n x)."""
    return np.sqrt(n * quantile(p, m / n, variance))


# ---- the largest eigenvalue ---------------------------------------------------------------------


def largest_eigenvalue_scale(m: int, n: int, variance: float = 1.0) -> tuple[float, float]:
    """Centre and scale of the largest eigenvalue of (1/n) X X^T, X real [J, Theorem 1.1].

    (largest - centre) / scale tends to the Tracy-Widom law of order 1, with
    centre = sigma^2 (sqrt(n - 1) + sqrt m)^2 / n and
    scale = sigma^2 (sqrt(n - 1) + sqrt m) (1 / sqrt(n - 1) + 1 / sqrt m)^(1/3) / n.
    """
    _check(m / n, variance)
    if n < 2:
        raise ValueError(f"n = {n}: the law needs at least two columns")
    roots = math.sqrt(n - 1) + math.sqrt(m)
    spread = roots * (1 / math.sqrt(n - 1) + 1 / math.sqrt(m)) ** (1 / 3)
    return variance * roots**2 / n, variance * spread / n


def tracy_widom_quantile(p: float) -> float:
    """Quantile of the Tracy-Widom law of order 1, by the shifted gamma law of [C, Table 1].

    Its error is below 0.01 between p = 0.01 and 0.999.
    """
    return float(stats.gamma.ppf(p, 46.446, scale=0.186054) - 9.84801)


def edge(m: int, n: int, variance: float = 1.0, p: float = 0.99) -> float:
    """Value that the largest eigenvalue of (1/n) X X^T stays under with chance p.

    An eigenvalue above it has left the bulk: pure chance does so in one of 1 / (1 - p) matrices.
    """
    centre, scale = largest_eigenvalue_scale(m, n, variance)
    return centre + scale * tracy_widom_quantile(p)
