"""Figure 6: variance ratios and singular value ratios of sister networks, LeNet-5."""

from pathlib import Path

from analysis.errors import run_main
from analysis.figures import curves, sister_figures
from analysis.figures.curves import Drawn
from analysis.sisters import LENET, Spectra

STATEMENT = (
    "The final ip1 variance ratios stay near b1 (5.03, 9.97, 19.96, 49.32 and 96.99), and the "
    "singular values of all sisters near those of a random matrix."
)


def draw(spectra: Spectra, out: Path) -> Drawn | None:
    """Draws it into `out`; None where its runs are missing."""
    return sister_figures.ratios(spectra, LENET, out, 6, "5.1", STATEMENT)


def draw_blocks(spectra: Spectra, out: Path) -> Drawn | None:
    """The bottom panel again, block by block."""
    return sister_figures.small_multiples(spectra, LENET, out, 6, STATEMENT)


if __name__ == "__main__":
    run_main(lambda: curves.run(draw, "make reproduce"))
