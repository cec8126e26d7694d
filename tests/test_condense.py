"""Condensing pruned nets: the same computation without the zeros, and back."""

import subprocess
import sys
from pathlib import Path

import caffe
import numpy as np
import pytest
from caffe.proto import caffe_pb2
from google.protobuf import text_format
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts import blobs, networks
from scripts.condense import condense, expand, main, parameters
from scripts.config import parse_config
from scripts.errors import UserError, run_main
from scripts.paths import ROOT
from tests import pruned_training as small
from tests import tiny_training as tiny

CAFFE = ROOT / "build/bin/caffe"
UNIT = np.finfo(np.float32).eps / 2  # relative rounding error of one float32 operation

KINDS = {
    "blocks": (small.BLOCKS % 4, small.BLOCKS % 2),
    "permuted": (small.PERMUTED % 4, small.PERMUTED % 5),
    "node": (small.NODE % 10, small.NODE % 7),
    "node and magnitude": (
        small.NODE % 10,
        "prune { type: MAGNITUDE start: 5 iters: 30 steps: 3 keep: 150 }",
    ),
}

# Condensed products add the same terms without the zeros between them, so in another order, and
# differ by a few UNITs an iteration. Iterations add up to the square root of their number, some
# 100 UNIT here; what is learned is stable, so nothing amplifies it. 5e-5 is 800 UNIT, and 15 times
# what was ever seen (3e-6). A lost momentum gives 1e-2: the test below it holds that to be found.
TOLERANCE = 5e-5


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A function that gives a net trained past its pruning, as (solver, Model), made once each."""
    made = {}

    def get(kind):
        if kind not in made:
            folder = tmp_path_factory.mktemp("trained")
            made[kind] = small.train(folder, small.net_of(*KINDS[kind]))[1]
        return made[kind]

    return get


def condensed(model):
    return small.Model(*condense(model.net, model.weights, model.state))


def saved(weights, name):
    (layer,) = [layer for layer in weights.layer if layer.name == name]
    return layer


def matrix(weights, name):
    return blobs.values(saved(weights, name).blobs[0])


def difference(weights, net):
    """Largest difference of a parameter from a caffemodel's, as a share of its blob's largest."""
    largest = 0.0
    for layer in weights.layer:
        for blob, found in zip(layer.blobs, net.params.get(layer.name, ()), strict=True):
            value = blobs.values(blob)
            assert found.data.shape == value.shape
            largest = max(largest, np.abs(found.data - value).max() / np.abs(value).max())
    return largest


# The same computation


@pytest.mark.parametrize("kind", KINDS)
def test_a_condensed_net_computes_the_same(trained, kind, tmp_path):
    model = trained(kind)
    after = condensed(model)
    outputs = []
    for name, each in (("dense", model), ("condensed", after)):
        path = tmp_path / f"{name}.prototxt"
        path.write_text(text_format.MessageToString(each.net))
        weights = tmp_path / f"{name}.caffemodel"
        weights.write_bytes(each.weights.SerializeToString())
        net = caffe.Net(str(path), str(weights), caffe.TEST)
        data, label = small.batches(5).next()
        net.blobs["data"].data[...] = data
        net.blobs["label"].data[...] = label
        net.forward()
        outputs.append(net.blobs["ip3"].data.copy())
    dense, new = outputs
    assert np.abs(dense).max() > 1
    # three sums of at most 40 terms each, of numbers that grow to the size of the outputs
    np.testing.assert_allclose(new, dense, rtol=0, atol=3 * 40 * UNIT * np.abs(dense).max())


def go_on_both_ways(folder, kind, solver, spoil=lambda state: None, iterations=300):
    """Train dense and condensed side by side; returns how far apart they end."""
    net = small.net_of(*KINDS[kind])
    dense, model = small.train(folder / "dense", net, solver)
    after = condensed(model)
    spoil(after.state)
    new = small.restore(folder / "condensed", after, solver)
    assert new.iter == dense.iter == small.PRUNED_BY
    data = small.batches(8)
    for _ in range(iterations):
        batch = data.next()
        small.step(dense, batch)
        small.step(new, batch)
    end = small.snapshot(folder / "dense", dense, net)
    moved = np.abs(matrix(end.weights, "ip3") - matrix(model.weights, "ip3")).max()
    assert moved > 0.05  # or nothing was trained
    return difference(condense(end.net, end.weights)[1], new.net)


@pytest.mark.parametrize(
    ("kind", "solver"),
    [
        *((kind, solver) for kind in KINDS for solver in ("SGD", "Adam")),
        *(("permuted", solver) for solver in small.SOLVERS if solver not in ("SGD", "Adam")),
    ],
)
def test_training_goes_on_as_in_the_dense_net(tmp_path, kind, solver):
    assert go_on_both_ways(tmp_path, kind, small.SOLVERS[solver]) < TOLERANCE


@pytest.mark.parametrize("solver", ["SGD", "Adam"])
def test_a_lost_history_would_be_found(tmp_path, solver):
    def spoil(state):
        blob = state.history[-1 if solver == "Adam" else 0]
        blob.data[:] = [0.0] * len(blob.data)

    far = go_on_both_ways(tmp_path, "blocks", small.SOLVERS[solver], spoil, iterations=100)
    assert far > 10 * TOLERANCE


# What becomes of net, weights and state


def test_blocks_become_block_layers(trained):
    model = trained("blocks")
    net, weights, state = condense(model.net, model.weights, model.state)
    for messages in (net, weights):
        for name, b in (("ip1", 4), ("ip2", 2)):
            layer = saved(messages, name)
            assert layer.type == "BlockInnerProduct"
            assert not layer.HasField("inner_product_param")
            parameter = layer.block_inner_product_param
            assert (parameter.blocks, parameter.shuffle) == (b, parameter.NONE)
            assert parameter.weight_filler.type == "xavier"
            assert not any(spec.HasField("prune") for spec in layer.param)
        assert saved(messages, "ip1").block_inner_product_param.bias_filler.value > 0
        assert [spec.lr_mult for spec in saved(messages, "ip1").param] == [1, 2]
        assert not saved(messages, "ip2").block_inner_product_param.bias_term
        assert saved(messages, "ip3").type == "InnerProduct"
    assert [layer.name for layer in net.layer] == [layer.name for layer in model.net.layer]
    dense, blocks = matrix(model.weights, "ip1"), matrix(weights, "ip1")
    assert blocks.shape == (40, 6)
    for i in range(4):
        rows, columns = slice(10 * i, 10 * i + 10), slice(6 * i, 6 * i + 6)
        np.testing.assert_array_equal(blocks[rows], dense[rows, columns])
        momentum = blobs.values(model.state.history[0])[rows, columns]
        assert np.any(momentum)
        np.testing.assert_array_equal(blobs.values(state.history[0])[rows], momentum)
    assert (state.iter, state.current_step) == (model.state.iter, model.state.current_step)
    assert state.progress == model.state.progress
    assert state.progress.generator
    assert model.net == small.net_of(*KINDS["blocks"])  # what was given is as it was


def test_permuted_blocks_become_a_fixed_shuffle(trained):
    model = trained("permuted")
    _, weights, state = condense(model.net, model.weights, model.state)
    sizes = {"ip1": (4, 10, 6), "ip2": (5, 4, 8)}
    for name, (b, n, k) in sizes.items():
        layer = saved(weights, name)
        assert layer.block_inner_product_param.shuffle == layer.block_inner_product_param.FIXED
        order = blobs.values(layer.blobs[-1]).astype(int)
        assert sorted(order) == list(range(b))
        assert list(order) != list(range(b))
        dense = matrix(model.weights, name)
        for i, j in enumerate(order):
            block = dense[n * i : n * i + n, k * j : k * j + k]
            assert np.any(block)
            np.testing.assert_array_equal(matrix(weights, name)[n * i : n * i + n], block)
    shapes = [blobs.shape(blob) for blob in state.history]
    assert shapes == [(40, 6), (40,), (4,), (20, 8), (5,), (5, 20), (5,)]
    assert not np.any(blobs.values(state.history[2]))


def test_removed_outputs_are_gone_with_bias_and_inputs(trained):
    model = trained("node")
    net, weights, state = condense(model.net, model.weights, model.state)
    kept1 = np.flatnonzero(matrix(model.weights, "ip1").any(axis=1))
    kept2 = np.flatnonzero(matrix(model.weights, "ip2").any(axis=1))
    assert (len(kept1), len(kept2)) == (10, 7)
    assert [saved(net, name).inner_product_param.num_output for name in ("ip1", "ip2")] == [10, 7]
    assert not any(spec.HasField("prune") for layer in net.layer for spec in layer.param)
    shapes = [blobs.shape(blob) for blob in state.history]
    assert shapes == [(10, 24), (10,), (7, 10), (5, 7), (5,)]
    for old, new in (
        (matrix(model.weights, "ip2")[kept2][:, kept1], matrix(weights, "ip2")),
        (blobs.values(model.state.history[3])[:, kept2], blobs.values(state.history[3])),
        (blobs.values(model.state.history[1])[kept1], blobs.values(state.history[1])),
    ):
        np.testing.assert_array_equal(new, old)


def test_what_magnitude_pruned_stays_as_it_is_with_no_more_to_keep_than_there_is(trained):
    model = trained("node and magnitude")
    net, weights, _ = condense(model.net, model.weights)
    assert saved(net, "ip2").param[0].prune.type == caffe_pb2.PruneParameter.MAGNITUDE
    assert saved(net, "ip2").param[0].prune.keep == 150 < matrix(weights, "ip2").size
    for layer in (saved(model.net, "ip2"), saved(model.weights, "ip2")):
        layer.param[0].prune.keep = 700
    net, weights, _ = condense(model.net, model.weights)
    assert saved(net, "ip2").param[0].prune.keep == matrix(weights, "ip2").size == 200


def test_a_net_for_deployment_needs_no_prune(trained):
    model = trained("blocks")
    deploy = small.net_of()
    kept = [layer for layer in deploy.layer if layer.name not in ("loss", "accuracy")]
    deploy = caffe_pb2.NetParameter(layer=kept)
    del saved(deploy, "ip1").param[:]
    net, _, _ = condense(deploy, model.weights)
    assert saved(net, "ip1").block_inner_product_param.blocks == 4
    assert saved(net, "ip2").block_inner_product_param.blocks == 2


def test_lenet_shrinks_81_fold(tmp_path):
    _, net = networks.build("lenet", parse_config("(100,10)-BD_4"), "ip_bdip", "mnist", 1)
    for layer in list(net.layer):
        if layer.type in ("Data", "Accuracy"):
            net.layer.remove(layer)
        elif layer.param and layer.param[0].HasField("prune"):
            layer.param[0].prune.start, layer.param[0].prune.iters = 0, 1
    text_format.Parse(
        """layer { name: "mnist" type: "Input" top: "data" top: "label" input_param {
        shape { dim: 2 dim: 1 dim: 28 dim: 28 } shape { dim: 2 } } }""",
        net,
    )
    layers = [net.layer[-1], *net.layer[:-1]]
    net = caffe_pb2.NetParameter(layer=layers)
    solver = small.make_solver(tmp_path, net, small.SGD)
    solver.step(1)
    model = small.snapshot(tmp_path, solver, net)
    after = condensed(model)
    assert parameters(model.weights) == (["ip1", "ip2"], 405_510)
    assert parameters(after.weights) == (["ip1", "ip2"], 5_010)
    convolutions = 20 * 25 + 20 + 50 * 20 * 25 + 50
    for weights, count in ((model.weights, 405_510), (after.weights, 5_010)):
        assert weights.ByteSize() == pytest.approx(4 * (convolutions + count), rel=0.05)
    assert after.state.ByteSize() < 0.08 * model.state.ByteSize()


# And back


@pytest.mark.parametrize("kind", ["blocks", "permuted"])
def test_expanding_gives_the_dense_net_back(trained, kind):
    model = trained(kind)
    after = condensed(model)
    net, weights, state = expand(after.net, after.weights, after.state)
    expected = small.Model(caffe_pb2.NetParameter(), caffe_pb2.NetParameter(), None)
    for message, old in ((expected.net, model.net), (expected.weights, model.weights)):
        message.CopyFrom(old)
        for layer in message.layer:
            for spec in layer.param:
                spec.ClearField("prune")
    assert net == expected.net
    assert weights == expected.weights
    # What the solver still kept for pruned entries is gone; it is never used.
    pairs = zip(state.history, model.state.history, model_blobs(model), strict=True)
    for new, old, weight in pairs:
        wanted = blobs.values(old) * ((weight != 0) | (weight.ndim == 1))
        live = weight != 0
        np.testing.assert_array_equal(blobs.values(new)[live], wanted[live])
        assert blobs.shape(new) == weight.shape
    again = condense(model.net, weights, state)
    assert again == (after.net, after.weights, after.state)


def model_blobs(model):
    return [blobs.values(blob) for layer in model.weights.layer for blob in layer.blobs]


@settings(max_examples=50, deadline=None)
@given(
    st.integers(1, 6).flatmap(lambda b: st.permutations(range(b))),
    st.integers(1, 4),
    st.integers(1, 4),
    st.booleans(),
    st.integers(1, 2),
    st.integers(0, 1000),
)
def test_condense_and_expand_are_inverse(order, n, k, bias, sets, seed):
    b = len(order)
    generator = np.random.default_rng(seed)
    dense = np.zeros((b * n, b * k))
    for i, j in enumerate(order):
        dense[n * i : n * i + n, k * j : k * j + k] = generator.uniform(1, 2, (n, k))
    layer = caffe_pb2.LayerParameter(name="ip", type="InnerProduct", bottom=["x"], top=["ip"])
    layer.inner_product_param.num_output = b * n
    if not bias:
        layer.inner_product_param.bias_term = False
    layer.param.add().prune.blocks = b
    layer.param[0].prune.shuffle_seed = 9
    net = caffe_pb2.NetParameter(layer=[layer])
    double = blobs.Blob(double_data=[0.0])
    layer.blobs.append(blobs.like(double, dense))
    state = caffe_pb2.SolverState(iter=7)
    if bias:
        layer.blobs.append(blobs.like(double, generator.normal(size=b * n)))
    for _ in range(sets):
        for blob in layer.blobs:
            state.history.append(blobs.mapped(blob, lambda value: 3 * value))
    weights = caffe_pb2.NetParameter(layer=[layer])

    after = condense(net, weights, state)
    permuted = list(order) != list(range(b))
    assert len(after[1].layer[0].blobs) == 1 + bias + permuted
    assert len(after[2].history) == sets * (1 + bias + permuted)
    assert after[1].layer[0].blobs[0].double_data
    if b == 1:
        assert after[0].layer[0].type == "InnerProduct"
        return
    back = expand(*after)
    for message in (net, weights):
        message.layer[0].param[0].ClearField("prune")
    assert back == (net, weights, state)


# Refusals


def refusal(function, *arguments):
    with pytest.raises(UserError) as error:
        function(*arguments)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("iterations", [3, 20])
def test_a_net_that_is_not_block_diagonal_is_refused_with_how_far_it_is(tmp_path, iterations):
    net = small.net_of(small.BLOCKS % 4)
    _, model = small.train(tmp_path, net, iterations=iterations)
    dense = matrix(model.weights, "ip1")
    off = np.kron(1 - np.eye(4), np.ones((10, 6))).astype(bool)
    count, largest = np.count_nonzero(dense[off]), np.abs(dense[off]).max()
    assert 0 < count <= 720
    said = refusal(condense, net, model.weights)
    assert "layer 'ip1' (InnerProduct) is not block diagonal" in said
    assert f"{count} of the 720 entries off its 4 blocks are not 0 ({count / 720:.2%})" in said
    assert f"the largest of them is {largest:.3g};" in said
    assert "train past the end of the phase, iteration 35" in said


def test_permuted_blocks_that_are_not_there_yet_are_refused(tmp_path):
    net = small.net_of(small.PERMUTED % 4)
    _, model = small.train(tmp_path, net, iterations=20)
    assert "entries off its 4 blocks are not 0" in refusal(condense, net, model.weights)


def test_outputs_that_are_not_removed_yet_are_refused(tmp_path):
    net = small.net_of(small.NODE % 10)
    _, model = small.train(tmp_path, net, iterations=20)
    said = refusal(condense, net, model.weights)
    assert "layer 'ip1' (InnerProduct) still has 16 of its 40 outputs" in said
    assert "keep 10; train past the end of the phase, iteration 35" in said


def copy(model):
    new = small.Model(caffe_pb2.NetParameter(), caffe_pb2.NetParameter(), caffe_pb2.SolverState())
    new.net.CopyFrom(model.net)
    new.weights.CopyFrom(model.weights)
    new.state.CopyFrom(model.state)
    return new


def put(blob, array):
    del blob.data[:]
    blob.data.extend(array.ravel().tolist())


def test_weights_that_contradict_the_net_are_refused(trained):
    model = copy(trained("node"))
    bias = saved(model.weights, "ip1").blobs[1]
    put(bias, np.ones(40))
    assert "30 outputs without weights but with a bias" in refusal(
        condense, model.net, model.weights
    )
    model = copy(trained("node"))
    put(saved(model.weights, "ip3").blobs[0], np.ones((5, 20)))
    said = refusal(condense, model.net, model.weights)
    assert "layer 'ip3' (InnerProduct) has 65 weights that are not 0 for removed outputs" in said

    model = copy(trained("blocks"))
    saved(model.weights, "ip1").param[0].prune.blocks = 7
    saved(model.net, "ip1").param[0].prune.blocks = 7
    assert "(40, 24), which 7 blocks do not divide" in refusal(condense, model.net, model.weights)

    model = copy(trained("blocks"))
    model.weights.layer.remove(saved(model.weights, "ip2"))
    assert "no weights of layer 'ip2'" in refusal(condense, model.net, model.weights)

    model = copy(trained("blocks"))
    done = condensed(model).weights
    said = refusal(condense, model.net, done)
    assert "those of layer 'ip1' (BlockInnerProduct), not of type InnerProduct;" in said
    done = condense(model.net, model.weights)[0]
    said = refusal(expand, done, model.weights)
    assert "those of layer 'ip1' (InnerProduct), not of type BlockInnerProduct;" in said

    saved(model.weights, "ip1").inner_product_param.transpose = True
    assert "a `transpose` is not known here" in refusal(condense, model.net, model.weights)

    model = copy(trained("blocks"))
    del model.state.history[-1]
    said = refusal(condense, model.net, model.weights, model.state)
    assert "holds 4 blobs, not one or two of the shape of each of the 5 blobs" in said

    model = copy(trained("permuted"))
    ip1 = saved(model.weights, "ip1").blobs[0]
    rows = blobs.values(ip1)
    rows[:20] = 0
    put(ip1, rows)
    said = refusal(condense, model.net, model.weights)
    assert "has 2 permuted blocks in which all is 0" in said

    model = copy(trained("node"))
    for message in (model.net, model.weights):
        saved(message, "ip2").param[0].prune.CopyFrom(caffe_pb2.PruneParameter(blocks=2))
    said = refusal(condense, model.net, model.weights)
    assert "layer 'ip2' is pruned to blocks, and loses inputs that 'ip1' lost" in said

    model = copy(trained("blocks"))
    for name in ("ip1", "ip3"):
        layer = saved(model.weights, name)
        if not layer.param:
            layer.param.add()
        layer.param[0].name = "shared"
    said = refusal(condense, model.net, model.weights)
    assert "layer 'ip1' shares its blob 0 with ip3" in said


def test_nothing_to_do_is_refused(trained):
    model = trained("blocks")
    net, weights, _ = condense(model.net, model.weights)
    assert "nothing to condense" in refusal(condense, net, weights)
    assert "nothing to expand" in refusal(expand, model.net, model.weights)


def test_what_no_inner_product_can_do_is_not_expanded(trained):
    model = trained("blocks")
    net, weights, _ = condense(model.net, model.weights)
    parameter = saved(weights, "ip1").block_inner_product_param
    parameter.shuffle = parameter.PER_PASS
    assert "draws a permutation in each pass" in refusal(expand, net, weights)
    parameter.shuffle = parameter.NONE
    saved(weights, "ip2").param[0].prune.keep = 3
    assert "layer 'ip2' (BlockInnerProduct) is pruned itself" in refusal(expand, net, weights)


# The command


def run_command(*arguments):
    command = [sys.executable, "-m", "scripts.condense", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)


def write_model(folder, model):
    folder.mkdir(exist_ok=True)
    (folder / "net.prototxt").write_text(text_format.MessageToString(model.net))
    (folder / "dense.caffemodel").write_bytes(model.weights.SerializeToString())
    (folder / "dense.solverstate").write_bytes(model.state.SerializeToString())
    return folder / "net.prototxt", folder / "dense.caffemodel"


def test_the_command_writes_all_and_says_how_much_is_left(trained, tmp_path):
    model = trained("permuted")
    net, weights = write_model(tmp_path, model)
    prefix = tmp_path / "small"
    done = run_command(net, weights, prefix, "--state", tmp_path / "dense.solverstate")
    assert done.returncode == 0, done.stderr
    before = 24 * 40 + 40 + 40 * 20 + 20 * 5 + 5
    after = 6 * 40 + 40 + 8 * 20 + 20 * 5 + 5
    ratio = before / after
    assert f"ip1, ip2, ip3: {before:,} -> {after:,} parameters, {ratio:.1f}-fold" in done.stdout
    assert f"was written with the weights {model.state.learned_net}; make sure" in done.stderr
    expected = condensed(model)
    found = networks.parse(tmp_path / "small.prototxt", caffe_pb2.NetParameter())
    assert found == expected.net
    state = caffe_pb2.SolverState()
    state.ParseFromString((tmp_path / "small.solverstate").read_bytes())
    assert state.learned_net == str(tmp_path / "small.caffemodel")
    assert state.history == expected.state.history

    back = tmp_path / "back"
    done = run_command(f"{prefix}.prototxt", f"{prefix}.caffemodel", back, "--expand")
    assert done.returncode == 0, done.stderr
    assert f"{after:,} -> {before:,} parameters, {ratio:.1f}-fold" in done.stdout
    dense = caffe_pb2.NetParameter()
    dense.ParseFromString((tmp_path / "back.caffemodel").read_bytes())
    for name in ("ip1", "ip2"):
        np.testing.assert_array_equal(matrix(dense, name), matrix(model.weights, name))
    assert not (tmp_path / "back.solverstate").exists()


def test_the_command_refuses_in_one_sentence_and_writes_nothing(
    trained, tmp_path, monkeypatch, capsys
):
    net, weights = write_model(tmp_path / "in", trained("blocks"))
    (tmp_path / "net.h5").write_bytes(b"\x89HDF\r\n\x1a\n and more")
    (tmp_path / "cut").write_bytes(weights.read_bytes()[:-100])
    (tmp_path / "empty").write_bytes(b"")
    solver = tmp_path / "in/solver.prototxt"
    solver.write_text('net: "net.prototxt"')
    test_solver = tmp_path / "in/test_solver.prototxt"
    test_solver.write_text('train_net: "net.prototxt" test_net: "t.prototxt" test_iter: 1')
    (tmp_path / "in/t.prototxt").write_text(net.read_text())
    before = net.read_bytes()
    out = tmp_path / "out"
    out.mkdir()
    for arguments, words in (
        ((net, tmp_path / "none", out / "x"), "there is no file"),
        ((tmp_path / "none", weights, out / "x"), "there is no file"),
        ((net, tmp_path / "net.h5", out / "x"), "snapshot_format: BINARYPROTO"),
        ((net, tmp_path / "cut", out / "x"), "not a whole file of Caffe's type NetParameter"),
        ((net, tmp_path / "empty", out / "x"), "holds no layers"),
        ((weights, weights, out / "x"), "not a text file"),
        ((net, weights, tmp_path / "nowhere/x"), "no folder"),
        ((net, weights, tmp_path / "in/net"), "would be overwritten, which is read"),
        (
            (solver, weights, tmp_path / "in/net"),
            "net.prototxt would be overwritten, which is read",
        ),
        ((test_solver, weights, out / "../in/t"), "t.prototxt would be overwritten, which is read"),
        ((net, weights, "."), "OUT_PREFIX . is a folder"),
        ((net, weights, "/"), "OUT_PREFIX / is a folder"),
        ((net, weights), "arguments are required: OUT_PREFIX"),
        ((net, weights, out / "x", "--state", weights), "solver's state holds 0 blobs"),
        ((net, weights, out / "x", "--expand"), "nothing to expand"),
    ):
        monkeypatch.setattr(sys, "argv", ["condense", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            run_main(main)
        assert ended.value.code == 1
        *notes, said = capsys.readouterr().err.splitlines()
        assert all(note.startswith("note: ") for note in notes)
        assert said.startswith("error: ")
        assert words in said
        assert not list(out.iterdir())
        assert net.read_bytes() == before


def lmdb_net(folder: Path) -> caffe_pb2.NetParameter:
    """The small net reading the databases in `folder`, permuted blocks in both layers."""
    net = small.net_of(small.PERMUTED % 4, small.PERMUTED % 5)
    net.layer.remove(net.layer[0])
    data = text_format.Parse(
        "".join(
            f"""layer {{ name: "data" type: "Data" top: "data" top: "label"
            include {{ phase: {phase} }} transform_param {{ scale: 0.00390625 }}
            data_param {{ source: "{folder}/{split}_lmdb" batch_size: 32 backend: LMDB }} }}"""
            for phase, split in (("TRAIN", "train"), ("TEST", "test"))
        ),
        caffe_pb2.NetParameter(),
    )
    return caffe_pb2.NetParameter(layer=[*data.layer, *net.layer])


def caffe_train(*arguments: str) -> None:
    done = subprocess.run(
        [str(CAFFE), "train", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_caffe_itself_goes_on_from_the_condensed_files(tmp_path):
    tiny.make_database(tmp_path / "train_lmdb", 210, seed=1)
    tiny.make_database(tmp_path / "test_lmdb", 50, seed=2)
    settings = small.SGD + " test_iter: 2 test_interval: 100 snapshot: 50"
    solver = small.write(tmp_path / "dense", lmdb_net(tmp_path), settings, max_iter=250)
    caffe_train(f"--solver={solver}")
    snapshot = tmp_path / "dense/snapshot_iter_50"
    done = run_command(
        *(solver, f"{snapshot}.caffemodel", tmp_path / "small"),
        *("--state", f"{snapshot}.solverstate"),
    )
    assert done.returncode == 0, done.stderr
    written = tmp_path / "small_solver.prototxt"
    caffe_train(f"--solver={written}", f"--snapshot={tmp_path}/small.solverstate")

    dense, new = caffe_pb2.NetParameter(), caffe_pb2.NetParameter()
    dense.ParseFromString((tmp_path / "dense/snapshot_iter_250.caffemodel").read_bytes())
    new.ParseFromString((tmp_path / "small_iter_250.caffemodel").read_bytes())
    _, expected, _ = condense(lmdb_net(tmp_path), dense)
    early = caffe_pb2.NetParameter()
    early.ParseFromString(Path(f"{snapshot}.caffemodel").read_bytes())
    assert np.abs(matrix(dense, "ip3") - matrix(early, "ip3")).max() > 0.05
    for layer in expected.layer:
        for old, found in zip(layer.blobs, saved(new, layer.name).blobs, strict=True):
            value = blobs.values(old)
            limit = TOLERANCE * np.abs(value).max()
            np.testing.assert_allclose(blobs.values(found), value, rtol=0, atol=limit)
