"""What the README says is so: its table, its make targets, its paths and its links."""

from __future__ import annotations

import csv
import json
import re
import subprocess
from pathlib import Path

import pytest
from analysis_runs import write_run
from bench_timings import write, write_timings

from analysis import readme
from analysis.errors import AnalysisError

ROOT = readme.README.parent
TEXT = readme.README.read_text()


def test_tables_are_what_the_reference_results_give() -> None:
    text = TEXT
    for name, passage in readme.passages(ROOT / "results" / "reference").items():
        if passage is not None:
            text = readme.replaced(text, name, passage)
    assert text == TEXT
    drawn = readme.figure(ROOT / "results" / "reference")
    if drawn is not None:
        assert (ROOT / readme.FIGURE).read_bytes() == drawn


def test_reference_runs_name_their_commit() -> None:
    """Device, seed and a commit without changes on top of it, as the README says of each."""
    paths = sorted((ROOT / "results" / "reference").glob("*/*/*/seed-*/run.json"))
    assert paths
    for path in paths:
        run = json.loads(path.read_text())
        assert run["dirty"] is False, path
        assert re.fullmatch("[0-9a-f]{40}", run["commit"]), path
        assert run["device"]["name"], path
        assert f"seed-{run['seed']}" == path.parent.name, path


def test_marks_that_are_gone_are_reported() -> None:
    for name in ("table 1", "accuracy", "speed", "engines"):
        readme.replaced(TEXT, name, "")
        with pytest.raises(AnalysisError, match=rf"README\.md has no lines <!-- {name}: begin"):
            readme.replaced("no marks", name, "table\n")


def test_speed_comes_from_reference_timings_alone(tmp_path: Path) -> None:
    """Timings of a layer b times faster: the README's speed and engines, and Figure 1."""
    write_timings(tmp_path / "bench" / "own")
    reference = tmp_path / "reference"
    assert readme.passages(reference)["speed"] is None
    assert readme.figure(reference) is None
    write_timings(reference / "bench" / "test")
    made = readme.passages(reference)
    row = next(line for line in made["speed"].splitlines() if "dense product" in line)
    # b = 2 ... 256 and 2 ... 512: 2 to the mean of 1 ... 8 and 1 ... 9
    assert f"| {2 ** ((36 + 45) / 17):.1f} |" in row
    assert row.endswith("nowhere |")
    assert readme.FIGURE in made["speed"]
    assert "on Test, none, 1 thread" in made["speed"]
    assert "dense net's it is 1.50 times with LeNet-5 (10,1)-BD_4, which" in made["speed"]
    assert "With nothing in the caches" not in made["speed"]
    path = reference / "bench" / "test" / "times.csv"
    rows = list(csv.DictReader(path.open()))
    case = [row for row in rows if (row["N"], row["b"], row["product"]) == ("512", "8", "forward")]
    cold = [{**row, "state": "cold"} for row in case]
    for row in cold:
        row["median_s"] = float(row["median_s"]) * (2 if row["method"] == "layer" else 1)
    write(path, [*rows, *cold])
    told = "it is 4.00 times as fast as dense where it is 8.00 times with data there (1 case)"
    assert told in readme.passages(reference)["speed"]
    assert made["engines"].endswith("| LeNet-5, 64 images | 30.0 ms | 20.0 ms |\n")
    assert readme.figure(reference).startswith(b"<?xml")


def test_sentences_come_from_the_results(tmp_path: Path) -> None:
    """Each number of seeds, difference and count of settings is that of the runs."""
    config, validation = "(10,1)-BD_4", "mnist-validation"
    for seed, gain in ((1, 0.0010), (2, -0.0004), (3, 0.0006)):
        write_run(tmp_path, config, "bdip", seed, 0.98)
        write_run(tmp_path, config, "ip_bdip", seed, 0.98 + gain)
    write_run(tmp_path, config, "shuffle", 1, 0.9881)
    write_run(tmp_path, config, "shuffle_per_pass", 1, 0.5)
    for method, accuracies in {
        "bdip": (0.98, 0.98),
        "ip_bdip": (0.99,),
        "ip_bdip,alpha=1e-3": (0.97, 0.98),
    }.items():
        for seed, accuracy in enumerate(accuracies, 1):
            write_run(tmp_path, config, method, seed, accuracy, dataset=validation)
    seeds, shuffles, pruned = readme.passages(tmp_path)["accuracy"].splitlines()
    assert seeds.startswith("- 3 of the 27 numbers")
    assert seeds.endswith(": MNIST with 1 to 3 seeds.")
    assert shuffles.endswith(
        "LeNet-5 on MNIST, FIXED is nearer in the one config, by less than these seeds can settle."
    )
    assert "is +0.19 to +0.19 points in the paper" in pruned
    assert f"MNIST {config} +0.04 (no difference that 3 seeds can show)." in pruned
    told = f"above BDIP with 1 of 2 settings for MNIST {config} (1 or 2 seeds each)."
    assert pruned.endswith(told)


def test_no_results_no_sentences(tmp_path: Path) -> None:
    assert readme.passages(tmp_path / "reference")["accuracy"] is None


def test_targets_exist() -> None:
    named = set(re.findall(r"\bmake ([a-z][a-z0-9-]+)", TEXT))
    help_text = subprocess.run(["make", "-s"], cwd=ROOT, capture_output=True, text=True, check=True)
    there = set(re.findall(r"^  make ([a-z0-9-]+)", help_text.stdout, re.MULTILINE))
    assert named
    assert named <= there


def test_paths_exist() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    tracked = listed.stdout.split("\n")
    # Where git knows no files (an image made of the files alone), nothing can be compared.
    if tracked == [""]:
        pytest.skip("not a git checkout")
    folders = {"/".join(path.split("/")[:n]) for path in tracked for n in range(1, 8)}
    pattern = r"`((?:caffe_layers|prototxt|scripts|analysis|tests)/[\w./-]*)`"
    for path in [*re.findall(pattern, TEXT), *re.findall(r"\]\((?!http)([^)]+)\)", TEXT)]:
        assert path.rstrip("/") in folders, f"README names {path}"
