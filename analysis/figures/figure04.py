"""Figure 4: training minus test accuracy over the iterations, cuda-convnet on CIFAR-10."""

from pathlib import Path

from analysis.errors import run_main
from analysis.figures import curves, overfit_figures
from analysis.figures.curves import Drawn
from analysis.sisters import Spectra

STATEMENT = "More blocks, less difference between training and test accuracy."


def draw(spectra: Spectra, out: Path) -> Drawn | None:
    """Draws it into `out`; None where its runs are missing."""
    return overfit_figures.draw(
        spectra, out, 4, STATEMENT, "training minus test accuracy (points)",
        lambda one: one.gap, lambda one: one.final_gap,
    )  # fmt: skip


if __name__ == "__main__":
    run_main(lambda: curves.run(draw, "make reproduce ONLY=cifar10"))
