"""Figures 4 and 5: what both share."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from analysis import words
from analysis.figures import style
from analysis.figures.curves import Curve, Drawn, curve, draw_curves, legend, pixels, save
from analysis.figures.sister_figures import blocks_values, seed_words
from analysis.overfit import Overfit, members
from analysis.sisters import CIFAR10, Spectra

Array = np.ndarray


def draw(
    spectra: Spectra,
    out: Path,
    number: int,
    statement: str,
    label: str,
    of: Callable[[Overfit], Array],
    final: Callable[[Overfit], Array],
    logarithmic: bool = False,
) -> Drawn | None:
    """One curve for each number of blocks; None unless the dense net and one other are there.

    `of`: what is drawn, (seeds, iterations), NaN where it is not defined. `final`: the same at the
    end, from all training images, (seeds,), for the caption.
    """
    found = members(spectra.results)
    if len(found) < 2 or found[0].blocks != 1:
        return None
    drawn: list[Curve] = [curve(label, one.blocks, one.iterations, of(one)) for one in found]
    height = 3.0
    with style.figure(height) as (figure, axes):
        draw_curves(axes, drawn, CIFAR10.blocks)
        axes.set_xlim(0, found[0].iterations[-1])
        axes.set_xlabel("iteration")
        style.thousands(axes)
        axes.set_ylabel(label)
        if logarithmic:
            axes.set_yscale("log")
        legend(figure, axes, "($b$,1)-BD$_5$, cuda-convnet")
        save(figure, drawn, out, f"figure{number:02d}")
    ends = blocks_values(found, [words.mean_sd(final(one)) for one in found])
    return Drawn(
        f"figure{number:02d}", f"Figure {number}", statement,
        f"{CIFAR10.label}, {seed_words(found)}. Curves: training accuracy on a fixed "
        f"part of 10,000 training images. At the end, with all training images: {ends}.",
        f"Figure {number}: {label} over the iterations, by number of blocks",
        pixels(style.COLUMN, height),
    )  # fmt: skip
