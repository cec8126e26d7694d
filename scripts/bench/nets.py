"""Solvers of whole nets for timing: the networks of prototxt/, on constant data made in memory."""

from __future__ import annotations

from pathlib import Path

from caffe.proto import caffe_pb2
from google.protobuf import text_format

from scripts import networks
from scripts.config import parse_config
from scripts.files import write_text

# Shape of a record, without the batch.
RECORDS = {"lenet": (1, 28, 28), "cuda_convnet": (3, 32, 32)}
DATASETS = {"lenet": "mnist", "cuda_convnet": "cifar10"}


def write(net_name: str, config: str, path: Path) -> Path:
    """Write a solver whose net stands in it, and return `path`."""
    solver, net = networks.build(net_name, parse_config(config), "bdip", DATASETS[net_name], 1)
    kept = []
    for layer in net.layer:
        if any(rule.phase == caffe_pb2.TEST for rule in layer.include):
            continue
        if layer.type == "Data":
            _constant(layer, RECORDS[net_name])
        if layer.type != "Accuracy":
            kept.append(layer)
    del net.layer[:]
    net.layer.extend(kept)
    for field in ("test_iter", "test_net", "test_state", "net", "train_net", "test_net_param"):
        solver.ClearField(field)
    for field in ("test_interval", "snapshot"):
        solver.ClearField(field)
    solver.test_initialization = False
    solver.display = 0
    solver.snapshot_after_train = False
    solver.net_param.CopyFrom(net)
    write_text(path, text_format.MessageToString(solver))
    return path


def _constant(layer: caffe_pb2.LayerParameter, record: tuple[int, ...]) -> None:
    """Make a data layer one that gives the same numbers every time."""
    batch = layer.data_param.batch_size
    made = caffe_pb2.LayerParameter(name=layer.name, type="DummyData", top=list(layer.top))
    for shape in ((batch, *record), (batch,)):
        made.dummy_data_param.shape.add().dim.extend(shape)
    # Constants are filled in once, when the net is made.
    made.dummy_data_param.data_filler.add(type="constant", value=0.5)
    made.dummy_data_param.data_filler.add(type="constant", value=3)
    layer.CopyFrom(made)
