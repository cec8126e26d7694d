"""Figure 2: how many pruning iterations Eq. 2 allows for each block iteration."""

from pathlib import Path

from analysis.errors import run_main
from analysis.figures import speed_figures
from analysis.figures.curves import Drawn
from analysis.timings import Timings

STATEMENT = (
    "Training is faster in all if pruning iterations per block iteration stay below "
    "(T(FC) - T(Block)) / T(Prune)."
)


def draw(timings: Timings, out: Path) -> Drawn | None:
    """Draws it into `out`; None where what it needs was not timed."""
    return speed_figures.figure02(timings, out, STATEMENT)


if __name__ == "__main__":
    run_main(lambda: speed_figures.run(draw))
