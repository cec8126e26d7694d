"""A net and a data set: what its data layers read, how long its tests are."""

from pathlib import Path

from caffe.proto import caffe_pb2

from scripts import datasets, shapes
from scripts.dataset_table import TABLE
from scripts.errors import UserError

Layer = caffe_pb2.LayerParameter
Net = caffe_pb2.NetParameter
Solver = caffe_pb2.SolverParameter

_SPLITS = ("train", "test")


def net_state(phase: int, *more: Net) -> caffe_pb2.NetState:
    """Return a net's state as the solver makes it: the phase, then what the net itself says."""
    state = caffe_pb2.NetState(phase=phase)
    for net in more:
        state.MergeFrom(net.state)
    return state


def net_states(solver: Solver, net: Net) -> list[caffe_pb2.NetState]:
    """Return the states of the training net and of each test net of a solver."""
    train = net_state(caffe_pb2.TRAIN, net)
    train.MergeFrom(solver.train_state)
    tests = [net_state(caffe_pb2.TEST, net) for _ in solver.test_iter]
    for state, extra in zip(tests, solver.test_state, strict=False):
        state.MergeFrom(extra)
    return [train, *tests]


def set_dataset(solver: Solver, net: Net, name: str) -> None:
    """Have the data layers of a net of ours read the data set `name`, and fit its tests.

    A layer that reads data/<another>/train_lmdb reads data/<name>/train_lmdb, and a mean image is
    that of the same data set. A test that goes through all images of its split once does so with
    the other data set too: its batches become as large as they were or smaller, so that they come
    out even. Any other test keeps its number of images, if there are as many.

    UserError where a layer reads something else, or the data set was built without a mean image.
    """
    counts = datasets.facts(name).counts
    for index, state in enumerate(net_states(solver, net)[1:]):
        for layer in net.layer:
            if layer.type == "Data" and shapes.included(layer, state):
                solver.test_iter[index] = _fit_test(layer, solver.test_iter[index], counts)
    for layer in net.layer:
        if layer.type == "Data":
            layer.data_param.source = str(datasets.lmdb_path(name, _split(layer)))
            if layer.transform_param.mean_file:
                layer.transform_param.mean_file = str(_mean(name))


def _split(layer: Layer) -> str:
    split = Path(layer.data_param.source).name.removesuffix("_lmdb")
    if split not in _SPLITS:
        raise UserError(
            f"{shapes.label(layer)} reads {layer.data_param.source}; write the train_lmdb or the "
            "test_lmdb of a data set, such as data/mnist/train_lmdb"
        )
    return split


def _fit_test(layer: Layer, batches: int, counts: dict[str, int]) -> int:
    """Set the batch size of a test's data layer, and return how many batches the test is."""
    split = _split(layer)
    own = TABLE.get(Path(layer.data_param.source).parent.name)
    images = batches * layer.data_param.batch_size
    if own is None or (images != own.splits[split].count and images <= counts[split]):
        return batches
    largest = min(layer.data_param.batch_size, counts[split])
    size = next(size for size in range(largest, 0, -1) if counts[split] % size == 0)
    layer.data_param.batch_size = size
    return counts[split] // size


def _mean(name: str) -> Path:
    mean = datasets.mean_path(name)
    if mean.parent.is_dir() and not mean.is_file():
        raise UserError(
            f"there is no mean image {mean}; remove {mean.parent}, and `make data DATASETS={name}` "
            "makes it again with one"
        )
    return mean


def check_classes(net: Net, state: caffe_pb2.NetState, facts: datasets.Facts) -> None:
    """Raise UserError where labels go beyond the outputs that a loss compares them with."""
    for layer, bottoms in shapes.infer(net, state, lambda _: facts.shape):
        if layer.type not in ("SoftmaxWithLoss", "Accuracy") or not isinstance(bottoms[0], tuple):
            continue
        outputs = bottoms[0][-1]
        if facts.classes > outputs:
            raise UserError(
                f"{shapes.label(layer)} has {outputs} outputs for the data's {facts.classes} "
                f"classes; give the layer that makes '{layer.bottom[0]}' more in a net of your own"
            )
