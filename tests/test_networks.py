"""Nets and solvers: LeNet's own, edited to a configuration, and those that a user wrote."""

import os
import shutil
from math import gcd, prod
from pathlib import Path

import caffe
import pytest
from caffe.proto import caffe_pb2
from google.protobuf import text_format
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from synthetic_data import entry, files, save

from scripts import data_digests, datasets, networks, shapes
from scripts.config import Config, parse_config
from scripts.dataset_table import TABLE
from scripts.errors import UserError
from scripts.networks import parse
from scripts.paths import PROTOTXT, ROOT

LENET = PROTOTXT / "lenet/lenet_train_test.prototxt"
LENET_SOLVER = PROTOTXT / "lenet/lenet_solver.prototxt"
CAFFES_EXAMPLE = ROOT / "build/caffe/examples/mnist"
PARAMETER = caffe_pb2.BlockInnerProductParameter


def lenet():
    return parse(LENET, caffe_pb2.NetParameter())


def build(name, method="bdip", dataset="mnist", seed=1):
    return networks.build("lenet", parse_config(name), method, dataset, seed)


def layer(net, name):
    (found,) = [layer for layer in net.layer if layer.name == name]
    return found


def without_sources(net):
    copy = caffe_pb2.NetParameter()
    copy.CopyFrom(net)
    for each in copy.layer:
        each.data_param.ClearField("source")
    return copy


def refused(function, *arguments):
    """Return the sentence with which a call is refused, and hold it to be one line."""
    with pytest.raises(UserError) as error:
        function(*arguments)
    assert "\n" not in str(error.value)
    return str(error.value)


# LeNet's own files


def test_lenet_is_caffes_example_with_ten_blocks():
    if not CAFFES_EXAMPLE.is_dir():
        pytest.skip(f"{CAFFES_EXAMPLE} is not there; `make caffe` brings it")
    _, dense = build("(1,1)-BD_4")
    example = parse(CAFFES_EXAMPLE / "lenet_train_test.prototxt", caffe_pb2.NetParameter())
    assert without_sources(dense) == without_sources(example)

    ours = parse(LENET_SOLVER, caffe_pb2.SolverParameter())
    theirs = parse(CAFFES_EXAMPLE / "lenet_solver.prototxt", caffe_pb2.SolverParameter())
    assert ours.solver_mode == caffe_pb2.SolverParameter.CPU
    for field in ("net", "snapshot_prefix", "solver_mode"):
        ours.ClearField(field)
        theirs.ClearField(field)
    assert ours == theirs


def test_lenets_files_are_what_the_config_of_ten_blocks_gives():
    solver, net = build("(10,1)-BD_4", seed=7)
    assert without_sources(net) == without_sources(lenet())
    assert layer(lenet(), "ip1").block_inner_product_param.blocks == 10
    assert "    blocks: 10" in LENET.read_text()
    own = parse(LENET_SOLVER, caffe_pb2.SolverParameter())
    assert own.net == "prototxt/lenet/lenet_train_test.prototxt"
    own.ClearField("net")
    own.random_seed = 7
    assert solver == own


def test_the_comments_name_the_blocks_that_fit():
    text = " ".join(line.lstrip("# ") for line in LENET.read_text().splitlines())
    for inputs, outputs in ((800, 500), (500, 10)):
        common = gcd(inputs, outputs)
        fitting = [str(b) for b in range(2, common + 1) if common % b == 0]
        assert f"N = {outputs} (so {', '.join(fitting)} fit)" in text


# Editing to a configuration


@settings(deadline=None)
@given(
    st.sampled_from([b for b in range(1, 101) if gcd(800, 500) % b == 0]),
    st.sampled_from([1, 2, 5, 10]),
    st.sampled_from(["bdip", "shuffle", "shuffle_per_pass"]),
    st.sampled_from([name for name, entry in TABLE.items() if entry.shape == (1, 28, 28)]),
)
def test_only_the_inner_product_layers_and_the_data_change(b1, b2, method, dataset):
    assume(method == "bdip" or max(b1, b2) > 1)
    own = lenet()
    solver, net = networks.build("lenet", Config((b1, b2), 4), method, dataset, 3)
    assert solver.random_seed == 3
    assert [each.name for each in net.layer] == [each.name for each in own.layer]
    for before, after in zip(without_sources(own).layer, without_sources(net).layer, strict=True):
        if before.name not in ("ip1", "ip2"):
            assert before == after
            continue
        blocks = b1 if before.name == "ip1" else b2
        old, new = map(shapes.inner_product_parameter, (before, after))
        assert after.type == ("BlockInnerProduct" if blocks > 1 else "InnerProduct")
        assert after.HasField("block_inner_product_param") == (blocks > 1)
        assert after.HasField("inner_product_param") == (blocks == 1)
        if blocks > 1:
            assert new.blocks == blocks
            assert new.shuffle == networks.SHUFFLES[method]
        assert (new.num_output, new.weight_filler, new.bias_filler) == (
            old.num_output,
            old.weight_filler,
            old.bias_filler,
        )
        assert list(after.param) == list(before.param)
        assert (after.bottom, after.top) == (before.bottom, before.top)
    sources = [each.data_param.source for each in net.layer if each.type == "Data"]
    assert sources == [str(ROOT / f"data/{dataset}/{split}_lmdb") for split in ("train", "test")]


def test_methods_stand_for_shuffles():
    for method, shuffle in (
        ("bdip", PARAMETER.NONE),
        ("shuffle", PARAMETER.FIXED),
        ("shuffle_per_pass", PARAMETER.PER_PASS),
    ):
        _, net = build("(100,10)-BD_4", method)
        for name in ("ip1", "ip2"):
            assert layer(net, name).block_inner_product_param.shuffle == shuffle


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("(3,1)-BD_4",), "layer 'ip1' .* blocks: 3, .* K = 800 and its outputs N = 500; 1, 2, 4"),
        (("(8,1)-BD_4",), "layer 'ip1' .* blocks: 8, .* divide its outputs N = 500; 1, 2, 4, 5"),
        (("(10,4)-BD_4",), "layer 'ip2' .* blocks: 4, .* divide its outputs N = 10; 1, 2, 5, 10"),
        (("(10)-BD_4",), "2 inner product layers .ip1, ip2., but the config gives blocks for 1"),
        (("(10,1,1)-BD_4",), "2 inner product layers .ip1, ip2., but the config gives .* for 3"),
        (("(10,1)-BD_5",), "4 layers with weights, so the config has to end in BD_4, not BD_5"),
        (("(10,1)-BD_4", "prune"), "no method 'prune'; those known are bdip, shuffle"),
        (("(1,1)-BD_4", "shuffle"), "no blocks to permute in .1,1.-BD_4; use the method bdip"),
        (("(10,1)-BD_4", "bdip", "imagenet"), "no data set 'imagenet'; those known are mnist"),
        (("(10,1)-BD_4", "bdip", "mnist", -1), "the seed is -1; write a number from 0"),
    ],
)
def test_what_does_not_fit_together_is_refused(arguments, words):
    with pytest.raises(UserError, match=words):
        build(*arguments)


def test_an_unknown_network_is_refused_with_those_that_are_there():
    config = parse_config("(1,1)-BD_4")
    for name in ("alexnet", "../lenet", ""):
        said = refused(networks.build, name, config, "bdip", "mnist", 1)
        assert f"no network '{name}'; those here are " in said
        assert "lenet" in said


def test_blocks_that_cannot_be_checked_are_refused(tmp_path, monkeypatch):
    folder = tmp_path / "odd"
    folder.mkdir()
    net = lenet()
    layer(net, "pool2").type = "Im2col"
    (folder / "odd_train_test.prototxt").write_text(text_format.MessageToString(net))
    (folder / "odd_solver.prototxt").write_text(LENET_SOLVER.read_text())
    monkeypatch.setattr(networks, "PROTOTXT", tmp_path)
    said = refused(networks.build, "odd", parse_config("(10,1)-BD_4"), "bdip", "mnist", 1)
    assert "cannot be told: no rule is known here for the shape that layer 'pool2' (Im2col)" in said


# Shapes


def lenet_inputs(shape):
    net = lenet()
    state = caffe_pb2.NetState(phase=caffe_pb2.TRAIN)
    return {
        each.name: shapes.inputs(each, bottoms[0])
        for each, bottoms in shapes.infer(net, state, lambda _: shape)
        if each.type in ("InnerProduct", "BlockInnerProduct")
    }


def test_lenets_inputs():
    assert lenet_inputs((1, 28, 28)) == {"ip1": 800, "ip2": 500}
    assert lenet_inputs((3, 32, 32)) == {"ip1": 1250, "ip2": 500}


windows = st.fixed_dictionaries(
    {
        "kernel_size": st.integers(1, 5),
        "stride": st.integers(1, 4),
        "pad": st.integers(0, 3),
    }
)


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(st.integers(1, 3), st.integers(1, 19), st.integers(1, 19)),
    windows,
    st.integers(1, 2),
    windows,
    st.sampled_from(["CEIL", "FLOOR"]),
    st.booleans(),
)
def test_shapes_are_those_that_caffe_finds(
    tmp_path_factory, shape, window, dilation, pool, rounding, deconvolve
):
    assume(pool["pad"] < pool["kernel_size"])
    net = caffe_pb2.NetParameter()
    net.layer.add(name="in", type="Input", top=["in"]).input_param.shape.add(dim=[2, *shape])
    convolution = net.layer.add(name="conv", type="Convolution", bottom=["in"], top=["conv"])
    convolution.type = "Deconvolution" if deconvolve else "Convolution"
    for field, value in window.items():
        getattr(convolution.convolution_param, field).append(value)
    convolution.convolution_param.dilation.append(dilation)
    convolution.convolution_param.num_output = 4
    pooling = net.layer.add(name="pool", type="Pooling", bottom=["conv"], top=["pool"])
    text_format.Parse(f"round_mode: {rounding}", pooling.pooling_param)
    for field, value in pool.items():
        setattr(pooling.pooling_param, field, value)
    slices = net.layer.add(name="slice", type="Slice", bottom=["pool"], top=["s1", "s2"])
    slices.slice_param.slice_point.append(1)
    net.layer.add(name="concat", type="Concat", bottom=["s2", "pool"], top=["cat"])
    net.layer.add(name="relu", type="ReLU", bottom=["cat"], top=["cat"])
    net.layer.add(name="flat", type="Flatten", bottom=["cat"], top=["flat"])
    ip = net.layer.add(name="ip", type="InnerProduct", bottom=["cat"], top=["ip"])
    ip.inner_product_param.num_output = 3
    state = caffe_pb2.NetState(phase=caffe_pb2.TEST)
    try:
        inferred = shapes.infer(net, state, lambda _: (0, 0, 0))
    except UserError as error:
        assume("window larger than its input" not in str(error))
        raise
    path = tmp_path_factory.mktemp("net") / "net.prototxt"
    path.write_text(text_format.MessageToString(net))
    found = caffe.Net(str(path), caffe.TEST)
    seen = {}
    for each, bottoms in inferred:
        seen.update(zip(each.bottom, bottoms, strict=True))
    # In place, so the shape of its input is that of its output.
    assert {name: tuple(found.blobs[name].data.shape) for name in seen} == seen
    (k,) = [shapes.inputs(each, bottoms[0]) for each, bottoms in inferred if each.name == "ip"]
    assert found.params["ip"][0].data.shape == (3, k)
    assert k == prod(found.blobs["flat"].data.shape[1:])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda net: layer(net, "pool1").bottom.__setitem__(0, "conv9"), "takes the blob 'conv9'"),
        (lambda net: layer(net, "conv2").convolution_param.ClearField("num_output"), "num_output"),
        (
            lambda net: layer(net, "conv2").convolution_param.kernel_size.__setitem__(0, 13),
            "window larger than its input of shape .64, 20, 12, 12.",
        ),
        (
            lambda net: setattr(layer(net, "ip2").inner_product_param, "axis", 2),
            "layer 'ip2' .* has the axis 2, but its input has the shape .64, 500.",
        ),
    ],
)
def test_a_net_that_caffe_would_abort_on_is_a_sentence(change, words):
    net = lenet()
    change(net)
    state = caffe_pb2.NetState(phase=caffe_pb2.TRAIN)
    with pytest.raises(UserError, match=words):
        shapes.infer(net, state, lambda _: (1, 28, 28))


def test_layers_are_included_by_phase_level_and_stage():
    def included(rules, **state):
        return shapes.included(
            text_format.Parse(rules, caffe_pb2.LayerParameter()), caffe_pb2.NetState(**state)
        )

    train, test = caffe_pb2.TRAIN, caffe_pb2.TEST
    assert included("", phase=train)
    assert included("include { phase: TRAIN }", phase=train)
    assert not included("include { phase: TRAIN }", phase=test)
    assert included("include { phase: TRAIN } include { phase: TEST }", phase=test)
    assert not included("exclude { phase: TEST }", phase=test)
    assert included("include { min_level: 1 max_level: 2 }", level=2)
    assert not included("include { min_level: 1 max_level: 2 }", level=3)
    assert included('include { stage: "a" not_stage: "b" }', stage=["a"])
    assert not included('include { stage: "a" not_stage: "b" }', stage=["a", "b"])
    assert not included('include { stage: "a" }', phase=train)


# Solvers that a user wrote

USERS_NET = """
layer { name: "data" type: "Data" top: "data" top: "label"
  data_param { source: "db/tiny/train_lmdb" batch_size: 4 backend: LMDB } }
layer { name: "ip" type: "BlockInnerProduct" bottom: "data" top: "ip"
  block_inner_product_param { num_output: 6 blocks: 2 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"""
USERS_SOLVER = """
net: "net.prototxt"
base_lr: 0.01
lr_policy: "fixed"
max_iter: 10
"""


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    """Return a folder with the data set tiny (images of 4 by 5) in it."""
    root = tmp_path_factory.mktemp("db")
    shape, counts = (1, 4, 5), {"train": 20, "test": 10}
    content = files(counts, shape)
    TABLE["tiny"] = entry(content, counts, shape)
    try:
        datasets.ensure("tiny", save(root / "mirror", content), root)
    finally:
        del TABLE["tiny"]
    return root


@pytest.fixture
def users(tmp_path, database):
    """Return a function that writes a user's solver and net and loads the solver."""
    (tmp_path / "db").symlink_to(database)

    def load(solver=USERS_SOLVER, net=USERS_NET, **more):
        (tmp_path / "solver.prototxt").write_text(solver)
        if net is not None:
            (tmp_path / "net.prototxt").write_text(net)
        for name, text in more.items():
            (tmp_path / f"{name}.prototxt").write_text(text)
        return networks.load_solver(tmp_path / "solver.prototxt", 5)

    return load


def test_a_users_solver_and_net_come_back_as_they_are(users, database):
    solver, net = users()
    assert solver.random_seed == 5
    assert not solver.HasField("net")
    assert (solver.max_iter, solver.lr_policy) == (10, "fixed")
    assert net.layer[0].data_param.source == str(database / "tiny/train_lmdb")
    expected = text_format.Parse(USERS_NET, caffe_pb2.NetParameter())
    assert without_sources(net) == without_sources(expected)


def test_the_weights_a_users_solver_starts_from_are_found_and_digested(users, tmp_path):
    """From the solver's own folder; a change of what is in the file is a change of the data."""
    (tmp_path / "a.caffemodel").write_bytes(b"one")
    (tmp_path / "b.caffemodel").write_bytes(b"two")
    text = USERS_SOLVER + 'weights: "a.caffemodel, b.caffemodel"\n'
    solver, _ = users(solver=text)
    assert list(solver.weights) == [str(tmp_path / f"{name}.caffemodel") for name in "ab"]
    before = data_digests.of_weights(solver)
    assert [label.split()[-1] for label in before] == ["a.caffemodel", "b.caffemodel"]
    (tmp_path / "b.caffemodel").write_bytes(b"three")
    after = data_digests.of_weights(solver)
    assert {label for label in before if before[label] != after[label]} == {
        "weights 1 b.caffemodel"
    }
    with pytest.raises(UserError, match=r"solver.prototxt: there are no weights c.caffemodel"):
        users(solver=text.replace("b.caffemodel", "c.caffemodel"))


@pytest.mark.parametrize(
    ("lines", "device", "told"),
    [
        ("", ("cpu", 0), []),
        ("random_seed: 5 solver_mode: CPU device_id: 1", ("cpu", 0), []),
        ("solver_mode: GPU device_id: 1", ("gpu", 1), []),
        ("random_seed: 42", ("cpu", 0), ["random_seed: 42; SEED=5 decides"]),
        ("solver_mode: GPU", ("cpu", 0), ["solver_mode: GPU; DEVICE=cpu decides"]),
        ("solver_mode: CPU", ("gpu", 0), ["solver_mode: CPU; DEVICE=gpu:0 decides"]),
        ("device_id: 1", ("gpu", 2), ["device_id: 1; DEVICE=gpu:2 decides"]),
    ],
)
def test_what_a_users_solver_does_not_decide_is_told(tmp_path, lines, device, told):
    path = tmp_path / "mine.prototxt"
    path.write_text(USERS_SOLVER + lines)
    expected = [f"mine.prototxt says {text}" for text in told]
    assert networks.overruled(path, 5, device) == expected


def listed_layer(tmp_path, text, listing):
    (tmp_path / "list.txt").write_text(listing)
    layer = text_format.Parse(text, caffe_pb2.LayerParameter())
    for field in ("hdf5_data_param", "image_data_param"):
        if layer.HasField(field):
            getattr(layer, field).source = str(tmp_path / "list.txt")
    return caffe_pb2.NetParameter(layer=[layer])


def test_what_hdf5_files_hold_is_part_of_the_data(tmp_path):
    """Not where they were changed last: a copy is the same data."""
    first, second = tmp_path / "a.h5", tmp_path / "b.h5"
    first.write_bytes(b"one")
    second.write_bytes(b"one")
    text = 'name: "data" type: "HDF5Data" hdf5_data_param { batch_size: 1 }'
    net = listed_layer(tmp_path, text, f"{first}\n{second}\n")
    before = data_digests.of_net(net)
    os.utime(second, (1, 1))
    assert data_digests.of_net(net) == before
    second.write_bytes(b"two")
    assert data_digests.of_net(net) != before
    second.unlink()
    with pytest.raises(UserError, match=r"b\.h5, which is not there: correct the line in .*list"):
        data_digests.of_net(net)


def test_listed_images_are_part_of_the_data(tmp_path):
    (tmp_path / "an image.png").write_bytes(b"one")
    text = f'name: "data" type: "ImageData" image_data_param {{ root_folder: "{tmp_path}/" }}'
    net = listed_layer(tmp_path, text, "an image.png 3\n")
    before = data_digests.of_net(net)
    assert data_digests.of_net(net) == before
    os.utime(tmp_path / "an image.png", (1, 1))
    assert data_digests.of_net(net) != before


def test_the_blocks_of_a_net_are_told():
    _, net = networks.build("lenet", parse_config("(20,1)-BD_4"), "bdip", "mnist", 1)
    assert networks.blocks_text(net) == "ip1 20 blocks, ip2 dense"


def test_a_projects_solver_that_was_edited_is_checked_too(tmp_path, monkeypatch):
    folder = tmp_path / "lenet"
    shutil.copytree(networks.PROTOTXT / "lenet", folder)
    monkeypatch.setattr(networks, "PROTOTXT", tmp_path)
    path = folder / "lenet_solver.prototxt"
    path.write_text(path.read_text().replace('lr_policy: "inv"', 'lr_policy: "steps"'))
    with pytest.raises(UserError, match=r"lenet_solver.prototxt: lr_policy is 'steps'"):
        networks.build("lenet", parse_config("(10,1)-BD_4"), "bdip", "mnist", 1)


def test_paths_count_from_the_current_folder_first(users, tmp_path, monkeypatch):
    here = tmp_path / "here"
    here.mkdir()
    (here / "net.prototxt").write_text(USERS_NET.replace("blocks: 2", "blocks: 1"))
    users()
    monkeypatch.chdir(here)
    (here / "db").symlink_to((tmp_path / "db").resolve())
    _, net = networks.load_solver(tmp_path / "solver.prototxt", 1)
    assert net.layer[1].block_inner_product_param.blocks == 1


def test_lenets_own_solver_loads_from_the_root(monkeypatch):
    if not (ROOT / "data/mnist").is_dir():
        pytest.skip("data/mnist is not there; `make data` makes it")
    monkeypatch.chdir(ROOT)
    solver, net = networks.load_solver(Path("prototxt/lenet/lenet_solver.prototxt"), 1)
    assert (solver, net) == build("(10,1)-BD_4")


def test_a_net_inside_the_solver(users):
    solver = USERS_SOLVER.replace('net: "net.prototxt"', f"net_param {{ {USERS_NET} }}")
    _, net = users(solver, net=None)
    assert [each.name for each in net.layer] == ["data", "ip", "loss"]


def test_a_train_and_a_test_net_come_back_as_one(users, database):
    solver = USERS_SOLVER.replace(
        'net: "net.prototxt"',
        'train_net: "net.prototxt" test_net: "test.prototxt" test_iter: 2 test_interval: 5',
    )
    test_net = USERS_NET.replace("train_lmdb", "test_lmdb")
    _, net = users(solver, test=test_net)
    for phase, split in ((caffe_pb2.TRAIN, "train"), (caffe_pb2.TEST, "test")):
        kept = [
            each for each in net.layer if shapes.included(each, caffe_pb2.NetState(phase=phase))
        ]
        assert [each.name for each in kept] == ["data", "ip", "loss"]
        assert kept[0].data_param.source == str(database / f"tiny/{split}_lmdb")


def test_prune_is_checked_in_the_training_net(users):
    def net(prune):
        return USERS_NET.replace('top: "ip"', f'top: "ip" param {{ prune {{ {prune} }} }}')

    dense = net("iters: 10 blocks: 2").replace("BlockInnerProduct", "InnerProduct")
    dense = dense.replace("block_inner_product_param", "inner_product_param").replace(
        "num_output: 6 blocks: 2", "num_output: 6"
    )
    users(net=dense)
    with pytest.raises(UserError, match=r"net\.prototxt: prune of layer 'ip' .* at iteration 15 "):
        users(net=dense.replace("iters: 10", "iters: 15"))
    # In a block layer the matrix is (N, K/b), here (6, 10).
    users(net=net("type: MAGNITUDE iters: 10 keep: 60"))
    with pytest.raises(UserError, match=r"keep is 61; .* from 1 to 60"):
        users(net=net("type: MAGNITUDE iters: 10 keep: 61"))
    in_test = dense.replace('bottom: "data" top', 'include { phase: TEST } bottom: "data" top')
    train = dense.replace('bottom: "data" top', 'include { phase: TRAIN } bottom: "data" top')
    at = train.index('layer { name: "ip"')
    users(
        net=train[:at]
        + in_test[at : in_test.index("layer", at + 5)].replace("10", "99")
        + train[at:]
    )


def test_blocks_are_not_checked_where_the_shape_cannot_be_told(users):
    net = USERS_NET.replace('bottom: "data" top: "ip"', 'bottom: "odd" top: "ip"').replace(
        'layer { name: "ip"',
        'layer { name: "odd" type: "Im2col" bottom: "data" top: "odd" '
        'convolution_param { kernel_size: 2 } }\nlayer { name: "ip"',
    )
    users(net=net)
    with pytest.raises(UserError, match="its outputs N = 6; 1, 2, 3, 6 would"):
        users(net=net.replace("blocks: 2", "blocks: 4"))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("blocks: 2", "blocks: 3", "net.prototxt: layer 'ip' .* its inputs K = 20; 1, 2 would"),
        ("blocks: 2", "blocks: 0", "layer 'ip' .* blocks: 0; write a number from 1"),
        ("blocks: 2", "blocks: -1", "layer 'ip' .* blocks: -1; write a number from 1"),
        ("blocks: 2", "blcks: 2", 'net.prototxt, line 5: .* no field named "blcks"'),
        ("blocks: 2", "blocks: 2 shuffle: ALWAYS", "net.prototxt, line 5: .*ALWAYS"),
        ("blocks: 2", "shuffle: FIXED", "shuffle: FIXED, but only one block"),
        ("blocks: 2", "blocks: 1 shuffle: PER_PASS", "shuffle: PER_PASS, but only one block"),
        ("num_output: 6", "", "layer 'ip' .* has no num_output"),
        ('"BlockInnerProduct"', '"BlockInerProduct"', "did you mean BlockInnerProduct"),
        ('bottom: "data"', 'bottom: "dta"', "takes the blob 'dta', which no layer before it makes"),
        ("db/tiny/train_lmdb", "db/tiny/trian_lmdb", "there is no LMDB at .*trian_lmdb"),
        ("batch_size: 4", "", "layer 'data' .* has no batch_size"),
        ("backend: LMDB", "", "layer 'data' .* has no `backend: LMDB`"),
        (
            'top: "label"\n',
            'top: "label" transform_param { crop_size: 5 }\n',
            "crop_size 5, but its images are 4 by 5",
        ),
        (
            'top: "label"\n',
            'top: "label" transform_param { mean_file: "mean.binaryproto" }\n',
            "there is no mean_file mean.binaryproto",
        ),
        ("layer {", "layers {", "net.prototxt, line 2: "),
        (USERS_NET, "", "net.prototxt: the net has no layers"),
        (USERS_NET, 'layers { name: "old" }', "upgrade_net_proto_text"),
    ],
)
def test_a_net_that_is_wrong_is_one_sentence(users, old, new, words):
    assert old in USERS_NET
    with pytest.raises(UserError, match=words) as error:
        users(net=USERS_NET.replace(old, new))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            'net: "net.prototxt"',
            "",
            'which net to train. none is named; write one line net: "FILE"',
        ),
        ('"net.prototxt"', '"nett.prototxt"', "solver.prototxt: there is no net nett.prototxt"),
        ('"net.prototxt"', '"net.prototxt" train_net: "x"', "net and train_net both name one"),
        ('"net.prototxt"', '"net.prototxt" test_net: "x"', "test_net beside net"),
        ('net: "net.prototxt"', 'train_net: "net.prototxt" test_net: "x"', "1 test nets and 0"),
        ("max_iter: 10", "", "max_iter is missing"),
        ("max_iter: 10", "max_iter: ten", "solver.prototxt, line 5: "),
        ("max_iter: 10", "max_iters: 10", 'solver.prototxt, line 5: .* no field named "max_iters"'),
        ('"fixed"', '"constant"', "lr_policy is 'constant'; write one of fixed, step"),
        ('"fixed"', '"step"', "needs a stepsize"),
        ("max_iter: 10", 'max_iter: 10 type: "sgd"', "type is 'sgd'; write one of SGD"),
        ("max_iter: 10", 'max_iter: 10 regularization_type: "L3"', "write L1 or L2"),
        ("max_iter: 10", "max_iter: 10 iter_size: 0", "iter_size is 0"),
        ("max_iter: 10", "max_iter: 10 test_iter: 3", "test_interval is missing"),
        ("max_iter: 10", "max_iter: 10 test_iter: 0 test_interval: 1", "test_iter is below 1"),
        (
            "max_iter: 10",
            "max_iter: 10 test_iter: 1 test_interval: 1 test_state {} test_state {}",
            "2 test_state for 1 test_iter",
        ),
    ],
)
def test_a_solver_that_is_wrong_is_one_sentence(users, old, new, words):
    assert old in USERS_SOLVER
    with pytest.raises(UserError, match=words) as error:
        users(solver=USERS_SOLVER.replace(old, new))
    assert "\n" not in str(error.value)


def test_a_solver_that_is_not_there_or_not_text(tmp_path):
    assert "there is no file" in refused(networks.load_solver, tmp_path / "none.prototxt", 1)
    assert "is a folder" in refused(networks.load_solver, tmp_path, 1)
    (tmp_path / "model").write_bytes(b"\x93\xff\x00binary")
    assert "not a text file" in refused(networks.load_solver, tmp_path / "model", 1)
    assert "the seed is -2" in refused(networks.load_solver, tmp_path / "model", -2)
