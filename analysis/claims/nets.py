"""Claims about settings and counts, read from the runs' own nets and solvers."""

import math
import re

from analysis.claims.core import (
    NOT_RUN,
    REPRODUCE,
    Evidence,
    Finding,
    evaluator,
    exactly,
    half_digit,
    key_of,
    missing,
)
from analysis.paper import Claim
from analysis.results import Run

# Outputs and inputs of the inner product layers.
SHAPES = {
    "lenet": ((500, 800), (10, 500)),
    "cuda_convnet": ((64, 1024), (10, 64)),
    "mlp980": ((980, 784), (10, 980)),
}

# The settings of Caffe's own examples (examples/mnist, examples/cifar10 'quick').
EXAMPLES = {
    "lenet": {
        "base_lr": "0.01", "momentum": "0.9", "weight_decay": "0.0005", "lr_policy": '"inv"',
        "gamma": "0.0001", "power": "0.75", "max_iter": "10000",
    },
    "cuda_convnet": {"base_lr": "0.001", "momentum": "0.9", "weight_decay": "0.004"},
}  # fmt: skip


def _run(claim: Claim, evidence: Evidence) -> Run | None:
    subject = claim.subject
    return evidence.some_run(subject["net"], subject.get("dataset"), "bdip")


def _layers(net: str) -> list[str]:
    """The text of each layer of a net."""
    return re.findall(r"^layer \{\n(.*?)^\}", net, re.MULTILINE | re.DOTALL)


def _types(run: Run) -> list[str]:
    """Types of the layers of the training net, in order."""
    layers = _layers(run.record["net_prototxt"])
    found = ((re.search(r'^  type: "(\w+)"', layer, re.MULTILINE), layer) for layer in layers)
    return [kind[1] for kind, layer in found if kind and "phase: TEST" not in layer]


@evaluator
def batch_size(claim: Claim, evidence: Evidence) -> Finding:
    """batch_size of the training data layer in the runs' nets."""
    run = _run(claim, evidence)
    if run is None:
        return Finding(NOT_RUN, command=REPRODUCE)
    train = [x for x in _layers(run.record["net_prototxt"]) if "phase: TRAIN" in x]
    found = re.search(r"batch_size: (\d+)", "".join(train))
    size = int(found[1]) if found else None
    return exactly(size == claim.value, str(size), source=run.source)


@evaluator
def iterations(claim: Claim, evidence: Evidence) -> Finding:
    """max_iter of the runs."""
    run = _run(claim, evidence)
    if run is None:
        return Finding(NOT_RUN, command=REPRODUCE)
    return exactly(run.max_iter == claim.value, f"{run.max_iter:,}", source=run.source)


@evaluator
def hyperparameters(claim: Claim, evidence: Evidence) -> Finding:
    """Settings of the runs' solvers against those of Caffe's examples."""
    told, right, source = [], True, ""
    for net, expected in EXAMPLES.items():
        run = evidence.some_run(net, method="bdip")
        if run is None or "," in (run.key.method or ""):
            continue
        source = run.source
        for name, value in expected.items():
            found = re.search(rf"^{name}: (\S+)$", run.record["solver"], re.MULTILINE)
            right &= found is not None and found[1] == value
        told.append(net)
    if not told:
        return Finding(NOT_RUN, command=REPRODUCE)
    return exactly(right, f"{', '.join(told)}: {'the same' if right else 'changed'}", source=source)


@evaluator
def activated_layers(claim: Claim, evidence: Evidence) -> Finding:
    """Inner product layers that a ReLU follows in the runs' nets."""
    run = _run(claim, evidence)
    if run is None:
        return Finding(NOT_RUN, command=REPRODUCE)
    types = _types(run)
    count = sum(
        kind.endswith("InnerProduct") and i + 1 < len(types) and types[i + 1] == "ReLU"
        for i, kind in enumerate(types)
    )
    return exactly(count == claim.value, str(count), source=run.source)


@evaluator
def layer_kinds(claim: Claim, evidence: Evidence) -> Finding:
    """Counts of convolutions, poolings and inner products in the runs' nets."""
    run = _run(claim, evidence)
    if run is None:
        return Finding(NOT_RUN, command=REPRODUCE)
    types = _types(run)
    counts = [
        sum(kind.endswith(what) for kind in types)
        for what in ("Convolution", "Pooling", "InnerProduct")
    ]
    return exactly(counts == claim.value, ", ".join(map(str, counts)), claim.unit, run.source)


@evaluator
def softmax_loss(claim: Claim, evidence: Evidence) -> Finding:
    """The loss layer of the runs' nets."""
    runs = [evidence.some_run(net) for net in EXAMPLES]
    found = {kind for run in runs if run is not None for kind in _types(run)[-1:]}
    if not found:
        return Finding(NOT_RUN, command=REPRODUCE)
    return exactly(found == {"SoftmaxWithLoss"}, ", ".join(sorted(found)))


@evaluator
def prune_setting(claim: Claim, evidence: Evidence) -> Finding:
    """start or iters of `prune` in the runs' nets."""
    key = key_of(claim)
    runs = evidence.runs(key)
    if not runs:
        return missing(key)
    field = "start" if "dense" in claim.id else "iters"
    found = re.search(rf"^ +{field}: (\d+)", runs[0].record["net_prototxt"], re.MULTILINE)
    if found is None:
        return exactly(False, f"no {field}", source=runs[0].source)
    value = int(found[1])
    kept = value < claim.value if claim.relation == "<" else value == claim.value
    return exactly(kept, str(value), source=runs[0].source)


@evaluator
def surviving_weights(claim: Claim, evidence: Evidence) -> Finding:
    """Weights of the layer that are not zero at the end of the runs."""
    key = key_of(claim)
    runs = evidence.runs(key)
    if not runs:
        return missing(key)
    counts = {
        int(layers[claim.subject["layer"]].weights[-1])
        for layers in map(evidence.spectra.layers, runs)
        if claim.subject["layer"] in layers
    }
    if not counts:
        return missing(key, "the runs' weights are needed")
    told = ", ".join(f"{count:,}" for count in sorted(counts))
    return exactly(counts == {claim.value}, told, source=runs[0].source)


@evaluator
def equal_blocks(claim: Claim, evidence: Evidence) -> Finding:
    """Shapes of the blocks in the dumps."""
    for run in evidence.results.runs:
        if run.finished and run.key.net and not run.key.config.startswith("(1,1)"):
            for history in evidence.spectra.layers(run).values():
                if history.blocks > 1:
                    layout = history.layout
                    ours = f"{layout.blocks} blocks of {layout.n} × {layout.m}, {run.key.config}"
                    kept = layout.blocks * layout.n * layout.m * layout.blocks == (
                        history.outputs * history.inputs
                    )
                    return exactly(kept, ours, source=run.source)
    return Finding(NOT_RUN, why="no weights among the results", command=REPRODUCE)


# ---- counts -------------------------------------------------------------------------------------


def _blocks(claim: Claim) -> list[int]:
    return [int(b) for b in claim.subject["config"].partition("-")[0].strip("()").split(",")]


def count_weights(net: str, blocks: list[int], biases: bool) -> int:
    """Weights of a net's inner product layers with so many blocks."""
    pairs = zip(SHAPES[net], blocks, strict=True)
    return sum(n * k // b + (n if biases else 0) for (n, k), b in pairs)


@evaluator
def compression(claim: Claim, evidence: Evidence) -> Finding:
    """Parameters of the inner product layers, dense over block diagonal, biases counted."""
    net, blocks = claim.subject["net"], _blocks(claim)
    dense = count_weights(net, [1] * len(blocks), biases=True)
    small = count_weights(net, blocks, biases=True)
    near = abs(dense / small - claim.value) <= half_digit(claim.printed)
    return exactly(near, f"{dense / small:.2f}", f"{dense:,} / {small:,}")


@evaluator
def weight_formula(claim: Claim, evidence: Evidence) -> Finding:
    """N K / b summed over both layers, for every b that divides N and K."""
    net = claim.subject["net"]
    first, second = SHAPES[net]
    numbers = [int(n) for n in re.findall(r"\d\d+", claim.printed)]
    same = numbers[0] * numbers[1] == math.prod(first) and numbers[2] * numbers[3] == math.prod(
        second
    )
    most = [math.gcd(*first), math.gcd(*second)]
    dense, least = (count_weights(net, blocks, biases=False) for blocks in ([1, 1], most))
    return exactly(same, f"{dense:,} dense, {least:,} at {tuple(most)}")


@evaluator
def weight_count(claim: Claim, evidence: Evidence) -> Finding:
    """Weights of both inner product layers, biases not counted."""
    count = count_weights(claim.subject["net"], _blocks(claim), biases=False)
    return exactly(count == claim.value, f"{count:,}")


@evaluator
def most_blocks(claim: Claim, evidence: Evidence) -> Finding:
    """The largest b that divides the outputs and inputs of each layer."""
    told, right = [], True
    for net, blocks in (("lenet", (100, 10)), ("cuda_convnet", (64, 2))):
        most = tuple(math.gcd(*shape) for shape in SHAPES[net])
        right &= most == blocks
        told.append(f"{net} {most}")
    return exactly(right, "; ".join(told))


@evaluator
def layer_outputs(claim: Claim, evidence: Evidence) -> Finding:
    """num_output of the hidden layers in the runs' nets."""
    run = evidence.some_run(claim.subject["net"])
    if run is None:
        return Finding(NOT_RUN, command=REPRODUCE)
    found = re.findall(r"num_output: (\d+)", run.record["net_prototxt"])[:-1]
    right = {int(n) for n in found} == {claim.value}
    return exactly(right, ", ".join(found), source=run.source)


@evaluator
def node_count(claim: Claim, evidence: Evidence) -> Finding:
    """What is left of both layers when ip1 keeps 2 outputs."""
    (n1, k1), (n2, _) = SHAPES[claim.subject["net"]]
    kept = 2
    answers = {
        "4.2.3/node-outputs": (kept, f"{kept} of {n1}"),
        "4.2.3/node-ip1": ([k1, kept], f"{k1} × {kept}"),
        "4.2.3/node-ip2": ([kept, n2], f"{kept} × {n2}"),
        "4.2.3/node-weights": (k1 * kept + kept * n2, f"{k1 * kept + kept * n2:,}"),
    }
    value, ours = answers[claim.id]
    return exactly(value == claim.value, ours, "counted from the layers' shapes")
