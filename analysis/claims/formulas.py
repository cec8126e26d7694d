"""Claims that are mathematics: Eq. 1, Eq. 3 and the scaling laws, checked as printed."""

import numpy as np

from analysis import block_spectrum, equation4, methods, random_matrix, words
from analysis.block_spectrum import Layout, bulk_ks_distance
from analysis.claims.core import (
    DIRECTION,
    EXACT,
    FAILS,
    NOT_RUN,
    Evidence,
    Finding,
    evaluator,
    exactly,
)
from analysis.paper import Claim

Y = (0.5, 1.6, 16.0)


def _mass(y: float, low: float, high: float) -> float:
    """Integral of the printed density with the ends `low`, `high` of its support, variance 1."""
    if not 0 <= low < high:
        return float("nan")
    angle = np.linspace(0, np.pi, 20001)
    x = (low + high) / 2 - (high - low) / 2 * np.cos(angle)
    root = np.sqrt(np.maximum((high - x) * (x - low), 0))
    value = root / (2 * np.pi * y * np.maximum(x, 1e-300)) * (high - low) / 2 * np.sin(angle)
    return float(np.trapezoid(value, angle))


@evaluator
def density_integrates(claim: Claim, evidence: Evidence) -> Finding:
    """The printed density integrates to 1 less the point mass, between the right ends."""
    told, right = [], True
    for y in Y:
        mass = _mass(y, *random_matrix.support(y))
        right &= abs(mass - (1 - random_matrix.atom(y))) < 1e-4
        told.append(f"{mass:.4f} (y = {y:g})")
    return exactly(right, "; ".join(told), "integrated numerically")


@evaluator
def support_as_printed(claim: Claim, evidence: Evidence) -> Finding:
    """Mass of the density between the ends of the support as printed, sigma^2 (1 -/+ y^2)."""
    told, right = [], True
    for y in Y:
        low, high = 1 - y**2, 1 + y**2
        mass = _mass(y, low, high)
        right &= abs(mass - (1 - random_matrix.atom(y))) < 1e-4
        told.append(f"{mass:.4f} (y = {y:g})" if low >= 0 else f"below 0 (y = {y:g})")
    return exactly(right, "; ".join(told), "the ends are σ² (1 ∓ √y)²")


@evaluator
def point_mass(claim: Claim, evidence: Evidence) -> Finding:
    """Share of eigenvalues of a random (1/n) X X^T that are zero, for y above and below 1."""
    told, right = [], True
    for m, n in ((32, 20), (160, 10), (16, 32)):
        drawn = np.random.default_rng(1).standard_normal((m, n))
        zeros = float(np.mean(np.linalg.eigvalsh(drawn @ drawn.T / n) < 1e-9))
        right &= bool(np.isclose(zeros, max(0, 1 - n / m)))
        told.append(f"{zeros:.4g} (y = {m / n:g})")
    return exactly(right, "; ".join(told), _DRAWN)


@evaluator
def spectrum_converges(claim: Claim, evidence: Evidence) -> Finding:
    """Kolmogorov-Smirnov distance of random matrices to the law: less than half at 4 times n."""
    told, right = [], True
    for y in (0.5, 1.6):
        far = []
        for n in (20, 80, 320):
            layout = Layout(n, round(n * y), 1)
            random = block_spectrum.draw(layout, 10, seed=n).singular
            far.append(np.mean([bulk_ks_distance(layout, one, 1.0) for one in random]))
        right &= far[1] < far[0] / 2 and far[2] < far[1] / 2
        sizes = ", ".join(words.number(float(one), 2) for one in far)
        told.append(f"{sizes} (y = {y:g}; n = 20, 80, 320)")
    return exactly(right, "; ".join(told), "truly random matrices, drawn")


@evaluator
def blocks_keep_the_law(claim: Claim, evidence: Evidence) -> Finding:
    """Random blocks of b times the variance have the dense singular values, but for finite size."""
    dense = block_spectrum.draw(Layout(200, 320, 1), 20, seed=1)
    far = {
        b: block_spectrum.mean_distance(
            block_spectrum.draw(Layout(200, 320, b), 20, seed=b).mean * np.sqrt(b), dense.mean
        )
        for b in (2, 10, 40)
    }
    told = (f"{words.number(value)} (b = {b})" for b, value in far.items())
    return exactly(max(far.values()) < 0.1, "mean distance " + "; ".join(told), _DRAWN)


@evaluator
def smaller_blocks_scale(claim: Claim, evidence: Evidence) -> Finding:
    """Random blocks of the dense variance: mean singular value times sqrt(b) over the dense one."""
    dense = block_spectrum.draw(Layout(64, 1024, 1), 20, seed=1)
    ratio = {
        b: float(block_spectrum.draw(Layout(64, 1024, b), 20, seed=b).mean.mean() * np.sqrt(b))
        / float(dense.mean.mean())
        for b in (2, 8, 64)
    }
    told = (f"{value:.3f} (b = {b})" for b, value in ratio.items())
    right = all(abs(value - 1) < 0.05 for value in ratio.values())
    return exactly(right, "; ".join(told), _DRAWN)


_DRAWN = "truly random matrices, drawn; all but finite size"


@evaluator
def indicator_as_printed(claim: Claim, evidence: Evidence) -> Finding:
    """How many entries a net pruned to blocks has lost: as printed, as many as are in blocks."""
    for run in evidence.results.runs:
        if not run.finished or (run.key.method or "").split(",")[0] != "ip_bdip":
            continue
        history = evidence.spectra.layers(run).get("ip1")
        if history is None or run.key.net != "lenet":
            continue
        blocks = methods.block_counts(run.key.config)[0]
        if blocks <= 2:  # as many entries are in two blocks as off them
            continue
        every = history.outputs * history.inputs
        inside, lost = every // blocks, every - int(history.weights[-1])
        return exactly(
            lost == inside, f"{lost:,} of ip1's {every:,} weights are pruned at {run.key.config}",
            "those off the blocks, so that a block diagonal is left, as Section 3 says; as "
            f"printed the penalty would act on the {inside:,} in them", run.source,
        )  # fmt: skip
    return Finding(NOT_RUN, command='make train CONFIG="(10,1)-BD_4" METHOD=ip_bdip')


@evaluator
def equation_4(claim: Claim, evidence: Evidence) -> Finding:
    """Both sides of Eq. 4 over every step of plain SGD, from measured gradients."""
    steps = equation4.read(evidence.results, equation4.PLAIN_SGD)
    if steps is None:
        return Finding(NOT_RUN, command=equation4.command(equation4.PLAIN_SGD))
    error = steps.error(steps.variance_term + steps.covariance_term)
    return Finding(
        EXACT if error < 1e-3 else FAILS,
        f"the sides differ by {words.number(error, 2)} of the change",
        f"root mean square over {steps.count:,} steps; exact but for rounding", source=steps.source,
    )  # fmt: skip


@evaluator
def covariance_dominates(claim: Claim, evidence: Evidence) -> Finding:
    """The covariance term larger than the variance term on the mean over 100 steps, to the end."""
    found = {
        method: equation4.read(evidence.results, method)
        for method in (equation4.PAPERS_TRAINING, equation4.PLAIN_SGD)
    }
    found = {method: steps for method, steps in found.items() if steps is not None}
    if not found:
        return Finding(NOT_RUN, command=equation4.command(equation4.PAPERS_TRAINING))
    told, from_start = [], []
    for method, steps in found.items():
        start = steps.dominates_from()
        name = "plain SGD" if method == equation4.PLAIN_SGD else "the paper's training"
        when = "never for good" if start is None else f"from step {start:,} on"
        told.append(f"{name}: {when}")
        from_start.append(start is not None and start <= steps.count / 10)
    verdict = DIRECTION if all(from_start) else FAILS
    return Finding(
        verdict, "; ".join(told), "one seed each; 'quickly' is the first tenth",
        source=next(iter(found.values())).source,
    )  # fmt: skip
