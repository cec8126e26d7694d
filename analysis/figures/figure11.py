"""Figure 11: variances of the weights over training, and singular values, cuda-convnet."""

from pathlib import Path

from analysis.errors import run_main
from analysis.figures import curves, sister_figures
from analysis.figures.curves import Drawn
from analysis.sisters import CIFAR10, Spectra

STATEMENT = "The singular values of the dense ip1 follow those of the random matrix."


def draw(spectra: Spectra, out: Path) -> Drawn | None:
    """Draws it into `out`; None where its runs are missing."""
    return sister_figures.variances(spectra, CIFAR10, out, 11, STATEMENT)


if __name__ == "__main__":
    run_main(lambda: curves.run(draw, "make reproduce"))
