"""Figures 6 to 8 and 10, 11: variances and singular values of sister networks.

Each function draws one of the paper's figures for a family of sisters; the scripts figure06.py to
figure11.py name family, heading and what the paper says.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from analysis import decay, paper, words
from analysis.figures import style
from analysis.figures.curves import (
    BAND_WORDS,
    Drawn,
    curve,
    draw_curves,
    legend,
    margin_bars,
    pixels,
    save,
)
from analysis.sisters import CHANCE, Family, Member, OverBlocks, Spectra


def _iterations(axes: Axes, last: int) -> None:
    axes.set_xlim(0, last)
    axes.set_xlabel("iteration")
    style.thousands(axes)


def _order(axes: Axes, count: int) -> None:
    axes.set_xlim(1, count)
    axes.set_xlabel("order (1 = largest)")
    axes.set_ylabel("singular values / those of $R$")


def _name(family: Family) -> str:
    return family.config.replace("{b}", "$b$").replace("BD_", "BD$_") + "$"


def _printed(family: Family, place: str) -> dict[int, str]:
    """The paper's final variance ratios by number of blocks."""
    found = {
        blocks: paper.claims().get(f"{place}/variance-ratio-{blocks}") for blocks in family.blocks
    }
    return {blocks: claim.printed for blocks, claim in found.items() if claim is not None}


def blocks_values(members: Sequence[OverBlocks], values: list[str]) -> str:
    return "; ".join(f"b = {m.blocks}: {told}" for m, told in zip(members, values, strict=True))


def seed_words(members: Sequence[OverBlocks]) -> str:
    counts = sorted({len(m.seeds) for m in members})
    sources = sorted({m.source for m in members})
    told = words.seeds(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]} seeds"
    return f"{told} ({' and '.join(sources)} runs)"


# ---- Figures 6 and 10 ---------------------------------------------------------------------------


def ratios(
    spectra: Spectra, family: Family, out: Path, number: int, place: str, statement: str
) -> Drawn | None:
    """Variance ratio over training, the same over its start, and singular values over R's."""
    members = spectra.members(family)
    block_members = [m for m in members if m.blocks > 1]
    if not block_members:
        return None
    top, middle = [], []
    for m in block_members:
        start = family.start_ratio(m.blocks)
        top.append(curve("variance ratio", m.blocks, m.iterations, m.variance_ratio))
        middle.append(
            curve("ratio over its start", m.blocks, m.iterations, m.variance_ratio / start)
        )
    bottom = [
        curve("singular values over R", m.blocks, np.arange(1, m.reference.size + 1),
              m.singular_ratio[:, -1], m.null_ratio)
        for m in members
    ]  # fmt: skip
    noise = CHANCE * max(m.start_noise() for m in block_members)
    # Where the ratio starts at 1 for all, the top panel is the one over its start already.
    parts = [top, middle] if family.grows else [middle]
    height = 2.0 + 1.75 * len(parts) + 0.6
    with style.figure(height, nrows=len(parts) + 1) as (figure, (*upper, third)):
        for axes, part in zip(upper, parts, strict=True):
            if part is middle:
                axes.axhspan(1 - noise, 1 + noise, color=style.GREY, alpha=0.2, lw=0)
            draw_curves(axes, part, family.blocks)
            _iterations(axes, block_members[0].last)
            axes.set_ylabel("variance ratio")
        if family.grows:
            upper[0].set_ylim(bottom=0)
            upper[1].set_ylabel("variance ratio / $b$")
        draw_curves(third, bottom, family.blocks)
        _order(third, bottom[0].x.size)
        high = max(float(np.nanmax(one.mean)) for one in bottom)
        third.set_ylim(0, 1.08 * high)
        legend(figure, third, f"{_name(family)}, {family.layer}")
        figure.align_ylabels()
        save(figure, [one for part in parts for one in part] + bottom, out, f"figure{number:02d}")
    return Drawn(
        f"figure{number:02d}", f"Figure {number}", statement,
        _ratios_caption(family, members, block_members, place),
        f"Figure {number}: variance ratios of {family.layer} over training and ratios of singular "
        f"values, {family.label}",
        pixels(style.COLUMN, height),
    )  # fmt: skip


def _ratios_caption(
    family: Family, members: list[Member], block_members: list[Member], place: str
) -> str:
    printed = _printed(family, place)
    ends = []
    for m in block_members:
        told = words.mean_sd(m.variance_ratio[:, -1])
        ends.append(told + (f" (paper {printed[m.blocks]})" if m.blocks in printed else ""))
    noise = max(m.start_noise() for m in block_members)
    tops = [words.mean_sd(m.singular_ratio[:, -1, 0]) for m in members]
    lows = [words.mean_sd(m.singular_ratio[:, -1, -1]) for m in members]
    grey = (
        "grey: where the start itself lies by chance, in 95% of nets with "
        f"{block_members[-1].blocks} blocks (±{100 * CHANCE * noise:.1f}%)"
    )
    middle = (
        f" Middle (ours): the same over b; {grey}." if family.grows else f" {grey.capitalize()}."
    )
    return (
        f"{family.label}, {family.layer}, {seed_words(members)}. Top: variance of the weights "
        f"over the dense sister's; at iteration {members[0].last:,} "
        f"{blocks_values(block_members, ends)}.{middle} Bottom: singular values at the end over "
        "those of R, a random dense matrix of the dense sister's variance; grey: "
        f"{BAND_WORDS} truly random block matrices. Largest: {blocks_values(members, tops)}. "
        f"Smallest: {blocks_values(members, lows)}."
    )


def small_multiples(
    spectra: Spectra, family: Family, out: Path, number: int, statement: str
) -> Drawn | None:
    """The bottom panel of Figures 6 and 10, a panel for each number of blocks (ours)."""
    members = spectra.members(family)
    if len(members) < 2:
        return None
    curves = [
        curve("singular values over R", m.blocks, np.arange(1, m.reference.size + 1),
              m.singular_ratio[:, -1], m.null_ratio)
        for m in members
    ]  # fmt: skip
    rows = math.ceil(len(curves) / 2)
    height = max(2.4, 0.6 + 1.25 * rows)
    stem = f"figure{number:02d}_blocks"
    with style.figure(height, nrows=rows, ncols=2, sharex=True) as (figure, panels):
        flat = list(np.ravel(panels))
        for axes, one in zip(flat, curves, strict=False):
            draw_curves(axes, [one], family.blocks)
            middle = float(np.median(one.mean))
            axes.set_ylim(0.5 * middle, 1.5 * middle)
            axes.set_title(f"$b={one.blocks}$", loc="left", pad=2)
            axes.set_xlim(1, one.x.size)
        for axes in flat[len(curves) :]:
            axes.set_axis_off()
        figure.supxlabel("order (1 = largest)", fontsize=9.5)
        figure.supylabel("singular values over those of R", fontsize=9.5)
        save(figure, curves, out, stem)
    inside = [
        100 * float(np.mean((one.mean >= one.low) & (one.mean <= one.high))) for one in curves
    ]
    told = blocks_values(members, [f"{share:.0f}%" for share in inside])
    return Drawn(
        stem, f"Figure {number}, bottom, block by block (ours)", statement,
        f"{family.label}: singular values of the trained {family.layer} over those of R, each "
        f"before its own grey band, in which {BAND_WORDS} truly random block matrices of the same "
        f"shape lie. Share of the orders at which the trained layer lies in the band: {told}. The "
        "same range up and down in every panel; what leaves it is cut off.",
        f"Singular value ratios of {family.label} by number of blocks, each before its random band",
        pixels(style.COLUMN, height),
    )  # fmt: skip


# ---- Figure 7 -----------------------------------------------------------------------------------


def distances(
    spectra: Spectra, family: Family, out: Path, number: int, statement: str
) -> Drawn | None:
    """E|1 - sigma_W / sigma_R| over training, before what finite size alone gives."""
    members = spectra.members(family)
    if len(members) < 2:
        return None
    curves = [
        curve("mean distance", m.blocks, m.iterations, m.distance,
              np.repeat(m.null_distance[:, None], m.iterations.size, axis=1))
        for m in members
    ]  # fmt: skip
    height = 3.0
    with style.figure(height) as (figure, axes):
        draw_curves(axes, [replace(one, low=None) for one in curves], family.blocks)
        _iterations(axes, members[0].last)
        axes.set_ylim(bottom=0)
        axes.set_ylabel(r"$E\,|1-\sigma_W/\sigma_R|$")
        margin_bars(axes, curves, family.blocks)
        legend(figure, axes, f"{_name(family)}, {family.layer}")
        save(figure, curves, out, f"figure{number:02d}")
    starts = [
        f"{words.mean_sd(m.distance[:, 0])} (random {words.number(m.null_distance.mean())})"
        for m in members
    ]
    ends = [words.mean_sd(m.distance[:, -1]) for m in members]
    return Drawn(
        f"figure{number:02d}", f"Figure {number}", statement,
        f"{family.label}, {seed_words(members)}: mean distance of {family.layer}'s singular "
        "values from those of R, a random dense matrix of the dense sister's variance at the same "
        f"iteration. At the start: {blocks_values(members, starts)}. At iteration "
        f"{members[0].last:,}: {blocks_values(members, ends)}. Bars at the right edge: the "
        f"same for truly random block matrices, {BAND_WORDS}, which is where untrained nets lie by "
        "their size alone.",
        f"Figure {number}: mean distance of singular values from random ones, {family.label}",
        pixels(style.COLUMN, height),
    )  # fmt: skip


# ---- Figures 8 and 11 ---------------------------------------------------------------------------


def variances(
    spectra: Spectra, family: Family, out: Path, number: int, statement: str
) -> Drawn | None:
    """The variances themselves, beside pure weight decay, and the singular values themselves."""
    members = spectra.members(family)
    if len(members) < 2:
        return None
    top, pure = [], []
    for m in members:
        top.append(curve("variance", m.blocks, m.iterations, m.variance))
        factor = decay.variance_factor(m.runs[0].record["solver"], m.iterations)
        values = m.variance[:, :1] * factor
        pure.append(curve("variance, weight decay alone", m.blocks, m.iterations, values))
    bottom = []
    for m in members:
        order = np.arange(1, m.reference.size + 1)
        deviation = np.sqrt(m.dense_variance[:, -1].mean())
        null = m.null_ratio * m.reference * deviation
        bottom.append(curve("singular values", m.blocks, order, m.singular[:, -1], null))
    height = 5.0
    with style.figure(height, nrows=2) as (figure, (first, second)):
        for one in pure:
            first.plot(one.x, one.mean, color=style.GREY, lw=0.8, ls=(0, (1.5, 1.5)), zorder=4)
        draw_curves(first, top, family.blocks)
        _iterations(first, members[0].last)
        if family.grows:
            first.set_yscale("log")
        first.set_ylabel("variance of the weights")
        draw_curves(second, bottom, family.blocks)
        first_member = members[0]
        random = first_member.reference * np.sqrt(first_member.dense_variance[:, -1].mean())
        second.plot(bottom[0].x, random, color=style.GREY, ls=(0, (3, 1.5)), zorder=4, label="$R$")
        _order(second, bottom[0].x.size)
        second.set_ylabel("singular values")
        second.set_ylim(bottom=0)
        legend(figure, second, f"{_name(family)}, {family.layer}")
        figure.align_ylabels()
        save(figure, top + pure + bottom, out, f"figure{number:02d}")
    factors = [words.mean_sd(m.variance[:, -1] / m.variance[:, 0]) for m in members]
    expected = float(decay.variance_factor(members[0].runs[0].record["solver"], members[0].last))
    return Drawn(
        f"figure{number:02d}", f"Figure {number}", statement,
        f"{family.label}, {seed_words(members)}. Top: variance of {family.layer}'s weights; "
        f"dotted: what weight decay alone would make of the start, a factor of {expected:.3f} at "
        f"iteration {members[0].last:,}. Measured: {blocks_values(members, factors)}. Bottom: "
        "singular values at the end, all blocks' put together; dashed: R, the mean of random dense "
        f"matrices of the dense sister's variance; grey: {BAND_WORDS} truly random block matrices.",
        f"Figure {number}: variances over training and singular values, {family.label}",
        pixels(style.COLUMN, height),
    )  # fmt: skip
