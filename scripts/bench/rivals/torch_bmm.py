"""torch.bmm: PyTorch's batched product, on views of X and dY, into results that are its own."""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray

from scripts.bench.rivals.problem import Problem, Rival, Unable, relative


class TorchBmm(Rival):
    """(b, M, k) x (b, k, n); that Y is wanted as (M, N) is left out, to the rival's advantage."""

    library = "PyTorch"

    def __init__(self, problem: Problem, both: bool, device: object = "cpu") -> None:
        try:
            import torch
        except ImportError as error:
            raise Unable("PyTorch is not installed for this Python") from error
        torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
        torch.set_grad_enabled(False)
        self.bmm = torch.bmm
        self.version = str(torch.__version__)
        p = self.problem = problem
        n, k = p.N // p.b, p.K // p.b
        self.x = torch.from_numpy(p.random(p.M, p.K, seed=1)).to(device)
        self.w = torch.from_numpy(p.random(p.b, n, k, seed=2)).to(device)
        self.dy = torch.from_numpy(p.random(p.M, p.N, seed=3)).to(device)
        self.x_blocks = self.x.view(p.M, p.b, k).transpose(0, 1)
        self.dy_blocks = self.dy.view(p.M, p.b, n).transpose(0, 1)
        self.y = torch.empty(p.b, p.M, n, device=device)
        self.dx = torch.empty(p.b, p.M, k, device=device)
        self.dw = torch.empty(p.b, n, k, device=device)

    def forward(self) -> None:
        self.bmm(self.x_blocks, self.w.transpose(1, 2), out=self.y)

    def backward(self) -> None:
        self.bmm(self.dy_blocks.transpose(1, 2), self.x_blocks, out=self.dw)
        self.bmm(self.dy_blocks, self.w, out=self.dx)

    def error(self, both: bool) -> float:
        self.forward()
        some = np.unique(np.linspace(0, self.problem.b - 1, 5).astype(int))
        blocks = (self.x_blocks, self.w, self.dy_blocks)
        x, w, dy = (value.cpu().numpy()[some].astype(np.float64) for value in blocks)
        errors = [relative(self.y.cpu().numpy()[some], x @ w.transpose(0, 2, 1))]
        if both:
            self.backward()
            errors.append(relative(self.dx.cpu().numpy()[some], dy @ w))
            errors.append(relative(self.dw.cpu().numpy()[some], dy.transpose(0, 2, 1) @ x))
        return max(errors)

    def arrays(self) -> list[NDArray]:
        return [t.numpy() for t in (self.x, self.w, self.dy, self.y, self.dx, self.dw)]
