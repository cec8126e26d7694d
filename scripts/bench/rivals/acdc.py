"""ACDC layers (Moczulski et al., "ACDC: a structured efficient linear layer", ICLR 2016).

y = x A C D C^-1 with diagonals A and D and the orthonormal discrete cosine transform C: 2 n
parameters. b plays no part in it, and only N = K is defined.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scripts.bench.rivals.problem import (
    Problem,
    Rival,
    Unable,
    few_in_first_row,
    relative,
    scipy_part,
    spread,
)


def cosines(n: int, rows: NDArray, columns: NDArray) -> NDArray[np.float64]:
    """Some rows and columns of the n x n orthonormal DCT-II, from its definition."""
    # cos(pi (2 j + 1) r / 2n) has the period 4 n in the product (2 j + 1) r.
    table = np.cos(np.pi * np.arange(4 * n) / (2 * n))
    places = (rows[:, None].astype(np.int64) * (2 * columns + 1)) % (4 * n)
    scale = np.where(rows == 0, np.sqrt(1 / n), np.sqrt(2 / n))
    return table[places] * scale[:, None]


class Acdc(Rival):
    """Two fast cosine transforms of each row, and two scalings."""

    library = "SciPy"

    def __init__(self, problem: Problem, both: bool) -> None:
        fft, self.version = scipy_part("fft")
        p = self.problem = problem
        if p.N != p.K:
            raise Unable("only square matrices are defined")
        self.fft = fft
        self.x, self.dy = (few_in_first_row(p.random(p.M, p.K, seed=seed)) for seed in (1, 3))
        self.a, self.d = p.random(p.K, seed=2), p.random(p.K, seed=4)
        self.y = self.dx = self.h = self.x
        self.da, self.dd = self.a, self.d

    def forward(self) -> None:
        self.h = self.fft.dct(self.x * self.a, norm="ortho", overwrite_x=True)
        self.y = self.fft.idct(self.h * self.d, norm="ortho", overwrite_x=True)

    def backward(self) -> None:
        g = self.fft.dct(self.dy, norm="ortho")
        self.dd = np.einsum("mn,mn->n", self.h, g)
        g *= self.d
        u = self.fft.idct(g, norm="ortho", overwrite_x=True)
        self.da = np.einsum("mn,mn->n", self.x, u)
        u *= self.a
        self.dx = u

    def error(self, both: bool) -> float:
        self.forward()
        n = self.problem.K
        every, some, out = np.arange(n), spread(n), spread(n, 7)
        into, back = cosines(n, every, some), cosines(n, every, out)
        y = (into @ (self.x[0, some].astype(np.float64) * self.a[some]) * self.d) @ back
        u = (into @ self.dy[0, some].astype(np.float64) * self.d) @ back
        errors = [relative(self.y[0, out], y)]
        if both:
            self.backward()
            errors.append(relative(self.dx[0, out], u * self.a[out]))
            # All gradients of W agree if those of any loss do: sum(a da) = sum(x dx) = sum(d dd).
            sums = [np.vdot(*pair) for pair in ((self.a, self.da), (self.d, self.dd))]
            size = float(np.linalg.norm(self.y) * np.linalg.norm(self.dy))
            errors.append(abs(sums[0] - np.vdot(self.dy, self.y)) / size)
            errors.append(abs(sums[1] - np.vdot(self.dy, self.y)) / size)
        return float(max(errors))

    def arrays(self) -> list[NDArray]:
        return [self.x, self.dy, self.a, self.d, self.y, self.dx, self.h]
