"""CSR with as many weights as the blocks have, or fewer, anywhere in the matrix: scipy.sparse."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scripts.bench.rivals.problem import Problem, Rival, Unable, relative, scipy_part, spread

# Entries: beyond, they take minutes to draw and gigabytes to hold.
MOST = 2**21

# Outputs, inputs and blocks of cuda-convnet's layers in (64,2)-BD_5: how many weights the paper
# leaves by traditional pruning, so that sparse products are as fast (Section 4.2.3).
FEW = {(64, 1024, 64): 37, (10, 64, 2): 40}


class Csr(Rival):
    """Each row has the same number of entries, in columns drawn without repeats."""

    library = "SciPy"

    def __init__(self, problem: Problem, both: bool) -> None:
        sparse, self.version = scipy_part("sparse")
        if both:
            raise Unable("only its forward product is compared, as in the paper")
        p = self.problem = problem
        columns, starts = self.places(np.random.default_rng(5))
        values = p.random(columns.size, seed=2)
        self.w = sparse.csr_matrix((values, columns, starts), shape=(p.N, p.K))
        # SciPy multiplies from the left: it gets inputs (K, M) and gives outputs (N, M).
        self.x = p.random(p.K, p.M, seed=1)
        self.y = np.zeros((p.N, p.M), np.float32)

    def places(self, rng: np.random.Generator) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Columns of the entries, row by row, and where each row starts among them, N + 1."""
        p = self.problem
        per_row = p.K // p.b
        count = p.N * per_row
        if count > MOST:
            raise Unable(f"{count:,} entries are more than {MOST:,}")
        drawn = [rng.choice(p.K, per_row, replace=False, shuffle=False) for _ in range(p.N)]
        columns = np.sort(np.array(drawn, np.int32), axis=1)
        return columns.ravel(), np.arange(0, count + 1, per_row, dtype=np.int32)

    def forward(self) -> None:
        self.y = self.w @ self.x

    def error(self, both: bool) -> float:
        self.forward()
        some = spread(self.problem.N, 9)
        return relative(self.y[some], self.w[some].toarray().astype(np.float64) @ self.x)

    def arrays(self) -> list[NDArray]:
        return [self.w.data, self.w.indices, self.w.indptr, self.x, self.y]


class CsrFew(Csr):
    """So few entries that it is as fast as the blocks, in places drawn without repeats: FEW."""

    example = Problem(1, 10, 64, 2)

    def places(self, rng: np.random.Generator) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        p = self.problem
        count = FEW.get((p.N, p.K, p.b))
        if count is None:
            raise Unable("the paper leaves few entries in no such layer")
        rows, columns = np.divmod(np.sort(rng.choice(p.N * p.K, count, replace=False)), p.K)
        starts = np.searchsorted(rows, np.arange(p.N + 1))
        return columns.astype(np.int32), starts.astype(np.int32)

    def error(self, both: bool) -> float:
        self.forward()
        return relative(self.y, self.w.toarray().astype(np.float64) @ self.x)
