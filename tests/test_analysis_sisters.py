"""Sister networks: what is read from dumps, the figures' numbers, weight decay in closed form."""

import csv
import math
from pathlib import Path

import numpy as np
import pytest
from sister_runs import SOLVER, write_family, write_sister

from analysis import block_spectrum, decay, layer_history, words
from analysis.block_spectrum import Layout
from analysis.errors import AnalysisError
from analysis.figures import figure06, figure07, figure08, figure09, figure10, figure11, figure12
from analysis.nulls import Nulls
from analysis.results import load
from analysis.sisters import CIFAR10, LENET, Spectra

DRAWS = 20


def spectra(base: Path, draws: int = DRAWS) -> Spectra:
    return Spectra(load(base), Nulls(None, draws))


@pytest.fixture(scope="module")
def lenet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("lenet")
    write_family(base)
    return base


# ---- reading ------------------------------------------------------------------------------------


def test_blocks_are_read_from_the_net() -> None:
    text = """name: "Net"
layer {
  name: "conv1"
  type: "Convolution"
  convolution_param {
    num_output: 20
  }
}
layer {
  name: "ip1"
  type: "BlockInnerProduct"
  block_inner_product_param {
    num_output: 500
    weight_filler {
      type: "xavier"
    }
    blocks: 10
  }
}
layer {
  name: "ip2"
  type: "InnerProduct"
  inner_product_param {
    num_output: 10
  }
}
"""
    assert layer_history.layer_blocks(text) == {"ip1": 10, "ip2": 1}


def test_history_is_that_of_the_dumps(lenet: Path) -> None:
    (run,) = (r for r in load(lenet).runs if r.key.config == "(10,1)-BD_4" and r.seed == 1)
    history = layer_history.read(run)["ip1"]
    weight = np.load(run.folder / "weights" / "iter_010000.npz")["ip1/weight"].astype(float)
    assert history.layout == Layout(20, 40, 10)
    assert history.iterations.tolist() == [0, 5000, 10_000]
    assert history.variance[-1] == pytest.approx(weight.var())
    assert history.weights[-1] == weight.size
    expected = block_spectrum.singular_values(weight, 10)
    assert history.sorted_singular()[-1] == pytest.approx(expected, rel=1e-5)
    assert history.singular[-1, 3] == pytest.approx(
        np.linalg.svd(weight[6:8], compute_uv=False), rel=1e-5
    )


def test_spectra_outlive_the_dumps(tmp_path: Path) -> None:
    folder = write_sister(tmp_path, LENET, 5, 1)
    before = layer_history.read(load(tmp_path).runs[0])
    for dump in (folder / "weights").iterdir():
        dump.unlink()
    after = layer_history.read(load(tmp_path).runs[0])
    assert after.keys() == before.keys() == {"ip1", "ip9"}
    assert np.array_equal(after["ip1"].variance, before["ip1"].variance)
    assert after["ip1"].singular == pytest.approx(before["ip1"].singular, rel=1e-6)


def test_new_dumps_are_seen(tmp_path: Path) -> None:
    folder = write_sister(tmp_path, LENET, 5, 1)
    last = folder / "weights" / "iter_010000.npz"
    content = last.read_bytes()
    last.unlink()
    assert layer_history.read(load(tmp_path).runs[0])["ip1"].iterations[-1] == 5000
    last.write_bytes(content)
    assert layer_history.read(load(tmp_path).runs[0])["ip1"].iterations[-1] == 10_000


def test_damaged_dump_is_named(tmp_path: Path) -> None:
    folder = write_sister(tmp_path, LENET, 5, 1)
    path = folder / "weights" / "iter_005000.npz"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(AnalysisError, match=r"iter_005000\.npz cannot be read"):
        layer_history.read(load(tmp_path).runs[0])


# ---- random matrices ----------------------------------------------------------------------------


def test_nulls_are_kept(tmp_path: Path) -> None:
    layout = Layout(6, 12, 3)
    first = Nulls(tmp_path, 5).of(layout, uniform=True)
    (path,) = tmp_path.iterdir()
    stamp = path.stat().st_mtime_ns
    again = Nulls(tmp_path, 5).of(layout, uniform=True)
    assert path.stat().st_mtime_ns == stamp
    assert np.array_equal(first.singular, again.singular)
    assert not np.array_equal(first.singular, Nulls(None, 5).of(layout, False).singular)


def test_uniform_entries_have_variance_one() -> None:
    drawn = block_spectrum.draw(Layout(100, 160, 10), 50, seed=3, uniform=True)
    assert np.mean(drawn.deviations**2) == pytest.approx(1, abs=0.01)
    # The squares of the singular values sum to the number of entries times their mean square.
    assert np.sum(drawn.singular**2, axis=1) == pytest.approx(1600, rel=0.01)


def test_start_noise_is_the_spread_of_the_variance() -> None:
    """Kurtosis 9/5 and counts N K / b: as many drawn pairs of uniform matrices have it."""
    layout = Layout(20, 40, 10)
    blocks = block_spectrum.draw(layout, 4000, seed=1, uniform=True).deviations ** 2
    dense = block_spectrum.draw(Layout(20, 40, 1), 4000, seed=2, uniform=True).deviations ** 2
    noise = math.sqrt(0.8 / 80 + 0.8 / 800)
    assert np.std(blocks / dense) == pytest.approx(noise, rel=0.05)


# ---- sisters ------------------------------------------------------------------------------------


def test_member_by_hand(lenet: Path) -> None:
    member = spectra(lenet).member(LENET, 5)
    assert member.seeds == (1, 2)
    path = lenet / "lenet-mnist" / "({b},1)-BD_4" / "bdip" / "seed-2" / "weights/iter_010000.npz"
    block, dense = (
        np.load(str(path).replace("{b}", str(b)))["ip1/weight"].astype(float) for b in (5, 1)
    )
    assert member.variance_ratio[1, -1] == pytest.approx(block.var() / dense.var())
    assert member.deviation[1, -1] == pytest.approx(block.var() / dense.var() / 5 - 1)
    reference = math.sqrt(dense.var()) * member.dense_draws.mean
    ratio = block_spectrum.singular_values(block, 5) / reference
    assert member.singular_ratio[1, -1] == pytest.approx(ratio, rel=1e-5)
    assert member.distance[1, -1] == pytest.approx(np.mean(np.abs(1 - ratio)), rel=1e-4)
    assert member.start_noise() == pytest.approx(math.sqrt(0.8 / 160 + 0.8 / 800))


def test_sources_are_not_mixed(tmp_path: Path) -> None:
    write_family(tmp_path / "reference", blocks=(1, 5), seeds=2)
    write_sister(tmp_path, LENET, 5, 7)
    member = spectra(tmp_path).member(LENET, 5)
    assert (member.source, member.seeds) == ("reference", (1, 2))
    write_sister(tmp_path, LENET, 1, 7)
    member = spectra(tmp_path).member(LENET, 5)
    assert (member.source, member.seeds) == ("own", (7,))


def test_random_sisters_lie_where_random_matrices_do(tmp_path: Path) -> None:
    """Weights that learned nothing have the null's distance, and none leaves the bulk."""
    for blocks in (1, 5):
        for seed in range(1, 5):
            write_sister(tmp_path, LENET, blocks, seed, (40, 60), signal=0.0, dumps=2)
    for member in spectra(tmp_path, 200).members(LENET):
        assert member.outliers.max() == 0
        low, high = np.percentile(member.null_distance, [1, 99])
        assert ((member.distance > low) & (member.distance < high)).mean() >= 0.75


def test_what_is_learned_leaves_the_bulk(tmp_path: Path) -> None:
    write_sister(tmp_path, LENET, 1, 1, (40, 60), signal=4.0)
    member = spectra(tmp_path).member(LENET, 1)
    assert member.outliers[0].tolist() == [0, 1, 1]
    assert member.singular_ratio[0, -1, 0] > 1.5


def test_blocks_of_one_output_have_an_edge(tmp_path: Path) -> None:
    for blocks, signal in ((1, 0.0), (16, 0.0), (4, 0.0)):
        write_sister(tmp_path, CIFAR10, blocks, 1, (16, 64), signal=signal)
    for member in spectra(tmp_path, 100).members(CIFAR10):
        assert member.outliers.max() <= 1


# ---- weight decay -------------------------------------------------------------------------------


def test_lenets_decay_is_the_known_factor() -> None:
    factor = decay.variance_factor(SOLVER.format(last=10_000), [0, 10_000])
    assert factor == pytest.approx([1.0, 0.469], abs=5e-4)


def test_decay_agrees_with_stepping() -> None:
    """The closed form beside momentum SGD without a gradient, step by step."""
    solver = 'base_lr: 0.02\nlr_policy: "multistep"\ngamma: 0.1\nstepvalue: 600\n'
    solver += "stepvalue: 900\nmomentum: 0.8\nweight_decay: 0.01\n"
    weight, velocity = 1.0, 0.0
    for rate in decay.learning_rates(solver, 1000):
        velocity = 0.8 * velocity + rate * 0.01 * weight
        weight -= velocity
    assert decay.variance_factor(solver, 1000) == pytest.approx(weight**2, rel=0.03)
    assert decay.learning_rates(solver, 1000)[[0, 599, 600, 899, 900]] == pytest.approx(
        [0.02, 0.02, 0.002, 0.002, 0.0002]
    )


def test_unknown_policy_is_refused() -> None:
    with pytest.raises(AnalysisError, match="poly has no closed form"):
        decay.learning_rates('lr_policy: "poly"\n', 10)


# ---- figures ------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", [figure06, figure07, figure08, figure09])
def test_lenet_figures(module: object, lenet: Path, tmp_path: Path) -> None:
    drawn = module.draw(spectra(lenet), tmp_path)
    for suffix in ("svg", "pdf", "png", "csv"):
        assert (tmp_path / f"{drawn.stem}.{suffix}").stat().st_size > 100
    assert drawn.stem == module.__name__.rpartition(".")[2]
    assert "nan" not in drawn.caption


@pytest.mark.parametrize("module", [figure10, figure11, figure12])
def test_cifar10_figures(module: object, tmp_path: Path) -> None:
    write_family(tmp_path, CIFAR10, (1, 2, 4), seeds=1, shape=(16, 64))
    assert module.draw(spectra(tmp_path), tmp_path).heading.startswith("Figure 1")


@pytest.mark.parametrize("module", [figure06, figure07, figure08, figure09, figure10, figure12])
def test_no_runs_no_figure(module: object, tmp_path: Path) -> None:
    assert module.draw(spectra(tmp_path), tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_drawn_numbers_are_in_the_csv(lenet: Path, tmp_path: Path) -> None:
    loaded = spectra(lenet)
    figure06.draw(loaded, tmp_path)
    with open(tmp_path / "figure06.csv") as stream:
        rows = [row for row in csv.DictReader(stream) if row["panel"] == "variance ratio"]
    last = {int(row["blocks"]): row for row in rows if row["x"] == "10000"}
    for blocks in (2, 5, 10):
        values = loaded.member(LENET, blocks).variance_ratio[:, -1]
        assert float(last[blocks]["mean"]) == pytest.approx(values.mean(), rel=1e-5)
        assert float(last[blocks]["sd"]) == pytest.approx(values.std(ddof=1), rel=1e-4)


# ---- words --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.00066, "6.60 × 10⁻⁴"), (0.0358, "0.0358"), (96.987, "97.0"), (1, "1.00"), (-5.5, "−5.50")],
)
def test_numbers(value: float, text: str) -> None:
    assert words.number(value) == text


def test_mean_and_spread() -> None:
    assert words.mean_sd([9.89, 9.91]) == "9.90 ± 0.01"
    assert words.mean_sd([6.5e-4, 6.7e-4]) == "(6.60 ± 0.14) × 10⁻⁴"
    assert words.mean_sd([2.0]) == "2.00"
    assert words.listing(["a", "b", "c"]) == "a, b and c"
