"""The three readings of the paper's 9,000 iterations on CIFAR-10, held against its two numbers."""

from pathlib import Path

import numpy as np
import pytest
from analysis_runs import write_run
from sister_runs import net_text

from analysis import report, schedules
from analysis.nulls import Nulls
from analysis.results import load
from analysis.sisters import CIFAR10, Spectra


def write_reading(base: Path, method: str, accuracy: float, variance: float, seed: int = 1) -> None:
    """A dense cuda-convnet whose ip1 has exactly this variance at the end."""
    folder = write_run(
        base, "(1,1)-BD_5", method, seed, accuracy, net="cuda_convnet", dataset="cifar10",
        max_iter=CIFAR10.iterations, net_prototxt=net_text({"ip1": (8, 1), "ip2": (10, 1)}),
    )  # fmt: skip
    weight = np.random.default_rng(1).standard_normal((8, 16))
    weight *= np.sqrt(variance) / weight.std()
    (folder / "weights").mkdir()
    for iteration in (0, CIFAR10.iterations):
        np.savez(
            folder / f"weights/iter_{iteration:06d}.npz",
            **{"ip1/weight": weight.astype(np.float32), "ip2/weight": np.ones((10, 8))},
        )


def conclude(base: Path) -> str:
    found = schedules.evidence(Spectra(load(base), Nulls(None, 5)))
    return schedules.conclusion(found)


@pytest.mark.parametrize(
    ("variances", "words"),
    [
        ((7.2e-3, 5.0e-3, 4.9e-3), "is that of 4,000 + 5,000 alone; accuracies"),
        ((6.0e-3, 5.0e-3, 6.6e-3), "is that of 9,000 + 0 alone; accuracies"),
        ((7.2e-3, 7.0e-3, 4.9e-3), "is that of 4,000 + 5,000 and 8,000 + 1,000; accuracies"),
        ((9e-3, 9e-3, 4.9e-3), "is that of none of them"),
    ],
)
def test_the_variance_decides(variances: tuple[float, ...], words: str, tmp_path: Path) -> None:
    accuracies = (0.757, 0.7629, 0.738)
    for method, accuracy, variance in zip(schedules.READINGS, accuracies, variances, strict=True):
        write_reading(tmp_path, method, accuracy, variance)
    said = conclude(tmp_path)
    assert words in said
    off = "0.59 with 4,000 + 5,000 (1 seed), 0.00 with 8,000 + 1,000 (1 seed) and 2.49"
    assert f"accuracies are off by {off} with 9,000 + 0 (1 seed) points." in said
    write_reading(tmp_path, "bdip", 0.763, variances[0], seed=2)
    assert "seed, 0.85: 4,000 + 5,000 and 8,000 + 1,000." in conclude(tmp_path)


def test_not_all_readings_decide_nothing_and_none_is_no_section(tmp_path: Path) -> None:
    write_reading(tmp_path / "one", "bdip", 0.757, 7e-3)
    assert conclude(tmp_path / "one") == "1 of 3 readings were run: nothing is decided."
    page = report.write(load(tmp_path / "one"), tmp_path / "page", draws=5).read_text()
    assert "Which 9,000 iterations?" in page
    assert "7.00 × 10" in page
    write_run(tmp_path / "none", "(10,1)-BD_4", "bdip", 1, 0.98)
    page = report.write(load(tmp_path / "none"), tmp_path / "page2", draws=5).read_text()
    assert "Which 9,000 iterations?" not in page
