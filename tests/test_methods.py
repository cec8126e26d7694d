"""Methods with settings of one's own, as METHOD=ip_bdip,alpha=1e-3 has them."""

import pytest

from scripts import networks
from scripts.config import parse_config
from scripts.errors import UserError
from scripts.methods import Method, parse_method


def build(method, config="(10,1)-BD_4"):
    return networks.build("lenet", parse_config(config), method, "mnist", 1)


def prunes(net):
    return {
        layer.name: param.prune
        for layer in net.layer
        for param in layer.param
        if param.HasField("prune")
    }


def test_settings_are_sorted_so_that_one_run_has_one_name():
    method = parse_method("ip_bdip, iters=900,alpha=1e-3")
    assert method == Method("ip_bdip", (("alpha", "1e-3"), ("iters", "900")))
    assert str(method) == "ip_bdip,alpha=1e-3,iters=900"
    assert parse_method(str(method)) == method
    assert str(parse_method("bdip")) == "bdip"


def test_a_setting_of_prune_reaches_every_pruned_layer_and_nothing_else():
    plain_solver, plain = build("ip_bdip", "(100,10)-BD_4")
    solver, net = build("ip_bdip,alpha=0.25,iters=900", "(100,10)-BD_4")
    assert solver == plain_solver
    for name, prune in prunes(net).items():
        assert (prune.alpha, prune.iters) == (0.25, 900)
        assert prune.start == prunes(plain)[name].start
    for prune in prunes(net).values():
        prune.alpha, prune.iters = 0, 0
    for prune in prunes(plain).values():
        prune.alpha, prune.iters = 0, 0
    assert net == plain


def test_a_setting_may_be_one_layers():
    _, net = build("ip_bdip,alpha=0.25,ip2.alpha=0.5", "(100,10)-BD_4")
    assert {name: prune.alpha for name, prune in prunes(net).items()} == {"ip1": 0.25, "ip2": 0.5}


def test_settings_of_the_solver():
    plain, net = build("bdip")
    solver, same = build(
        "bdip,weight_decay=0,lr_policy=multistep,stepvalue=30,stepvalue=400,gamma=0.1"
    )
    assert net == same
    assert (solver.weight_decay, solver.lr_policy) == (0, "multistep")
    assert list(solver.stepvalue) == [30, 400]
    assert solver.gamma == pytest.approx(0.1)
    assert solver.max_iter == plain.max_iter


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ("ip_bdip,alpha", "'alpha' is not a setting; write field=value"),
        ("ip_bdip,alpha=a/b", "is not a setting"),
        ("ip_bdip,alpha=high", "alpha=high: "),
        ("ip_bdip,iters=1.5", "iters=1.5: "),
        ("ip_bdip,iters=99999", "the phase ends at iteration"),
        ("ip_bdip,conv1.alpha=1", "does not prune a layer 'conv1'"),
        ("bdip,alpha=1e-3", "the method bdip does not prune"),
        ("bdip,speed=3", "speed of METHOD=bdip,speed=3 is no setting"),
        ("bdip,net=x.prototxt", "is no setting"),
        ("bdip,random_seed=3", "is no setting"),
        ("bdip,max_iter=0", "METHOD=bdip,max_iter=0: max_iter is 0; write how many iterations"),
        (
            "bdip,snapshot_prefix=x",
            "snapshot_prefix of METHOD=bdip,snapshot_prefix=x is no setting",
        ),
        ("bdip,debug_info=true", "is no setting"),
        ("bdip,weights=x", "is no setting"),
        ("bdip,base_lr=0.1,base_lr=0.2", "base_lr stands twice"),
        ("ip_bdip,alpha=1,alpha=2", "alpha stands twice"),
        ("bdip,lr_policy=fast", "lr_policy is 'fast'"),
        ("fast,alpha=1", "there is no method 'fast'"),
    ],
)
def test_what_is_refused(method, words):
    with pytest.raises(UserError) as error:
        build(method)
    assert words in str(error.value)
    assert "\n" not in str(error.value)
