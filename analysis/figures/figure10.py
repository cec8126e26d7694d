"""Figure 10: variance ratios and singular value ratios of sister networks, cuda-convnet."""

from pathlib import Path

from analysis.errors import run_main
from analysis.figures import curves, sister_figures
from analysis.figures.curves import Drawn
from analysis.sisters import CIFAR10, Spectra

STATEMENT = (
    "The variance ratios stay near 1 (1.02, 1.02, 1.01, 1.11, 1.21 and 1.5 for b1 = 2 to 64), "
    "and the singular values near 1/√b1 times those of a random matrix, worse as b1 grows."
)


def draw(spectra: Spectra, out: Path) -> Drawn | None:
    """Draws it into `out`; None where its runs are missing."""
    return sister_figures.ratios(spectra, CIFAR10, out, 10, "5.2", STATEMENT)


def draw_blocks(spectra: Spectra, out: Path) -> Drawn | None:
    """The bottom panel again, block by block."""
    return sister_figures.small_multiples(spectra, CIFAR10, out, 10, STATEMENT)


if __name__ == "__main__":
    run_main(lambda: curves.run(draw, "make reproduce"))
