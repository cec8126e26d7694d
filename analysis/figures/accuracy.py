"""Test accuracy over iterations, one figure for each block config beside the dense net.

``python -m analysis.figures.accuracy`` draws them all from results/ into report/figures/.
Bands are plus and minus one standard deviation over seeds. The lower panel is the upper one's top,
with the paper's final values at its right edge.
"""

import argparse
import csv
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from analysis import methods
from analysis.errors import run_main
from analysis.figures import style
from analysis.files import write_text
from analysis.results import Key, Results, Summary, load, measured_curve
from analysis.table1 import Row, other_rows, paper_rows, section_text

# A curve that ends this many points or more under the best is left to the upper panel, but for
# the block layers themselves, which the figure is about.
ZOOM_POINTS = 2.0


@dataclass(frozen=True)
class Curve:
    """Mean test accuracy in percent over iterations; `sd` is NaN for one seed."""

    row: Row
    summary: Summary
    iterations: np.ndarray
    mean: np.ndarray
    sd: np.ndarray

    @property
    def line(self) -> str:
        """Its entry in style.LINES."""
        return "dense" if methods.is_dense(self.row.key.config) else self.row.key.method


@dataclass(frozen=True)
class Drawn:
    """A figure that was written: its stem under the folder, and the curves in it."""

    stem: str
    place: Key
    curves: tuple[Curve, ...]

    @property
    def name(self) -> str:
        """What it is called: nets of one config on two data sets have a figure each."""
        return name_of(self.place)


def seed_curve(results: Results, row: Row) -> Curve:
    """The mean over the seeds that the row shows, at the iterations that all of them measured."""
    summary = row.shown
    measured = [measured_curve(run) for run in results.finished_runs(summary, row.key)]
    shared = sorted(set.intersection(*(set(iterations) for iterations, _ in measured)))
    values = np.array([100 * value[np.isin(iterations, shared)] for iterations, value in measured])
    sd = values.std(axis=0, ddof=1) if len(values) > 1 else np.full(len(shared), np.nan)
    return Curve(row, summary, np.array(shared), values.mean(axis=0), sd)


def config_groups(results: Results) -> dict[Key, list[Row]]:
    """For each block config with a result: its rows, after the dense net's of the same data."""
    rows = [row for row in paper_rows(results) + other_rows(results) if row.shown]
    # Methods with settings of their own (bdip,weight_decay=0) are experiments beside these.
    rows = [row for row in rows if row.key.net is not None and "," not in row.key.method]
    groups: dict[Key, list[Row]] = {}
    for row in rows:
        net, dataset, config, *_ = row.key
        if methods.is_dense(config):
            continue
        place = Key(net, dataset, config, None)
        if place not in groups:
            groups[place] = [
                other
                for other in rows
                if other.key[:2] == (net, dataset) and methods.is_dense(other.key.config)
            ]
        groups[place].append(row)
    # Sisters that only Section 5 is about have its own figures.
    return {place: rows for place, rows in groups.items() if _is_compared(place, rows)}


def _is_compared(place: Key, rows: list[Row]) -> bool:
    """True for a config of Table 1, or one trained with several methods."""
    own = [row for row in rows if row.key.config == place.config]
    return any(row.cell for row in own) or len(own) > 1


def name_of(place: Key) -> str:
    """``LeNet-5 on MNIST, (10,1)-BD_4``."""
    return f"{section_text(place)}, {place.config}"


def stem_of(place: Key) -> str:
    """A file name without brackets: accuracy_lenet-mnist_10-1."""
    blocks = place.config.partition("-BD_")[0].strip("()").replace(",", "-")
    return f"accuracy_{place.net}-{place.dataset}_{blocks}"


def zoom_limits(curves: list[Curve]) -> tuple[float, float]:
    """Limits of the lower panel, in percent: the later part of the curves near the best."""
    best = max(curve.mean[-1] for curve in curves)
    near = [
        curve
        for curve in curves
        if curve.mean[-1] > best - ZOOM_POINTS or curve.row.key.method == "bdip"
    ]
    late = [curve.mean[curve.iterations >= curve.iterations[-1] / 4] for curve in near]
    printed = [curve.row.cell.value for curve in near if curve.row.cell]
    values = np.concatenate([*late, printed])
    margin = 0.06 * (values.max() - values.min()) + 0.02
    return values.min() - margin, values.max() + margin


def draw(place: Key, curves: list[Curve], stem: Path) -> None:
    """Draws and saves one figure; curves in the order of the legend."""
    with style.figure(4.5, nrows=2, sharex=True, height_ratios=(1, 1.35)) as (figure, panels):
        whole, zoom = panels
        low, high = zoom_limits(curves)
        for curve in curves:
            colour, dashes = style.LINES.get(curve.line, (style.GREY, "-"))
            for panel in panels:
                panel.plot(
                    curve.iterations, curve.mean, color=colour, ls=dashes, label=curve.row.label
                )
                if curve.summary.n > 1:
                    panel.fill_between(
                        curve.iterations,
                        curve.mean - curve.sd,
                        curve.mean + curve.sd,
                        color=colour,
                        alpha=0.16,
                        lw=0,
                    )
        last = max(curve.iterations[-1] for curve in curves)
        seen = set()
        for curve in curves:
            if curve.row.cell and curve.row.cell.id not in seen:
                seen.add(curve.row.cell.id)
                colour, _ = style.LINES[curve.line]
                zoom.plot(
                    last * 1.025, curve.row.cell.value, marker="<", ms=4.5, color=colour, mew=0,
                    clip_on=False,
                )  # fmt: skip
        whole.set_ylim(0, 102)
        zoom.set_ylim(low, high)
        zoom.set_xlim(0, last * 1.05)
        handles, labels = whole.get_legend_handles_labels()
        title = name_of(place).replace("-BD_", "-BD$_") + "$"
        figure.legend(handles, labels, loc="outside upper center", ncol=2, title=title)
        whole.set_ylabel("test accuracy (%)")
        zoom.set_ylabel("the same, enlarged (%)")
        zoom.set_xlabel("iteration")
        style.thousands(zoom)
        figure.align_ylabels()
        style.save(figure, stem)


def curves_csv(curves: list[Curve]) -> str:
    """The drawn numbers, one row per method and iteration."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(
        ["config", "method", "source", "n_seeds", "iteration", "mean_percent", "sd_points"]
    )
    for curve in curves:
        key, summary = curve.row.key, curve.summary
        for iteration, mean, sd in zip(curve.iterations, curve.mean, curve.sd, strict=True):
            spread = "" if np.isnan(sd) else f"{sd:.6g}"
            about = (key.config, key.method, summary.source, summary.n)
            writer.writerow([*about, f"{iteration:.0f}", f"{mean:.6g}", spread])
    return stream.getvalue()


def draw_all(results: Results, out: Path) -> list[Drawn]:
    """One figure and one CSV per block config that has a result, into `out`."""
    drawn = []
    for place, rows in config_groups(results).items():
        curves = [seed_curve(results, row) for row in rows]
        stem = stem_of(place)
        draw(place, curves, out / stem)
        write_text(out / f"{stem}.csv", curves_csv(curves))
        drawn.append(Drawn(stem, place, tuple(curves)))
    return drawn


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--results", type=Path, default=Path("results"), help="run folders")
    parser.add_argument("--out", type=Path, default=Path("report/figures"), help="where they go")
    arguments = parser.parse_args()
    for drawn in draw_all(load(arguments.results), arguments.out):
        print(arguments.out / f"{drawn.stem}.svg")


if __name__ == "__main__":
    run_main(main)
