"""Curves over seeds before a grey band of chance: drawn, and written as CSV.

What a figure shows is kept as Curve objects, so that picture and CSV hold the same numbers.
"""

import argparse
import csv
import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis.errors import AnalysisError
from analysis.figures import style
from analysis.files import write_text
from analysis.nulls import Nulls
from analysis.results import load
from analysis.sisters import Spectra

Array = NDArray[np.float64]

BAND = (5, 95)
BAND_WORDS = "9 of 10"


@dataclass(frozen=True)
class Curve:
    """One line of a panel: mean and sample standard deviation over seeds, and a band of chance.

    sd is NaN where there is one seed; low and high are None where nothing random is to be shown.
    """

    panel: str
    blocks: int
    x: Array
    mean: Array
    sd: Array
    low: Array | None = None
    high: Array | None = None
    label: str = ""


@dataclass(frozen=True)
class Drawn:
    """A figure that was written, with what the report says beside it; size in CSS pixels."""

    stem: str
    heading: str
    statement: str
    caption: str
    alternative: str
    size: tuple[int, int]


def curve(
    panel: str, blocks: int, x: Array, values: Array, null: Array | None = None, label: str = ""
) -> Curve:
    """values: (seeds, points). null: (draws, points) of truly random matrices."""
    low, high = np.percentile(null, BAND, axis=0) if null is not None else (None, None)
    sd = values.std(axis=0, ddof=1) if len(values) > 1 else np.full(values.shape[1], np.nan)
    return Curve(
        panel, blocks, np.asarray(x, float), values.mean(axis=0), sd, low, high,
        label or f"$b={blocks}$",
    )  # fmt: skip


def line(blocks: int, all_blocks: Iterable[int]) -> dict[str, object]:
    """Colour and dashes: black for the dense net, then from blue to ochre as the blocks grow."""
    ramp = sorted(set(all_blocks) - {1})
    if blocks == 1:
        return {"color": style.INK, "ls": "-"}
    place = ramp.index(blocks)
    shade = matplotlib.colormaps["plasma"](0.84 * place / max(1, len(ramp) - 1))
    return {"color": shade, "ls": ("-", (0, (4.5, 1.2)))[place % 2]}


def thinned(count: int) -> NDArray[np.int64]:
    """Which of many points are drawn: all at both ends, where spectra bend, some in between."""
    if count <= 120:
        return np.arange(count)
    middle = np.arange(12, count - 32, 5)
    return np.concatenate([np.arange(12), middle, np.arange(count - 32, count)])


def draw_bands(axes: Axes, curves: Iterable[Curve]) -> None:
    """What chance does, in grey, behind everything."""
    for one in curves:
        if one.low is not None:
            i = thinned(one.x.size)
            axes.fill_between(
                one.x[i], one.low[i], one.high[i], color=style.GREY, alpha=0.2, lw=0, zorder=1
            )


def draw_curves(axes: Axes, curves: list[Curve], all_blocks: Iterable[int]) -> None:
    """Lines with bands of one standard deviation over seeds, before the grey bands."""
    draw_bands(axes, curves)
    for one in curves:
        look = line(one.blocks, all_blocks)
        i = thinned(one.x.size)
        axes.plot(one.x[i], one.mean[i], label=one.label, zorder=3, **look)
        if not np.isnan(one.sd).all():
            low, high = (one.mean - one.sd)[i], (one.mean + one.sd)[i]
            axes.fill_between(one.x[i], low, high, color=look["color"], alpha=0.2, lw=0, zorder=2)


def margin_bars(axes: Axes, curves: list[Curve], all_blocks: Iterable[int]) -> None:
    """What chance does, as bars beyond the right edge: bands that would lie on one another."""
    left, right = axes.get_xlim()
    for place, one in enumerate(curves):
        x = right + (right - left) * (0.025 + 0.022 * place)
        look = line(one.blocks, all_blocks)
        axes.plot([x, x], [one.low[-1], one.high[-1]], color=style.PALE, lw=3.4, clip_on=False,
                  solid_capstyle="butt")  # fmt: skip
        axes.plot(x, (one.low[-1] + one.high[-1]) / 2, marker="_", ms=4.5, color=look["color"],
                  mew=1.6, clip_on=False)  # fmt: skip


def legend(figure: Figure, axes: Axes, title: str | None, columns: int = 4) -> None:
    """One legend above all panels, from what one of them shows."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncol=columns, title=title,
                  columnspacing=1.1, handlelength=1.9)  # fmt: skip


def csv_text(curves: Iterable[Curve]) -> str:
    """The drawn numbers, one row per point."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["panel", "blocks", "x", "mean", "sd", "random_5_percent", "random_95_percent"])
    for one in curves:
        for i, x in enumerate(one.x):
            ends = (None, None) if one.low is None else (one.low[i], one.high[i])
            sd = None if np.isnan(one.sd[i]) else one.sd[i]
            told = ("" if value is None else f"{value:.6g}" for value in (one.mean[i], sd, *ends))
            writer.writerow([one.panel, one.blocks, f"{x:.6g}", *told])
    return stream.getvalue()


def save(made: Figure, curves: list[Curve], out: Path, stem: str) -> None:
    """The picture in its three formats and the CSV."""
    style.save(made, out / stem)
    write_text(out / f"{stem}.csv", csv_text(curves))


def pixels(width: float, height: float) -> tuple[int, int]:
    return round(100 * width), round(100 * height)


def run(draw: Callable[[Spectra, Path], Drawn | None], command: str) -> None:
    """The main program of a figure's script; `command` makes the runs that it needs."""
    parser = argparse.ArgumentParser(description="Draws one figure from the results.")
    parser.add_argument("--results", type=Path, default=Path("results"), help="run folders")
    parser.add_argument("--out", type=Path, default=Path("report/figures"), help="where it goes")
    arguments = parser.parse_args()
    spectra = Spectra(load(arguments.results), Nulls(arguments.results / ".null"))
    drawn = draw(spectra, arguments.out)
    if drawn is None:
        raise AnalysisError(f"{arguments.results} lacks the runs of this figure: {command}")
    print(arguments.out / f"{drawn.stem}.svg")
    print(drawn.caption)
