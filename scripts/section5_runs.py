"""The list of runs behind Section 5 of the paper: sister networks, and the controls to them.

Sisters differ only by the number of blocks in one inner product layer. Runs that Table 1 has too
are named alike, so that none is trained twice.
"""

from __future__ import annotations

from scripts.runs import RunSpec

# Figures 6 to 9: b1 of (b1,1)-BD_4, all seeds.
LENET_BLOCKS = (1, 2, 5, 10, 20, 50, 100)
# Whether blocks in ip2 change ip1's variance: (b1,b2)-BD_4, one seed.
LENET_GRID_B1 = (1, 2, 5, 10, 50, 100)
LENET_GRID_B2 = (2, 5, 10)
# The same ratio with another activation, all seeds.
SIGMOID_BLOCKS = (1, 100)
# b2 of (1,b2,1)-BD_3: those that the paper gives numbers for with all seeds, the others with one.
MLP_BLOCKS = (1, 100)
MLP_MORE_BLOCKS = (2, 5, 10, 20, 50)
# Controls that the paper lacks: no weight decay, and labels that have nothing to do with images.
CONTROL_BLOCKS = (1, 10, 100)
NO_DECAY = "bdip,weight_decay=0"
# Equation 4: the paper's training, and plain SGD, for which the equation is exact.
MOMENTS_METHODS = ("bdip", "bdip,momentum=0,weight_decay=0")
# Figures 10 to 12: b1 of (b1,1)-BD_5 with all seeds, of (b1,2)-BD_5 with one.
CIFAR10_BLOCKS = (1, 2, 4, 8, 16, 32, 64)


def lenet(seeds: int) -> list[RunSpec]:
    """Section 5.1: LeNet-5 and the three-layer net on MNIST, the figures' runs first."""
    specs = []
    for seed in range(1, seeds + 1):
        specs += [_lenet(blocks, 1, seed) for blocks in LENET_BLOCKS]
        specs += [_lenet(blocks, 1, seed, method=NO_DECAY) for blocks in CONTROL_BLOCKS]
        specs += [
            _lenet(blocks, 1, seed, dataset="mnist-shuffled-labels") for blocks in CONTROL_BLOCKS
        ]
        specs += [_lenet(blocks, 1, seed, net="lenet_sigmoid") for blocks in SIGMOID_BLOCKS]
        specs += [_mlp(blocks, seed) for blocks in MLP_BLOCKS]
        if seed == 1:
            specs += [_lenet(b1, b2, seed) for b1 in LENET_GRID_B1 for b2 in LENET_GRID_B2]
            specs += [_mlp(blocks, seed) for blocks in MLP_MORE_BLOCKS]
    return specs


def moments() -> list[RunSpec]:
    """Trainings of which scripts.gradient_moments measures every step."""
    return [_lenet(1, 1, 1, method=method) for method in MOMENTS_METHODS]


def cifar10(seeds: int) -> list[RunSpec]:
    """Section 5.2: cuda-convnet on CIFAR-10."""
    specs = []
    for seed in range(1, seeds + 1):
        for b2 in (1, 2) if seed == 1 else (1,):
            specs += [
                RunSpec("cuda_convnet", "cifar10", f"({b1},{b2})-BD_5", "bdip", seed)
                for b1 in CIFAR10_BLOCKS
            ]
    return specs


def _lenet(
    b1: int, b2: int, seed: int, net: str = "lenet", dataset: str = "mnist", method: str = "bdip"
) -> RunSpec:
    return RunSpec(net, dataset, f"({b1},{b2})-BD_4", method, seed)


def _mlp(b2: int, seed: int) -> RunSpec:
    return RunSpec("mlp500", "mnist", f"(1,{b2},1)-BD_3", "bdip", seed)
