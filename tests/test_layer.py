"""BlockInnerProduct through pycaffe and the `caffe` program, against NumPy."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import caffe
import numpy as np
import pytest
from caffe import layers as L
from caffe import params as P
from caffe.draw import get_pydot_graph
from caffe.proto import caffe_pb2
from google.protobuf import text_format
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import block_diag

from scripts.paths import ROOT
from tests import tiny_training as tiny

CAFFE = ROOT / "build" / "bin" / "caffe"
UNIT = np.finfo(np.float32).eps / 2  # relative rounding error of one float32 operation


@dataclass(frozen=True)
class Case:
    """A layer of M = prod(leading) inner products with N = b n outputs and K = b k inputs."""

    leading: tuple[int, ...]
    k: int
    n: int
    b: int
    bias: bool
    trailing: tuple[int, ...]
    negative_axis: bool
    shuffle: str
    seed: int

    @property
    def axis(self) -> int:
        return -len(self.trailing) if self.negative_axis else len(self.leading)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    b, k = draw(st.integers(1, 9)), draw(st.integers(1, 11))
    trailing = draw(st.sampled_from([(b * k,), (b, k), (k, b), (1, b * k), (b, 1, k)]))
    return Case(
        leading=tuple(draw(st.lists(st.integers(1, 7), max_size=2))),
        k=k,
        n=draw(st.integers(1, 11)),
        b=b,
        bias=draw(st.booleans()),
        trailing=trailing,
        negative_axis=draw(st.booleans()),
        shuffle=draw(st.sampled_from(["NONE", "FIXED"] if b > 1 else ["NONE"])),
        seed=draw(st.integers(0, 2**20)),
    )


@pytest.fixture(scope="module")
def make_net(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., caffe.Net]:
    """A function that makes a caffe.Net from its text."""
    path = tmp_path_factory.mktemp("net") / "net.prototxt"

    def make(text: object, phase: int = caffe.TEST, seed: int = 1) -> caffe.Net:
        path.write_text(str(text))
        caffe.set_mode_cpu()
        caffe.set_random_seed(seed)
        return caffe.Net(str(path), phase)

    return make


def layer_text(inputs: int, outputs: int, blocks: int, more: str = "", batch: int = 4) -> str:
    """A net of one input and one block layer named ip, whose gradients are computed."""
    return f"""
    force_backward: true
    layer {{ name: "x" type: "Input" top: "x"
      input_param {{ shape {{ dim: {batch} dim: {inputs} }} }} }}
    layer {{ name: "ip" type: "BlockInnerProduct" bottom: "x" top: "y"
      block_inner_product_param {{ num_output: {outputs} blocks: {blocks} {more}
        weight_filler {{ type: "xavier" }} bias_filler {{ type: "gaussian" std: 1 }} }} }}"""


def case_text(case: Case) -> str:
    dims = " ".join(f"dim: {size}" for size in case.leading + case.trailing)
    return f"""
    force_backward: true
    layer {{ name: "x" type: "Input" top: "x" input_param {{ shape {{ {dims} }} }} }}
    layer {{ name: "ip" type: "BlockInnerProduct" bottom: "x" top: "y"
      block_inner_product_param {{ num_output: {case.b * case.n} blocks: {case.b}
        axis: {case.axis} bias_term: {str(case.bias).lower()} shuffle: {case.shuffle}
        weight_filler {{ type: "xavier" }} bias_filler {{ type: "gaussian" std: 1 }} }} }}"""


def dense(weights: np.ndarray, order: np.ndarray) -> np.ndarray:
    """The N x K matrix whose block row i holds weight block i in block column order[i].

    `weights` is Caffe's blob, (N, K/b); the result is in float64.
    """
    b = len(order)
    blocks = weights.astype(np.float64).reshape(b, -1, weights.shape[1])
    columns = block_diag(*blocks).reshape(weights.shape[0], b, -1)
    placed = np.empty_like(columns)
    placed[:, order] = columns
    return placed.reshape(weights.shape[0], -1)


def assert_sums(got: np.ndarray, exact: np.ndarray, magnitude: np.ndarray, terms: int) -> None:
    """Compare float32 sums of `terms` products with exact ones.

    `magnitude` is the sum of the products' absolute values: in whatever order a sum is taken,
    with or without fused multiply-add, its error is below terms u / (1 - terms u) times that
    (Higham, Accuracy and Stability of Numerical Algorithms, 3.1), u being the unit roundoff.
    """
    assert got.shape == exact.shape
    bound = terms * UNIT / (1 - terms * UNIT) * magnitude
    # The exact value is itself rounded, in float64.
    assert (np.abs(got - exact) <= bound + 1e-12 * magnitude).all()


# -- against NumPy ----------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(cases())
def test_forward_and_gradients_are_numpys(make_net: Callable[..., caffe.Net], case: Case) -> None:
    net = make_net(case_text(case), seed=case.seed)
    random = np.random.default_rng(case.seed)
    blobs = net.params["ip"]
    assert len(blobs) == 1 + case.bias + (case.shuffle == "FIXED")
    outputs, inputs, rows = case.b * case.n, case.b * case.k, math.prod(case.leading)
    assert blobs[0].data.shape == (outputs, case.k)
    order = np.arange(case.b)
    if case.shuffle == "FIXED":
        order = blobs[-1].data.astype(int)
        assert sorted(order) == list(range(case.b))
    x, dy, start = (
        random.standard_normal(shape).astype(np.float32)
        for shape in ((rows, inputs), (rows, outputs), (outputs, case.k))
    )
    bias = blobs[1].data.copy() if case.bias else np.zeros(outputs, np.float32)

    net.blobs["x"].data[...] = x.reshape(net.blobs["x"].data.shape)
    net.forward()
    y = net.blobs["y"].data
    assert y.shape == (*case.leading, outputs)
    weights = dense(blobs[0].data, order)
    assert_sums(
        y.reshape(rows, outputs),
        x @ weights.T + bias,
        np.abs(x) @ np.abs(weights).T + np.abs(bias),
        case.k + 1,
    )

    # Gradients of parameters are added to what is there, that of the data replaces it.
    blobs[0].diff[...] = start
    net.blobs["x"].diff[...] = 1e6
    net.backward(y=dy.reshape(y.shape))
    assert_sums(
        net.blobs["x"].diff.reshape(rows, inputs),
        dy @ weights,
        np.abs(dy) @ np.abs(weights),
        case.n,
    )
    x_blocks = x.reshape(rows, case.b, case.k)[:, order].astype(np.float64)
    dy_blocks = dy.reshape(rows, case.b, case.n).astype(np.float64)
    assert_sums(
        blobs[0].diff,
        start + np.einsum("mbn,mbk->bnk", dy_blocks, x_blocks).reshape(start.shape),
        np.abs(start)
        + np.einsum("mbn,mbk->bnk", np.abs(dy_blocks), np.abs(x_blocks)).reshape(start.shape),
        rows + 1,
    )
    if case.bias:
        assert_sums(blobs[1].diff, dy.sum(0, np.float64), np.abs(dy).sum(0, np.float64), rows)


@pytest.mark.parametrize(
    ("inputs", "outputs", "blocks", "batch"),
    [(800, 500, 10, 64), (800, 500, 100, 64), (500, 10, 10, 100), (1024, 64, 64, 100)],
)
def test_the_papers_own_layers(
    make_net: Callable[..., caffe.Net], inputs: int, outputs: int, blocks: int, batch: int
) -> None:
    net = make_net(layer_text(inputs, outputs, blocks, batch=batch))
    x = np.random.default_rng(0).standard_normal((batch, inputs)).astype(np.float32)
    net.blobs["x"].data[...] = x
    net.forward()
    weights = dense(net.params["ip"][0].data, np.arange(blocks))
    assert np.count_nonzero(weights) <= inputs * outputs // blocks
    bias = net.params["ip"][1].data
    assert_sums(
        net.blobs["y"].data,
        x @ weights.T + bias,
        np.abs(x) @ np.abs(weights).T + np.abs(bias),
        inputs // blocks + 1,
    )


def test_another_batch_size(make_net: Callable[..., caffe.Net]) -> None:
    net = make_net(layer_text(12, 9, 3, "shuffle: FIXED"))
    random = np.random.default_rng(0)
    weights = dense(net.params["ip"][0].data, net.params["ip"][2].data.astype(int))
    for batch in (7, 1, 30, 4):
        x, dy = random.standard_normal((batch, 12)), random.standard_normal((batch, 9))
        net.blobs["x"].reshape(batch, 12)
        net.blobs["x"].data[...] = x
        y = net.forward()["y"]
        assert y.shape == (batch, 9)
        np.testing.assert_allclose(y, x @ weights.T + net.params["ip"][1].data, atol=1e-5)
        net.params["ip"][1].diff[...] = 0
        net.backward(y=dy.astype(np.float32))
        np.testing.assert_allclose(net.blobs["x"].diff, dy @ weights, atol=1e-5)
        np.testing.assert_allclose(net.params["ip"][1].diff, dy.sum(0), atol=1e-5)


# -- one block --------------------------------------------------------------------------------

BESIDE = """
force_backward: true
layer {{ name: "x" type: "Input" top: "x" input_param {{ shape {{ dim: {m} dim: {k} }} }} }}
layer {{ name: "block" type: "BlockInnerProduct" bottom: "x" top: "block"
  block_inner_product_param {{ num_output: {n} bias_term: {bias}
    weight_filler {{ type: "xavier" }} bias_filler {{ type: "gaussian" std: 1 }} }} }}
layer {{ name: "dense" type: "InnerProduct" bottom: "x" top: "dense"
  inner_product_param {{ num_output: {n} bias_term: {bias} }} }}
"""


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("m", "k", "n"), [(1, 1, 1), (5, 7, 3), (64, 800, 500), (1, 500, 10)])
def test_one_block_is_inner_product(
    make_net: Callable[..., caffe.Net], m: int, k: int, n: int, bias: bool
) -> None:
    """Equal bit for bit without a bias; with one, to the rounding of the sums.

    The bias is added first here and last in InnerProduct: from some 300 inputs on, where OpenBLAS
    takes a product in several parts, four in ten outputs differ in their last bit or two.
    """
    net = make_net(BESIDE.format(m=m, k=k, n=n, bias=str(bias).lower()))
    for ours, caffes in zip(net.params["block"], net.params["dense"], strict=True):
        caffes.data[...] = ours.data
    x = np.random.default_rng(0).standard_normal((m, k)).astype(np.float32)
    net.blobs["x"].data[...] = x
    net.forward()
    ours, caffes = net.blobs["block"].data, net.blobs["dense"].data
    if not bias:
        np.testing.assert_array_equal(ours, caffes)
    else:
        weights, constant = (blob.data for blob in net.params["dense"])
        magnitude = np.abs(x) @ np.abs(weights).T + np.abs(constant)
        assert_sums(ours, caffes, magnitude, k + 1)
    dy = np.random.default_rng(1).standard_normal((m, n)).astype(np.float32)
    net.backward(block=dy, dense=dy)
    for ours, caffes in zip(net.params["block"], net.params["dense"], strict=True):
        np.testing.assert_array_equal(ours.diff, caffes.diff)


def test_weights_of_inner_product_are_taken_and_given(
    make_net: Callable[..., caffe.Net], tmp_path: Path
) -> None:
    """By the file: a trained InnerProduct's weights go into one block, and back."""
    block_text = layer_text(12, 8, 1)
    dense_text = block_text.replace('"BlockInnerProduct"', '"InnerProduct"')
    dense_text = dense_text.replace("block_inner_product_param", "inner_product_param")
    dense_text = dense_text.replace("blocks: 1", "")
    for number, (giver, taker) in enumerate(
        [(dense_text, block_text), (block_text, dense_text)], start=1
    ):
        given = make_net(giver, seed=number)
        file = tmp_path / f"{number}.caffemodel"
        given.save(str(file))
        taken = make_net(taker, seed=number + 10)
        taken.copy_from(str(file))
        for ours, theirs in zip(given.params["ip"], taken.params["ip"], strict=True):
            np.testing.assert_array_equal(ours.data, theirs.data)


# -- shuffles ---------------------------------------------------------------------------------


def test_a_fixed_permutation_travels_with_the_weights(
    make_net: Callable[..., caffe.Net], tmp_path: Path
) -> None:
    text = layer_text(60, 40, 20, "shuffle: FIXED")
    x = np.random.default_rng(0).standard_normal((4, 60)).astype(np.float32)

    def output(net: caffe.Net) -> np.ndarray:
        net.blobs["x"].data[...] = x
        return net.forward()["y"].copy()

    first = make_net(text, seed=1)
    expected = output(first)
    first.save(str(tmp_path / "w.caffemodel"))
    first.save_hdf5(str(tmp_path / "w.h5"))
    for load, name in (("copy_from", "w.caffemodel"), ("load_hdf5", "w.h5")):
        other = make_net(text, seed=2)
        assert (other.params["ip"][2].data != first.params["ip"][2].data).any()
        assert (output(other) != expected).any()
        getattr(other, load)(str(tmp_path / name))
        for ours, theirs in zip(other.params["ip"], first.params["ip"], strict=True):
            np.testing.assert_array_equal(ours.data, theirs.data)
        np.testing.assert_array_equal(output(other), expected)


def test_surgery_on_the_permutation(make_net: Callable[..., caffe.Net]) -> None:
    net = make_net(layer_text(12, 8, 4, "shuffle: FIXED bias_term: false"))
    x = np.random.default_rng(0).standard_normal((4, 12)).astype(np.float32)
    net.blobs["x"].data[...] = x
    for order in ([0, 1, 2, 3], [3, 0, 2, 1], [1, 2, 3, 0]):
        net.params["ip"][1].data[...] = order
        y = net.forward()["y"]
        weights = dense(net.params["ip"][0].data, np.array(order))
        np.testing.assert_allclose(y, x @ weights.T, atol=1e-5)


def passes(net: caffe.Net, blocks: int, count: int) -> list[tuple[int, ...]]:
    """The permutations of `count` forward passes of a net of single-number blocks.

    All weights are 1 and input block j is 2^j: output block i is order[i]'s power of two.
    """
    net.params["ip"][0].data[...] = 1
    net.blobs["x"].data[...] = 2.0 ** np.arange(blocks)
    found = []
    for _ in range(count):
        y = net.forward()["y"][0]
        found.append(tuple(np.log2(y).astype(int)))
    return found


def test_per_pass_draws_for_each_pass_of_training(make_net: Callable[..., caffe.Net]) -> None:
    text = layer_text(6, 6, 6, "shuffle: PER_PASS bias_term: false", batch=1)
    drawn = passes(make_net(text, caffe.TRAIN, seed=3), 6, 40)
    assert all(sorted(order) == list(range(6)) for order in drawn)
    assert len(set(drawn)) > 30  # of 720; 40 draws repeat once on average
    assert passes(make_net(text, caffe.TRAIN, seed=3), 6, 40) == drawn
    assert passes(make_net(text, caffe.TRAIN, seed=4), 6, 40) != drawn
    assert set(passes(make_net(text, caffe.TEST, seed=3), 6, 3)) == {tuple(range(6))}


def test_per_pass_goes_backward_the_way_it_went_forward(
    make_net: Callable[..., caffe.Net],
) -> None:
    net = make_net(layer_text(6, 6, 6, "shuffle: PER_PASS bias_term: false", batch=1), caffe.TRAIN)
    for order in (passes(net, 6, 1)[0] for _ in range(10)):
        dy = np.arange(1, 7, dtype=np.float32).reshape(1, 6)
        net.params["ip"][0].diff[...] = 0
        net.backward(y=dy)
        expected = np.empty(6)
        expected[list(order)] = dy[0]
        np.testing.assert_array_equal(net.blobs["x"].diff[0], expected)
        x = 2.0 ** np.array(order)
        np.testing.assert_array_equal(net.params["ip"][0].diff[:, 0], dy[0] * x)


def test_training_leaves_the_permutation_alone(tmp_path: Path) -> None:
    """Momentum and weight decay change all that is learned, in every step."""
    solver_file = tiny.write_problem(tmp_path)
    text = solver_file.read_text().replace('"net.prototxt"', f'"{tmp_path}/net.prototxt"')
    solver_file.write_text(f"{text}random_seed: 1\n")
    solver = caffe.get_solver(str(solver_file))
    weights, bias, permutation = (blob.data.copy() for blob in solver.net.params["ip2"])
    solver.step(20)
    trained = solver.net.params["ip2"]
    np.testing.assert_array_equal(trained[2].data, permutation)
    assert (trained[0].data != weights).all()
    assert (trained[1].data != bias).all()


# -- shared parameters ------------------------------------------------------------------------


@pytest.mark.parametrize("share_permutation", [False, True])
def test_two_layers_share_weights(
    make_net: Callable[..., caffe.Net], share_permutation: bool
) -> None:
    shared = 'param { name: "w" } param { name: "c" }'
    if share_permutation:
        shared += ' param { name: "p" lr_mult: 0 decay_mult: 0 }'
    parameter = """block_inner_product_param { num_output: 10 blocks: 5 shuffle: FIXED
      weight_filler { type: "xavier" } bias_filler { type: "gaussian" std: 1 } }"""
    net = make_net(f"""
    force_backward: true
    layer {{ name: "x" type: "Input" top: "x" input_param {{ shape {{ dim: 3 dim: 10 }} }} }}
    layer {{ name: "a" type: "BlockInnerProduct" bottom: "x" top: "y" {shared} {parameter} }}
    layer {{ name: "b" type: "BlockInnerProduct" bottom: "y" top: "z" {shared} {parameter} }}""")
    a, b = net.params["a"], net.params["b"]
    for index in (0, 1):
        np.testing.assert_array_equal(a[index].data, b[index].data)
    a[0].data[0, 0] = 7
    assert b[0].data[0, 0] == 7
    a[2].data[...] = [4, 2, 0, 1, 3]
    assert (a[2].data == b[2].data).all() == share_permutation
    b[2].data[...] = [1, 2, 3, 4, 0]

    x = np.random.default_rng(0).standard_normal((3, 10)).astype(np.float32)
    dz = np.random.default_rng(1).standard_normal((3, 10)).astype(np.float32)
    net.blobs["x"].data[...] = x
    z = net.forward()["z"].copy()
    matrices = [dense(a[0].data, blobs[2].data.astype(int)) for blobs in (a, b)]
    y = x @ matrices[0].T + a[1].data
    np.testing.assert_allclose(z, y @ matrices[1].T + a[1].data, rtol=1e-4, atol=1e-4)
    net.backward(z=dz)
    dy = dz @ matrices[1]
    np.testing.assert_allclose(net.blobs["x"].diff, dy @ matrices[0], rtol=1e-4, atol=1e-4)
    # The gradient of a shared parameter is the sum over the layers that have it.
    np.testing.assert_allclose(a[1].diff, dz.sum(0) + dy.sum(0), rtol=1e-4, atol=1e-4)
    gradient = np.zeros((5, 2, 2))
    for inputs, outputs, order in ((x, dy, a[2].data), (y, dz, b[2].data)):
        blocks = inputs.reshape(3, 5, 2)[:, order.astype(int)]
        gradient += np.einsum("mbn,mbk->bnk", outputs.reshape(3, 5, 2), blocks)
    np.testing.assert_allclose(a[0].diff, gradient.reshape(10, 2), rtol=1e-4, atol=1e-4)


# -- refusals ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("inputs", "outputs", "blocks", "more", "said"),
    [
        (10, 9, 3, "", "Layer ip: 3 blocks do not divide the 10 inputs (num_output is 9)"),
        (12, 8, 3, "", "Layer ip: 3 blocks do not divide num_output, 8 (there are 12 inputs)"),
        (12, 8, 0, "", "Layer ip: blocks has to be at least 1"),
        (12, 8, -2, "", "Layer ip: blocks has to be at least 1"),
        (12, 8, 1, "shuffle: PER_PASS", "Layer ip: with 1 block there is nothing to shuffle"),
    ],
)
def test_caffe_itself_refuses_in_a_sentence(
    tmp_path: Path, inputs: int, outputs: int, blocks: int, more: str, said: str
) -> None:
    path = tmp_path / "net.prototxt"
    path.write_text(layer_text(inputs, outputs, blocks, more))
    done = caffe_program(tmp_path, "time", "-model", "net.prototxt", "-iterations", "1")
    assert done.returncode != 0
    assert said in done.stderr


# -- Caffe's other faces ----------------------------------------------------------------------


def test_netspec_writes_the_layer(make_net: Callable[..., caffe.Net]) -> None:
    spec = caffe.NetSpec()
    spec.x = L.Input(shape={"dim": [2, 12]})
    spec.ip = L.BlockInnerProduct(
        spec.x,
        num_output=8,
        blocks=4,
        shuffle=P.BlockInnerProduct.FIXED,
        weight_filler={"type": "xavier"},
        param=[{"lr_mult": 1}, {"lr_mult": 2}],
    )
    layer = spec.to_proto().layer[1]
    parameter = layer.block_inner_product_param
    assert (layer.type, list(layer.bottom), list(layer.top)) == (
        "BlockInnerProduct",
        ["x"],
        ["ip"],
    )
    assert (parameter.num_output, parameter.blocks) == (8, 4)
    assert parameter.shuffle == caffe_pb2.BlockInnerProductParameter.FIXED
    assert parameter.weight_filler.type == "xavier"
    net = make_net(spec.to_proto())
    assert [blob.data.shape for blob in net.params["ip"]] == [(8, 3), (8,), (4,)]


def test_the_drawing_shows_the_blocks() -> None:
    net = caffe_pb2.NetParameter()
    text_format.Parse(layer_text(12, 8, 4), net)
    (label,) = [
        node.get_label() or node.get_name()
        for node in get_pydot_graph(net, "LR").get_node_list()
        if "BlockInnerProduct" in node.get_name()
    ]
    assert "blocks: 4" in label


def caffe_program(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run build/bin/caffe in `folder`, which also gets its log files, with an empty environment."""
    return subprocess.run(
        [CAFFE, *arguments, f"-log_dir={folder}"],
        cwd=folder,
        env={},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_caffe_time_from_another_folder(tmp_path: Path) -> None:
    tiny.write_problem(tmp_path, hidden=64)
    done = caffe_program(tmp_path, "time", "-model", "net.prototxt", "-iterations", "3")
    assert done.returncode == 0, done.stderr
    for name in ("ip1", "ip2"):
        for direction in ("forward", "backward"):
            assert re.search(rf"\b{name}\s+{direction}: [0-9.e-]+ ms", done.stderr)


def test_caffe_train_from_another_folder(tmp_path: Path) -> None:
    solver = tiny.write_problem(tmp_path, max_iter=30, hidden=64)
    solver.write_text(f'{solver.read_text()}snapshot_prefix: "weights"\nsolver_mode: CPU\n')
    done = caffe_program(tmp_path, "train", "-solver", solver.name)
    assert done.returncode == 0, done.stderr
    assert "Optimization Done" in done.stderr
    trained = caffe_pb2.NetParameter.FromString(
        (tmp_path / "weights_iter_30.caffemodel").read_bytes()
    )
    blobs = {layer.name: layer.blobs for layer in trained.layer}["ip2"]
    assert [list(blob.shape.dim) for blob in blobs] == [[64, 8], [64], [8]]
    assert sorted(blobs[2].data) == list(range(8))


def test_pycaffe_from_another_folder(tmp_path: Path) -> None:
    """No environment variable is needed, nor the project's folder as the current one."""
    (tmp_path / "net.prototxt").write_text(layer_text(12, 8, 4))
    script = "import caffe; print(caffe.Net('net.prototxt', caffe.TEST).forward()['y'].shape)"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env={}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "(4, 8)\n"
