"""Figure 9: the spectrum of the trained dense ip1 beside that of a random matrix, LeNet-5."""

from pathlib import Path

from analysis.errors import run_main
from analysis.figures import curves, density_figures
from analysis.figures.curves import Drawn
from analysis.sisters import LENET, Spectra

STATEMENT = (
    "The measured distribution of the trained ip1's singular values and that of a random "
    "matrix align."
)


def draw(spectra: Spectra, out: Path) -> Drawn | None:
    """Draws it into `out`; None where its runs are missing."""
    return density_figures.densities(spectra, LENET, out, 9, STATEMENT)


if __name__ == "__main__":
    run_main(lambda: curves.run(draw, "make reproduce"))
