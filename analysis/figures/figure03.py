"""Figure 3: speedup of LeNet-5's and cuda-convnet's inner product layers."""

from pathlib import Path

from analysis.errors import run_main
from analysis.figures import speed_figures
from analysis.figures.curves import Drawn
from analysis.timings import Timings

STATEMENT = (
    "LeNet-5: over 1.4 times for b1 up to 50 (all products), 1.6 for b1 = 100 (forward); "
    "cuda-convnet: over 1.26 for b1 up to 32 (all), 1.65 for b1 up to 64 (forward). CSR can be "
    "more than 8 times slower than dense."
)


def draw(timings: Timings, out: Path) -> Drawn | None:
    """Draws it into `out`; None where what it needs was not timed."""
    return speed_figures.figure03(timings, out, STATEMENT)


if __name__ == "__main__":
    run_main(lambda: speed_figures.run(draw))
