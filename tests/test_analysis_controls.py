"""Controls and Eq. 4: the sentences follow the numbers, the terms add up."""

import re
from pathlib import Path

import numpy as np
import pytest
from sister_runs import write_family, write_sister

from analysis import controls, equation4, report
from analysis.errors import AnalysisError
from analysis.figures import controls as controls_figure
from analysis.figures import equation4 as equation4_figure
from analysis.figures import outliers
from analysis.nulls import Nulls
from analysis.results import load
from analysis.sisters import LENET, LENET_NO_DECAY, LENET_SHUFFLED, SIGMOID, Spectra


def spectra(base: Path) -> Spectra:
    return Spectra(load(base), Nulls(None, 20))


def sentence(base: Path, name: str) -> str:
    (found,) = (c for c in controls.all_controls(spectra(base)) if c.name == name)
    return found.sentence


def test_without_runs_every_control_says_what_it_needs(tmp_path: Path) -> None:
    for control in controls.all_controls(spectra(tmp_path)):
        assert control.sentence is None
        assert "make reproduce" in control.missing


def test_every_control_ends_in_a_sentence(tmp_path: Path) -> None:
    write_family(tmp_path, LENET, (1, 2, 10))
    for family in (LENET_NO_DECAY, LENET_SHUFFLED, SIGMOID):
        write_family(tmp_path, family, (1, 10))
    write_family(tmp_path, SIGMOID, (100,), shape=(200, 400))
    for control in controls.all_controls(spectra(tmp_path)):
        assert control.sentence.endswith(".")
        assert "nan" not in control.sentence
    assert controls_figure.draw(spectra(tmp_path), tmp_path).stem == "controls"
    assert (tmp_path / "controls.csv").read_text().count("\n") > 4
    page = report.write(load(tmp_path), tmp_path / "page", draws=20).read_text()
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert "controls" in ids
    assert len(set(ids)) == len(ids)


def test_decay_is_told_from_learning(tmp_path: Path) -> None:
    for seed in (1, 2):
        write_sister(tmp_path, LENET, 1, seed, signal=0.0)
        write_sister(tmp_path, LENET, 2, seed, signal=0.0)
    said = sentence(tmp_path, "decay")
    assert "by 0.469 whatever b is" in said
    assert "0.469 ± 0.000 (b = 1)" in said
    assert "So decay moves the variance by −53.1% and learning by 0.0% of" in said


@pytest.mark.parametrize(("signal", "words"), [(0.0, "stays within 10%"), (3.0, "strays by up to")])
def test_no_decay_judges_by_the_ratio(signal: float, words: str, tmp_path: Path) -> None:
    for seed in (1, 2):
        write_sister(tmp_path, LENET_NO_DECAY, 1, seed, (100, 200), signal=signal)
        write_sister(tmp_path, LENET_NO_DECAY, 10, seed, (100, 200), signal=signal / 3)
    assert words in sentence(tmp_path, "no_decay")


def test_outliers_are_told(tmp_path: Path) -> None:
    for seed in (1, 2):
        write_sister(tmp_path, LENET, 1, seed, (40, 60), signal=4.0)
        write_sister(tmp_path, LENET, 2, seed, (40, 60), signal=0.0)
    drawn = outliers.draw(spectra(tmp_path), tmp_path)
    assert "b = 1: 1.0 ± 0.0, the first by iteration 5,000; b = 2: none" in drawn.caption


# ---- Eq. 4 --------------------------------------------------------------------------------------


def write_moments(base: Path, method: str, covariance: float, count: int = 300) -> Path:
    """Moments of `count` steps of plain SGD with lr 0.1 and Var(g) = 1."""
    folder = base / "lenet-mnist" / equation4.CONFIG / method / "seed-1"
    folder.mkdir(parents=True)
    change = 0.01 - 0.2 * covariance
    variance = 10 + change * np.arange(count + 1)
    ones = np.ones(count)
    np.savez(
        folder / equation4.FILE,
        **{
            "lr": 0.1 * ones,
            "iteration": np.arange(count),
            "ip1/variance": variance[:-1],
            "ip1/variance_after": variance[1:],
            "ip1/gradient_variance": ones,
            "ip1/gradient_covariance": covariance * ones,
            "ip1/update_variance": 0.01 * ones,
            "ip1/update_covariance": 0.1 * covariance * ones,
        },
    )
    return folder / equation4.FILE


def test_terms_add_up(tmp_path: Path) -> None:
    write_moments(tmp_path, equation4.PLAIN_SGD, covariance=-0.3)
    steps = equation4.read(load(tmp_path), equation4.PLAIN_SGD)
    assert steps.variance_term == pytest.approx(0.01)
    assert steps.covariance_term == pytest.approx(0.06)
    assert steps.error(steps.variance_term + steps.covariance_term) == pytest.approx(0, abs=1e-9)
    assert steps.error(steps.update_terms) == pytest.approx(0, abs=1e-9)
    assert steps.error(np.zeros(300)) == pytest.approx(1)
    assert steps.dominates_from() == 0


def test_covariance_that_never_dominates(tmp_path: Path) -> None:
    write_moments(tmp_path, equation4.PLAIN_SGD, covariance=0.01)
    steps = equation4.read(load(tmp_path), equation4.PLAIN_SGD)
    assert steps.dominates_from() is None
    assert not steps.dominated.any()


def test_equation4_figure(tmp_path: Path) -> None:
    assert equation4_figure.draw(spectra(tmp_path), tmp_path) is None
    write_moments(tmp_path / "reference", equation4.PLAIN_SGD, covariance=-0.3)
    drawn = equation4_figure.draw(spectra(tmp_path), tmp_path)
    assert "300 steps (reference): the covariance term is the larger in 100%" in drawn.caption
    assert "6.0 times that of the variance term" in drawn.caption


def test_windows_cover_every_step_once() -> None:
    steps = np.concatenate(equation4_figure.windows(1234))
    assert np.array_equal(steps, np.arange(1234))


def test_damaged_moments_are_named(tmp_path: Path) -> None:
    path = write_moments(tmp_path, equation4.PLAIN_SGD, covariance=0.1)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(AnalysisError, match=r"gradient_moments\.npz cannot be read"):
        equation4.read(load(tmp_path), equation4.PLAIN_SGD)
