"""Toeplitz-like layers (Sindhwani, Sainath, Kumar, NIPS 2015) of displacement rank r.

W = sum over i of Z_1(g_i) Z_-1(h_i), each term a circulant times a skew-circulant matrix: 2 n r
parameters, multiplied by FFT. Only N = K is defined; r = n / 2b has as many parameters as b blocks.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scripts.bench.rivals.problem import (
    Problem,
    Rival,
    Unable,
    few_in_first_row,
    scipy_part,
    spread,
)

# A pass of higher rank is many times slower than the dense product.
MOST_RANK = 16


class Toeplitz(Rival):
    """Weights' transforms are made ahead, as for a net that is trained already."""

    library = "SciPy"

    def __init__(self, problem: Problem, both: bool) -> None:
        fft, self.version = scipy_part("fft")
        p = self.problem = problem
        if p.N != p.K:
            raise Unable("only square matrices are defined")
        if both:
            raise Unable("only its forward product is compared")
        rank, rest = divmod(p.K, 2 * p.b)
        if rest or not 1 <= rank <= MOST_RANK:
            raise Unable(f"the rank {p.K / (2 * p.b):g} is not one of 1 ... {MOST_RANK}")
        self.fft = fft
        n = p.K
        self.x = few_in_first_row(p.random(p.M, n, seed=1))
        self.g, self.h = p.random(rank, n, seed=2), p.random(rank, n, seed=4)
        self.twist = np.exp(1j * np.pi * np.arange(n) / n).astype(np.complex64)
        self.g_spectrum = fft.rfft(self.g)
        self.h_spectrum = fft.fft(self.h * self.twist)
        self.y = self.x

    def forward(self) -> None:
        # A skew-circulant matrix is a circulant one between diagonals of twists.
        spectrum = self.fft.fft(self.x * self.twist, overwrite_x=True)
        total = None
        for g, h in zip(self.g_spectrum, self.h_spectrum, strict=True):
            inner = self.fft.ifft(spectrum * h, overwrite_x=True)
            inner *= self.twist.conj()
            part = self.fft.rfft(inner.real)
            part *= g
            total = part if total is None else total + part
        self.y = self.fft.irfft(total, n=self.problem.K)

    def error(self, both: bool) -> float:
        self.forward()
        n = self.problem.K
        some = spread(n)
        x = self.x[0, some].astype(np.float64)
        # One output by the definition: entry (s, j) of Z_f(v) is v[s - j], times f where s < j.
        out, wanted, s = n // 3, 0.0, np.arange(n)
        for g, h in zip(self.g.astype(np.float64), self.h.astype(np.float64), strict=True):
            inner = (h[(s[:, None] - some) % n] * np.where(s[:, None] < some, -1, 1)) @ x
            wanted += g[(out - s) % n] @ inner
        return abs(float(self.y[0, out]) - wanted) / float(np.abs(self.y[0]).max())

    def arrays(self) -> list[NDArray]:
        return [self.x, self.y, self.g_spectrum, self.h_spectrum, self.twist]
