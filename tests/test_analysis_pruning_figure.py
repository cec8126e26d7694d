"""The picture of a matrix on the way to blocks."""

import numpy as np
import pytest

from analysis.errors import AnalysisError
from analysis.figures import pruning

NET = """
layer {
  name: "ip1"
  type: "InnerProduct"
  param {
    lr_mult: 1
    prune {
      type: BLOCK_L1
      start: 15
      iters: 350
      alpha: 0.0018
      blocks: 2
    }
  }
}
layer {
  name: "ip2"
  type: "InnerProduct"
}
"""


@pytest.fixture
def run(tmp_path):
    """A run of 4 x 6 weights: whole, with three entries pruned, in two blocks."""
    (tmp_path / "net.prototxt").write_text(NET)
    (tmp_path / "weights").mkdir()
    dense = np.arange(1, 25, dtype=np.float32).reshape(4, 6)
    half, blocks = dense.copy(), dense.copy()
    half[0, 3:] = 0
    blocks[:2, 3:] = blocks[2:, :3] = 0
    for iteration, weights in ((15, dense), (190, half), (365, blocks)):
        np.savez(tmp_path / f"weights/iter_{iteration:06d}.npz", **{"ip1/weight": weights})
    return tmp_path


def test_the_phase_is_the_nets(run):
    phase = pruning.phase_of(NET, "ip1")
    assert phase == pruning.Phase(15, 350, 2)
    assert phase.iterations == (15, 190, 365)
    with pytest.raises(AnalysisError, match="does not prune the layer ip2"):
        pruning.phase_of(NET, "ip2")


def test_a_picture_says_how_many_entries_are_left(run, tmp_path):
    caption = pruning.draw(run, "ip1", tmp_path / "out")
    assert "4 x 6 weights" in caption
    assert "the 4 x 3 matrix" in caption
    for suffix in ("svg", "pdf", "png"):
        assert (tmp_path / f"out.{suffix}").stat().st_size > 1000


def test_a_missing_dump_is_named(run, tmp_path):
    (run / "weights/iter_000190.npz").unlink()
    with pytest.raises(AnalysisError, match=r"iter_000190\.npz has no weights of ip1"):
        pruning.draw(run, "ip1", tmp_path / "out")


def test_a_matrix_that_is_not_block_diagonal_is_refused(run, tmp_path):
    weights = np.ones((4, 6), np.float32)
    np.savez(run / "weights/iter_000365.npz", **{"ip1/weight": weights})
    with pytest.raises(AnalysisError, match="off the 2 diagonal blocks are not zero"):
        pruning.draw(run, "ip1", tmp_path / "out")


def test_a_pixel_is_the_mean_of_its_entries():
    weights = np.array([[1.0, -3, 5], [1, 3, -7], [2, 2, 9]])
    np.testing.assert_array_equal(pruning.coarse(weights, 2), [[2, 6], [2, 9]])
