"""Pruning: recipes, what is kept, the nets that prune, and what is refused."""

import subprocess
from math import gcd

import pytest
from caffe.proto import caffe_pb2
from google.protobuf import text_format
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from scripts import networks, pruning, recipes, shapes
from scripts.config import Config, parse_config
from scripts.errors import UserError
from scripts.paths import PROTOTXT, ROOT

Prune = caffe_pb2.PruneParameter
TRAIN = caffe_pb2.NetState(phase=caffe_pb2.TRAIN)


def build(name, method, net="lenet"):
    return networks.build(net, parse_config(name), method, "mnist", 1)


def layer(net, name):
    (found,) = [layer for layer in net.layer if layer.name == name]
    return found


def prune(net, name):
    """The `prune` of a layer's weights, or None."""
    specs = layer(net, name).param
    return specs[0].prune if specs[0].HasField("prune") else None


def learnable(net, names=("ip1", "ip2")):
    """How many weights and biases these layers of a net that reads MNIST have."""
    count = 0
    for each, bottoms in shapes.infer(net, TRAIN, lambda _: (1, 28, 28)):
        if each.name in names:
            parameter = shapes.inner_product_parameter(each)
            inputs = shapes.inputs(each, bottoms[0])
            blocks = getattr(parameter, "blocks", 1)
            count += parameter.num_output * inputs // blocks + parameter.num_output
    return count


# Recipes and configurations


def test_methods_are_the_shuffles_and_the_recipes():
    assert networks.methods("lenet")[:3] == ["bdip", "shuffle", "shuffle_per_pass"]
    assert {"ip_bdip", "magnitude", "node"} <= set(networks.methods("lenet"))
    assert "ip_bdip" in networks.methods("mlp980")
    assert "lenet" in networks.names()
    assert "mlp980" in networks.names()
    assert len(set(networks.names())) == len(networks.names())


@settings(deadline=None)
@given(
    st.sampled_from([b for b in range(1, 101) if gcd(800, 500) % b == 0]),
    st.sampled_from([1, 2, 5, 10]),
    st.sampled_from(["ip_bdip", "magnitude", "node"]),
)
def test_a_recipe_changes_nothing_but_prune(b1, b2, method):
    assume(max(b1, b2) > 1)
    assume(method != "node" or b1 > 1)  # ip2 alone cannot lose outputs
    _, dense = build("(1,1)-BD_4", "bdip")
    solver, net = networks.build("lenet", Config((b1, b2), 4), method, "mnist", 1)
    for name, blocks in (("ip1", b1), ("ip2", b2)):
        has = blocks > 1 and (method, name) != ("node", "ip2")
        assert (prune(net, name) is not None) == has
        if has:
            assert prune(net, name).start + prune(net, name).iters <= solver.max_iter
            assert prune(net, name).HasField("blocks") == (method == "ip_bdip")
        layer(net, name).param[0].ClearField("prune")
    assert net == dense


def test_ip_bdip_has_the_papers_phase_and_the_configs_blocks():
    _, net = build("(100,10)-BD_4", "ip_bdip")
    for name, blocks in (("ip1", 100), ("ip2", 10)):
        found = prune(net, name)
        assert (found.type, found.blocks) == (Prune.BLOCK_L1, blocks)
        assert (found.start, found.iters) == (15, 350)
    _, net = build("(10,1)-BD_4", "ip_bdip")
    assert prune(net, "ip1").blocks == 10
    assert prune(net, "ip2") is None


def test_magnitude_keeps_as_many_entries_as_the_blocks_have():
    _, net = build("(100,10)-BD_4", "magnitude")
    assert [prune(net, name).keep for name in ("ip1", "ip2")] == [4000, 500]
    _, net = build("(10,1)-BD_4", "magnitude")
    assert prune(net, "ip1").keep == 40000
    assert prune(net, "ip2") is None


@pytest.mark.parametrize("config", ["(10,1)-BD_4", "(100,10)-BD_4", "(2,1)-BD_4", "(100,1)-BD_4"])
def test_node_keeps_the_number_of_weights_nearest_to_the_blocks(config):
    blocks = parse_config(config).blocks
    wanted = 400_000 // blocks[0] + 5_000 // blocks[1]
    nearest = min(range(1, 501), key=lambda keep: abs(810 * keep - wanted))
    _, net = build(config, "node")
    assert prune(net, "ip1").keep == nearest


def three_layers(*b):
    """Layers and matrices of 30 - 40 - 20 - 10 with blocks b, and the net they stand in."""
    net = caffe_pb2.NetParameter()
    bottom = "data"
    matrices = {}
    inputs = 30
    for name, outputs, blocks in zip(("a", "b", "c"), (40, 20, 10), b, strict=True):
        added = net.layer.add(name=name, type="InnerProduct", bottom=[bottom], top=[name])
        added.inner_product_param.num_output = outputs
        matrices[name] = (outputs, inputs, blocks)
        inputs, bottom = outputs, name
    return net, list(net.layer), matrices


def test_node_keeps_one_share_of_several_layers():
    net, layers, matrices = three_layers(2, 4, 1)
    text = "".join(f'layer {{ name: "{n}" param {{ prune {{ type: NODE }} }} }}' for n in "ab")
    recipes.apply(text_format.Parse(text, caffe_pb2.NetParameter()), net, layers, matrices)
    a, b = (prune(net, name).keep for name in "ab")
    wanted = 30 * 40 // 2 + 40 * 20 // 4 + 20 * 10
    assert (a, b) == min(
        ((a, -(-a // 2)) for a in range(1, 41)),
        key=lambda ab: abs(30 * ab[0] + ab[0] * ab[1] + 10 * ab[1] - wanted),
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('layer { name: "x" param { prune { } } }', "a layer 'x'; the inner .* are a, b, c"),
        ('layer { name: "a" param { lr_mult: 2 } }', "just its name and one `param { prune"),
        ('layer { name: "a" type: "ReLU" param { prune { } } }', "just its name and one"),
        ('layer { name: "a" param { prune { } } param { } }', "just its name and one"),
        ('layer { name: "a" param { prune { blocks: 2 } } }', "says `blocks`, which the config"),
        ('layer { name: "a" param { prune { } } }', "does not name the layer b, which has blocks"),
        ('layer { name: "c" param { prune { } } }', "prunes c, .* to a, b: nothing would"),
    ],
)
def test_a_recipe_that_is_wrong_is_one_sentence(text, words):
    net, layers, matrices = three_layers(2, 4, 1)
    recipe = text_format.Parse(text, caffe_pb2.NetParameter())
    with pytest.raises(UserError, match=words) as error:
        recipes.apply(recipe, net, layers, matrices)
    assert "\n" not in str(error.value)


def test_a_keep_in_a_recipe_is_kept():
    net, layers, matrices = three_layers(2, 1, 1)
    text = 'layer { name: "a" param { prune { type: MAGNITUDE keep: 77 } } }'
    recipes.apply(text_format.Parse(text, caffe_pb2.NetParameter()), net, layers, matrices)
    assert prune(net, "a").keep == 77


def test_a_phase_past_the_end_names_the_recipe(monkeypatch, tmp_path):
    folder = tmp_path / "lenet"
    (folder / "recipes").mkdir(parents=True)
    for suffix in ("train_test", "solver"):
        name = f"lenet_{suffix}.prototxt"
        (folder / name).write_text((PROTOTXT / "lenet" / name).read_text())
    own = (PROTOTXT / "lenet/recipes/ip_bdip.prototxt").read_text()
    (folder / "recipes/mine.prototxt").write_text(own.replace("iters: 350", "iters: 35000"))
    monkeypatch.setattr(networks, "PROTOTXT", tmp_path)
    with pytest.raises(
        UserError, match=r"mine\.prototxt: .*'ip1'.* ends at iteration 35015 .*10000"
    ):
        build("(10,1)-BD_4", "mine")
    with pytest.raises(UserError, match="blocks: 3, which does not divide"):
        build("(3,1)-BD_4", "mine")


def test_the_complete_example_is_what_the_recipe_gives(monkeypatch):
    if not (ROOT / "data/mnist").is_dir():
        pytest.skip("data/mnist is not there; `make data` makes it")
    monkeypatch.chdir(ROOT)
    path = PROTOTXT / "lenet/lenet_ip_bdip_solver.prototxt"
    solver, net = networks.load_solver(path, 1)
    expected_solver, expected = build("(100,10)-BD_4", "ip_bdip")
    assert net == expected
    solver.snapshot_prefix = expected_solver.snapshot_prefix
    assert solver == expected_solver


# The net with one hidden layer


def test_compression_is_that_of_the_paper():
    def fold(net, dense, blocks, counts):
        before = learnable(build(dense, "bdip", net)[1])
        after = learnable(build(blocks, "bdip", net)[1])
        assert (before, after) == counts
        return before / after

    assert round(fold("mlp980", "(1,1)-BD_2", "(49,1)-BD_2", (779_110, 26_470)), 2) == 29.43
    assert round(fold("lenet", "(1,1)-BD_4", "(100,10)-BD_4", (405_510, 5_010))) == 81


def test_mlp980_is_trained_as_lenet_is():
    ours, lenets = (
        networks.parse(PROTOTXT / f"{net}/{net}_solver.prototxt", caffe_pb2.SolverParameter())
        for net in ("mlp980", "lenet")
    )
    for solver in (ours, lenets):
        solver.ClearField("net")
        solver.ClearField("snapshot_prefix")
    assert ours == lenets
    _, net = build("(49,1)-BD_2", "ip_bdip", "mlp980")
    assert prune(net, "ip1").blocks == 49
    assert prune(net, "ip2") is None


# What Caffe would abort on

NET = """
layer { name: "data" type: "Input" top: "data" top: "label"
  input_param { shape { dim: 2 dim: 3 dim: 4 dim: 4 } shape { dim: 2 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  param { CONV } convolution_param { num_output: 4 kernel_size: 3 } }
layer { name: "ip1" type: "InnerProduct" bottom: "conv" top: "ip1"
  param { WEIGHTS } param { BIAS } inner_product_param { num_output: 6 } }
layer { name: "relu" type: "ReLU" bottom: "ip1" top: "ip1" }
layer { name: "ip2" type: "InnerProduct" bottom: "ip1" top: "ip2"
  param { NEXT } inner_product_param { num_output: 2 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip2" bottom: "label" top: "loss" }
"""
GOOD = "prune { blocks: 2 start: 5 iters: 5 }"


def with_params(**params):
    text = NET
    for word in ("CONV", "WEIGHTS", "BIAS", "NEXT"):
        text = text.replace(word, params.get(word.lower(), ""))
    return text


def check(edit=lambda text: text, **params):
    net = text_format.Parse(edit(with_params(**params)), caffe_pb2.NetParameter())
    pruning.check(net, TRAIN, lambda _: (0, 0, 0), max_iter=10)


def caffe_train(folder, **params):
    """Train for the 10 iterations on zeros with the `caffe` program."""
    (folder / "net.prototxt").write_text(with_params(**params))
    (folder / "solver.prototxt").write_text(
        f'net: "{folder}/net.prototxt" max_iter: 10 base_lr: 0.01 lr_policy: "fixed" '
        f'snapshot_prefix: "{folder}/s"'
    )
    command = [ROOT / "build/bin/caffe", "train", f"--solver={folder}/solver.prototxt"]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize(
    "prune",
    [
        GOOD,
        "prune { blocks: 1 iters: 1 }",
        "prune { type: MAGNITUDE keep: 96 iters: 10 }",
        "prune { type: MAGNITUDE keep: 1 iters: 1 steps: 1 alpha: 1 }",
        "prune { type: NODE keep: 6 iters: 10 steps: 10 }",
    ],
)
def test_what_can_be_pruned_passes_here_and_in_caffe(prune, tmp_path):
    check(weights=prune)
    done = caffe_train(tmp_path, weights=prune)
    assert done.returncode == 0, done.stderr[-1000:]


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"bias": GOOD}, "layer 'ip1' .InnerProduct., bias: only a matrix .* this has 1 axes"),
        ({"conv": GOOD}, "layer 'conv' .Convolution., weights: only a matrix .* has 4 axes"),
        ({"weights": "prune { iters: 5 }"}, "blocks is missing"),
        ({"weights": "prune { iters: 5 blocks: -1 }"}, "blocks is missing"),
        ({"weights": "prune { iters: 5 blocks: 4 }"}, "blocks is 4, .* 6 outputs and 16 inputs"),
        ({"weights": "prune { iters: 5 blocks: 3 }"}, "blocks is 3, .* 6 outputs and 16 inputs"),
        ({"weights": "prune { blocks: 2 }"}, "iters is 0; write how many"),
        ({"weights": "prune { blocks: 2 iters: 5 start: -1 }"}, "start is -1; write"),
        ({"weights": "prune { blocks: 2 iters: 6 start: 5 }"}, "ends at iteration 11 .* at 10;"),
        ({"weights": "prune { blocks: 2 iters: 5 alpha: -.5 }"}, "alpha is -0.5; write"),
        ({"weights": "prune { blocks: 2 iters: 5 threshold: -1 }"}, "threshold is -1; write"),
        ({"weights": "prune { type: MAGNITUDE iters: 10 }"}, "keep is 0; .* from 1 to 96"),
        ({"weights": "prune { type: MAGNITUDE iters: 10 keep: 97 }"}, "keep is 97; .* 1 to 96"),
        ({"weights": "prune { type: NODE iters: 10 keep: 7 }"}, "keep is 7; .* outputs .* to 6"),
        (
            {"weights": "prune { type: MAGNITUDE iters: 9 keep: 9 }"},
            "steps is 10; .* the phase's 9 iterations",
        ),
        ({"weights": "prune { type: NODE iters: 9 keep: 3 steps: 0 }"}, "steps is 0; write"),
        ({"weights": "prune { type: NODE iters: 10 keep: 3 alpha: 1 }"}, "leave alpha out"),
        (
            {"next": "prune { type: NODE iters: 10 keep: 1 }"},
            "outputs of layer 'ip2' .* go to layer 'loss' .SoftmaxWithLoss., and only",
        ),
        (
            {"weights": f'name: "w" {GOOD}', "conv": 'name: "w"'},
            'name: "w" }` is shared with a layer before',
        ),
    ],
)
def test_what_cannot_be_pruned_is_one_sentence(params, words):
    with pytest.raises(UserError, match=words) as error:
        check(**params)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "params",
    [
        {"bias": GOOD},
        {"weights": "prune { iters: 5 blocks: 4 }"},
        {"weights": "prune { blocks: 2 iters: 6 start: 5 }"},
        {"weights": "prune { type: MAGNITUDE iters: 9 keep: 9 }"},
        {"next": "prune { type: NODE iters: 10 keep: 1 }"},
    ],
)
def test_caffe_would_abort_on_it(params, tmp_path):
    with pytest.raises(UserError):
        check(**params)
    done = caffe_train(tmp_path, **params)
    assert done.returncode < 0
    assert "prune of ip" in done.stderr


def test_outputs_of_other_layers_cannot_be_removed():
    node = "prune { type: NODE iters: 10 keep: 3 }"
    for edit, words in (
        (
            lambda text: text.replace("num_output: 6", "num_output: 6 transpose: true"),
            "layer 'ip1' .* has `transpose`",
        ),
        (
            lambda text: text.replace("num_output: 2", "num_output: 2 transpose: true"),
            "layer 'ip2' .* has `transpose`",
        ),
        (
            lambda text: text.replace('"InnerProduct" bottom: "conv"', '"Embed" bottom: "conv"'),
            "NODE removes outputs of an InnerProduct",
        ),
        (
            lambda text: text.replace("num_output: 6 ", "num_output: 6 axis: 2 "),
            "layer 'ip2' .* takes 24 inputs, not just the 6",
        ),
    ):
        with pytest.raises(UserError, match=words):
            check(edit, weights=node)


def test_a_matrix_of_unknown_size_is_checked_as_far_as_it_is_known():
    def unknown(text):
        return text.replace('"Convolution"', '"Im2col"')

    check(unknown, weights=GOOD)
    check(unknown, weights="prune { type: MAGNITUDE keep: 500 iters: 10 }")
    with pytest.raises(UserError, match=r"blocks is 4, .* and unknown number of inputs"):
        check(unknown, weights="prune { blocks: 4 iters: 5 }")
