"""Truly random block matrices, drawn once per layout and kept between calls."""

from contextlib import suppress
from pathlib import Path

import numpy as np

from analysis import block_spectrum
from analysis.block_spectrum import Draws, Layout
from analysis.errors import AnalysisError
from analysis.files import write_atomically

DRAWS = 100


class Nulls:
    """Draws by layout. folder: where they are kept as .npy files; None keeps them in memory."""

    def __init__(self, folder: Path | None, draws: int = DRAWS) -> None:
        self.folder = folder
        self.draws = draws
        self._drawn: dict[tuple[Layout, bool], Draws] = {}

    def of(self, layout: Layout, uniform: bool) -> Draws:
        """`draws` random block matrices of a layout, the same ones at every call.

        uniform: entries as Xavier's filler draws them, else Gaussian ones.
        """
        place = (layout, uniform)
        if place not in self._drawn:
            self._drawn[place] = self._read(*place) or self._draw(*place)
        return self._drawn[place]

    def _path(self, layout: Layout, uniform: bool) -> Path | None:
        if self.folder is None:
            return None
        law = "uniform" if uniform else "gaussian"
        shape = f"{layout.outputs}x{layout.inputs}_b{layout.blocks}"
        return self.folder / f"{shape}_{law}_{self.draws}.npy"

    def _read(self, layout: Layout, uniform: bool) -> Draws | None:
        path = self._path(layout, uniform)
        if path is None or not path.is_file():
            return None
        try:
            table = np.load(path).astype(float)
        except (OSError, ValueError) as error:
            raise AnalysisError(f"{path} cannot be read ({error}): remove that file") from error
        return Draws(layout, table[:, 1:], table[:, 0])

    def _draw(self, layout: Layout, uniform: bool) -> Draws:
        # A seed of each layout's own: matrices of two layouts are then independent.
        made = block_spectrum.draw(layout, self.draws, seed=_seed(layout), uniform=uniform)
        table = np.column_stack([made.deviations, made.singular]).astype(np.float32)
        path = self._path(layout, uniform)
        if path is not None:
            # Where nothing can be written they are drawn again next time.
            with suppress(AnalysisError):
                write_atomically(path, lambda stream: np.save(stream, table))
        table = table.astype(float)
        return Draws(layout, table[:, 1:], table[:, 0])


def _seed(layout: Layout) -> int:
    return (layout.outputs * 100_003 + layout.inputs) * 100_003 + layout.blocks
