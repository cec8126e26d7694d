"""Names of configurations."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.config import Config, parse_config
from scripts.errors import UserError

spaces = st.sampled_from(["", " ", "  ", "\t"])


@given(st.lists(st.integers(1, 10**9 - 1), min_size=1, max_size=5), st.integers(0, 9), st.data())
def test_a_name_comes_back_as_it_was_whatever_the_spaces(blocks, more_layers, data):
    config = Config(tuple(blocks), len(blocks) + more_layers)
    assert parse_config(str(config)) == config

    def space():
        return data.draw(spaces)

    numbers = ",".join(f"{space()}{block}{space()}" for block in blocks)
    spaced = f"{space()}({numbers}){space()}-{space()}BD{space()}_{space()}{config.layers}{space()}"
    assert parse_config(spaced) == config


def test_the_papers_own_names():
    assert parse_config("(10,1)-BD_4") == Config((10, 1), 4)
    assert str(parse_config(" ( 100 , 10 ) - BD_4 ")) == "(100,10)-BD_4"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "10,1",
        "(10,1)",
        "(10,1)-BD",
        "(10,1)-BD_",
        "(10,1)BD_4",
        "(10,1)-bd_4",
        "(10;1)-BD_4",
        "(10,)-BD_4",
        "(,1)-BD_4",
        "()-BD_4",
        "(0,1)-BD_4",
        "(-2,1)-BD_4",
        "(+2,1)-BD_4",
        "(1.5,1)-BD_4",
        "(010,1)-BD_4",
        "(1 0,1)-BD_4",
        "(10,1)-BD_4x",
        "(10,1)-BD_0",
        "(٣,1)-BD_4",
        "(" + "9" * 5000 + ",1)-BD_4",
    ],
)
def test_what_is_no_name_is_refused_with_an_example(name):
    with pytest.raises(UserError, match=r"\(10,1\)-BD_4"):
        parse_config(name)


def test_more_inner_product_layers_than_layers_are_refused():
    with pytest.raises(UserError, match=r"3 inner product layers.* only 2 layers"):
        parse_config("(1,2,1)-BD_2")


@given(st.text(alphabet="(),-BD_0129 \n", max_size=15))
def test_any_text_is_a_name_or_a_user_error(text):
    try:
        config = parse_config(text)
    except UserError:
        return
    assert parse_config(str(config)) == config
