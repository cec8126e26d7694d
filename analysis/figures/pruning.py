"""A layer's weights before, within and after the pruning phase of IP-BDIP, and condensed:
``python -m analysis.figures.pruning "results/lenet-mnist/(10,1)-BD_4/ip_bdip/seed-1"``.
"""

import argparse
import re
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from analysis.block_spectrum import pack
from analysis.errors import AnalysisError, run_main
from analysis.figures import style

# Pixels of the picture along the inputs, at most: each shows the mean of a rectangle of entries.
PIXELS = 100


@dataclass(frozen=True)
class Phase:
    """The pruning phase of one layer, as the run's net.prototxt has it."""

    start: int
    iters: int
    blocks: int

    @property
    def iterations(self) -> tuple[int, int, int]:
        """Where weights are dumped: before the first update of the phase, half way, and after."""
        return self.start, self.start + self.iters // 2, self.start + self.iters


def phase_of(net_prototxt: str, layer: str) -> Phase:
    """The BLOCK_L1 phase of a layer; AnalysisError where it has none."""
    for body in re.split(r"(?m)^layer \{", net_prototxt)[1:]:
        if f'name: "{layer}"' in body and (found := re.search(r"prune \{([^}]*)\}", body)):
            fields = dict(re.findall(r"(\w+): (\S+)", found[1]))
            if fields.get("type", "BLOCK_L1") == "BLOCK_L1":
                numbers = (int(fields.get(name, 0)) for name in ("start", "iters", "blocks"))
                return Phase(*numbers)
    raise AnalysisError(f"the net does not prune the layer {layer} towards blocks")


def weights_at(folder: Path, layer: str, iteration: int) -> NDArray:
    """The N x K weights of a layer as dumped at an iteration; AnalysisError where they are not."""
    path = folder / "weights" / f"iter_{iteration:06d}.npz"
    try:
        with np.load(path) as dump:
            return dump[f"{layer}/weight"]
    except (OSError, KeyError, ValueError, EOFError, BadZipFile) as error:
        raise AnalysisError(
            f"{path} has no weights of {layer} ({error}): train the run again with `make train`"
        ) from error


def coarse(weights: NDArray, step: int) -> NDArray:
    """The mean |w| of step x step entries (the last ones of a row or column may be fewer)."""
    rows = np.arange(0, weights.shape[0], step)
    columns = np.arange(0, weights.shape[1], step)
    sums = np.add.reduceat(np.add.reduceat(np.abs(weights, dtype=float), rows, 0), columns, 1)
    heights = np.diff([*rows, weights.shape[0]])
    widths = np.diff([*columns, weights.shape[1]])
    return sums / np.outer(heights, widths)


def draw(folder: Path, layer: str, stem: Path) -> str:
    """Writes `stem`.svg, .pdf and .png; returns the caption, which says what is left when."""
    phase = phase_of((folder / "net.prototxt").read_text(encoding="utf-8"), layer)
    matrices = [weights_at(folder, layer, iteration) for iteration in phase.iterations]
    condensed = pack(matrices[-1], phase.blocks)
    outputs, inputs = matrices[0].shape
    step = max(1, -(-inputs // PIXELS))
    pictures = [coarse(matrix, step) for matrix in (*matrices, condensed)]
    names = [f"iteration {iteration:,}" for iteration in phase.iterations] + ["condensed"]
    left = [np.count_nonzero(matrix) for matrix in (*matrices, condensed)]
    darkest = np.percentile(pictures[-1], 95)
    # Widths as those of the matrices; the narrow last one gets room for its title.
    shares = [inputs] * 3 + [max(condensed.shape[1], 0.42 * inputs)]
    with style.figure(1.75, 2 * style.COLUMN, ncols=4, gridspec_kw={"width_ratios": shares}) as (
        figure,
        axes,
    ):
        for panel, picture, name, count in zip(axes, pictures, names, left, strict=True):
            panel.imshow(picture, cmap="Greys", vmin=0, vmax=darkest, interpolation="none")
            panel.set_title(f"{name}\n{count:,} entries")
            panel.set_xticks([])
            panel.set_yticks([])
            for spine in panel.spines.values():
                spine.set_visible(True)
        style.save(figure, stem)
    return (
        f"{layer}'s {outputs} x {inputs} weights (outputs down, inputs across; dark: large mean "
        f"|w|) on the way to {phase.blocks} blocks: dense after {phase.iterations[0]} iterations, "
        f"half way, all entries off the blocks pruned after iteration {phase.iterations[2]}, and "
        f"the {outputs} x {condensed.shape[1]} matrix that a BlockInnerProduct layer holds."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="the folder of an ip_bdip run")
    parser.add_argument("--layer", default="ip1")
    parser.add_argument("--out", type=Path, help="the pictures' path without suffix")
    arguments = parser.parse_args()
    if not (arguments.run / "net.prototxt").is_file():
        raise AnalysisError(f"{arguments.run} is not a run's folder: it has no net.prototxt")
    stem = arguments.out or Path("report") / f"pruning-{arguments.layer}"
    stem.parent.mkdir(parents=True, exist_ok=True)
    print(draw(arguments.run, arguments.layer, stem))
    print(f"written: {stem}.svg, .pdf, .png")


if __name__ == "__main__":
    run_main(main)
