"""Recipes: how a net is pruned, in files that a person reads and edits.

prototxt/<net>/recipes/<method>.prototxt holds layers with nothing but a name and the `param` of
their weights, with `prune { ... }` in it. The file's name is the method's. What follows from the
configuration, the number of `blocks` or how much to `keep`, is filled in here.
"""

from pathlib import Path

from caffe.proto import caffe_pb2

from scripts import pruning
from scripts.errors import UserError

Layer = caffe_pb2.LayerParameter
Net = caffe_pb2.NetParameter
Prune = caffe_pb2.PruneParameter
Matrices = dict[str, tuple[int, int, int]]
"""Outputs N, inputs K and blocks b of each inner product layer, by its name, in the net's order."""


def names(folder: Path) -> list[str]:
    """Return the methods that have a recipe under the network's folder."""
    return sorted(path.stem for path in (folder / "recipes").glob("*.prototxt"))


def path(folder: Path, method: str) -> Path:
    """Return the file that holds the recipe of a method."""
    return folder / "recipes" / f"{method}.prototxt"


def apply(recipe: Net, net: Net, layers: list[Layer], matrices: Matrices) -> None:
    """Put the recipe's `prune` into those InnerProducts of `net` that would have blocks.

    `layers` are those of the training net. A layer with b = 1 stays unpruned.

    - BLOCK_L1 gets `blocks: b`.
    - MAGNITUDE, where it says no `keep`, keeps as many entries as the blocks would have: N K / b.
    - NODE, where it says no `keep`, keeps one share of the outputs of all layers it prunes: the
      one whose number of weights (biases not counted) in all inner product layers is nearest to
      that of the block net, and the smaller one of two as near. The last inner product, whose
      outputs are the net's, is not pruned.

    UserError where the recipe names no such layer, or says what is filled in.
    """
    specs = {}
    for entry in recipe.layer:
        specs[entry.name] = _weight_spec(entry, matrices)
    with_blocks = [name for name, (_, _, blocks) in matrices.items() if blocks > 1]
    pruned = {name: specs[name] for name in with_blocks if name in specs}
    if not pruned:
        raise UserError(
            f"it prunes {', '.join(specs) or 'no layer'}, and the config gives more than one block "
            f"to {', '.join(with_blocks) or 'none'}: nothing would be pruned"
        )
    left_out = [name for name in with_blocks if name not in specs]
    if left_out and any(spec.prune.type != Prune.NODE for spec in pruned.values()):
        raise UserError(
            f"it does not name the layer {left_out[0]}, which has blocks in this config; add it"
        )
    nodes = [name for name, spec in pruned.items() if spec.prune.type == Prune.NODE]
    kept = _kept_outputs(nodes, layers, matrices)
    for name, spec in pruned.items():
        outputs, inputs, blocks = matrices[name]
        if spec.prune.type == Prune.BLOCK_L1:
            spec.prune.blocks = blocks
        elif not spec.prune.HasField("keep"):
            magnitude = spec.prune.type == Prune.MAGNITUDE
            spec.prune.keep = outputs * inputs // blocks if magnitude else kept[name]
    for layer in net.layer:
        if layer.name in pruned:
            if not layer.param:
                layer.param.add()
            layer.param[0].MergeFrom(pruned[layer.name])


def _weight_spec(entry: Layer, matrices: Matrices) -> caffe_pb2.ParamSpec:
    """Return a copy of the `param` of a recipe's layer, checked."""
    fields = {field.name for field, _ in entry.ListFields()}
    if entry.name not in matrices:
        raise UserError(
            f"it names a layer '{entry.name}'; the inner product layers here are "
            f"{', '.join(matrices)}"
        )
    if fields != {"name", "param"} or len(entry.param) != 1 or not entry.param[0].HasField("prune"):
        raise UserError(
            f"layer '{entry.name}' has to hold just its name and one `param {{ prune {{ }} }}`, "
            "that of its weights"
        )
    if entry.param[0].prune.HasField("blocks"):
        raise UserError(f"layer '{entry.name}' says `blocks`, which the config gives; remove it")
    spec = caffe_pb2.ParamSpec()
    spec.CopyFrom(entry.param[0])
    return spec


def _kept_outputs(nodes: list[str], layers: list[Layer], matrices: Matrices) -> dict[str, int]:
    """Return how many outputs each layer of `nodes` keeps, by the rule of `apply`."""
    if not nodes:
        return {}
    wanted = sum(outputs * inputs // blocks for outputs, inputs, blocks in matrices.values())
    before = {}
    for index, layer in enumerate(layers):
        if layer.name in nodes:
            for follower in pruning.followers(layers, index):
                before[follower.name] = layer.name
    largest = max(matrices[name][0] for name in nodes)
    best: tuple[int, dict[str, int]] | None = None
    for part in range(1, largest + 1):
        kept = {name: -(-matrices[name][0] * part // largest) for name in nodes}
        count = sum(
            kept.get(name, outputs) * (kept[before[name]] if name in before else inputs)
            for name, (outputs, inputs, _) in matrices.items()
        )
        if best is None or abs(count - wanted) < best[0]:
            best = abs(count - wanted), kept
    assert best is not None  # a layer has at least one output
    return best[1]
