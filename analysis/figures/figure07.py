"""Figure 7: mean distance of singular values from random ones over training, LeNet-5."""

from pathlib import Path

from analysis.errors import run_main
from analysis.figures import curves, sister_figures
from analysis.figures.curves import Drawn
from analysis.sisters import LENET, Spectra

STATEMENT = (
    "At iteration 0 smaller b1 are nearer to the random matrix, after 10,000 iterations they "
    "are farther away from it; no curve exceeds 4 × 10⁻² on average."
)


def draw(spectra: Spectra, out: Path) -> Drawn | None:
    """Draws it into `out`; None where its runs are missing."""
    return sister_figures.distances(spectra, LENET, out, 7, STATEMENT)


if __name__ == "__main__":
    run_main(lambda: curves.run(draw, "make reproduce"))
