"""Figure 1: speedup of n x n block layers over dense ones."""

from pathlib import Path

from analysis.errors import run_main
from analysis.figures import speed_figures
from analysis.figures.curves import Drawn
from analysis.timings import Timings

STATEMENT = (
    "Just over 10 times for n up to 8,192, the most at 2⁻⁷ n blocks; above 1 up to 2⁻⁵ n blocks "
    "forward, and up to 2⁻⁶ n for all three products."
)


def draw(timings: Timings, out: Path) -> Drawn | None:
    """Draws it into `out`; None where what it needs was not timed."""
    return speed_figures.figure01(timings, out, STATEMENT)


if __name__ == "__main__":
    run_main(lambda: speed_figures.run(draw))
