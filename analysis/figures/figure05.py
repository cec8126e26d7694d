"""Figure 5: test accuracy over the curves of Figure 4, cuda-convnet on CIFAR-10."""

from pathlib import Path

import numpy as np

from analysis.errors import run_main
from analysis.figures import curves, overfit_figures
from analysis.figures.curves import Drawn
from analysis.overfit import Overfit
from analysis.sisters import Spectra

STATEMENT = "More blocks, a higher ratio of accuracy to overfitting."
# A difference below this many points is noise of 10,000 test images, and the ratio means nothing.
SMALLEST_GAP = 0.5


def ratio(one: Overfit) -> np.ndarray:
    """Test accuracy over training minus test accuracy; NaN where that is not above chance."""
    gap = one.gap
    return np.where(gap > SMALLEST_GAP, one.test / np.maximum(gap, SMALLEST_GAP), np.nan)


def draw(spectra: Spectra, out: Path) -> Drawn | None:
    """Draws it into `out`; None where its runs are missing."""
    return overfit_figures.draw(
        spectra, out, 5, STATEMENT, "accuracy / (training minus test)",
        ratio, lambda one: one.final_ratio, logarithmic=True,
    )  # fmt: skip


if __name__ == "__main__":
    run_main(lambda: curves.run(draw, "make reproduce ONLY=cifar10"))
