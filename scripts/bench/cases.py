"""What `make bench` times: square matrices as in Section 4.1, and the networks' own layers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

BATCH = 100
SIZES = (256, 512, 1024, 2048, 4096, 8192)
GPU_SIZES = (*SIZES, 16384)
# States of a GPU, native/gpu.cpp; the first is that of all figures.
GPU_STATES = ("warm", *("+".join(words) for words in (
    ("cold",), ("graph",), ("graph", "cold"), ("tf32",), ("tf32", "cold"), ("tf32", "graph"),
    ("tf32", "graph", "cold"),
)))  # fmt: skip
BATCHES = (1, 16, 64, 1024)
PRODUCTS = ("forward", "all")


@dataclass(frozen=True)
class Case:
    """One problem; `group` says what it is part of, `layer` which layer of a network."""

    group: str
    M: int
    N: int
    K: int
    b: int
    product: str
    state: str = "warm"
    layer: str = ""

    @property
    def flops(self) -> int:
        """Multiplications and additions of the products."""
        return 2 * self.M * self.N * (self.K // self.b) * (3 if self.product == "all" else 1)

    @property
    def bytes(self) -> int:
        """What has to be read and written at least, once each: single precision, dW added to."""
        x, y, w = self.M * self.K, self.M * self.N, self.N * (self.K // self.b)
        forward = x + w + y
        return 4 * (forward + (2 * y + 2 * x + 3 * w if self.product == "all" else 0))

    @property
    def working_set(self) -> int:
        """Bytes of all the arrays."""
        x, y, w = self.M * self.K, self.M * self.N, self.N * (self.K // self.b)
        return 4 * (x + w + y) * (2 if self.product == "all" else 1)

    @property
    def dense(self) -> Case:
        """The same with one block."""
        return replace(self, b=1)

    @property
    def effort(self) -> float:
        """About how many seconds it takes: what every case does, and the dense products."""
        return 0.3 + 0.35e-9 * self.flops * self.b


def powers(n: int) -> list[int]:
    """1, 2, 4, ... n."""
    return [2**i for i in range(n.bit_length())]


# Batch, outputs and inputs of a layer, and numbers of blocks that divide both.
LAYERS = {
    "lenet": {
        "ip1": (64, 500, 800, (1, 2, 4, 5, 10, 20, 25, 50, 100)),
        "ip2": (64, 10, 500, (1, 2, 5, 10)),
    },
    "cuda_convnet": {
        "ip1": (100, 64, 1024, (1, 2, 4, 8, 16, 32, 64)),
        "ip2": (100, 10, 64, (1, 2)),
    },
    # The paper's net of one hidden layer, (49,1)-BD_2.
    "mlp980": {"ip1": (100, 980, 784, (1, 7, 14, 28, 49, 98)), "ip2": (100, 10, 980, (1,))},
}
# Iterations a second of whole nets.
NETS = {
    "lenet": ("(1,1)-BD_4", "(10,1)-BD_4", "(100,10)-BD_4"),
    "cuda_convnet": ("(1,1)-BD_5", "(8,1)-BD_5", "(64,2)-BD_5"),
}


def squares(
    sizes: tuple[int, ...], batches: tuple[int, ...], states: tuple[str, ...]
) -> Iterator[Case]:
    """Every number of blocks."""
    for batch in batches:
        for n in sizes:
            for product in PRODUCTS:
                for b in powers(n):
                    for state in states:
                        yield Case("square", batch, n, n, b, product, state)


def layers() -> Iterator[Case]:
    """The inner product layers of the paper's networks."""
    for net, its in LAYERS.items():
        for layer, (M, N, K, blocks) in its.items():
            for product in PRODUCTS:
                for b in blocks:
                    yield Case(net, M, N, K, b, product, layer=layer)


def others(states: tuple[str, ...] = ("cold",)) -> Iterator[Case]:
    """Some squares once more in other states, such as with nothing in the caches."""
    for n in (1024, 4096):
        for b in (1, n // 64, n // 16):
            for state in states:
                yield Case("square", BATCH, n, n, b, "forward", state)


def chosen_for_gpu(full: bool, graphs: bool, memory: int) -> list[Case]:
    """The same for a GPU that captures graphs or not, and has so many bytes of memory.

    Three dense copies of a case have to fit.
    """
    states = tuple(state for state in GPU_STATES if graphs or "graph" not in state)
    if full:
        every = [*squares(GPU_SIZES, (BATCH, *BATCHES), ("warm",)), *layers()]
        every += squares(GPU_SIZES, (BATCH,), states[1:])
    else:
        every = [*squares(GPU_SIZES, (BATCH,), ("warm",)), *others(states[1:]), *layers()]
    return [case for case in every if 3 * case.dense.working_set < memory]


def chosen(full: bool) -> list[Case]:
    """Everything, or what takes some minutes."""
    if full:
        every = squares(SIZES, (BATCH, *BATCHES), ("warm",))
        return [*every, *squares(SIZES, (BATCH,), ("cold",)), *layers()]
    return [*squares(SIZES, (BATCH,), ("warm",)), *others(), *layers()]
