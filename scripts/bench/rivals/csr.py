"""CSR with as many weights as the blocks have, anywhere in the matrix: scipy.sparse."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scripts.bench.rivals.problem import Problem, Rival, Unable, relative, scipy_part

# Entries: beyond, they take minutes to draw and gigabytes to hold.
MOST = 2**21


class Csr(Rival):
    """Each row has the same number of entries, in columns drawn without repeats."""

    library = "SciPy"

    def __init__(self, problem: Problem, both: bool) -> None:
        sparse, self.version = scipy_part("sparse")
        if both:
            raise Unable("only its forward product is compared, as in the paper")
        p = self.problem = problem
        per_row = p.K // p.b
        count = p.N * per_row
        if count > MOST:
            raise Unable(f"{count:,} entries are more than {MOST:,}")
        rng = np.random.default_rng(5)
        drawn = [rng.choice(p.K, per_row, replace=False, shuffle=False) for _ in range(p.N)]
        columns = np.sort(np.array(drawn, np.int32), axis=1)
        starts = np.arange(0, count + 1, per_row, dtype=np.int32)
        self.w = sparse.csr_matrix(
            (p.random(count, seed=2), columns.ravel(), starts), shape=(p.N, p.K)
        )
        # SciPy multiplies from the left: it gets inputs (K, M) and gives outputs (N, M).
        self.x = p.random(p.K, p.M, seed=1)
        self.y = np.zeros((p.N, p.M), np.float32)

    def forward(self) -> None:
        self.y = self.w @ self.x

    def error(self, both: bool) -> float:
        self.forward()
        some = np.unique(np.linspace(0, self.problem.N - 1, 9).astype(int))
        return relative(self.y[some], self.w[some].toarray().astype(np.float64) @ self.x)

    def arrays(self) -> list[NDArray]:
        return [self.w.data, self.w.indices, self.w.indptr, self.x, self.y]
