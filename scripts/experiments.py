"""The list of runs: which networks are trained for which table and section of the paper."""

from __future__ import annotations

from scripts import section5_runs
from scripts.runs import RunSpec

# Table 1, LeNet-5 on MNIST: (config, methods). A dense network has no blocks to shuffle.
TABLE1_MNIST: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("(1,1)-BD_4", ("bdip",)),
    ("(10,1)-BD_4", ("bdip", "shuffle", "shuffle_per_pass", "ip_bdip", "magnitude")),
    ("(100,10)-BD_4", ("bdip", "shuffle", "shuffle_per_pass", "ip_bdip", "magnitude")),
)

# The text of 4.2.1: a net with one hidden layer, 784-980-10, on MNIST.
TEXT_MNIST: tuple[tuple[str, str], ...] = (
    ("(1,1)-BD_2", "bdip"),
    ("(49,1)-BD_2", "bdip"),
    ("(49,1)-BD_2", "ip_bdip"),
)

# A first look: one seed, the dense network, both block networks, and one that is pruned to blocks.
QUICK: tuple[tuple[str, str], ...] = (
    ("(1,1)-BD_4", "bdip"),
    ("(10,1)-BD_4", "bdip"),
    ("(100,10)-BD_4", "bdip"),
    ("(100,10)-BD_4", "ip_bdip"),
)

# Iterations of a run and iterations per second on one core, for the estimate of time before
# any run of a network has been measured here: net -> (iterations, iterations/s).
TYPICAL: dict[str, tuple[int, float]] = {
    "lenet": (10000, 46.0),
    "lenet_sigmoid": (10000, 46.0),
    "mlp500": (10000, 90.0),
    "mlp980": (10000, 90.0),
}


def reproduce(seeds: int) -> list[RunSpec]:
    """Every run of `make reproduce`: Section 4.2's on MNIST, then 5's, each named once.

    Of a part, seeds 1..seeds, all networks of one seed before the next: the page then has every
    row early.
    """
    table1 = [
        RunSpec("lenet", "mnist", config, method, seed)
        for seed in range(1, seeds + 1)
        for config, methods in TABLE1_MNIST
        for method in methods
    ]
    text = [
        RunSpec("mlp980", "mnist", config, method, seed)
        for seed in range(1, seeds + 1)
        for config, method in TEXT_MNIST
    ]
    return list(dict.fromkeys(table1 + text + section5_runs.lenet(seeds)))


def quick() -> list[RunSpec]:
    """The runs of `make quick`: a part of seed 1 of `reproduce`, so nothing is done twice."""
    return [RunSpec("lenet", "mnist", config, method, 1) for config, method in QUICK]
