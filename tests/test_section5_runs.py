"""Section 5's networks are what the paper describes, and its runs are named once each."""

from __future__ import annotations

import pytest
from caffe.proto import caffe_pb2

from scripts import experiments, networks, section5_runs
from scripts.config import parse_config
from scripts.paths import PROTOTXT


def net_of(name: str, config: str) -> caffe_pb2.NetParameter:
    return networks.build(name, parse_config(config), "bdip", "mnist", 1)[1]


def without_activation(net: caffe_pb2.NetParameter) -> list[caffe_pb2.LayerParameter]:
    return [layer for layer in net.layer if layer.type not in ("ReLU", "Sigmoid")]


@pytest.mark.parametrize("config", ["(1,1)-BD_4", "(100,1)-BD_4"])
def test_lenet_sigmoid_is_lenet_but_for_one_layer(config: str) -> None:
    ours, lenet = net_of("lenet_sigmoid", config), net_of("lenet", config)
    assert without_activation(ours) == without_activation(lenet)
    changed = [(a, b) for a, b in zip(ours.layer, lenet.layer, strict=True) if a != b]
    ((sigmoid, relu),) = changed
    assert (sigmoid.type, relu.type) == ("Sigmoid", "ReLU")
    assert sigmoid.bottom == sigmoid.top == relu.bottom == ["ip1"]


def test_mlp500_is_three_layers_with_two_relus() -> None:
    net = net_of("mlp500", "(1,100,1)-BD_3")
    layers = {layer.name: layer for layer in net.layer}
    assert networks.inner_products(net) == ["ip1", "ip2", "ip3"]
    assert layers["ip1"].inner_product_param.num_output == 500
    assert layers["ip2"].block_inner_product_param.num_output == 500
    assert layers["ip2"].block_inner_product_param.blocks == 100
    assert layers["ip3"].inner_product_param.num_output == 10
    for name in ("relu1", "relu2"):
        assert layers[name].type == "ReLU"
    assert layers["ip2"].bottom == ["ip1"]
    fillers = {
        (layer.inner_product_param or layer).weight_filler.type
        for layer in net_of("mlp500", "(1,1,1)-BD_3").layer
        if layer.type == "InnerProduct"
    }
    assert fillers == {"xavier"}


@pytest.mark.parametrize("name", ["lenet_sigmoid", "mlp500"])
def test_trained_as_lenet_is(name: str) -> None:
    ours, lenets = (
        networks.parse(PROTOTXT / f"{net}/{net}_solver.prototxt", caffe_pb2.SolverParameter())
        for net in (name, "lenet")
    )
    for solver in (ours, lenets):
        solver.ClearField("net")
        solver.ClearField("snapshot_prefix")
    assert ours == lenets


def test_no_run_is_listed_twice() -> None:
    specs = section5_runs.lenet(3) + section5_runs.cifar10(3)
    assert len({spec.key for spec in specs}) == len(specs)
    of_reproduce = {spec.key for spec in experiments.reproduce(3)}
    assert of_reproduce >= {spec.key for spec in section5_runs.lenet(3)}
    shared = {"(1,1)-BD_4", "(10,1)-BD_4", "(100,10)-BD_4"}
    rows = {spec.config for spec in experiments.reproduce(1)[:11] if spec.method == "bdip"}
    assert rows == shared <= {spec.config for spec in specs}


def test_every_config_of_section5_fits_its_net() -> None:
    for spec in section5_runs.lenet(1) + section5_runs.moments():
        config = parse_config(str(spec.config))
        solver, _ = networks.build(spec.net, config, spec.method, spec.dataset, spec.seed)
        assert solver.max_iter == 10_000
        assert (solver.weight_decay == 0) == ("weight_decay=0" in spec.method)
