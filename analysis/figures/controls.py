"""Controls (ours): where the variance ratio ends, with and without decay, labels, ReLU."""

import csv
import io
from pathlib import Path

import numpy as np

from analysis import paper
from analysis.errors import run_main
from analysis.figures import curves, style
from analysis.figures.curves import Drawn, pixels
from analysis.files import write_text
from analysis.sisters import LENET, LENET_NO_DECAY, LENET_SHUFFLED, SIGMOID, Spectra

STATEMENT = (
    "The initialization ratio of variances persists through thousands of training iterations, for "
    "various data sets, architectures and activation functions."
)
FAMILIES = {
    LENET: ("as in the paper", {"color": style.INK, "marker": "o"}),
    LENET_NO_DECAY: ("no weight decay", {"color": "#D55E00", "marker": "s"}),
    LENET_SHUFFLED: ("shuffled labels", {"color": "#0072B2", "marker": "^"}),
    SIGMOID: ("sigmoid", {"color": "#009E73", "marker": "D"}),
}


def draw(spectra: Spectra, out: Path) -> Drawn | None:
    """Draws it into `out`; None where no block sister is there."""
    found = {family: [m for m in spectra.members(family) if m.blocks > 1] for family in FAMILIES}
    found = {family: members for family, members in found.items() if members}
    if not found:
        return None
    height = 4.6
    rows = []
    with style.figure(height, nrows=2, sharex=True) as (figure, (end, moved)):
        chance = {m.blocks: m.start_noise() for members in found.values() for m in members}
        blocks = sorted(chance)
        noise = 196 * np.array([chance[b] for b in blocks])
        end.fill_between(blocks, -noise, noise, color=style.GREY, alpha=0.2, lw=0)
        for place, (family, members) in enumerate(found.items()):
            label, look = FAMILIES[family]
            shift = 1 + 0.05 * (place - (len(found) - 1) / 2)
            x = np.array([m.blocks * shift for m in members])
            values = [100 * m.deviation[:, -1] for m in members]
            changes = [100 * (m.deviation[:, -1] - m.deviation[:, 0]) for m in members]
            for axes, panel in ((end, values), (moved, changes)):
                mean = np.array([one.mean() for one in panel])
                spread = np.array([one.std(ddof=1) if one.size > 1 else 0.0 for one in panel])
                axes.errorbar(x, mean, spread, label=label, ms=4, lw=0.8, elinewidth=0.8, **look)
            for m, value, change in zip(members, values, changes, strict=True):
                sd = (one.std(ddof=1) if one.size > 1 else None for one in (value, change))
                numbers = [value.mean(), next(sd), change.mean(), next(sd), 100 * m.start_noise()]
                rows.append([family.name, m.blocks, len(m.seeds), *numbers])
        for b in LENET.blocks:
            claim = paper.claims().get(f"5.1/variance-ratio-{b}")
            if claim:
                end.plot(b, 100 * (claim.value / b - 1), marker="x", ms=5, color="#AA4499", ls="")
        end.plot([], [], marker="x", ms=5, color="#AA4499", ls="", label="paper")
        for axes in (end, moved):
            axes.axhline(0, color=style.GREY, lw=0.6)
            axes.set_xscale("log")
            axes.set_xticks(blocks, [str(b) for b in blocks])
            axes.minorticks_off()
        end.set_ylabel("final ratio / $b$ − 1 (%)")
        moved.set_ylabel("moved by training (%)")
        moved.set_xlabel("blocks $b$ of ip1")
        curves.legend(figure, end, "variance ratio of $(b,1)$-BD$_4$, ip1", columns=3)
        figure.align_ylabels()
        style.save(figure, out / "controls")
    write_text(out / "controls.csv", csv_text(rows))
    return Drawn(
        "controls", "Controls of the variance ratio (ours)", STATEMENT,
        "Top: where the variance ratio ends, over b; bars one standard deviation over seeds, "
        "crosses the paper's values, grey: where 95% of ratios lie before any training, by chance. "
        "Bottom: the same minus its value at the start, which is what training did.",
        "Deviation of the final variance ratio from b, for the paper's training and the controls",
        pixels(style.COLUMN, height),
    )  # fmt: skip


def csv_text(rows: list[list[object]]) -> str:
    """One row per family and number of blocks; percent."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(
        ["family", "blocks", "n_seeds", "final_percent", "final_sd", "moved_percent", "moved_sd",
         "chance_sd"]
    )  # fmt: skip
    for name, blocks, seeds, *numbers in rows:
        told = ("" if value is None else f"{value:.6g}" for value in numbers)
        writer.writerow([name, blocks, seeds, *told])
    return stream.getvalue()


if __name__ == "__main__":
    run_main(lambda: curves.run(draw, "make reproduce"))
