"""cuda-convnet, and nets on data sets not their own: sources, mean image, length of tests."""

import pytest
from caffe.proto import caffe_pb2
from google.protobuf import text_format

from scripts import datasets, net_data, networks, shapes
from scripts.config import parse_config
from scripts.dataset_table import TABLE
from scripts.errors import UserError
from scripts.paths import ROOT

CAFFES_OWN = ROOT / "build/caffe/examples/cifar10/cifar10_quick_train_test.prototxt"


def build(net, config, dataset, method="bdip"):
    return networks.build(net, parse_config(config), method, dataset, 1)


def fit_of(solver, net):
    """Return (source, mean file, batches, batch size) of each test, sources from data/ on."""
    found = []
    states = net_data.net_states(solver, net)[1:]
    for state, batches in zip(states, solver.test_iter, strict=True):
        (layer,) = [
            each for each in net.layer if each.type == "Data" and shapes.included(each, state)
        ]
        places = (layer.data_param.source, layer.transform_param.mean_file)
        found.append(
            (
                *(place.partition("/data/")[2] for place in places),
                batches,
                layer.data_param.batch_size,
            )
        )
    return found


def test_cuda_convnet_is_caffes_example_but_for_the_inner_products_and_the_test_nets():
    """With one block in each layer, what Caffe trains and tests on is its own example's."""
    _, net = build("cuda_convnet", "(1,1)-BD_5", "cifar10")
    theirs = networks.parse(CAFFES_OWN, caffe_pb2.NetParameter())
    for phase in (caffe_pb2.TRAIN, caffe_pb2.TEST):
        state = caffe_pb2.NetState(phase=phase)
        ours, own = (
            [each for each in part.layer if shapes.included(each, state)] for part in (net, theirs)
        )
        for after, before in zip(ours, own, strict=True):
            if before.type == "Data":
                for layer in (after, before):
                    layer.data_param.ClearField("source")
                    layer.transform_param.ClearField("mean_file")
                    layer.ClearField("include")
            assert after == before


def test_its_solver_is_both_of_caffes_in_one():
    ours, _ = build("cuda_convnet", "(64,2)-BD_5", "cifar10")
    for name, rate in (("cifar10_quick_solver", 1e-3), ("cifar10_quick_solver_lr1", 1e-4)):
        path = CAFFES_OWN.with_name(f"{name}.prototxt")
        theirs = networks.parse(path, caffe_pb2.SolverParameter())
        assert theirs.base_lr == pytest.approx(rate)
        for field in ("momentum", "weight_decay", "test_interval", "display"):
            assert getattr(ours, field) == getattr(theirs, field)
        assert ours.test_iter[0] == theirs.test_iter[0]
        assert ours.max_iter == 4000 + 5000
    assert ours.base_lr * ours.gamma == pytest.approx(1e-4)
    assert list(ours.stepvalue) == [4000]


@pytest.mark.parametrize("b1", [1, 2, 4, 8, 16, 32, 64])
@pytest.mark.parametrize("b2", [1, 2])
def test_any_blocks_that_divide_fit(b1, b2):
    _, net = build("cuda_convnet", f"({b1},{b2})-BD_5", "cifar10")
    for name, blocks in (("ip1", b1), ("ip2", b2)):
        (layer,) = [each for each in net.layer if each.name == name]
        assert layer.type == ("BlockInnerProduct" if blocks > 1 else "InnerProduct")
        filler = shapes.inner_product_parameter(layer).weight_filler
        assert (filler.type, filler.std) == ("gaussian", pytest.approx(0.1))


def test_other_readings_of_the_schedule_can_be_named():
    later, _ = build("cuda_convnet", "(1,1)-BD_5", "cifar10", "bdip,stepvalue=8000")
    assert (list(later.stepvalue), later.max_iter) == ([8000], 9000)
    never, _ = build("cuda_convnet", "(1,1)-BD_5", "cifar10", "bdip,lr_policy=fixed")
    assert (never.lr_policy, never.max_iter) == ("fixed", 9000)


def test_tests_go_through_their_split_once_whatever_the_data_set():
    assert fit_of(*build("cuda_convnet", "(64,2)-BD_5", "cifar10")) == [
        ("cifar10/test_lmdb", "cifar10/mean.binaryproto", 100, 100),
        ("cifar10/train_lmdb", "cifar10/mean.binaryproto", 100, 100),
        ("cifar10/train_lmdb", "cifar10/mean.binaryproto", 500, 100),
    ]
    held_out = fit_of(*build("cuda_convnet", "(64,2)-BD_5", "cifar10-validation"))
    assert [test[2:] for test in held_out] == [(100, 100), (100, 100), (400, 100)]
    assert fit_of(*build("lenet", "(10,1)-BD_4", "fashion-mnist")) == [
        ("fashion-mnist/test_lmdb", "", 100, 100)
    ]


def test_batches_come_out_even_with_any_number_of_images(monkeypatch, tmp_path):
    counts = {"train": 73257, "test": 26032}
    monkeypatch.setattr(datasets, "facts", lambda name: datasets.Facts((3, 32, 32), 10, counts))
    monkeypatch.setattr(datasets, "DATA", tmp_path)
    tests = [test[2:] for test in fit_of(*build("cuda_convnet", "(8,1)-BD_5", "svhn"))]
    assert [batches * size for batches, size in tests] == [26032, 10000, 73257]
    assert tests[1] == (100, 100)
    counts.update(train=120, test=7)
    tests = [test[2:] for test in fit_of(*build("cuda_convnet", "(8,1)-BD_5", "svhn"))]
    assert tests == [(1, 7), (2, 60), (2, 60)]


def test_more_classes_than_outputs_are_refused(monkeypatch):
    facts = datasets.Facts((3, 32, 32), 11, {"train": 100, "test": 100})
    monkeypatch.setattr(datasets, "facts", lambda name: facts)
    with pytest.raises(UserError, match="10 outputs for the data's 11 classes"):
        build("cuda_convnet", "(8,1)-BD_5", "mine")


def test_a_data_set_built_without_a_mean_image_is_refused_where_one_is_needed(
    monkeypatch, tmp_path
):
    (tmp_path / "old").mkdir()
    monkeypatch.setitem(TABLE, "old", TABLE["mnist"])
    monkeypatch.setattr(datasets, "mean_path", lambda name: tmp_path / name / "mean.binaryproto")
    with pytest.raises(UserError, match=r"no mean image .*old/mean.binaryproto; remove "):
        build("cuda_convnet", "(8,1)-BD_5", "old")
    build("lenet", "(10,1)-BD_4", "old")


def test_a_data_layer_has_to_read_one_of_the_two_splits():
    layer = caffe_pb2.LayerParameter()
    text_format.Parse('name: "d" type: "Data" data_param { source: "data/x/all_lmdb" }', layer)
    net = caffe_pb2.NetParameter(layer=[layer])
    with pytest.raises(UserError, match="reads data/x/all_lmdb; write the train_lmdb or"):
        net_data.set_dataset(caffe_pb2.SolverParameter(), net, "mnist")


def kept(config, method):
    _, net = build("cuda_convnet", config, "cifar10", method)
    return {
        layer.name: layer.param[0].prune
        for layer in net.layer
        if layer.param and layer.param[0].HasField("prune")
    }


def test_pruning_is_that_of_the_paper():
    for config, blocks, entries in (
        ("(64,2)-BD_5", {"ip1": 64, "ip2": 2}, {"ip1": 1024, "ip2": 320}),
        ("(8,1)-BD_5", {"ip1": 8}, {"ip1": 8192}),
    ):
        pruned = kept(config, "ip_bdip")
        assert {name: prune.blocks for name, prune in pruned.items()} == blocks
        assert all(prune.start == 500 and prune.iters < 1000 for prune in pruned.values())
        left = kept(config, "magnitude")
        assert {name: prune.keep for name, prune in left.items()} == entries
    sparse = kept("(64,2)-BD_5", "magnitude,ip1.keep=37,ip2.keep=40")
    assert {name: prune.keep for name, prune in sparse.items()} == {"ip1": 37, "ip2": 40}
    assert {name: prune.keep for name, prune in kept("(64,2)-BD_5", "node,keep=2").items()} == {
        "ip1": 2
    }
