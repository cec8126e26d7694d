"""The list of runs: which networks are trained for which table and section of the paper."""

from __future__ import annotations

from collections.abc import Sequence

from scripts import section5_runs
from scripts.runs import RunSpec

# Table 1, LeNet-5 on MNIST: (config, methods). A dense network has no blocks to shuffle.
TABLE1_MNIST: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("(1,1)-BD_4", ("bdip",)),
    ("(10,1)-BD_4", ("bdip", "shuffle", "shuffle_per_pass", "ip_bdip", "magnitude")),
    ("(100,10)-BD_4", ("bdip", "shuffle", "shuffle_per_pass", "ip_bdip", "magnitude")),
)

# A rival that the paper tries on CIFAR-10 alone (4.2.3): whole outputs pruned, on MNIST too.
NODES_MNIST: tuple[str, ...] = ("(10,1)-BD_4", "(100,10)-BD_4")

# The text of 4.2.1: a net with one hidden layer, 784-980-10, on MNIST. The paper does not say how
# long it was trained: as long as LeNet-5, and longer.
TEXT_MNIST: tuple[tuple[str, str], ...] = (
    ("(1,1)-BD_2", "bdip"),
    ("(49,1)-BD_2", "bdip"),
    ("(49,1)-BD_2", "ip_bdip"),
    ("(49,1)-BD_2", "bdip,max_iter=40000"),
    ("(49,1)-BD_2", "ip_bdip,max_iter=40000"),
    ("(49,1)-BD_2", "bdip,max_iter=40000,weight_decay=0"),
    ("(49,1)-BD_2", "ip_bdip,max_iter=40000,weight_decay=0"),
)

# Table 1, cuda-convnet on CIFAR-10 and on SVHN.
TABLE1_CONVNET: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("(1,1)-BD_5", ("bdip",)),
    ("(8,1)-BD_5", ("bdip", "shuffle", "ip_bdip", "magnitude")),
    ("(64,2)-BD_5", ("bdip", "shuffle", "ip_bdip", "magnitude")),
)

# The text of 4.2.3, on CIFAR-10: pruned as far as sparse products would have to be, and by nodes.
TEXT_CIFAR10: tuple[tuple[str, str], ...] = (
    ("(64,2)-BD_5", "magnitude,ip1.keep=37,ip2.keep=40"),
    ("(64,2)-BD_5", "node,keep=2"),
)

# The two other readings of the paper's 9,000 iterations (cuda_convnet_solver.prototxt), one seed.
SCHEDULES_CIFAR10: tuple[str, ...] = ("bdip,stepvalue=8000", "bdip,lr_policy=fixed")

# Which settings of IP-BDIP the recipes should have, tried on a part of the training set: alpha and
# more pruning iterations; on MNIST also more dense ones, a cut without a penalty, and training for
# twice as long. (net, data set, config, methods)
SEARCHES: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    (
        "lenet",
        "mnist-validation",
        "(100,10)-BD_4",
        (
            "bdip",
            "ip_bdip",
            "ip_bdip,alpha=6e-4",
            "ip_bdip,alpha=5.4e-3",
            "ip_bdip,alpha=1.8e-2",
            "ip_bdip,start=1000",
            "ip_bdip,start=5000",
            "ip_bdip,iters=3000",
            "ip_bdip,alpha=6e-4,iters=4000,start=1000",
            "ip_bdip,alpha=0,iters=1",
            "bdip,max_iter=20000",
            "ip_bdip,max_iter=20000,start=10000",
        ),
    ),
    (
        "cuda_convnet",
        "cifar10-validation",
        "(64,2)-BD_5",
        ("bdip", "ip_bdip", "ip_bdip,alpha=1e-2", "ip_bdip,alpha=1e-1", "ip_bdip,iters=2000"),
    ),
)

# What `make reproduce` runs, and what ONLY=... chooses from: also what is not the paper's.
PARTS = ("mnist", "cifar10", "svhn")
CHOICES = (*PARTS, "search")

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
    "cuda_convnet": (9000, 12.0),
}


def reproduce(seeds: int, parts: Sequence[str] = PARTS) -> list[RunSpec]:
    """Every run of `make reproduce`, those of the `parts` alone, each named once.

    Section 4.2's on MNIST come first, then 5.1's, then cuda-convnet's. Of a part, seeds 1..seeds,
    all networks of one seed before the next: the page then has every row early.
    """
    specs = _mnist(seeds) if "mnist" in parts else []
    for seed in range(1, seeds + 1):
        for dataset in ("cifar10", "svhn"):
            if dataset in parts:
                specs += [
                    RunSpec("cuda_convnet", dataset, config, method, seed)
                    for config, methods in TABLE1_CONVNET
                    for method in methods
                ]
    if "cifar10" in parts:
        specs += [
            RunSpec("cuda_convnet", "cifar10", config, method, seed)
            for seed in range(1, seeds + 1)
            for config, method in TEXT_CIFAR10
        ]
        specs += [
            RunSpec("cuda_convnet", "cifar10", "(1,1)-BD_5", method, 1)
            for method in SCHEDULES_CIFAR10
        ]
        specs += section5_runs.cifar10(seeds)
    if "search" in parts:
        specs += [
            RunSpec(net, dataset, config, method, seed)
            for seed in range(1, seeds + 1)
            for net, dataset, config, methods in SEARCHES
            for method in methods
        ]
    return list(dict.fromkeys(specs))


def _mnist(seeds: int) -> list[RunSpec]:
    """Section 4.2.1 and Section 5.1."""
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
    nodes = [
        RunSpec("lenet", "mnist", config, "node", seed)
        for seed in range(1, seeds + 1)
        for config in NODES_MNIST
    ]
    return table1 + text + nodes + section5_runs.lenet(seeds)


def quick() -> list[RunSpec]:
    """The runs of `make quick`: a part of seed 1 of `reproduce`, so nothing is done twice."""
    return [RunSpec("lenet", "mnist", config, method, 1) for config, method in QUICK]
