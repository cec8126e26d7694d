"""Figure 12: the spectrum of the trained dense ip1 beside that of a random matrix, cuda-convnet."""

from pathlib import Path

from analysis.errors import run_main
from analysis.figures import curves, density_figures
from analysis.figures.curves import Drawn
from analysis.sisters import CIFAR10, Spectra

STATEMENT = (
    "The distribution of the trained ip1's singular values is compared with that of a random "
    "matrix."
)


def draw(spectra: Spectra, out: Path) -> Drawn | None:
    """Draws it into `out`; None where its runs are missing."""
    return density_figures.densities(spectra, CIFAR10, out, 12, STATEMENT)


if __name__ == "__main__":
    run_main(lambda: curves.run(draw, "make reproduce"))
