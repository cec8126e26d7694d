"""The Marchenko-Pastur law against theory and simulation; Eq. 3's printed support."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from analysis import random_matrix as rm

RATIOS = (0.1, 0.5, 0.999, 1.0, 1.001, 1.6, 16.0)


def integral(function, low: float, high: float) -> float:
    """With the ends' square roots taken out: x = low + (high - low) sin^2 t."""

    def turned(t: float) -> float:
        x = low + (high - low) * np.sin(t) ** 2
        return float(function(x)) * (high - low) * np.sin(2 * t)

    return quad(turned, 0, np.pi / 2, limit=500, epsabs=1e-12)[0]


@pytest.mark.parametrize("y", RATIOS)
@pytest.mark.parametrize("variance", [1.0, 6.6e-4])
def test_density_and_atom_make_one(y: float, variance: float) -> None:
    mass = integral(lambda x: rm.density(x, y, variance), *rm.support(y, variance))
    assert mass + rm.atom(y) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("y", RATIOS)
@pytest.mark.parametrize("order", [1, 2, 3, 4, 5])
def test_moments(y: float, order: int) -> None:
    variance = 0.7
    measured = integral(lambda x: x**order * rm.density(x, y, variance), *rm.support(y, variance))
    assert measured == pytest.approx(rm.moment(order, y, variance), rel=1e-8)


def test_first_moments_by_hand() -> None:
    """sigma^2; sigma^4 (1 + y); sigma^6 (1 + 3 y + y^2)."""
    y, variance = 1.6, 2.0
    assert rm.moment(1, y, variance) == pytest.approx(2)
    assert rm.moment(2, y, variance) == pytest.approx(4 * 2.6)
    assert rm.moment(3, y, variance) == pytest.approx(8 * (1 + 4.8 + 2.56))


@pytest.mark.parametrize("y", RATIOS)
def test_cdf_is_the_integral_of_the_density(y: float) -> None:
    low, high = rm.support(y)
    for share in (0.02, 0.3, 0.7, 0.98):
        x = low + share * (high - low)
        # Split off the lower end's square root alone: x is no end of the support.
        upper = quad(
            lambda t: float(rm.density(high - t * t, y)) * 2 * t, 0, np.sqrt(high - x), limit=500
        )[0]
        assert float(rm.cdf(x, y)) == pytest.approx(1 - upper, abs=1e-9)


def test_cdf_ends() -> None:
    for y in RATIOS:
        low, high = rm.support(y)
        assert rm.cdf(-1e-12, y) == 0
        assert rm.cdf(0, y) == pytest.approx(rm.atom(y), abs=1e-12)
        assert rm.cdf(low, y) == pytest.approx(rm.atom(y), abs=1e-12)
        assert rm.cdf(high, y) == pytest.approx(1, abs=1e-12)
        assert rm.cdf(2 * high, y) == pytest.approx(1, abs=1e-12)


@given(y=st.floats(0.05, 20), p=st.floats(0, 1), variance=st.floats(1e-4, 10))
@settings(max_examples=200, deadline=None)
def test_quantile_inverts_the_cdf(y: float, p: float, variance: float) -> None:
    x = float(rm.quantile(p, y, variance))
    if p <= rm.atom(y):
        assert x == (0 if y > 1 else rm.support(y, variance)[0])
    else:
        assert float(rm.cdf(x, y, variance)) == pytest.approx(p, abs=1e-7)


@given(y=st.floats(0.05, 20))
@settings(max_examples=100, deadline=None)
def test_swapping_rows_and_columns(y: float) -> None:
    """X X^T / n and X^T X / m share their nonzero eigenvalues but for the factor m / n."""
    x = np.linspace(*rm.support(y), 20)
    whole = (1 - rm.cdf(x, y)) * y
    np.testing.assert_allclose(whole, 1 - rm.cdf(x / y, 1 / y), atol=1e-10)


@pytest.mark.parametrize(("m", "n"), [(200, 400), (400, 400), (640, 400), (800, 50)])
def test_simulation(m: int, n: int) -> None:
    """Spectra of random matrices come near the law, and nearer as they grow."""
    generator = np.random.default_rng(7)
    distances = []
    for shrink in (10, 1):
        rows, columns = m // shrink, n // shrink
        x = generator.standard_normal((rows, columns)) * 1.5
        eigenvalues = np.linalg.eigvalsh(x @ x.T / columns)
        zeros = max(0, rows - columns)
        eigenvalues[:zeros] = 0
        steps = (np.arange(zeros, rows) + 0.5) / rows
        distances.append(np.abs(rm.cdf(eigenvalues[zeros:], m / n, 2.25) - steps).max())
    assert distances[1] < 0.012
    assert distances[1] < distances[0] / 2


def test_eigenvalues_cross_the_printed_support_and_keep_to_the_right_one() -> None:
    """LeNet-5's ip1: Eq. 3 prints sigma^2 (1 -/+ y^2), the law's ends are (1 -/+ sqrt y)^2."""
    m, n = 800, 500
    y = m / n
    x = np.random.default_rng(3).standard_normal((m, n))
    eigenvalues = np.linalg.eigvalsh(x @ x.T / n)[m - n :]
    printed_high = 1 + y**2
    low, high = rm.support(y)
    outside = np.mean(eigenvalues > printed_high)
    assert outside == pytest.approx((1 - rm.cdf(printed_high, y)) * y, abs=0.01)
    assert outside > 0.05
    assert np.mean((eigenvalues < low * 0.9) | (eigenvalues > high * 1.03)) == 0


@pytest.mark.parametrize("y", [0.25, 0.5, 1.6, 16.0])
def test_printed_density_has_no_unit_mass_between_the_printed_ends(y: float) -> None:
    """Put into Eq. 3 as printed, the ends give a mass that is none; the right ends give one."""

    def mass(a: float, b: float, start: float) -> float:
        """Integral of Eq. 3's formula with the ends a and b, from `start` on."""
        return integral(lambda x: np.sqrt((b - x) * (x - a)) / (2 * np.pi * y * x), start, b)

    right = 1 - rm.atom(y)
    low, high = rm.support(y)
    assert mass(low, high, low) == pytest.approx(right, abs=1e-6)

    low, high = 1 - y**2, 1 + y**2
    if low > 0:
        assert mass(low, high, low) < 0.5 * right
    else:
        # A negative end: 1/x is not integrable at 0, the mass grows as the start nears it.
        assert mass(low, high, 1e-9) > mass(low, high, 1e-3) + 0.5 > right + 0.5


@pytest.mark.parametrize(("m", "n"), [(20, 30), (80, 50)])
def test_largest_eigenvalue_follows_tracy_widom(m: int, n: int) -> None:
    """Mean -1.2065 and standard deviation 1.2680 in Johnstone's centre and scale."""
    generator = np.random.default_rng(11)
    centre, scale = rm.largest_eigenvalue_scale(m, n, 4.0)
    x = 2 * generator.standard_normal((1500, m, n))
    largest = np.linalg.svd(x, compute_uv=False)[:, 0] ** 2 / n
    standard = (largest - centre) / scale
    assert standard.mean() == pytest.approx(-1.2065, abs=0.15)
    assert standard.std() == pytest.approx(1.2680, abs=0.12)
    assert np.mean(largest > rm.edge(m, n, 4.0, p=0.9)) == pytest.approx(0.1, abs=0.03)


def test_tracy_widom_quantiles_of_the_tables() -> None:
    """Tabulated quantiles of the law of order 1."""
    for p, value in (
        (0.05, -3.1804),
        (0.5, -1.2686),
        (0.9, 0.4501),
        (0.95, 0.9793),
        (0.99, 2.0234),
    ):
        assert rm.tracy_widom_quantile(p) == pytest.approx(value, abs=0.011)


def test_singular_value_quantiles() -> None:
    x = np.random.default_rng(2).standard_normal((300, 300)) * 0.2
    singular = np.sort(np.linalg.svd(x, compute_uv=False))
    steps = (np.arange(300) + 0.5) / 300
    expected = rm.singular_value_quantile(steps, 300, 300, 0.04)
    np.testing.assert_allclose(singular, expected, atol=0.02 * singular[-1])


def test_refuses_what_is_no_law() -> None:
    with pytest.raises(ValueError, match="above 0"):
        rm.support(0.0)
    with pytest.raises(ValueError, match="between 0 and 1"):
        rm.quantile(1.5, 1.0)
