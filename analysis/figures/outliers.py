"""What leaves the bulk (ours): eigenvalues above the edge of random matrices, over training."""

from pathlib import Path

import numpy as np

from analysis import words
from analysis.errors import run_main
from analysis.figures import curves, style
from analysis.figures.curves import Drawn, curve, draw_curves, legend, pixels, save
from analysis.sisters import LENET, Family, Member, Spectra

STATEMENT = (
    "The largest and smallest singular values follow the random matrix with some error; the "
    "disparity in the extreme ones is left to future work."
)


def sentence(member: Member) -> str:
    """``b = 1: 12 ± 0, the first by iteration 1,000``."""
    last = member.outliers[:, -1]
    seen = np.flatnonzero((member.outliers > 0).any(axis=0))
    if seen.size == 0:
        return f"b = {member.blocks}: none"
    first = member.iterations[seen[0]]
    spread = f" ± {last.std(ddof=1):.1f}" if last.size > 1 else ""
    return f"b = {member.blocks}: {last.mean():.1f}{spread}, the first by iteration {first:,}"


def draw(spectra: Spectra, out: Path, family: Family = LENET) -> Drawn | None:
    """Draws it into `out`; None where its runs are missing."""
    members = spectra.members(family)
    if not members:
        return None
    counts = [
        curve("eigenvalues above the edge", m.blocks, m.iterations, m.outliers.astype(float))
        for m in members
    ]
    tops = [
        curve("largest over random", m.blocks, m.iterations, m.own_ratio[..., 0],
              np.repeat((m.draws.singular[:, :1] / m.draws.mean[0]), m.iterations.size, axis=1))
        for m in members
    ]  # fmt: skip
    height = 4.6
    stem = f"outliers_{family.name}"
    with style.figure(height, nrows=2) as (figure, (first, second)):
        for axes, lines in ((first, counts), (second, tops)):
            draw_curves(axes, lines, family.blocks)
            axes.set_xlim(0, members[0].last)
            axes.set_xlabel("iteration")
            style.thousands(axes)
        first.set_ylabel("eigenvalues above the edge")
        first.set_ylim(bottom=0, top=max(1.0, first.get_ylim()[1]))  # whole numbers, 0 alone too
        second.set_ylabel("largest / random blocks'")
        legend(figure, first, f"{family.label}, {family.layer}")
        figure.align_ylabels()
        save(figure, counts + tops, out, stem)
    share = [
        f"{100 * (m.own_ratio[:, -1, 0].mean() - 1):+.1f}%".replace("-", words.MINUS)
        for m in members
    ]
    above = "; ".join(f"b = {m.blocks}: {told}" for m, told in zip(members, share, strict=True))
    return Drawn(
        stem, "The largest singular values (ours)", STATEMENT,
        f"{family.label}. Top: eigenvalues of the blocks' (1/n) X X^T above the edge that random "
        "blocks of the same shape and variance pass in one layer of 100 (b = 1: Tracy and Widom's "
        "law at the scale of the bulk's end; else such blocks drawn). At the end, "
        f"{'; '.join(sentence(m) for m in members)}. "
        "Bottom: the largest singular value over the mean one of such random blocks, grey: "
        f"{curves.BAND_WORDS} of them. At the end it differs from it by: {above}.",
        f"Number of eigenvalues above the random edge over training, {family.label}",
        pixels(style.COLUMN, height),
    )  # fmt: skip


if __name__ == "__main__":
    run_main(lambda: curves.run(draw, "make reproduce"))
