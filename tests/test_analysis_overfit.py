"""Training against test accuracy: Figures 4 and 5 and their claims."""

import csv
import json

import numpy as np
import pytest

from analysis import overfit, paper
from analysis.claims import ledger
from analysis.claims.core import DIRECTION, FAILS, HOLDS, NOT_RUN, UNDECIDED, Evidence
from analysis.claims.overfit import less_overfit, more_pruning_overfit
from analysis.claims.overfit import overfit as evaluate
from analysis.figures import figure04, figure05
from analysis.nulls import Nulls
from analysis.results import load
from analysis.sisters import CIFAR10, Spectra
from tests.analysis_runs import write_run

LAST = 9000


def write(base, config, method, seed, test, gap, last=LAST):
    """A cuda-convnet run whose gap grows evenly to `gap` (a fraction) at the last iteration."""
    end = {"test_accuracy": test, "test_loss": 0.1, overfit.TRAIN_SET: test + gap}
    folder = write_run(
        base, config, method, seed, test, net="cuda_convnet", dataset="cifar10", max_iter=last,
        final=end,
    )  # fmt: skip
    lines = ["iteration,lr,train_loss,test_accuracy,train_part_accuracy,train_set_accuracy"]
    for iteration in range(0, last + 1, 500):
        share = iteration / last
        whole = f"{test + gap}" if iteration == last else ""
        now = test if iteration == last else 0.1 + (test - 0.1) * share
        lines.append(f"{iteration},0.001,0.3,{now},{now + gap * share},{whole}")
    (folder / "metrics.csv").write_text("\n".join(lines) + "\n")
    return folder


def write_family(base, gaps, seeds=2):
    for blocks, gap in zip(CIFAR10.blocks, gaps, strict=True):
        for seed in range(1, seeds + 1):
            write(base, f"({blocks},1)-BD_5", "bdip", seed, 0.75 - 0.01 * seed, gap + 0.001 * seed)


def evidence(base):
    results = load(base)
    return Evidence(results, Spectra(results, Nulls(base / ".null")))


FALLING = (0.08, 0.07, 0.06, 0.05, 0.04, 0.03, 0.02)


def test_gaps_are_points_by_seed_and_iteration(tmp_path):
    write_family(tmp_path, FALLING)
    found = overfit.members(load(tmp_path))
    assert [one.blocks for one in found] == list(CIFAR10.blocks)
    dense = found[0]
    assert dense.seeds == (1, 2)
    assert dense.gap.shape == (2, LAST // 500)
    assert dense.gap[0, -1] == pytest.approx(8.1)
    np.testing.assert_allclose(dense.final_gap, [8.1, 8.2])
    np.testing.assert_allclose(dense.final_ratio, [74 / 8.1, 73 / 8.2])


def test_a_run_without_training_accuracy_is_left_out(tmp_path):
    write_family(tmp_path, FALLING)
    path = tmp_path / "cuda_convnet-cifar10/(1,1)-BD_5/bdip/seed-2/run.json"
    record = json.loads(path.read_text())
    del record["final"][overfit.TRAIN_SET]
    path.write_text(json.dumps(record))
    assert overfit.members(load(tmp_path))[0].seeds == (1,)


@pytest.mark.parametrize("module", [figure04, figure05])
def test_the_figures_show_every_net(module, tmp_path):
    write_family(tmp_path, FALLING)
    drawn = module.draw(evidence(tmp_path).spectra, tmp_path / "out")
    rows = list(csv.DictReader((tmp_path / f"out/{drawn.stem}.csv").open()))
    assert {int(row["blocks"]) for row in rows} == set(CIFAR10.blocks)
    assert "2 seeds (own runs)" in drawn.caption
    for suffix in ("svg", "pdf", "png"):
        assert (tmp_path / f"out/{drawn.stem}.{suffix}").stat().st_size > 1000


def test_without_runs_there_is_no_figure(tmp_path):
    assert figure04.draw(evidence(tmp_path).spectra, tmp_path / "out") is None


def test_the_claims_follow_the_gaps(tmp_path):
    claims = paper.claims()
    for name, gaps, verdict in (
        ("falling", FALLING, HOLDS),
        ("rising", FALLING[::-1], FAILS),
        ("mostly", (0.08, 0.07, 0.04, 0.05, 0.06, 0.03, 0.02), DIRECTION),
    ):
        write_family(tmp_path / name, gaps)
        for claim in ("4.2.3/fig4", "4.2.3/fig5"):
            assert evaluate(claims[claim], evidence(tmp_path / name)).verdict == verdict


def test_claims_without_runs_name_the_command(tmp_path):
    for claim in ("4.2.3/fig4", "4.2.3/fig5", "4.2.3/ip-overfit", "4.2.3/both-overfit"):
        test = less_overfit if claim.endswith("both-overfit") else evaluate
        finding = test(paper.claims()[claim], evidence(tmp_path))
        assert (finding.verdict, finding.command) == (NOT_RUN, "make reproduce ONLY=cifar10")


@pytest.mark.parametrize(("pruned", "verdict"), [(0.01, HOLDS), (0.05, FAILS)])
def test_the_claim_about_pruning_to_blocks(pruned, verdict, tmp_path):
    for seed in (1, 2):
        write(tmp_path, "(64,2)-BD_5", "bdip", seed, 0.72, 0.03)
        write(tmp_path, "(64,2)-BD_5", "ip_bdip", seed, 0.73, pruned)
    finding = evaluate(paper.claims()["4.2.3/ip-overfit"], evidence(tmp_path))
    assert finding.verdict == verdict


@pytest.mark.parametrize(("dense", "verdict"), [(0.08, HOLDS), (0.02, FAILS)])
def test_the_claim_about_both_block_methods(dense, verdict, tmp_path):
    for seed in (1, 2):
        write(tmp_path, "(1,1)-BD_5", "bdip", seed, 0.76, dense)
        write(tmp_path, "(64,2)-BD_5", "bdip", seed, 0.72, 0.03)
        write(tmp_path, "(64,2)-BD_5", "ip_bdip", seed, 0.73, 0.01)
    finding = less_overfit(paper.claims()["4.2.3/both-overfit"], evidence(tmp_path))
    assert finding.verdict == verdict


@pytest.mark.parametrize(
    ("gaps", "verdict"),
    [
        ((0.02, 0.02), HOLDS),
        ((0.01, 0.035), DIRECTION),
        ((0.02, 0.05), UNDECIDED),
        ((0.04, 0.04), UNDECIDED),
        ((None, None), NOT_RUN),
    ],
)
def test_the_claim_about_more_pruning_iterations(gaps, verdict, tmp_path):
    """Reduced where tried, or not, which refutes nothing; fewer iterations are no evidence."""
    for seed, gap in enumerate(gaps, 1):
        tried = {"": (350, 0.03), ",iters=100": (100, 0.01), ",iters=2000": (2000, gap)}
        for setting, (iters, value) in tried.items():
            if value is None:
                continue
            folder = write(tmp_path, "(64,2)-BD_5", f"ip_bdip{setting}", seed, 0.73, value)
            record = json.loads((folder / "run.json").read_text())
            record["net_prototxt"] = f"      iters: {iters}\n"
            (folder / "run.json").write_text(json.dumps(record))
    finding = more_pruning_overfit(paper.claims()["3/more-pruning-overfit"], evidence(tmp_path))
    assert finding.verdict == verdict
    assert ("points against 3.00 ± 0.00" in finding.ours) == (gaps[0] is not None)


def test_a_shorter_run_of_the_users_does_not_displace_the_reference(tmp_path):
    write(tmp_path / "reference", "(1,1)-BD_5", "bdip", 1, 0.75, 0.08)
    write(tmp_path, "(1,1)-BD_5", "bdip", 1, 0.6, 0.01, last=500)
    found = overfit.of_key(load(tmp_path), CIFAR10.key(1), 1)
    assert (found.source, found.final_gap[0]) == ("reference", pytest.approx(8.0))


def test_runs_without_a_common_seed_are_not_compared(tmp_path):
    """A user's run of seed 2 beside the others' seed 1: the ledger says so and goes on."""
    write(tmp_path, "(1,1)-BD_5", "bdip", 1, 0.75, 0.08)
    for method in ("bdip", "ip_bdip"):
        write(tmp_path, "(64,2)-BD_5", method, 2, 0.73, 0.03)
    found = {entry.claim.id: entry.finding for entry in ledger.evaluate(evidence(tmp_path))}
    finding = found["4.2.3/both-overfit"]
    assert finding.verdict == NOT_RUN
    assert finding.why == "the runs that it compares have no seed in common"
