"""Figures 9 and 12: the spectrum of the trained dense layer beside that of a random matrix."""

from pathlib import Path

import numpy as np

from analysis import random_matrix, words
from analysis.figures import style
from analysis.figures.curves import BAND, BAND_WORDS, Curve, Drawn, legend, pixels, save
from analysis.sisters import Family, Spectra

EIGENVALUES_A_BIN = 6
MOST_BINS = 30


def densities(
    spectra: Spectra, family: Family, out: Path, number: int, statement: str
) -> Drawn | None:
    """Eigenvalues of (1/n) W W^T of the dense sister, as a density, and of random matrices."""
    member = spectra.member(family, 1)
    if member is None:
        return None
    layout = member.layout
    zeros = max(0, layout.inputs - layout.outputs) / layout.inputs
    variance = float(member.variance[:, -1].mean())
    scale = variance / member.variance[:, -1]  # each seed at the mean variance
    trained = member.singular[:, -1] ** 2 / layout.n * scale[:, None]
    random = member.draws.singular**2 / layout.n * variance

    low, high = random_matrix.support(layout.y, variance)
    width = (high - low) / min(MOST_BINS, member.reference.size // EIGENVALUES_A_BIN)
    first = max(0.0, low - width * np.ceil((low - trained.min()) / width))
    edges = np.arange(first, trained.max() + width, width)
    share = (1 - zeros) / (member.reference.size * width)
    heights = np.array([np.histogram(one, edges)[0] * share for one in trained])
    null = np.array([np.histogram(one, edges)[0] * share for one in random])
    middles = (edges[:-1] + edges[1:]) / 2
    sd = heights.std(axis=0, ddof=1) if len(heights) > 1 else np.full(middles.size, np.nan)
    band = np.percentile(null, BAND, axis=0)
    curve = Curve("density", 1, middles, heights.mean(axis=0), sd, *band)

    height = 2.9
    with style.figure(height) as (figure, axes):
        axes.bar(middles, curve.mean, width, color=style.TINT, label="trained $W_1$")
        # From edge to edge of each bin: the last one's height is needed at its end too.
        steps = np.append(band, band[:, -1:], axis=1)
        axes.fill_between(edges, *steps, color=style.INK, alpha=0.22, lw=0, step="post",
                          label=f"random $R$, {BAND_WORDS}")  # fmt: skip
        x = low + (high - low) * (1 - np.cos(np.linspace(0, np.pi, 400)[1:])) / 2
        law = random_matrix.density(x, layout.y, variance)
        axes.plot(x, law, color=style.LINES["shuffle"][0], label="Marchenko–Pastur")
        axes.set_ylim(0, 1.15 * max(float(curve.mean.max()), float(law[20:].max())))
        axes.set_xlim(0, edges[-1])
        axes.set_xlabel(rf"eigenvalues of $\frac{{1}}{{{layout.n}}}\,W_1 W_1^{{\mathsf{{T}}}}$")
        axes.set_ylabel("density")
        heading = f"{zeros:.2%} are 0, not drawn" if zeros else None
        legend(figure, axes, heading, columns=2)
        save(figure, [curve], out, f"figure{number:02d}")

    outliers = words.mean_sd(member.outliers[:, -1], 2)
    ks, null_ks = member.law_distance, member.null_law_distance
    tail = np.mean(trained > high) * (1 - zeros)
    return Drawn(
        f"figure{number:02d}", f"Figure {number}", statement,
        f"{family.label}, (1,1), {words.seeds(len(member.seeds))} ({member.source} runs), "
        f"iteration {member.last:,}: eigenvalues of W W^T / {layout.n}, with W as {layout.inputs} "
        f"{words.TIMES} {layout.outputs}, beside the Marchenko–Pastur law of the weights' own "
        f"variance, {words.number(variance)}, and beside random matrices of the same shape. What "
        "the paper calls singular values here are eigenvalues, the squares of singular values "
        f"over {layout.n}. {zeros:.2%} of the {layout.inputs} eigenvalues are exactly zero, since "
        f"W has only {layout.outputs} columns; the picture shows the others, as the paper's does. "
        f"Above the law's end lie {tail:.1%} of all eigenvalues, and {outliers} of them are above "
        "what random matrices reach. Kolmogorov–Smirnov distance to the law, without the zeros: "
        f"{words.mean_sd(ks)}; random matrices: {words.number(float(np.mean(null_ks)))}, 95% of "
        f"them below {words.number(float(np.percentile(null_ks, 95)))}.",
        f"Figure {number}: spectrum of the trained dense layer beside the Marchenko–Pastur law",
        pixels(style.COLUMN, height),
    )  # fmt: skip
