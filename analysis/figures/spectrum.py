"""The spectrum of one layer beside the Marchenko-Pastur law and beside random matrices."""

from pathlib import Path

import numpy as np

from analysis import random_matrix
from analysis.block_spectrum import Comparison
from analysis.figures import style

BAND = (5, 95)


def draw(comparison: Comparison, title: str, stem: Path) -> None:
    """Writes `stem`.svg, .pdf and .png.

    Top: eigenvalues of (1/n) X X^T of the blocks, as a density, and the law's; the eigenvalues
    that are zero by rank have no bar, their share is written instead. Bottom: singular values over
    those of random matrices, by order, with the band in which nine of ten random matrices lie.
    """
    layout = comparison.layout
    with style.figure(4.1, nrows=2) as (figure, (spectrum, ratio)):
        eigenvalues = comparison.eigenvalues
        zeros = max(0, layout.inputs - layout.outputs)
        bars = eigenvalues[zeros:]
        low, high = random_matrix.support(layout.y, comparison.variance)
        width = (high - low) / 30
        edges = np.arange(min(low, bars[0]), bars[-1] + width, width)
        share = np.full(bars.size, 1 / (eigenvalues.size * width))
        spectrum.hist(bars, edges, weights=share, color=style.PALE, label="weights")
        x = low + (high - low) * (1 - np.cos(np.linspace(0, np.pi, 400))) / 2
        y = random_matrix.density(x[1:], layout.y, comparison.variance)
        spectrum.plot(x[1:], y, color=style.LINES["shuffle"][0], label="Marchenko–Pastur")
        spectrum.set_xlim(left=0)
        spectrum.set_ylim(0, 1.15 * max(y[len(y) // 20 :].max(), np.histogram(
            bars, edges, weights=share)[0].max()))  # fmt: skip
        spectrum.set_xlabel(r"eigenvalues of $\frac{1}{n}\,X X^{\mathsf{T}}$")
        spectrum.set_ylabel("density")
        heading = title + (f"\nand {zeros / layout.inputs:.1%} zeros" if zeros else "")
        spectrum.legend(title=heading, loc="upper right")

        order = np.arange(1, comparison.ratio.size + 1)
        band = np.percentile(comparison.null_ratio, BAND, axis=0)
        ratio.fill_between(order, *band, color=style.PALE, lw=0, label="random matrices, 90%")
        ratio.axhline(1, color=style.GREY, lw=0.6)
        ratio.plot(order, comparison.ratio, color=style.LINES["bdip"][0], label="weights")
        ratio.set_xlim(1, order[-1])
        ratio.set_xlabel("order (1 = largest)")
        ratio.set_ylabel("singular values, ratio")
        ratio.legend(loc="best")
        figure.align_ylabels()
        style.save(figure, stem)
