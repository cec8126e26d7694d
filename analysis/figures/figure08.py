"""Figure 8: variances of the weights over training, and singular values, LeNet-5."""

from pathlib import Path

from analysis.errors import run_main
from analysis.figures import curves, sister_figures
from analysis.figures.curves import Drawn
from analysis.sisters import LENET, Spectra

STATEMENT = (
    "The variances did change through training, so that keeping their ratios is not trivial; "
    "the singular values show the classic Marchenko–Pastur form."
)


def draw(spectra: Spectra, out: Path) -> Drawn | None:
    """Draws it into `out`; None where its runs are missing."""
    return sister_figures.variances(spectra, LENET, out, 8, STATEMENT)


if __name__ == "__main__":
    run_main(lambda: curves.run(draw, "make reproduce"))
