"""Spectra of block diagonal weights, and the command that prints them."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.linalg import block_diag

from analysis import block_spectrum as bs
from analysis import spectrum
from analysis.errors import AnalysisError

ROOT = Path(__file__).resolve().parent.parent
GENERATOR = np.random.default_rng(17)


def random_packed(outputs: int, inputs: int, blocks: int) -> np.ndarray:
    return GENERATOR.standard_normal((outputs, inputs // blocks)).astype(np.float32)


@pytest.mark.parametrize(
    ("outputs", "inputs", "blocks"), [(12, 20, 4), (20, 12, 4), (6, 6, 6), (5, 7, 1)]
)
def test_blocks_have_the_whole_matrix_singular_values(outputs, inputs, blocks) -> None:
    packed = random_packed(outputs, inputs, blocks)
    full = block_diag(*bs.blocks_of(packed, blocks))
    assert full.shape == (outputs, inputs)
    whole = np.linalg.svd(full, compute_uv=False)
    np.testing.assert_allclose(bs.singular_values(packed, blocks), whole, atol=1e-12)
    np.testing.assert_array_equal(bs.pack(full, blocks), packed)


@pytest.mark.parametrize(("outputs", "inputs", "blocks"), [(12, 20, 4), (20, 12, 4)])
def test_eigenvalues_with_their_zeros(outputs, inputs, blocks) -> None:
    """All K eigenvalues of (1/n) X X^T, X the K x N transpose, n = N/b."""
    packed = random_packed(outputs, inputs, blocks)
    layout = bs.Layout(outputs, inputs, blocks)
    x = block_diag(*bs.blocks_of(packed, blocks)).T
    expected = np.linalg.eigvalsh(x @ x.T / (outputs // blocks))
    found = layout.eigenvalues(bs.singular_values(packed, blocks))
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert np.count_nonzero(found == 0) == max(0, inputs - outputs)
    assert layout.y == inputs / outputs


def test_pack_refuses_what_is_not_block_diagonal() -> None:
    full = block_diag(*np.ones((2, 2, 3)))
    full[0, 5] = 0.5
    with pytest.raises(AnalysisError, match="1 numbers off the 2 diagonal blocks"):
        bs.pack(full, 2)
    with pytest.raises(AnalysisError, match="6 inputs cannot be split into 4"):
        bs.pack(full, 4)


def test_ks_by_hand() -> None:
    """All eigenvalues at 0, where the law has an atom of 1 - 1/y: the distance is 1/y."""
    assert bs.ks_distance(np.zeros(10), 4.0, 1.0) == pytest.approx(0.25)
    # All of them far above the support: the law is full before the first one.
    assert bs.ks_distance(np.full(10, 100.0), 0.5, 1.0) == pytest.approx(1)


def test_ks_of_the_bulk_leaves_the_zeros_out() -> None:
    """Singular values far above the support: 1, where the zeros dilute the whole one to 1/y."""
    layout = bs.Layout(10, 40, 1)
    far = np.full(10, 100.0)
    assert bs.ks_distance(layout.eigenvalues(far), layout.y, 1.0) == pytest.approx(0.25)
    assert bs.bulk_ks_distance(layout, far, 1.0) == pytest.approx(1)
    wide = bs.Layout(10, 5, 1)  # no zeros, nothing to leave out
    assert bs.bulk_ks_distance(wide, far[:5], 1.0) == pytest.approx(1)


@pytest.mark.parametrize("blocks", [1, 4])
def test_a_random_matrix_is_within_the_null(blocks: int) -> None:
    layout = bs.Layout(40, 64, blocks)
    null = bs.draw(layout, 60, seed=1)
    found = bs.compare(3 * random_packed(40, 64, blocks), blocks, null)
    assert found.distance < np.percentile(found.null_distance, 99.9)
    assert found.ks < np.percentile(found.null_ks, 99.9)
    assert found.outliers == 0
    assert found.variance == pytest.approx(9, rel=0.2)


def test_a_planted_direction_leaves_the_bulk() -> None:
    layout = bs.Layout(40, 64, 1)
    weight = random_packed(40, 64, 1)
    weight += 0.6 * np.outer(np.ones(40), np.ones(64))
    found = bs.compare(weight, 1, bs.draw(layout, 60, seed=1))
    assert found.outliers == 1
    assert found.ratio[0] > 1.5
    assert found.distance > found.null_distance.max()


@pytest.mark.parametrize(
    ("layout", "uniform"), [(bs.Layout(40, 64, 1), False), (bs.Layout(50, 80, 10), True)]
)
def test_one_random_layer_of_100_passes_the_edge(layout: bs.Layout, uniform: bool) -> None:
    edge = bs.draw(layout, 800, seed=1, uniform=uniform).edge
    largest = bs.draw(layout, 1500, seed=2, uniform=uniform).singular[:, 0] ** 2 / layout.n
    assert 0.003 < np.mean(largest > edge) < 0.025


def test_scale_of_the_weights_does_not_matter() -> None:
    null = bs.draw(bs.Layout(12, 20, 4), 10, seed=2)
    weight = random_packed(12, 20, 4).astype(float)
    one, other = bs.compare(weight, 4, null), bs.compare(1e-3 * weight, 4, null)
    np.testing.assert_allclose(one.ratio, other.ratio)
    assert one.ks == pytest.approx(other.ks)


def test_dense_reference_has_the_law_of_the_blocks() -> None:
    """Variance times b and dimension over b cancel (Section 5.1): ratios stay about 1."""
    layout = bs.Layout(200, 320, 4)
    dense = bs.draw(bs.Layout(200, 320, 1), 10, seed=3)
    found = bs.compare(random_packed(200, 320, 4), 4, bs.draw(layout, 10, seed=4), dense)
    assert found.ratio.mean() == pytest.approx(1, abs=0.01)
    assert found.distance < 0.03


def test_finite_size_distance_grows_with_blocks() -> None:
    """Truly random, yet not at distance 0: the more blocks, the further from a dense matrix."""
    dense = bs.draw(bs.Layout(100, 160, 1), 20, seed=3)
    distances = []
    for blocks in (1, 5, 20):
        null = bs.draw(bs.Layout(100, 160, blocks), 20, seed=4)
        found = bs.compare(random_packed(100, 160, blocks), blocks, null, dense)
        distances.append(found.null_distance.mean())
    assert distances == sorted(distances)
    assert distances[-1] > 3 * distances[0]


def test_same_seed_same_draws() -> None:
    layout = bs.Layout(8, 8, 2)
    np.testing.assert_array_equal(bs.draw(layout, 3, 1).singular, bs.draw(layout, 3, 1).singular)
    assert not np.array_equal(bs.draw(layout, 3, 1).singular, bs.draw(layout, 3, 2).singular)


# ---- the command --------------------------------------------------------------------------------


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Runs the command in this process; returns the lines that it prints."""

    def run(*arguments: object) -> list[str]:
        monkeypatch.setattr(sys, "argv", ["spectrum", *map(str, arguments)])
        spectrum.main()
        return capsys.readouterr().out.splitlines()

    return run


def test_command_on_a_folder_of_dumps(command, tmp_path: Path) -> None:
    for iteration in (0, 1000):
        np.savez(tmp_path / f"iter_{iteration:06}.npz", **{"ip1/weight": random_packed(20, 32, 4)})
    figure = tmp_path / "a.svg"
    lines = command(tmp_path, "--layer", "ip1", "--blocks", 4, "--draws", 5, "--figure", figure)
    assert lines[0].startswith("20 outputs, 32 inputs, 4 blocks of 5 x 8; y = 1.6; 5 random")
    names = [line.split()[0] for line in lines[1:4]]
    assert names == ["file", "iter_000000.npz", "iter_001000.npz"]
    assert all((tmp_path / f"a.{suffix}").stat().st_size > 1000 for suffix in ("svg", "pdf", "png"))


def test_command_on_a_whole_matrix_of_another_program(command, tmp_path: Path) -> None:
    packed = random_packed(20, 32, 4)
    np.savez(tmp_path / "full.npz", fc1=block_diag(*bs.blocks_of(packed, 4)))
    np.savez(tmp_path / "pack.npz", fc1=packed)
    options = ("--layer", "fc1", "--blocks", 4, "--draws", 5)
    full = command(tmp_path / "full.npz", *options, "--full")
    pack = command(tmp_path / "pack.npz", *options)
    assert [line.replace("full", "pack") for line in full] == pack


def test_command_against_dense_matrices(command, tmp_path: Path) -> None:
    np.savez(tmp_path / "mine.npz", fc1=random_packed(20, 32, 4))
    options = ("--layer", "fc1", "--blocks", 4, "--draws", 5, "--against", "dense")
    assert "dense and of the variance over b" in command(tmp_path / "mine.npz", *options)[0]


def test_command_on_blocks_of_one_output(command, tmp_path: Path) -> None:
    """As LeNet-5's ip2 with ten blocks: the draws say what is large."""
    weight = random_packed(10, 500, 10)
    weight[3] *= 3
    np.savez(tmp_path / "mine.npz", ip2=weight)
    options = ("--layer", "ip2", "--blocks", 10, "--draws", 20)
    lines = command(tmp_path / "mine.npz", *options, "--figure", tmp_path / "v1.5")
    assert lines[0].startswith("10 outputs, 500 inputs, 10 blocks of 1 x 50; y = 50;")
    assert lines[2].split()[-1] == "1"
    assert lines[3] == f"written: {tmp_path / 'v1.5'}.svg, .pdf and .png"
    assert (tmp_path / "v1.5.svg").is_file()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--layer", "fc9"), "has no array 'fc9': name one of fc1, bias, flat"),
        (("--layer", "bias"), "a matrix of outputs by inputs is needed"),
        (("--layer", "flat"), "all weights are equal"),
        (("--layer", "fc1", "--blocks", "3"), "20 outputs cannot be split into 3 blocks"),
        (("--layer", "fc1", "--draws", "1"), "ask for at least 2"),
        (("--layer", "fc1", "--seed", "-1"), "the seed -1 is negative"),
        (("--layer", "fc1", "--full", "--blocks", "0"), "cannot be split into 0 blocks"),
        (("--layer", "bias", "--full"), "a matrix of outputs by inputs is needed"),
        (("--layer", "none"), "a matrix of outputs by inputs is needed"),
        (("--layer", "diverged"), "not finite"),
        (("--layer", "words"), "real numbers are needed"),
        (("--layer", "complex"), "real numbers are needed"),
    ],
)
def test_mistakes(command, tmp_path: Path, options: tuple, words: str) -> None:
    arrays = {
        "fc1": random_packed(20, 32, 1),
        "bias": np.zeros(20),
        "flat": np.ones((4, 6)),
        "none": np.ones((0, 5)),
        "diverged": np.full((4, 6), np.nan),
        "words": np.array([["a", "b"]]),
        "complex": np.ones((4, 6), complex),
    }
    np.savez(tmp_path / "mine.npz", **arrays)
    with pytest.raises(AnalysisError, match=words):
        command(tmp_path / "mine.npz", "--draws", 5, *options)


def cut_in_half(path: Path) -> None:
    np.savez(path, fc1=random_packed(20, 32, 1))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path.write_text("not a zip archive"), "is no NPZ file"),
        (cut_in_half, "is no NPZ file"),
        (lambda path: None, "there is no file"),
        (lambda path: path.mkdir(), "holds no .npz file"),
    ],
)
def test_files_that_are_none(command, tmp_path: Path, make, words: str) -> None:
    make(tmp_path / "some.npz")
    with pytest.raises(AnalysisError, match=words) as caught:
        command(tmp_path / "some.npz", "--layer", "fc1")
    assert "\n" not in str(caught.value)


def test_the_shell_sees_one_sentence_and_a_failure(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "analysis.spectrum", str(tmp_path), "--layer", "ip1"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == f"error: {tmp_path} holds no .npz file: name a folder of weights\n"
