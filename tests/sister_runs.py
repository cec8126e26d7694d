"""Sister networks with weight dumps, made by hand: small layers that decay and learn a little."""

import math
from pathlib import Path

import numpy as np
from analysis_runs import write_run

from analysis import decay
from analysis.sisters import LENET, Family

SOLVER = (
    "base_lr: 0.01\nmax_iter: {last}\nlr_policy: \"inv\"\ngamma: 0.0001\npower: 0.75\n"
    "momentum: 0.9\nweight_decay: 0.0005\n"
)  # fmt: skip

LAYER = """layer {{
  name: "{name}"
  type: "{kind}"
  {parameter} {{
    num_output: {outputs}
{blocks}  }}
}}
"""


def net_text(layers: dict[str, tuple[int, int]]) -> str:
    """Inner product layers of a net as prototxt; layers: (outputs, blocks) by name."""
    told = 'name: "Net"\n'
    for name, (outputs, blocks) in layers.items():
        kind = "InnerProduct" if blocks == 1 else "BlockInnerProduct"
        parameter = "inner_product_param" if blocks == 1 else "block_inner_product_param"
        line = "" if blocks == 1 else f"    blocks: {blocks}\n"
        told += LAYER.format(
            name=name, kind=kind, parameter=parameter, outputs=outputs, blocks=line
        )
    return told


def write_sister(
    base: Path,
    family: Family,
    blocks: int,
    seed: int,
    shape: tuple[int, int] = (20, 40),
    *,
    dumps: int = 3,
    signal: float = 0.5,
    directions: int = 1,
    accuracy: float = 0.98,
) -> Path:
    """Writes one run of a family; its layer has N x K = `shape`.

    The weights are uniform of Xavier's variance, decay as weight decay alone has it, and get a
    matrix whose rank is `directions` and whose singular values grow to about `signal`.
    """
    outputs, inputs = shape
    generator = np.random.default_rng(1000 * seed + blocks)
    solver = SOLVER.format(last=family.iterations)
    folder = write_run(
        base, family.key(blocks).config, family.method, seed, accuracy,
        net=family.net, dataset=family.dataset, max_iter=family.iterations, solver=solver,
        net_prototxt=net_text({family.layer: (outputs, blocks), "ip9": (10, 1)}),
    )  # fmt: skip
    end = math.sqrt(3 * (blocks if family.grows else 1) / inputs)
    weight = generator.uniform(-end, end, (outputs, inputs // blocks))
    direction = np.outer(generator.standard_normal(outputs), np.ones(inputs // blocks))
    direction /= np.linalg.norm(direction)
    last = generator.standard_normal((10, outputs))
    for _ in range(directions - 1):
        more = np.outer(*(generator.standard_normal(n) for n in weight.shape))
        direction += more / np.linalg.norm(more)
    (folder / "weights").mkdir()
    for iteration in np.linspace(0, family.iterations, dumps).astype(int):
        factor = math.sqrt(decay.variance_factor(solver, [iteration])[0])
        learned = signal * iteration / family.iterations * direction
        np.savez(
            folder / "weights" / f"iter_{iteration:06d}.npz",
            **{
                f"{family.layer}/weight": (factor * weight + learned).astype(np.float32),
                f"{family.layer}/bias": np.zeros(outputs, np.float32),
                "ip9/weight": last.astype(np.float32),
            },
        )
    return folder


def write_family(
    base: Path,
    family: Family = LENET,
    blocks: tuple[int, ...] = (1, 2, 5, 10),
    seeds: int = 2,
    shape: tuple[int, int] = (20, 40),
) -> None:
    """Writes sisters with the same seeds; `blocks` divide both numbers of `shape`."""
    for b in blocks:
        for seed in range(1, seeds + 1):
            write_sister(base, family, b, seed, shape)
