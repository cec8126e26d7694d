"""Claims about settings and counts, read from the runs' own nets and solvers."""

import functools
import math
import re
from collections.abc import Callable, Sequence

from analysis import methods, paper
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
from analysis.results import Key, Run

# Outputs and inputs of the inner product layers.
SHAPES = {
    "lenet": ((500, 800), (10, 500)),
    "cuda_convnet": ((64, 1024), (10, 64)),
    "mlp980": ((980, 784), (10, 980)),
}

# The settings of Caffe's own examples (examples/mnist, examples/cifar10 'quick'). The second
# example is two solvers, up to iteration 4,000, and up to 5,000 at a tenth of the rate; the paper
# has a number of iterations of its own.
EXAMPLES = {
    "lenet": {
        "base_lr": "0.01", "momentum": "0.9", "weight_decay": "0.0005", "lr_policy": '"inv"',
        "gamma": "0.0001", "power": "0.75", "max_iter": "10000",
    },
    "cuda_convnet": {
        "base_lr": "0.001", "momentum": "0.9", "weight_decay": "0.004",
        "lr_policy": '"multistep"', "gamma": "0.1", "stepvalue": "4000",
    },
}  # fmt: skip
# What a claim calls a kind of layer, and how Caffe's names of its types end.
KINDS = {
    "convolutions": "Convolution", "ReLUs": "ReLU", "poolings": "Pooling",
    "inner products": "InnerProduct",
}  # fmt: skip
# The fillers of their weights, in the net's order, with the Gaussian ones' standard deviations.
FILLERS = {
    "lenet": ["xavier"] * 4,
    "cuda_convnet": ["gaussian 0.0001", *["gaussian 0.01"] * 2, *["gaussian 0.1"] * 2],
}


def of_a_run(test: Callable[[Claim, Run], Finding]) -> Callable[[Claim, Evidence], Finding]:
    """Registers an evaluator that reads the settings of one run of the claim's net."""

    @evaluator
    @functools.wraps(test)
    def evaluate(claim: Claim, evidence: Evidence) -> Finding:
        run = evidence.some_run(claim.subject["net"], claim.subject.get("dataset"))
        return Finding(NOT_RUN, command=REPRODUCE) if run is None else test(claim, run)

    return evaluate


def of_the_runs(test: Callable[[Claim, list[Run]], Finding]) -> Callable:
    """The same for one that reads the finished runs of the net and method that a claim names."""

    @evaluator
    @functools.wraps(test)
    def evaluate(claim: Claim, evidence: Evidence) -> Finding:
        runs = evidence.runs(key_of(claim))
        return test(claim, runs) if runs else missing(key_of(claim))

    return evaluate


def _layers(net: str) -> list[str]:
    """The text of each layer of a net."""
    return re.findall(r"^layer \{\n(.*?)^\}", net, re.MULTILINE | re.DOTALL)


def _types(run: Run) -> list[str]:
    """Types of the layers of the training net, in order."""
    layers = _layers(run.record["net_prototxt"])
    found = ((re.search(r'^  type: "(\w+)"', layer, re.MULTILINE), layer) for layer in layers)
    return [kind[1] for kind, layer in found if kind and "phase: TEST" not in layer]


@of_a_run
def batch_size(claim: Claim, run: Run) -> Finding:
    """batch_size of the training data layer in the runs' nets."""
    train = [x for x in _layers(run.record["net_prototxt"]) if "phase: TRAIN" in x]
    found = re.search(r"batch_size: (\d+)", "".join(train))
    size = int(found[1]) if found else None
    return exactly(size == claim.value, str(size), source=run.source)


@of_a_run
def iterations(claim: Claim, run: Run) -> Finding:
    """max_iter of the runs."""
    return exactly(run.max_iter == claim.value, f"{run.max_iter:,}", source=run.source)


@evaluator
def hyperparameters(claim: Claim, evidence: Evidence) -> Finding:
    """Settings of the runs' solvers and fillers of their weights against Caffe's examples."""
    told, right, source = [], True, ""
    for net, expected in EXAMPLES.items():
        run = evidence.some_run(net)
        if run is None:
            continue
        source = run.source
        changed = [
            name
            for name, value in expected.items()
            if not re.search(rf"^{name}: {re.escape(value)}$", run.record["solver"], re.MULTILINE)
        ]
        if _weight_fillers(run.record["net_prototxt"]) != FILLERS[net]:
            changed.append("weight_filler")
        right &= not changed
        told.append(f"{net}: {'other ' + ', '.join(changed) if changed else 'the same'}")
    if not told:
        return Finding(NOT_RUN, command=REPRODUCE)
    why = "but for cuda-convnet's number of iterations, which the paper gives itself"
    return exactly(right, "; ".join(told), why, source)


def _weight_fillers(net: str) -> list[str]:
    """Such as ``gaussian 0.01``, in the net's order."""
    pattern = r'weight_filler \{\s*type: "(\w+)"(?:\s*std: ([\d.e-]+))?'
    return [" ".join(filter(None, found)) for found in re.findall(pattern, net)]


@of_a_run
def activated_layers(claim: Claim, run: Run) -> Finding:
    """Inner product layers that a ReLU follows in the runs' nets."""
    types = _types(run)
    count = sum(
        kind.endswith("InnerProduct") and i + 1 < len(types) and types[i + 1] == "ReLU"
        for i, kind in enumerate(types)
    )
    return exactly(count == claim.value, str(count), source=run.source)


@of_a_run
def layer_kinds(claim: Claim, run: Run) -> Finding:
    """Counts of the kinds of layers that the claim names, in the runs' nets."""
    types = _types(run)
    names = claim.unit.split(", ")
    counts = [_count(types, KINDS[name]) for name in names]
    told = [f"{count} {name}" for count, name in zip(counts, names, strict=True)]
    return exactly(counts == claim.value, ", ".join(told), source=run.source)


def _count(types: list[str], what: str) -> int:
    return sum(kind.endswith(what) for kind in types)


@evaluator
def notation(claim: Claim, evidence: Evidence) -> Finding:
    """Layers with weights in the runs' nets: m in all, the last n of them inner products."""
    told, right = [], True
    for net in methods.NET_LABELS:
        run = evidence.some_run(net)
        if run is None:
            continue
        types = [t for t in _types(run) if t.endswith(("Convolution", "InnerProduct"))]
        n = len(methods.block_counts(run.key.config))
        m = int(run.key.config.rpartition("_")[2])
        products = _count(types, "InnerProduct")
        right &= len(types) == m and products == n
        right &= all(kind.endswith("InnerProduct") for kind in types[-n:])
        told.append(f"{net} {len(types)} layers, {products} inner products")
    if not told:
        return Finding(NOT_RUN, command=REPRODUCE)
    return exactly(right, "; ".join(told))


@evaluator
def softmax_loss(claim: Claim, evidence: Evidence) -> Finding:
    """The loss layer of the runs' nets."""
    runs = [evidence.some_run(net) for net in EXAMPLES]
    found = {kind for run in runs if run is not None for kind in _types(run)[-1:]}
    if not found:
        return Finding(NOT_RUN, command=REPRODUCE)
    return exactly(found == {"SoftmaxWithLoss"}, ", ".join(sorted(found)))


def prune_field(run: Run, field: str) -> int | None:
    """A number in the net's first `prune`."""
    found = re.search(rf"^ +{field}: (\d+)", run.record["net_prototxt"], re.MULTILINE)
    return int(found[1]) if found else None


@of_the_runs
def prune_setting(claim: Claim, runs: list[Run]) -> Finding:
    """start, iters or keep of `prune` in the runs' nets."""
    value = prune_field(runs[0], claim.subject["setting"])
    if value is None:
        return exactly(False, f"no {claim.subject['setting']}", source=runs[0].source)
    kept = value < claim.value if claim.relation == "<" else value == claim.value
    return exactly(kept, str(value), source=runs[0].source)


@of_the_runs
def three_phases(claim: Claim, runs: list[Run]) -> Finding:
    """`prune` in the runs' nets: of type BLOCK_L1, started late and ended before the training."""
    start, iters = (prune_field(runs[0], field) for field in ("start", "iters"))
    if start is None or iters is None or "type: BLOCK_L1" not in runs[0].record["net_prototxt"]:
        return exactly(False, "no BLOCK_L1", source=runs[0].source)
    rest = runs[0].max_iter - start - iters
    told = f"{start:,} dense, {iters:,} pruning, {rest:,} block diagonal iterations"
    return exactly(min(start, iters, rest) > 0, told, source=runs[0].source)


@of_the_runs
def magnitude_with_l2(claim: Claim, runs: list[Run]) -> Finding:
    """`prune` of type MAGNITUDE in the runs' nets, and weight decay, L2 unless the solver says."""
    net, solver = runs[0].record["net_prototxt"], runs[0].record["solver"]
    kind = re.search(r'^regularization_type: "(\w+)"', solver, re.MULTILINE)
    decay = re.search(r"^weight_decay: (\S+)", solver, re.MULTILINE)
    told = f"{kind[1] if kind else 'L2'}, weight_decay {decay[1] if decay else 0}"
    kept = "type: MAGNITUDE" in net and (kind is None or kind[1] == "L2") and decay is not None
    return exactly(kept, told, source=runs[0].source)


def weights_left(
    evidence: Evidence, key: Key, names: Sequence[str] = ("ip1", "ip2")
) -> set[tuple[int, ...]]:
    """Weights of the layers named that are not zero at the end, each way that runs ended.

    Empty where no run of `key` left these layers' weights.
    """
    return {
        tuple(int(layers[name].weights[-1]) for name in names)
        for layers in map(evidence.spectra.layers, evidence.runs(key))
        if layers.keys() >= set(names)
    }


@evaluator
def pruned_as_blocks(claim: Claim, evidence: Evidence) -> Finding:
    """Weights left by IP-BDIP in every layer of Table 1's nets: no more than its blocks have."""
    kept = {}
    for cell in paper.table1_cells():
        key = key_of(cell)
        if cell.subject["column"] != "ip_bdip":
            continue
        left = weights_left(evidence, key)
        if not left:
            return missing(key)
        blocks = methods.block_counts(key.config)
        most = [n * k // b for (n, k), b in zip(SHAPES[key.net], blocks, strict=True)]
        kept[key] = all(a <= b for counts in left for a, b in zip(counts, most, strict=True))
    return exactly(all(kept.values()), f"so in {sum(kept.values())} of {len(kept)} nets")


@evaluator
def surviving_weights(claim: Claim, evidence: Evidence) -> Finding:
    """Weights that are not zero at the end of the runs, of one layer or of each in turn."""
    key = key_of(claim)
    runs = evidence.runs(key)
    if not runs:
        return missing(key)
    names = claim.subject["layer"].split("+")
    wanted = claim.value if isinstance(claim.value, list) else [claim.value]
    counts = weights_left(evidence, key, names)
    if not counts:
        return missing(key, "the runs' weights are needed")
    told = "; ".join(" and ".join(f"{n:,}" for n in one) for one in sorted(counts))
    return exactly(counts == {tuple(wanted)}, told, source=runs[0].source)


@evaluator
def equal_blocks(claim: Claim, evidence: Evidence) -> Finding:
    """Shapes of the block layers in the dumps: b blocks of N/b x K/b, of the dense layer's N, K."""
    kept, source = [], ""
    for run in evidence.results.runs:
        if run.finished and run.key.net in SHAPES:
            layers = evidence.spectra.layers(run).values()
            for history, dense in zip(layers, SHAPES[run.key.net], strict=False):
                if history.blocks > 1:
                    b, layout = history.blocks, history.layout
                    kept.append((b * layout.n, b * layout.m) == dense)
                    source = run.source
    if not kept:
        return Finding(NOT_RUN, why="no weights among the results", command=REPRODUCE)
    return exactly(all(kept), f"so in {sum(kept)} of {len(kept)} layers", source=source)


@evaluator
def constant_connections(claim: Claim, evidence: Evidence) -> Finding:
    """Weights that are not zero at every dump: N K / b in all block layers trained as such."""
    kept, source = [], ""
    for run in evidence.results.runs:
        if not run.finished or run.key.net is None or not run.key.method.startswith("bdip"):
            continue
        for history in evidence.spectra.layers(run).values():
            if history.blocks > 1:
                count = history.outputs * history.inputs // history.blocks
                kept.append(bool((history.weights == count).all()))
                source = run.source
    if not kept:
        return Finding(NOT_RUN, why="no weights among the results", command=REPRODUCE)
    return exactly(all(kept), f"so in {sum(kept)} of {len(kept)} layers", source=source)


# ---- counts -------------------------------------------------------------------------------------


def count_weights(net: str, blocks: Sequence[int], biases: bool) -> int:
    """Weights of a net's inner product layers with so many blocks."""
    pairs = zip(SHAPES[net], blocks, strict=True)
    return sum(n * k // b + (n if biases else 0) for (n, k), b in pairs)


def parameters(net: str, blocks: Sequence[int]) -> tuple[int, int]:
    """Parameters of a net's inner product layers, biases counted: dense, and with blocks."""
    dense = count_weights(net, [1] * len(blocks), biases=True)
    return dense, count_weights(net, blocks, biases=True)


@evaluator
def compression(claim: Claim, evidence: Evidence) -> Finding:
    """Parameters of the inner product layers, dense over block diagonal, biases counted."""
    net, blocks = claim.subject["net"], methods.block_counts(claim.subject["config"])
    dense, small = parameters(net, blocks)
    near = abs(dense / small - claim.value) <= half_digit(claim.printed)
    return exactly(near, f"{dense / small:.2f}", f"{dense:,} / {small:,}")


@evaluator
def weight_formula(claim: Claim, evidence: Evidence) -> Finding:
    """The dimensions in the formula are those of both layers."""
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
    """Weights of both inner product layers or of ip1 alone, biases not counted."""
    net, blocks = claim.subject["net"], methods.block_counts(claim.subject["config"])
    if claim.subject.get("layer") == "ip1":
        count = math.prod(SHAPES[net][0]) // blocks[0]
    else:
        count = count_weights(net, blocks, biases=False)
    return exactly(count == claim.value, f"{count:,}")


@evaluator
def storage(claim: Claim, evidence: Evidence) -> Finding:
    """Parameters of the inner product layers over those of the dense net, biases counted."""
    shares = {}
    for cell in paper.table1_cells():
        if cell.subject["column"] == "bdip":
            net, blocks = cell.subject["net"], methods.block_counts(cell.subject["config"])
            dense, small = parameters(net, blocks)
            shares[cell.subject["config"]] = small / dense
    told = "; ".join(f"{config} {share:.1%}" for config, share in shares.items())
    return exactly(max(shares.values()) < 1, told, "of the dense net's")


@evaluator
def most_blocks(claim: Claim, evidence: Evidence) -> Finding:
    """The largest b that divides the outputs and inputs of each layer."""
    told, right = [], True
    for net, blocks in (("lenet", (100, 10)), ("cuda_convnet", (64, 2))):
        most = tuple(math.gcd(*shape) for shape in SHAPES[net])
        right &= most == blocks
        told.append(f"{net} {most}")
    return exactly(right, "; ".join(told))


@of_a_run
def layer_outputs(claim: Claim, run: Run) -> Finding:
    """num_output of the hidden layers in the runs' nets."""
    found = re.findall(r"num_output: (\d+)", run.record["net_prototxt"])[:-1]
    right = {int(n) for n in found} == {claim.value}
    return exactly(right, ", ".join(found), source=run.source)


@evaluator
def node_count(claim: Claim, evidence: Evidence) -> Finding:
    """Weights left in each layer at the end of the runs, ip1's as so many whole outputs."""
    key = key_of(claim)
    left = weights_left(evidence, key)
    if not left:
        return missing(key)
    (_, k1), (n2, _) = SHAPES[key.net]
    answers = set()
    for first, second in left:
        outputs, rest = divmod(first, k1)
        inputs, more = divmod(second, n2)
        if rest or more:
            return exactly(False, f"{first:,} and {second:,} weights, not of whole outputs")
        answers.add({
            "4.2.3/node-ip1": f"{k1} × {outputs}",
            "4.2.3/node-ip2": f"{inputs} × {n2}",
            "4.2.3/node-weights": f"{first + second:,}",
        }[claim.id])  # fmt: skip
    wanted = claim.printed.replace(",", "")
    right = {answer.replace(",", "") for answer in answers} == {wanted}
    return exactly(right, "; ".join(sorted(answers)), "counted in the runs' weights")


@of_a_run
def sister_name(claim: Claim, run: Run) -> Finding:
    """Layers with weights of the net as it was trained."""
    layers = run.key.config.rpartition("_")[2]
    same = claim.printed.endswith(f"BD_{layers}")
    return exactly(same, f"{layers} layers with weights", source=run.source)
