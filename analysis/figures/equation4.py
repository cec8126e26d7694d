"""Eq. 4 (ours): the two terms of the change of variance, step by step, and the change itself."""

from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from analysis import equation4, words
from analysis.equation4 import PAPERS_TRAINING, PLAIN_SGD, Steps
from analysis.errors import run_main
from analysis.figures import curves, style
from analysis.figures.curves import Curve, Drawn, pixels
from analysis.sisters import Spectra

STATEMENT = (
    "Equation 4 can be verified with estimators for its right side, and the covariance quickly "
    "became the dominating term."
)
NAMES = {PLAIN_SGD: "Plain SGD", PAPERS_TRAINING: "With momentum and weight decay"}
PARTS = {
    "variance term": (r"$\lambda^2\,\mathrm{Var}(g)$", {"color": "#0072B2", "ls": "-"}),
    "covariance term": (
        r"$2\lambda\,|\mathrm{Cov}(W,g)|$",
        {"color": "#D55E00", "ls": (0, (5, 1.5))},
    ),
    "change": (r"$|\Delta\mathrm{Var}(W)|$", {"color": style.INK, "ls": (0, (1.2, 1.2))}),
}


def windows(count: int) -> list[NDArray[np.int64]]:
    """Steps in windows that grow: about 12 a decade, so that the beginning can be seen."""
    edges = np.unique(np.round(10 ** np.arange(0, np.log10(count) + 1e-9, 1 / 12)).astype(int))
    edges = np.concatenate([[0], edges, [count]])
    return [np.arange(a, b) for a, b in pairwise(edges) if b > a]


def parts(steps: Steps, name: str) -> list[Curve]:
    """Means over windows of the sizes of both terms and of the change."""
    parted = windows(steps.count)
    x = np.array([window.mean() + 1 for window in parted])
    values = {
        "variance term": steps.variance_term,
        "covariance term": np.abs(steps.covariance_term),
        "change": np.abs(steps.change),
    }
    nothing = np.full(x.size, np.nan)
    return [
        Curve(f"{name}: {part}", 1, x, np.array([value[w].mean() for w in parted]), nothing,
              label=PARTS[part][0])
        for part, value in values.items()
    ]  # fmt: skip


def draw(spectra: Spectra, out: Path) -> Drawn | None:
    """Draws it into `out`; None where no moments were measured."""
    measured = {method: equation4.read(spectra.results, method) for method in NAMES}
    measured = {method: steps for method, steps in measured.items() if steps is not None}
    if not measured:
        return None
    height = 0.7 + 2.0 * len(measured)
    drawn = []
    with style.figure(height, nrows=len(measured), squeeze=False) as (figure, panels):
        for axes, (method, steps) in zip(panels[:, 0], measured.items(), strict=True):
            lines = parts(steps, NAMES[method])
            drawn += lines
            for line, (_, look) in zip(lines, PARTS.values(), strict=True):
                axes.plot(line.x, line.mean, label=line.label, **look)
            axes.set_xscale("log")
            axes.set_yscale("log")
            axes.set_xlim(1, steps.count)
            axes.set_title(NAMES[method], loc="left", pad=3)
            axes.set_xlabel("step")
            axes.set_ylabel("size a step")
        curves.legend(figure, panels[0, 0], "LeNet-5 on MNIST, (1,1)-BD$_4$, ip1", columns=3)
        curves.save(figure, drawn, out, "equation4")
    return Drawn(
        "equation4", "Equation 4 (ours)", STATEMENT,
        " ".join(caption(method, steps) for method, steps in measured.items()),
        "Sizes of the two terms of Equation 4 and of the change of variance, over training steps",
        pixels(style.COLUMN, height),
    )  # fmt: skip


def caption(method: str, steps: Steps) -> str:
    """What one training's moments say."""
    early, late = steps.dominated[:100].mean(), steps.dominated.mean()
    start = steps.dominates_from()
    when = "never for good" if start is None else f"from step {start:,} on"
    size = np.abs(steps.covariance_term).mean() / steps.variance_term.mean()
    said = (
        f"{NAMES[method]}, {steps.count:,} steps ({steps.source}): the covariance "
        f"term is the larger in {early:.0%} of the first 100 steps and in {late:.0%} of all, "
        f"on the mean over {equation4.WINDOW} steps {when}; on average its size is "
        f"{words.number(float(size), 2)} times that of the variance term."
    )
    eq4 = steps.error(steps.variance_term + steps.covariance_term)
    if method == PLAIN_SGD:
        return said + f" The two terms give the measured change to {words.number(eq4, 2)} of it."
    exact = steps.error(steps.update_terms)
    return said + (
        " Here they are not what changes the variance: they miss it by "
        f"{words.number(100 * eq4, 2)}% of its size, where the moments of the whole update give it "
        f"to {words.number(exact, 2)}."
    )


if __name__ == "__main__":
    run_main(lambda: curves.run(draw, equation4.command(PLAIN_SGD)))
