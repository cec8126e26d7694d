"""Make a pruned net small, and back: `python -m scripts.condense NET WEIGHTS OUT_PREFIX`.

A net that was trained with `prune { }` is as large as before, with zeros in it. `condense` gives
the net that computes the same without them, with its weights and its solver's state:

- InnerProduct with `prune { type: BLOCK_L1 }` becomes BlockInnerProduct, with `shuffle: FIXED`
  where the blocks are permuted (shuffle_seed);
- InnerProduct with `prune { type: NODE }` loses its removed outputs, and the InnerProducts that
  follow lose those inputs.

Training goes on from there as it would have in the large net. `expand` makes InnerProducts, with
zeros off the blocks, of BlockInnerProducts: nets that any Caffe reads. Training one trains all
entries; `prune { type: BLOCK_L1 blocks: b iters: 1 }` beside the lr_mult of the weights keeps
unpermuted blocks.
"""

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from caffe.proto import caffe_pb2
from google.protobuf import text_format

from scripts import blobs, networks, pruning, shapes
from scripts.condensed_layers import (
    Change,
    check_lost_inputs,
    kept_outputs,
    smaller,
    to_blocks,
    to_dense,
)
from scripts.errors import ArgumentParser, UserError, run_main
from scripts.files import atomic_open
from scripts.model_files import read_binary, read_weights

Layer = caffe_pb2.LayerParameter
Net = caffe_pb2.NetParameter
Solver = caffe_pb2.SolverParameter
State = caffe_pb2.SolverState
Prune = caffe_pb2.PruneParameter

_INNER_PRODUCTS = ("InnerProduct", "BlockInnerProduct")


def condense(net: Net, weights: Net, state: State | None = None) -> tuple[Net, Net, State | None]:
    """Return net, weights and solver state without what `prune` made zero.

    `net` may be one for training and testing or one for deployment; `prune` is looked for in it
    and in the layers that `weights`, a caffemodel, holds. UserError where nothing was pruned, or
    where what was pruned is not all zero yet.
    """
    pruned = _pruned(net, weights)
    changes: dict[str, Change] = {}
    rows: dict[str, np.ndarray] = {}
    columns: dict[str, np.ndarray] = {}
    for name, prune in pruned.items():
        if prune.type == Prune.NODE:
            rows[name] = kept_outputs(_saved(weights, name, "InnerProduct"), prune)
            for follower in _followers(net, name):
                if pruned.get(follower, Prune(blocks=1)).blocks > 1:
                    raise UserError(
                        f"layer '{follower}' is pruned to blocks, and loses inputs that '{name}' "
                        "lost as outputs: what is left of its blocks is not of one size"
                    )
                check_lost_inputs(_saved(weights, follower, "InnerProduct"), name, rows[name])
                columns[follower] = rows[name]
        elif prune.type == Prune.BLOCK_L1:
            changes[name] = to_blocks(_saved(weights, name, "InnerProduct"), prune)
    for name in {**rows, **columns}:
        changes[name] = smaller(
            _saved(weights, name, "InnerProduct"), rows.get(name), columns.get(name)
        )
    if not changes:
        raise UserError(
            "there is nothing to condense: no InnerProduct has `prune` of the type BLOCK_L1 or NODE"
        )
    return _changed(net, weights, state, changes)


def expand(net: Net, weights: Net, state: State | None = None) -> tuple[Net, Net, State | None]:
    """Return net, weights and solver state with InnerProducts in place of BlockInnerProducts.

    The inverse of `condense` for blocks: zeros are where there are none. UserError where there is
    no such layer, or one that no InnerProduct can be the same as.
    """
    names = {layer.name for layer in (*net.layer, *weights.layer) if _is_block(layer)}
    changes = {name: to_dense(_saved(weights, name, "BlockInnerProduct")) for name in sorted(names)}
    if not changes:
        raise UserError("there is nothing to expand: the net has no BlockInnerProduct layer")
    return _changed(net, weights, state, changes)


def parameters(weights: Net) -> tuple[list[str], int]:
    """Return the names of the inner product layers and how many weights and biases they have.

    The indices of a permutation are not counted: they are not learned.
    """
    layers = [layer for layer in weights.layer if layer.type in _INNER_PRODUCTS and layer.blobs]
    count = sum(
        blobs.values(blob).size
        for layer in layers
        for blob in layer.blobs[: 1 + shapes.inner_product_parameter(layer).bias_term]
    )
    return [layer.name for layer in layers], count


# What was pruned


def _pruned(net: Net, weights: Net) -> dict[str, Prune]:
    """Return the `prune` of each InnerProduct's weights, by the layer's name."""
    found: dict[str, Prune] = {}
    for layer in (*net.layer, *weights.layer):
        if layer.type == "InnerProduct" and layer.param and layer.param[0].HasField("prune"):
            found.setdefault(layer.name, layer.param[0].prune)
    return found


def _is_block(layer: Layer) -> bool:
    return layer.type == "BlockInnerProduct"


def _saved(weights: Net, name: str, kind: str) -> Layer:
    """Return the layer of that name and type in the caffemodel, its matrix checked."""
    found = [layer for layer in weights.layer if layer.name == name and layer.blobs]
    if not found:
        raise UserError(f"there are no weights of layer '{name}'; do they belong to another net?")
    layer = found[0]
    if layer.type != kind:
        raise UserError(
            f"the weights are those of {shapes.label(layer)}, not of type {kind}; name the net "
            "that they belong to"
        )
    shape = blobs.shape(layer.blobs[0])
    outputs = shapes.inner_product_parameter(layer).num_output
    if len(shape) != 2 or shape[0] != outputs or layer.inner_product_param.transpose:
        raise UserError(
            f"the weights of {shapes.label(layer)}, of the shape {shape}, are not one row for each "
            f"of its {outputs} outputs; a `transpose` is not known here"
        )
    return layer


def _followers(net: Net, name: str) -> list[str]:
    """Return the names of the InnerProducts that a layer's outputs go to, in any phase."""
    layers = list(net.layer)
    indices = [i for i, layer in enumerate(layers) if layer.name == name]
    if not indices:
        raise UserError(f"the net has no layer '{name}', of which the weights were pruned")
    return list({follower.name: 0 for i in indices for follower in pruning.followers(layers, i)})


# All of it


def _changed(
    net: Net, weights: Net, state: State | None, changes: dict[str, Change]
) -> tuple[Net, Net, State | None]:
    owned = list(_learnable(weights))
    for name, index, sharers in owned:
        if sharers and changes.keys() & {name, *sharers}:
            raise UserError(
                f"layer '{name}' shares its blob {index} with {', '.join(sharers)}: a shared blob "
                "cannot be changed for one of them"
            )
    new_net, new_weights = Net(), Net()
    new_net.CopyFrom(net)
    new_weights.CopyFrom(weights)
    for layer in (*new_net.layer, *new_weights.layer):
        if layer.name in changes and layer.type in _INNER_PRODUCTS:
            _set_blobs(layer, changes[layer.name])
            changes[layer.name].edit(layer)
    new_state = None if state is None else _changed_state(weights, state, changes, owned)
    return new_net, new_weights, new_state


def _set_blobs(layer: Layer, change: Change) -> None:
    if layer.blobs:
        new = change.blobs(list(layer.blobs), history=False)
        del layer.blobs[:]
        layer.blobs.extend(new)


def _learnable(weights: Net) -> Iterator[tuple[str, int, list[str]]]:
    """Yield (layer, index, other layers that share it) of each parameter, in the solver's order."""
    sharers: dict[str, list[str]] = {}
    for layer in weights.layer:
        for spec in layer.param[: len(layer.blobs)]:
            if spec.name:
                sharers.setdefault(spec.name, []).append(layer.name)
    for layer in weights.layer:
        for index in range(len(layer.blobs)):
            key = layer.param[index].name if index < len(layer.param) else ""
            names = sharers.get(key, [layer.name])
            if names[0] == layer.name:
                yield layer.name, index, names[1:]


def _changed_state(
    weights: Net, state: State, changes: dict[str, Change], owned: list[tuple[str, int, list[str]]]
) -> State:
    """Change the history of each parameter as the parameter was.

    SGD, Nesterov, AdaGrad and RMSProp keep one blob a parameter, Adam and AdaDelta one for all,
    then a second one for all.
    """
    layers = {layer.name: layer for layer in weights.layer if layer.blobs}
    wanted = [blobs.shape(layers[name].blobs[index]) for name, index, _ in owned]
    found = [blobs.shape(blob) for blob in state.history]
    if found not in (wanted, wanted * 2):
        raise UserError(
            f"the solver's state holds {len(found)} blobs, not one or two of the shape of each of "
            f"the {len(wanted)} blobs of the weights: it belongs to another net"
        )
    new = State()
    new.CopyFrom(state)
    del new.history[:]
    for start in range(0, len(found), len(wanted)):
        history: dict[str, list[blobs.Blob]] = {}
        part = state.history[start : start + len(wanted)]
        for (name, _, _), blob in zip(owned, part, strict=True):
            history.setdefault(name, []).append(blob)
        for name, old in history.items():
            new.history.extend(changes[name].blobs(old, True) if name in changes else old)
    return new


# The command


def _read_net(path: Path) -> tuple[Net, Solver | None]:
    """Read a net, or a solver and its net."""
    try:
        return networks.parse(path, Net()), None
    except UserError as error:
        try:
            solver = networks.parse(path, Solver())
        except UserError:
            raise error from None
    return networks.net_of(path, solver)[0], solver


def run(
    net_path: Path, weights_path: Path, prefix: Path, state_path: Path | None, back: bool
) -> None:
    """Do what the command does; see `main`. UserError where it cannot be done."""
    if prefix.name in ("", ".."):
        raise UserError(f"OUT_PREFIX {prefix} is a folder; write {prefix / 'small'}, say")
    outputs = {
        suffix: prefix.with_name(prefix.name + suffix)
        for suffix in (".prototxt", ".caffemodel", ".solverstate", "_solver.prototxt")
    }
    if not prefix.parent.is_dir():
        raise UserError(f"there is no folder {prefix.parent}; make it, or correct OUT_PREFIX")
    net, solver = _read_net(net_path)
    read = [net_path, weights_path, *([state_path] if state_path else [])]
    if solver is not None:
        read += networks.net_files(net_path, solver)
    inputs = {path.resolve() for path in read}
    for path in outputs.values():
        if path.resolve() in inputs:
            raise UserError(
                f"{path} would be overwritten, which is read; choose another OUT_PREFIX"
            )
    weights = read_weights(weights_path)
    state = state_path and read_binary(state_path, State())
    if state and Path(state.learned_net).name != weights_path.name:
        print(
            f"note: {state_path} was written with the weights {state.learned_net}; make sure that "
            f"{weights_path} are the same",
            file=sys.stderr,
        )
    try:
        new_net, new_weights, new_state = (expand if back else condense)(net, weights, state)
    except UserError as error:
        raise UserError(f"{weights_path}: {error}") from error
    texts = {outputs[".prototxt"]: new_net}
    if solver is not None:
        for field in networks.NET_FIELDS:
            solver.ClearField(field)
        solver.net = str(outputs[".prototxt"])
        solver.snapshot_prefix = str(prefix)
        texts[outputs["_solver.prototxt"]] = solver
    binaries = {outputs[".caffemodel"]: new_weights}
    if new_state is not None:
        new_state.learned_net = str(outputs[".caffemodel"])
        binaries[outputs[".solverstate"]] = new_state
    with ExitStack() as stack:
        streams = [
            *(
                (stack.enter_context(atomic_open(path)), text_format.MessageToString(message))
                for path, message in texts.items()
            ),
            *(
                (stack.enter_context(atomic_open(path, "wb")), message.SerializeToString())
                for path, message in binaries.items()
            ),
        ]
        for stream, content in streams:
            stream.write(content)
            stream.flush()  # a full disk is found before the first file gets its name
    names, before = parameters(weights)
    _, after = parameters(new_weights)
    ratio = max(before, after) / min(before, after)
    print(f"{', '.join(names)}: {before:,} -> {after:,} parameters, {ratio:.1f}-fold")
    print(f"written: {', '.join(map(str, [*texts, *binaries]))}")


def main() -> None:
    parser = ArgumentParser(
        prog="python -m scripts.condense",
        description="Make a pruned net small: OUT_PREFIX.prototxt, .caffemodel and .solverstate.",
    )
    parser.add_argument("net", type=Path, metavar="NET", help="its prototxt, or its solver's")
    parser.add_argument("weights", type=Path, metavar="WEIGHTS", help="its .caffemodel")
    parser.add_argument("prefix", type=Path, metavar="OUT_PREFIX", help="where the new files go")
    parser.add_argument("--state", type=Path, help="its .solverstate, to go on training")
    parser.add_argument(
        "--expand", action="store_true", help="the way back: block layers to dense ones"
    )
    arguments = parser.parse_args()
    run(arguments.net, arguments.weights, arguments.prefix, arguments.state, arguments.expand)


if __name__ == "__main__":
    run_main(main)
