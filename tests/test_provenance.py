"""Fingerprints: what makes a run another run, and what does not."""

from __future__ import annotations

import pytest
from caffe.proto import caffe_pb2
from google.protobuf import text_format

from scripts import provenance
from scripts.train_worker import parameter_names

NET = """
name: "two"
layer { name: "data" type: "Data" top: "data" top: "label"
  data_param { source: "/data/mnist/train_lmdb" batch_size: 64 backend: LMDB } }
layer { name: "ip1" type: "BlockInnerProduct" bottom: "data" top: "ip1"
  block_inner_product_param { num_output: 500 blocks: 10 } }
"""
SOLVER = "base_lr: 0.01 momentum: 0.9 max_iter: 10000 test_interval: 500 snapshot: 5000"


def digest(
    net: str = NET,
    solver: str = SOLVER,
    seed: int = 1,
    mode: str = "cpu",
    data: str = "abc",
    **remarks: str,
) -> str:
    parsed = text_format.Parse(net, caffe_pb2.NetParameter())
    parsed_solver = text_format.Parse(solver, caffe_pb2.SolverParameter())
    about = {"records_sha256": data} | remarks
    mark = provenance.fingerprint(parsed_solver, parsed, seed, mode, {"train": about})
    assert isinstance(mark["digest"], str)
    return mark["digest"]


@pytest.mark.parametrize(
    "change",
    [
        {"net": NET.replace("\n", "\n# a comment\n")},
        {"net": NET.replace("/data/mnist", "/home/me/mnist")},
        {"solver": SOLVER.replace("snapshot: 5000", 'snapshot: 7 snapshot_prefix: "there"')},
        {"solver": f"{SOLVER} solver_mode: GPU device_id: 3"},
        {"imported_sha256": "d", "known_as": "the first of them"},
    ],
)
def test_what_leaves_the_results_as_they_are(change: dict[str, str]) -> None:
    assert digest(**change) == digest()


@pytest.mark.parametrize(
    "change",
    [
        {"net": NET.replace("blocks: 10", "blocks: 5")},
        {"net": NET.replace("batch_size: 64", "batch_size: 32")},
        {"net": NET.replace("blocks: 10", "blocks: 10 shuffle: FIXED")},
        {"solver": SOLVER.replace("0.01", "0.02")},
        {"solver": SOLVER.replace("test_interval: 500", "test_interval: 250")},
        {"net": NET.replace("data_param", 'transform_param { mean_file: "mean" } data_param')},
        {"seed": 2},
        {"mode": "gpu"},
        {"data": "abd"},
    ],
)
def test_what_makes_another_run(change: dict[str, str]) -> None:
    assert digest(**change) != digest()


def test_the_place_of_the_mean_image_is_left_out() -> None:
    with_mean = 'transform_param { mean_file: "FOLDER/mean.binaryproto" } data_param'
    nets = [NET.replace("data_param", with_mean.replace("FOLDER", at)) for at in ("/a", "/b")]
    assert digest(nets[0]) == digest(nets[1])


def test_another_program_makes_another_run(monkeypatch: pytest.MonkeyPatch) -> None:
    before = digest()
    monkeypatch.setattr(provenance, "TRAINER_VERSION", provenance.TRAINER_VERSION + 1)
    assert digest() != before


@pytest.mark.parametrize(
    ("layer", "names"),
    [
        ('type: "Convolution"', ["weight", "bias"]),
        ('type: "Convolution" convolution_param { bias_term: false }', ["weight"]),
        ('type: "InnerProduct"', ["weight", "bias"]),
        ('type: "BlockInnerProduct"', ["weight", "bias"]),
        (
            'type: "BlockInnerProduct" block_inner_product_param { shuffle: FIXED }',
            ["weight", "bias", "permutation"],
        ),
        (
            'type: "BlockInnerProduct"'
            " block_inner_product_param { bias_term: false shuffle: FIXED }",
            ["weight", "permutation"],
        ),
        ('type: "BatchNorm"', ["0", "1", "2"]),
    ],
)
def test_blobs_have_names(layer: str, names: list[str]) -> None:
    parsed = text_format.Parse(layer, caffe_pb2.LayerParameter())
    assert parameter_names(parsed, len(names)) == names
