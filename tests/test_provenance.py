"""Fingerprints: what makes a run another run, and what does not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from caffe.proto import caffe_pb2
from google.protobuf import text_format

from scripts import gradient_moments, provenance, train, workflow
from scripts.errors import UserError
from scripts.paths import ROOT
from scripts.runs import RunSpec
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


# -- the library is built from what is here ---------------------------------------------------

LAYER = "caffe_layers/src/caffe/layers/a.cpp"
STAMP = "build/cpu/install/python/caffe/overlay.sha256"


@pytest.fixture
def build(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """A function that runs build_caffe.sh in `tmp_path`, with stubs for all that takes time.

    It takes what the stubs of caffe_source.py and of ninja's install do besides, as shell.
    """
    here = tmp_path / "scripts" / "build"
    here.mkdir(parents=True)
    for name in ("__init__", "provenance", "errors", "files", "paths"):
        shutil.copy(ROOT / "scripts" / f"{name}.py", tmp_path / "scripts")
    for path in (ROOT / "scripts/build").glob("*.sh"):
        (here / path.name).write_text("#!/bin/sh\n")
    shutil.copy(ROOT / "scripts/build/build_caffe.sh", here)
    (tmp_path / LAYER).parent.mkdir(parents=True)
    (tmp_path / LAYER).write_text("first")
    module = tmp_path / "build/cpu/install/python/caffe"
    python, ninja = tmp_path / "build/venv/bin/python", tmp_path / "programs/ninja"
    for path in (python, ninja, module / "_caffe.so"):
        path.parent.mkdir(parents=True, exist_ok=True)
    (module / "_caffe.so").touch()
    (module / "__init__.py").touch()
    (ninja.parent / "cmake").write_text("#!/bin/sh\n")
    python.write_text(f'#!/bin/sh\n[ "$2" = "import caffe" ] || exec {sys.executable} "$@"\n')
    environment = os.environ | {"PATH": f"{ninja.parent}:{os.environ['PATH']}"}

    def run(copy: str = ":", install: str = ":") -> subprocess.CompletedProcess[str]:
        (here / "caffe_source.py").write_text(f"import os\nos.system({copy!r})\n")
        ninja.write_text(f'#!/bin/sh\nfor last; do :; done\n[ "$last" = -n ] || {{ {install}; }}\n')
        for path in (*here.glob("*.sh"), *ninja.parent.iterdir(), python):
            path.chmod(0o755)
        command = [str(here / "build_caffe.sh"), "cpu"]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
        )

    return run


def overlay_digest(folder: Path) -> str:
    return provenance.overlay_digest(folder / "caffe_layers")


def test_a_build_says_what_it_was_built_from(
    build: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    done = build()
    assert done.returncode == 0, done.stderr
    stamp = tmp_path / STAMP
    assert stamp.read_text().strip() == overlay_digest(tmp_path)
    before = stamp.stat().st_mtime_ns
    assert build().returncode == 0
    assert stamp.stat().st_mtime_ns == before  # runs that start meanwhile read it


@pytest.mark.parametrize("when", ["copy", "install"])
def test_an_edit_during_the_build_is_not_taken_for_built(
    build: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path, when: str
) -> None:
    first = overlay_digest(tmp_path)
    done = build(**{when: f"echo second >{tmp_path / LAYER}"})
    assert done.returncode == 0, done.stderr
    assert (tmp_path / STAMP).read_text().strip() == first != overlay_digest(tmp_path)


def test_what_is_half_installed_is_built_from_nothing(
    build: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    assert build().returncode == 0
    (tmp_path / LAYER).write_text("second")
    assert build(install="exit 1").returncode == 1
    assert not (tmp_path / STAMP).exists()
    (tmp_path / LAYER).write_text("first")  # the library may be of the second all the same
    with pytest.raises(UserError, match="run make caffe"):
        provenance.check_built((tmp_path / STAMP).parent)


def test_a_library_of_other_sources_trains_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import caffe

    spec = RunSpec("lenet", "mnist", "(10,1)-BD_4", "bdip", 1)
    monkeypatch.setattr(caffe, "__file__", str(tmp_path / "__init__.py"))
    stamp = tmp_path / provenance.BUILT_FROM
    stamp.write_text(f"{provenance.overlay_digest()}\n")
    train.require_current_caffe()
    for damage in (lambda: stamp.write_text("0123\n"), stamp.unlink):
        damage()
        for command in (
            lambda: train.run(spec, ("cpu", 0), tmp_path / "results", False, 20.0),
            lambda: gradient_moments.record(spec, tmp_path / "results", 2, 20.0, False),
            lambda: workflow.execute([spec], tmp_path / "results", "cpu", 1, report=[]),
        ):
            with pytest.raises(UserError, match=r"caffe_layers/ has changed since .* make caffe"):
                command()
    assert not (tmp_path / "results").exists()
