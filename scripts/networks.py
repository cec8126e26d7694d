"""Nets and solvers: the project's own, edited to a configuration, and those that a user wrote.

Nets are parsed and edited as protocol buffers, never as text. What Caffe would abort on, with a
failed CHECK, is looked for here first, and becomes a sentence.
"""

import difflib
import math
from collections.abc import Callable
from math import gcd
from pathlib import Path

import caffe
from caffe.proto import caffe_pb2
from google.protobuf import text_format
from google.protobuf.message import Message

from scripts import datasets, lmdb_build, pruning, recipes, shapes
from scripts.config import Config
from scripts.errors import UserError
from scripts.methods import Method, parse_method, set_prune, set_solver
from scripts.net_data import check_classes, net_state, net_states, set_dataset
from scripts.paths import PROTOTXT

Layer = caffe_pb2.LayerParameter
Net = caffe_pb2.NetParameter
Solver = caffe_pb2.SolverParameter

_SHUFFLE = caffe_pb2.BlockInnerProductParameter
SHUFFLES = {
    "bdip": _SHUFFLE.NONE,
    "shuffle": _SHUFFLE.FIXED,
    "shuffle_per_pass": _SHUFFLE.PER_PASS,
}
"""Ways to train block layers, with the `shuffle` that each of them stands for."""

_INNER_PRODUCTS = ("InnerProduct", "BlockInnerProduct")
_CONVOLUTIONS = ("Convolution", "Deconvolution")
_SHARED_FIELDS = ("num_output", "bias_term", "weight_filler", "bias_filler", "axis")
NET_FIELDS = ("net", "net_param", "train_net", "train_net_param", "test_net", "test_net_param")
_LR_POLICIES = ("fixed", "step", "exp", "inv", "multistep", "poly", "sigmoid")
_SOLVER_TYPES = ("SGD", "Nesterov", "AdaGrad", "RMSProp", "AdaDelta", "Adam")


def names() -> list[str]:
    """Return the networks that have a folder under prototxt/."""
    return sorted(
        path.parent.name
        for path in PROTOTXT.glob("*/*_train_test.prototxt")
        if path.name == f"{path.parent.name}_train_test.prototxt"
    )


def methods(net_name: str) -> list[str]:
    """Return the ways to train a network: those of block layers, then its recipes for pruning."""
    return [*SHUFFLES, *recipes.names(PROTOTXT / net_name)]


def build(
    net_name: str, config: Config, method: str, dataset: str, seed: int
) -> tuple[Solver, Net]:
    """Return the solver and the net of one run.

    The i-th inner product layer of prototxt/<net>/ gets `config.blocks[i]` blocks (1 makes it an
    InnerProduct), and those with more than one the shuffle of `method`; where `method` is a recipe
    for pruning, all become InnerProducts, and those with more than one block get its `prune`. The
    data layers read data/<dataset>/ (scripts/net_data.py). Settings in `method`
    (scripts/methods.py) change the solver and the recipe. All else stays as it stands there. The
    solver names no net: the caller writes the net where it wants it. UserError where the parts do
    not fit together.
    """
    if net_name not in names():
        raise UserError(f"there is no network '{net_name}'; those here are {', '.join(names())}")
    known = methods(net_name)
    given = parse_method(method)
    if given.name not in known:
        raise UserError(f"there is no method '{given.name}'; those known are {', '.join(known)}")
    _check_seed(seed)
    facts = datasets.facts(dataset)
    folder = PROTOTXT / net_name
    net_path = folder / f"{net_name}_train_test.prototxt"
    net = parse(net_path, Net())
    solver_path = folder / f"{net_name}_solver.prototxt"
    solver = parse(solver_path, Solver())
    prunes = given.name not in SHUFFLES
    if given.name != "bdip" and max(config.blocks) == 1:
        nothing = "layer to prune" if prunes else "blocks to permute"
        raise UserError(
            f"the method {given.name} has no {nothing} in {config}; use the method bdip, or a "
            "config with more than one block"
        )
    if given.settings:
        set_solver(solver, given, prunes)
    _check_settings(f"METHOD={given}" if given.settings else solver_path, solver)
    try:
        _set_blocks(net, config, SHUFFLES.get(given.name, _SHUFFLE.NONE))
        set_dataset(solver, net, dataset)
        for state in net_states(solver, net):
            unknown = _check_blocks(net, state, lambda _: facts.shape)
            if unknown is not None:
                raise UserError(f"whether the blocks fit cannot be told: {unknown.reason}")
            check_classes(net, state, facts)
        if prunes:
            _apply_recipe(folder, given, net, solver.max_iter, lambda _: facts.shape)
    except UserError as error:
        raise UserError(f"{config} with {net_path.name} and {dataset}: {error}") from error
    for field in NET_FIELDS:
        solver.ClearField(field)
    solver.random_seed = seed
    return solver, net


def load_solver(path: Path, seed: int) -> tuple[Solver, Net]:
    """Read a solver that a user wrote, and its net; check what Caffe would abort on.

    Paths in both count from the current folder, as in Caffe, or else from the file they stand in;
    those of data and of weights to start from come back absolute. A train_net and a test_net come
    back as one net with `include { phase }` rules. The solver comes back with `seed`, and names no
    net any more.
    UserError: a file is missing or does not parse, a setting is wrong, blocks do not fit.
    """
    _check_seed(seed)
    solver = parse(path, Solver())
    _check_settings(path, solver)
    _find_weights(solver, path)
    net, net_path = net_of(path, solver)
    records = _records_once()
    try:
        _check_types(net)
        _find_data(net, net_path)
        train, *tests = net_states(solver, net)
        for state in (train, *tests):
            _check_blocks(net, state, records)
        pruning.check(net, train, records, solver.max_iter)
    except UserError as error:
        raise UserError(f"{net_path}: {error}") from error
    for field in NET_FIELDS:
        solver.ClearField(field)
    solver.random_seed = seed
    return solver, net


def overruled(path: Path, seed: int, device: tuple[str, int]) -> list[str]:
    """Return a sentence for each setting in a user's solver that SEED or DEVICE decides otherwise.

    `device`: "cpu" or "gpu", and its number. What the file does not say is not overruled.
    """
    solver = parse(path, Solver())
    mode, number = device
    chosen = "cpu" if mode == "cpu" else f"gpu:{number}"
    said = []
    if solver.HasField("random_seed") and solver.random_seed != seed:
        said.append(f"random_seed: {solver.random_seed}; SEED={seed} decides")
    if solver.HasField("solver_mode"):
        named = Solver.SolverMode.Name(solver.solver_mode)
        if named.lower() != mode:
            said.append(f"solver_mode: {named}; DEVICE={chosen} decides")
    if mode == "gpu" and solver.HasField("device_id") and solver.device_id != number:
        said.append(f"device_id: {solver.device_id}; DEVICE={chosen} decides")
    return [f"{path.name} says {text}" for text in said]


def parse(path: Path, message: Message) -> Message:
    """Parse a file of protobuf text into `message` and return it.

    UserError with the line where there is no such file or it is not such a message.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"there is no file {path}; correct the path") from None
    except IsADirectoryError:
        raise UserError(f"{path} is a folder; name the file in it") from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is not a text file; name a .prototxt") from None
    try:
        return text_format.Parse(text, message)
    except text_format.ParseError as error:
        line = error.GetLine()
        where = f"{path}, line {line}" if line else str(path)
        # The message repeats the line and column before its first ' : '.
        raise UserError(f"{where}: {str(error).split(' : ', 1)[-1]}") from error


def inner_products(net: Net) -> list[str]:
    """Return the names of the inner product layers of the training net, in order."""
    state = net_state(caffe_pb2.TRAIN, net)
    return [
        layer.name
        for layer in net.layer
        if layer.type in _INNER_PRODUCTS and shapes.included(layer, state)
    ]


def blocks_text(net: Net) -> str:
    """Blocks of the inner product layers of the training net: "ip1 10 blocks, ip2 dense"."""
    chosen = inner_products(net)
    counts = {
        layer.name: layer.block_inner_product_param.blocks
        for layer in net.layer
        if layer.name in chosen and layer.type == "BlockInnerProduct"
    }
    told = (f"{counts[name]} blocks" if counts.get(name, 1) > 1 else "dense" for name in chosen)
    return ", ".join(f"{name} {text}" for name, text in zip(chosen, told, strict=True))


def _set_blocks(net: Net, config: Config, shuffle: int) -> None:
    names = inner_products(net)
    state = net_state(caffe_pb2.TRAIN, net)
    weighted = len(names) + sum(
        layer.type in _CONVOLUTIONS and shapes.included(layer, state) for layer in net.layer
    )
    if len(config.blocks) != len(names):
        raise UserError(
            f"the net has {len(names)} inner product layers ({', '.join(names)}), but the config "
            f"gives blocks for {len(config.blocks)}"
        )
    if config.layers != weighted:
        raise UserError(
            f"the net has {weighted} layers with weights, so the config has to end in "
            f"BD_{weighted}, not BD_{config.layers}"
        )
    blocks = dict(zip(names, config.blocks, strict=True))
    for layer in net.layer:
        if layer.type in _INNER_PRODUCTS:
            set_layer_blocks(layer, blocks[layer.name], shuffle)


def _apply_recipe(
    folder: Path, method: Method, net: Net, max_iter: int, records: shapes.RecordShape
) -> None:
    """Make the block layers of `net` InnerProducts that the recipe of `method` prunes."""
    state = net_state(caffe_pb2.TRAIN, net)
    inferred = shapes.infer(net, state, records)
    matrices = {
        layer.name: (
            shapes.inner_product_parameter(layer).num_output,
            shapes.inputs(layer, bottoms[0]),
            layer.block_inner_product_param.blocks,  # 1 where the layer is an InnerProduct
        )
        for layer, bottoms in inferred
        if layer.type in _INNER_PRODUCTS
    }
    for layer in net.layer:
        if layer.type == "BlockInnerProduct":
            set_layer_blocks(layer, 1)
    path = recipes.path(folder, method.name)
    recipe = parse(path, Net())
    try:
        set_prune(recipe, method)
        recipes.apply(recipe, net, [layer for layer, _ in inferred], matrices)
        pruning.check(net, state, records, max_iter)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def set_layer_blocks(layer: Layer, blocks: int, shuffle: int = _SHUFFLE.NONE) -> None:
    """Make an inner product layer an InnerProduct (1 block) or a BlockInnerProduct.

    What both have, fillers and all, is kept. UserError where a block layer would lack something.
    """
    old = Layer()
    old.CopyFrom(layer)
    layer.ClearField("inner_product_param")
    layer.ClearField("block_inner_product_param")
    before = shapes.inner_product_parameter(old)
    if blocks == 1:
        layer.type = "InnerProduct"
    else:
        layer.type = "BlockInnerProduct"
        layer.block_inner_product_param.blocks = blocks
        if shuffle != _SHUFFLE.NONE:
            layer.block_inner_product_param.shuffle = shuffle
        if old.type == "InnerProduct" and before.transpose:
            raise UserError(f"{shapes.label(old)} has `transpose`, which block layers do not have")
    after = shapes.inner_product_parameter(layer)
    for field in _SHARED_FIELDS:
        if before.HasField(field):
            value = getattr(before, field)
            if isinstance(value, Message):
                getattr(after, field).CopyFrom(value)
            else:
                setattr(after, field, value)


def _check_blocks(
    net: Net, state: caffe_pb2.NetState, records: shapes.RecordShape
) -> shapes.Unknown | None:
    """Raise UserError where blocks do not fit a layer.

    Return the first reason for which this could not be told of an inner product layer, or None.
    """
    unknown = None
    for layer, bottoms in shapes.infer(net, state, records):
        if layer.type not in _INNER_PRODUCTS or not bottoms:
            continue
        if isinstance(bottoms[0], shapes.Unknown):
            unknown = unknown or bottoms[0]
            inputs = None
        else:
            inputs = shapes.inputs(layer, bottoms[0])
        if layer.type == "BlockInnerProduct":
            _check_layer(layer, inputs)
    return unknown


def _check_layer(layer: Layer, inputs: int | None) -> None:
    """Check one block layer; its number of inputs K is None where it cannot be told."""
    parameter = layer.block_inner_product_param
    blocks, outputs = parameter.blocks, parameter.num_output
    name = shapes.label(layer)
    if blocks < 1:
        raise UserError(f"{name} has blocks: {blocks}; write a number from 1 up")
    wrong = [
        f"{letter} = {number}"
        for letter, number in (("inputs K", inputs), ("outputs N", outputs))
        if number is not None and number % blocks
    ]
    if wrong:
        common = gcd(inputs or 0, outputs)
        fitting = [str(b) for b in range(1, common + 1) if common % b == 0]
        raise UserError(
            f"{name} has blocks: {blocks}, which does not divide its {' and its '.join(wrong)}; "
            f"{', '.join(fitting)} would"
        )
    if blocks == 1 and parameter.shuffle != _SHUFFLE.NONE:
        shuffle = _SHUFFLE.Shuffle.Name(parameter.shuffle)
        raise UserError(
            f"{name} has shuffle: {shuffle}, but only one block, so nothing to permute; remove the "
            "shuffle or write more blocks"
        )


def _check_seed(seed: int) -> None:
    # Caffe would take a larger one modulo 2^32: two seeds would be one.
    if not 0 <= seed < 2**32:
        raise UserError(f"the seed is {seed}; write a number from 0 to {2**32 - 1}")


def _check_settings(where: Path | str, solver: Solver) -> None:
    """Check the settings of a solver on which Caffe would abort, or train nothing.

    `where` they come from stands before the sentence.
    """
    problem = None
    if solver.max_iter < 1:
        given = solver.max_iter if solver.HasField("max_iter") else "missing"
        problem = f"max_iter is {given}; write how many iterations to train, from 1"
    elif not math.isfinite(solver.base_lr):
        problem = f"base_lr is {solver.base_lr}; write a number"
    elif solver.lr_policy not in _LR_POLICIES:
        problem = f"lr_policy is '{solver.lr_policy}'; write one of {', '.join(_LR_POLICIES)}"
    elif solver.lr_policy in ("step", "sigmoid") and solver.stepsize < 1:
        problem = f"the lr_policy '{solver.lr_policy}' needs a stepsize from 1 up"
    elif solver.type not in _SOLVER_TYPES:
        problem = f"type is '{solver.type}'; write one of {', '.join(_SOLVER_TYPES)}"
    elif solver.regularization_type not in ("L1", "L2"):
        problem = f"regularization_type is '{solver.regularization_type}'; write L1 or L2"
    elif solver.iter_size < 1:
        problem = f"iter_size is {solver.iter_size}; write a number from 1 up"
    elif solver.test_iter and solver.test_interval < 1:
        problem = "test_interval is missing; write after how many iterations to test"
    elif any(count < 1 for count in solver.test_iter):
        problem = "test_iter is below 1; write how many batches a test is"
    elif len(solver.test_state) not in (0, len(solver.test_iter)):
        problem = (
            f"there are {len(solver.test_state)} test_state for {len(solver.test_iter)} test_iter; "
            "write as many of one as of the other"
        )
    if problem:
        raise UserError(f"{where}: {problem}")


def net_of(path: Path, solver: Solver) -> tuple[Net, Path]:
    """Return the net of a solver and the file it stands in."""
    train = [field for field in NET_FIELDS[:4] if solver.HasField(field)]
    if len(train) != 1:
        said = f"{' and '.join(train)} both name one" if train else "none is named"
        raise UserError(f'{path}: which net to train? {said}; write one line net: "FILE"')
    tests = [*solver.test_net_param, *solver.test_net]
    if train[0] in ("net", "net_param"):
        if tests:
            raise UserError(
                f"{path}: test_net beside {train[0]} is more than is read here; give the layers "
                "of both `include { phase: ... }` and keep them in one net"
            )
        return _read_net(path, getattr(solver, train[0]))
    if len(tests) != len(solver.test_iter) or len(tests) > 1:
        raise UserError(
            f"{path}: there are {len(tests)} test nets and {len(solver.test_iter)} test_iter; "
            "write one of each, or none"
        )
    net, net_path = _read_net(path, getattr(solver, train[0]))
    _keep_phase(net, net_states(solver, net)[0])
    if tests:
        test, _ = _read_net(path, tests[0])
        _keep_phase(test, net_states(solver, test)[1])
        net.layer.extend(test.layer)
    net.ClearField("state")
    return net, net_path


def net_files(path: Path, solver: Solver) -> list[Path]:
    """Return the files of the nets that a solver, read from `path`, names."""
    named = (solver.net, solver.train_net, *solver.test_net)
    return [_beside(path, name) for name in named if name]


def _read_net(path: Path, net: str | Net) -> tuple[Net, Path]:
    """Read a net that is named in, or stands in, the solver file `path`."""
    if isinstance(net, str):
        net_path = _beside(path, net)
        if not net_path.exists():
            raise UserError(f"{path}: there is no net {net}; correct the path, or make that file")
        net = parse(net_path, Net())
    else:
        net_path = path
    if net.layers:
        raise UserError(
            f"{net_path}: `layers` is the old way to write a net; convert the file with "
            "upgrade_net_proto_text, one of Caffe's tools"
        )
    if not net.layer:
        raise UserError(f"{net_path}: the net has no layers; write some")
    return net, net_path


def _keep_phase(net: Net, state: caffe_pb2.NetState) -> None:
    """Keep the layers that `state` includes, for its phase alone."""
    kept = [layer for layer in net.layer if shapes.included(layer, state)]
    for layer in kept:
        layer.ClearField("include")
        layer.ClearField("exclude")
        layer.include.add(phase=state.phase)
    copies = Net(layer=kept)
    net.ClearField("layer")
    net.layer.extend(copies.layer)


def _beside(file: Path, name: str) -> Path:
    """Return where `name`, found in `file`, leads: from the current folder, or from the file's."""
    path = Path(name)
    return path if path.exists() or path.is_absolute() else file.parent / path


def _find_weights(solver: Solver, path: Path) -> None:
    """Make the paths of the weights that a training starts from absolute, one in each field."""
    names = [name.strip() for line in solver.weights for name in line.split(",")]
    solver.ClearField("weights")
    for name in names:
        weights = _beside(path, name).resolve()
        if not weights.is_file():
            raise UserError(f"{path}: there are no weights {name}; correct the path")
        solver.weights.append(str(weights))


def _check_types(net: Net) -> None:
    known = list(caffe.layer_type_list())
    for layer in net.layer:
        if layer.type not in known:
            near = difflib.get_close_matches(layer.type, known, n=1)
            cure = f"did you mean {near[0]}?" if near else f"it has {', '.join(known)}"
            raise UserError(
                f"layer '{layer.name}' has the type '{layer.type}', which this Caffe does not "
                f"have; {cure}"
            )


def _find_data(net: Net, net_path: Path) -> None:
    """Make the paths of data absolute; UserError where a mean is missing or a backend not built."""
    for layer in net.layer:
        mean = layer.transform_param.mean_file
        if mean:
            mean_path = _beside(net_path, mean).resolve()
            if not mean_path.is_file():
                raise UserError(f"{shapes.label(layer)}: there is no mean_file {mean}; correct it")
            layer.transform_param.mean_file = str(mean_path)
        if layer.type == "Data":
            if layer.data_param.backend != caffe_pb2.DataParameter.LMDB:
                raise UserError(
                    f"{shapes.label(layer)} has no `backend: LMDB`, and this Caffe is built "
                    "without LevelDB; write it, or convert the database"
                )
            source = _beside(net_path, layer.data_param.source).resolve()
            layer.data_param.source = str(source)


def _records_once() -> Callable[[Layer], shapes.Known]:
    """Return a function that gives the shape of the records a Data layer reads.

    It looks at each LMDB once. UserError where one is missing, cut or not one of images.
    """
    seen: dict[str, shapes.Known] = {}

    def records(layer: Layer) -> shapes.Known:
        source = layer.data_param.source
        if source not in seen:
            try:
                _, shape = lmdb_build.inspect(Path(source))
            except UserError as error:
                raise UserError(f"{shapes.label(layer)}: {error}") from error
            seen[source] = shape or shapes.Unknown(f"the records of {source} are encoded images")
        return seen[source]

    return records
