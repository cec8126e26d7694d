"""Small nets that are pruned in a second or so, trained by pycaffe on random data given by hand."""

from dataclasses import dataclass
from pathlib import Path

import caffe
import numpy as np
from caffe.proto import caffe_pb2
from google.protobuf import text_format

CLASSES, INPUTS, BATCH = 5, 24, 16
PRUNED_BY = 40  # the iteration at which all phases below have ended

BLOCKS = "prune { type: BLOCK_L1 start: 5 iters: 30 alpha: 1e-2 blocks: %d }"
PERMUTED = "prune { type: BLOCK_L1 start: 5 iters: 30 alpha: 1e-2 blocks: %d shuffle_seed: 3 }"
NODE = "prune { type: NODE start: 5 iters: 30 steps: 3 keep: %d }"

NET = """
layer {{ name: "data" type: "Input" top: "data" top: "label"
  input_param {{ shape {{ dim: {batch} dim: 1 dim: 4 dim: 6 }} shape {{ dim: {batch} }} }} }}
layer {{ name: "ip1" type: "InnerProduct" bottom: "data" top: "ip1"
  param {{ lr_mult: 1 {prune1} }} param {{ lr_mult: 2 decay_mult: 0 }}
  inner_product_param {{ num_output: 40 weight_filler {{ type: "xavier" }}
    bias_filler {{ type: "constant" value: 0.1 }} }} }}
layer {{ name: "relu1" type: "ReLU" bottom: "ip1" top: "ip1" }}
layer {{ name: "ip2" type: "InnerProduct" bottom: "ip1" top: "ip2" param {{ {prune2} }}
  inner_product_param {{ num_output: 20 bias_term: false weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "relu2" type: "ReLU" bottom: "ip2" top: "ip2" include {{ phase: TRAIN }} }}
layer {{ name: "relu2" type: "ReLU" bottom: "ip2" top: "ip2" include {{ phase: TEST }} }}
layer {{ name: "ip3" type: "InnerProduct" bottom: "ip2" top: "ip3"
  inner_product_param {{ num_output: {classes} weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "accuracy" type: "Accuracy" bottom: "ip3" bottom: "label" top: "accuracy"
  include {{ phase: TEST }} }}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "ip3" bottom: "label" top: "loss" }}
"""

SGD = 'base_lr: 0.05 momentum: 0.9 weight_decay: 0.0005 lr_policy: "inv" gamma: 1e-3 power: .75'
SOLVERS = {
    "SGD": SGD,
    "SGD, L1, clipped": SGD + ' regularization_type: "L1" clip_gradients: 1',
    "Nesterov": SGD + ' type: "Nesterov"',
    "AdaGrad": 'type: "AdaGrad" base_lr: 0.02 weight_decay: 0.0005 lr_policy: "fixed"',
    "RMSProp": 'type: "RMSProp" base_lr: 0.001 rms_decay: .95 lr_policy: "fixed"',
    "Adam": 'type: "Adam" base_lr: 0.002 momentum: .9 momentum2: .999 weight_decay: 0.0005 '
    'lr_policy: "fixed"',
    "AdaDelta": 'type: "AdaDelta" base_lr: 1 momentum: .95 delta: 1e-6 lr_policy: "fixed"',
}


def net_of(prune1: str = "", prune2: str = "") -> caffe_pb2.NetParameter:
    """The net, with a `prune` in ip1 (24 inputs, 40 outputs) and in ip2 (40 inputs, 20 outputs)."""
    text = NET.format(batch=BATCH, classes=CLASSES, prune1=prune1, prune2=prune2)
    return text_format.Parse(text, caffe_pb2.NetParameter())


def batches(seed: int) -> "Batches":
    return Batches(np.random.default_rng(seed))


class Batches:
    """Noise around one fixed point for each class: what is learned stays learned."""

    def __init__(self, generator: np.random.Generator) -> None:
        self.generator = generator
        self.centres = np.random.default_rng(0).normal(size=(CLASSES, 1, 4, 6))

    def next(self) -> tuple[np.ndarray, np.ndarray]:
        label = self.generator.integers(0, CLASSES, BATCH)
        noise = self.generator.normal(size=(BATCH, 1, 4, 6))
        return (self.centres[label] + noise).astype(np.float32), label.astype(np.float32)


@dataclass
class Model:
    """What one snapshot holds."""

    net: caffe_pb2.NetParameter
    weights: caffe_pb2.NetParameter
    state: caffe_pb2.SolverState


def write(folder: Path, net: caffe_pb2.NetParameter, solver: str, max_iter: int = 5000) -> Path:
    """Write net.prototxt and solver.prototxt into `folder`; returns the solver's path."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "net.prototxt").write_text(text_format.MessageToString(net))
    path = folder / "solver.prototxt"
    path.write_text(
        f'net: "{folder}/net.prototxt" max_iter: {max_iter} display: 0 random_seed: 1 '
        f'snapshot_prefix: "{folder}/snapshot" {solver}'
    )
    return path


def make_solver(folder: Path, net: caffe_pb2.NetParameter, solver: str) -> caffe.SGDSolver:
    caffe.set_mode_cpu()
    return caffe.get_solver(str(write(folder, net, solver)))


def step(solver: caffe.SGDSolver, data: tuple[np.ndarray, np.ndarray]) -> None:
    """One update from one batch."""
    for name, value in zip(("data", "label"), data, strict=True):
        solver.net.blobs[name].data[...] = value
    solver.step(1)


def snapshot(folder: Path, solver: caffe.SGDSolver, net: caffe_pb2.NetParameter) -> Model:
    """Save the solver and read what it saved."""
    solver.snapshot()
    base = folder / f"snapshot_iter_{solver.iter}"
    weights, state = caffe_pb2.NetParameter(), caffe_pb2.SolverState()
    weights.ParseFromString(base.with_suffix(".caffemodel").read_bytes())
    state.ParseFromString(base.with_suffix(".solverstate").read_bytes())
    return Model(net, weights, state)


def restore(folder: Path, model: Model, solver: str) -> caffe.SGDSolver:
    """Write a model's files and let Caffe go on from them."""
    made = make_solver(folder, model.net, solver)
    base = folder / "from"
    base.with_suffix(".caffemodel").write_bytes(model.weights.SerializeToString())
    model.state.learned_net = str(base.with_suffix(".caffemodel"))
    base.with_suffix(".solverstate").write_bytes(model.state.SerializeToString())
    made.restore(str(base.with_suffix(".solverstate")))
    return made


def train(
    folder: Path, net: caffe_pb2.NetParameter, solver: str = SGD, iterations: int = PRUNED_BY
) -> tuple[caffe.SGDSolver, Model]:
    """Train for some iterations; returns the solver and its snapshot."""
    made = make_solver(folder, net, solver)
    data = batches(7)
    for _ in range(iterations):
        step(made, data.next())
    return made, snapshot(folder, made, net)
