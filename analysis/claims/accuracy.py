"""Claims about accuracies: Table 1's cells and the numbers of Section 4.2."""

import dataclasses
import math
import re
from collections.abc import Sequence

import numpy as np

from analysis import lengths, methods, paper, shuffles, table1, words
from analysis.claims.core import (
    COMPARE,
    DIRECTION,
    FAILS,
    HOLDS,
    NOT_RUN,
    UNDECIDED,
    Differences,
    Evidence,
    Finding,
    evaluator,
    judge_bound,
    judge_number,
    judge_seeds,
    key_of,
    missing,
    spread_text,
)
from analysis.claims.nets import parameters, weights_left
from analysis.paper import Claim
from analysis.results import Key, Run, measured_curve
from analysis.table1 import Row, signed

# Images of the official test sets, which the paper's accuracies are counted over.
TEST_IMAGES = {"mnist": 10_000, "svhn": 26_032, "cifar10": 10_000}
# Points within which an accuracy on the training set counts as near.
POINT = 1.0
SEARCH = "make reproduce ONLY=search"


def _dense_key(key: Key) -> Key:
    """The net without blocks of the same net and data."""
    blocks, _, layers = key.config.partition("-BD_")
    config = f"({','.join('1' for _ in blocks.split(','))})-BD_{layers}"
    return key._replace(config=config, method=methods.DENSE_METHOD)


def counting_error(claim: Claim, images: int | None = None) -> float:
    """Two standard errors, in points, of a printed percentage of the test images.

    A net that is right with probability p has sqrt(p (1 - p) / n) of them by the choice of the n
    images alone. images: how many ours are, where they are a part of the paper's.
    """
    share = claim.value / 100
    return 200 * math.sqrt(share * (1 - share) / (images or TEST_IMAGES[claim.subject["dataset"]]))


def _judge_share(claim: Claim, values: Sequence[float], ours: str, runs: list[Run]) -> Finding:
    """A printed percentage of test images: by the seeds, failing that by `counting_error`.

    Where ours were tested on a part of the images, the share of that part differs from that of all
    with the variance p (1 - p) (1/part - 1/all).
    """
    whole, tested = TEST_IMAGES[claim.subject["dataset"]], _test_images(runs[0])
    error = counting_error(claim, min(tested or whole, whole))
    near = abs(float(np.mean(values)) - claim.value) <= error
    told = f"it is within ±{error:.2f} points, two standard errors of a count of test images"
    other = math.sqrt(max(0.0, error**2 - counting_error(claim) ** 2)) / 2
    found = judge_number(claim, values, near, told, ours, runs[0].source, other)
    if not other:
        return found
    why = f"{found.why}; tested on {tested:,} of {whole:,} images"
    return dataclasses.replace(found, why=why)


def _test_images(run: Run) -> int | None:
    """How many images a run was tested on; None where its record does not say."""
    return ((run.record.get("data") or {}).get("test") or {}).get("count")


@evaluator
def final_accuracy(claim: Claim, evidence: Evidence) -> Finding:
    """Final test accuracy (shuffle: FIXED); in direction: within what counting test images does."""
    key = key_of(claim)
    summary = evidence.accuracy(key)
    if summary is None:
        return missing(key)
    values = list(summary.by_seed.values())
    return _judge_share(claim, values, spread_text(values, 4), evidence.runs(key))


@evaluator
def final_error(claim: Claim, evidence: Evidence) -> Finding:
    """Final test error of the runs; in direction: within what counting test images does."""
    key = key_of(claim)
    summary = evidence.accuracy(key)
    if summary is None:
        return missing(key)
    values = [100 - value for value in summary.by_seed.values()]
    if claim.relation != "=":
        found = judge_bound(claim, values, source=summary.source)
    else:
        found = _judge_share(claim, values, spread_text(values), evidence.runs(key))
    if found.verdict != FAILS:
        return found
    readings = lengths.evidence(evidence.results)
    longer = [f"{one.error:.2f} ({one.name})" for one in readings if not one.as_lenet]
    more = f"; trained for longer: {words.listing(longer)}" if longer else ""
    return dataclasses.replace(found, why=f"{found.why}{more}")


def _block_rows(evidence: Evidence, dataset: str | None = None) -> list[Row]:
    """Rows of Table 1 but the dense nets and PER_PASS, which is a second reading of one column."""
    return [
        row
        for row in evidence.rows
        if not methods.is_dense(row.key.config)
        and row.key.method != "shuffle_per_pass"
        and dataset in (None, row.key.dataset)
    ]


def _judge_drops(claim: Claim, evidence: Evidence, rows: list[Row]) -> Finding:
    """The largest drop from the dense net: with every seed, or by the means, under the bound."""
    done: list[tuple[Row, Differences]] = []
    for row in rows:
        found = evidence.differences(_dense_key(row.key), row.key)
        done += [(row, found)] if found else []
    lacking = [row for row in rows if row not in [one for one, _ in done]]
    if not done:
        dense = _dense_key(rows[0].key)
        return missing(dense if evidence.accuracy(dense) is None else rows[0].key)
    row, worst = max(done, key=lambda pair: pair[1].mean)
    place = f"{table1.section_text(row.key)}, {row.key.config} {row.label}"
    ours = f"{spread_text(worst.values)} points at {place}"

    def kept(drop: float) -> bool:
        return COMPARE[claim.relation](drop, claim.value)

    if kept(worst.mean) and lacking:
        return missing(lacking[0].key, f"{len(done)} of {len(rows)} cells: at most {ours}")
    by_seed = f"{sum(map(kept, worst.values))} of {words.seeds(len(worst.values))}"
    under = sum(kept(found.mean) for _, found in done)
    cells = f"{len(done)} cells run, of {len(rows)}"
    why = f"{under} of the {cells}, keep it; in the worst with {by_seed}"
    if not kept(worst.mean):
        # A mean that is above the bound by less than it is known to is not yet above it.
        several = len(worst.values) > 1
        error = np.std(worst.values, ddof=1) / math.sqrt(len(worst.values)) if several else 0.0
        near = worst.mean - claim.value <= error
        why += f"; above by less than the mean's standard error, {error:.2f}" if near else ""
        return Finding(DIRECTION if near else FAILS, ours, why, source=worst.source)
    every = all(kept(value) for _, found in done for value in found.values)
    several = all(len(found.values) > 1 for _, found in done)
    why += "; kept with every seed" if every else "; kept by the means, not with every seed"
    return Finding(HOLDS if every and several else DIRECTION, ours, why, source=worst.source)


@evaluator
def worst_drop(claim: Claim, evidence: Evidence) -> Finding:
    """Largest drop from the dense net, shuffle FIXED; in direction: under, but for its error."""
    return _judge_drops(claim, evidence, _block_rows(evidence, claim.subject["dataset"]))


@evaluator
def worst_drop_of_all(claim: Claim, evidence: Evidence) -> Finding:
    """Largest drop from dense in all of Table 1; in direction: under 4, but for its error."""
    return _judge_drops(claim, evidence, _block_rows(evidence))


def _above_dense(claim: Claim, evidence: Evidence) -> Differences | Finding:
    """A claim's net minus its dense net, seed by seed; or what is missing of them."""
    key = key_of(claim)
    dense = _dense_key(key)
    for one in (key, dense):
        if evidence.accuracy(one) is None:
            return missing(one)
    return evidence.differences(key, dense) or missing(dense, "no seed in common")


@evaluator
def drop_from_dense(claim: Claim, evidence: Evidence) -> Finding:
    """Dense minus pruned accuracy; in direction: at most half as much again ('only', it says)."""
    found = _above_dense(claim, evidence)
    if isinstance(found, Finding):
        return found
    return judge_number(
        claim, [0 - value for value in found.values], 0 - found.mean <= 1.5 * claim.value,
        "it is at most half as much again", source=found.source,
    )  # fmt: skip


@evaluator
def accuracy_at(claim: Claim, evidence: Evidence) -> Finding:
    """Test accuracy at an iteration; in direction: within what counting test images does."""
    key = key_of(claim)
    runs = evidence.runs(key)
    if not runs:
        return missing(key)
    values = []
    for run in runs:
        iterations, accuracy = measured_curve(run)
        values += (100 * accuracy[iterations == claim.subject["iteration"]]).tolist()
    if not values:
        return missing(key, "no test at that iteration")
    return _judge_share(claim, values, spread_text(values, 4), runs)


@evaluator
def train_accuracy(claim: Claim, evidence: Evidence) -> Finding:
    """Final accuracy on the whole training set; in direction: within a point."""
    key = key_of(claim)
    finals = [(run, run.record.get("final") or {}) for run in evidence.runs(key)]
    found = [(r, 100 * f["train_set_accuracy"]) for r, f in finals if "train_set_accuracy" in f]
    if not found:
        return missing(key, "accuracy on the training set was not measured")
    values = [value for _, value in found]
    near = abs(float(np.mean(values)) - claim.value) <= POINT
    ours = spread_text(values, 4)
    return judge_number(claim, values, near, "it is within a point", ours, found[0][0].source)


# ---- one method above another -------------------------------------------------------------------


def _columns(first: str, second: str) -> list[tuple[Key, Key]]:
    """Two methods at every net, data set and config of Table 1."""
    places = dict.fromkeys(
        (cell.subject["net"], cell.subject["dataset"], cell.subject["config"])
        for cell in paper.table1_cells()
        if cell.subject["column"] != "dense"
    )
    return [(Key(*place, first), Key(*place, second)) for place in places]


def _compare(
    evidence: Evidence, pairs: list[tuple[Key, Key]]
) -> tuple[list[tuple[Key, Differences]], Key | None]:
    """First minus second where both were run, and a net that is missing."""
    done, lacking = [], None
    for one, other in pairs:
        found = evidence.differences(one, other)
        if found is not None:
            done.append((one, found))
        elif lacking is None:
            lacking = one if evidence.accuracy(one) is None else other
    return done, lacking


def _listed(done: list[tuple[Key, Differences]]) -> str:
    told = (f"{table1.section_text(k)} {k.config} {signed(d.mean, 2)}" for k, d in done)
    return "; ".join(told)


@evaluator
def pruned_above_blocks(claim: Claim, evidence: Evidence) -> Finding:
    """IP-BDIP minus BDIP in Table 1; in direction: more in all, and no cell less by every seed."""
    pairs = _columns("ip_bdip", "bdip")
    done, lacking = _compare(evidence, pairs)
    if not done:
        return missing(lacking)
    above = sum(min(found.values) > 0 for _, found in done)
    below = sum(max(found.values) < 0 for _, found in done)
    why = (
        f"with every seed IP-BDIP is above BDIP in {above} and below it in {below} of {len(done)} "
        "cells that were run"
    )
    several = all(len(found.values) > 1 for _, found in done)
    if above == len(pairs) and several:
        return Finding(HOLDS, _listed(done), why)
    more = not below and np.mean([found.mean for _, found in done]) > 0
    return Finding(DIRECTION if more else FAILS, _listed(done), why)


@evaluator
def shuffle_above_blocks(claim: Claim, evidence: Evidence) -> Finding:
    """rand. shuff. (FIXED) above BDIP in more than half of Table 1's cells, as in the paper's."""
    pairs = _columns("shuffle", "bdip")
    done, lacking = _compare(evidence, pairs)
    if not done:
        return missing(lacking)
    every = sum(min(found.values) > 0 for _, found in done)
    mean = sum(found.mean > 0 for _, found in done)
    several = all(len(found.values) > 1 for _, found in done)
    why = f"higher by the means in {mean} of {len(done)} cells that were run, {len(pairs)} in all"
    half, open_ = len(pairs) / 2, len(pairs) - len(done)
    if mean <= half < mean + open_:
        return missing(lacking, f"{_listed(done)}: {why}")
    if several and every > half:
        return Finding(HOLDS, _listed(done), why)
    return Finding(DIRECTION if mean > half else FAILS, _listed(done), why)


@evaluator
def shuffled_each_pass(claim: Claim, evidence: Evidence) -> Finding:
    """Table 1's column rand. shuff.: nearer to a new order at each pass than to one fixed order."""
    found = shuffles.evidence(evidence.rows)
    if not found:
        return missing(key_of(claim))
    ours = "; ".join(
        f"{one.fixed.key.config}: {abs(one.per_pass.difference):.2f} points off with a new order "
        f"at each pass, {abs(one.fixed.difference):.2f} with one order"
        for one in found
    )
    is_so = all(one.nearer == shuffles.PER_PASS for one in found)
    return Finding(DIRECTION if is_so else FAILS, ours, source=found[0].fixed.shown.source)


@evaluator
def pruned_near_traditional(claim: Claim, evidence: Evidence) -> Finding:
    """IP-BDIP below traditional pruning by no more than counting test images, or the paper, shows.

    In every cell of Table 1, with as many weights left; what the paper shows is its own largest
    gap on that data set.
    """
    pairs = _columns("ip_bdip", "magnitude")
    done, lacking = _compare(evidence, pairs)
    if not done:
        return missing(lacking)
    cells = {key_of(cell): cell for cell in paper.table1_cells()}
    allowed: dict[str, float] = {}
    for one, other in pairs:
        gap = cells[other].value - cells[one].value
        most = max(allowed.get(one.dataset, 0.0), gap, counting_error(cells[other]))
        allowed[one.dataset] = most
    beyond = [(key, found) for key, found in done if found.mean < -allowed[key.dataset]]
    told = ", ".join(f"{data} {limit:.2f}" for data, limit in allowed.items())
    why = f"{len(done)} cells that were run, {len(pairs)} in all; points below allowed: {told}"
    if beyond:
        return Finding(FAILS, _listed(done), f"{why}; further below: {_listed(beyond)}")
    left = [[weights_left(evidence, key) for key in pair] for pair in pairs]
    counted = [(blocks, other) for blocks, other in left if blocks and other]
    unlike = sum(blocks != other for blocks, other in counted)
    why += f"; weights left were counted in {len(counted)}"
    if unlike:
        return Finding(FAILS, _listed(done), f"{why}, and are other numbers in {unlike}")
    every = all(
        min(found.values) >= -allowed[key.dataset] and len(found.values) > 1 for key, found in done
    )
    return Finding(HOLDS if every and len(done) == len(pairs) else DIRECTION, _listed(done), why)


@evaluator
def more_pruning(claim: Claim, evidence: Evidence) -> Finding:
    """IP-BDIP with more pruning iterations minus the recipe's: higher in some setting tried.

    What `can` be is not refuted by settings in which it is not: then it stays open.
    """
    done = [
        (key, found)
        for key, base in longer_pruned(evidence)
        if (found := evidence.differences(key, base)) is not None
    ]
    if not done:
        return Finding(NOT_RUN, command=SEARCH)
    ours = "; ".join(f"{k.config} {k.method} {signed(d.mean, 2)}" for k, d in done)
    higher = sum(d.mean > 0 for _, d in done)
    why = f"higher in {higher} of {words.count(len(done), 'setting')} tried"
    if not higher:
        return Finding(UNDECIDED, ours, f"{why}, which does not refute that it can be")
    every = any(min(found.values) > 0 and len(found.values) > 1 for _, found in done)
    return Finding(HOLDS if every else DIRECTION, ours, why)


def longer_pruned(evidence: Evidence) -> list[tuple[Key, Key]]:
    """Nets pruned to blocks over more iterations than another, and that other one."""
    pairs, tried = [], evidence.results.keys()
    for key in tried:
        name, *settings = (key.method or "").split(",")
        fewer = [one for one in settings if not one.startswith("iters=")]
        if name != "ip_bdip" or len(fewer) == len(settings):
            continue
        base = key._replace(method=",".join([name, *fewer]))
        if evidence.runs(key) and evidence.runs(base):
            more, less = (_pruning_iterations(evidence, one) for one in (key, base))
            pairs += [(key, base)] if more > less else []
    return pairs


def _pruning_iterations(evidence: Evidence, key: Key) -> int:
    net = evidence.runs(key)[0].record["net_prototxt"]
    return max((int(n) for n in re.findall(r"^ +iters: (\d+)", net, re.MULTILINE)), default=0)


@evaluator
def toeplitz_gains(claim: Claim, evidence: Evidence) -> Finding:
    """Toeplitz (3)'s printed error and compression beside our error and compression."""
    key = Key("mlp980", "mnist", "(49,1)-BD_2", "ip_bdip")
    summary = evidence.accuracy(key)
    if summary is None:
        return missing(key)
    printed = {
        name: paper.claims()[f"4.2.1/{name}"].value for name in ("toeplitz-error", "toeplitz-fold")
    }
    dense, small = parameters(key.net, methods.block_counts(key.config))
    fold = dense / small
    errors = [100 - value for value in summary.by_seed.values()]
    ours = (
        f"error {printed['toeplitz-error']:g}% against {words.mean_sd(errors)}%, compression "
        f"{printed['toeplitz-fold']:g} against {fold:.2f} fold"
    )
    less = printed["toeplitz-fold"] > fold
    kept = [less and error > printed["toeplitz-error"] for error in errors]
    mean = less and float(np.mean(errors)) > printed["toeplitz-error"]
    return judge_seeds(kept, mean, ours, source=summary.source)


@evaluator
def below_dense(claim: Claim, evidence: Evidence) -> Finding:
    """Pruned minus dense accuracy, seed by seed: below 0."""
    found = _above_dense(claim, evidence)
    if isinstance(found, Finding):
        return found
    ours = f"{spread_text(found.values)} points"
    below = [value < 0 for value in found.values]
    return judge_seeds(below, found.mean < 0, ours, source=found.source)


@evaluator
def node_worse(claim: Claim, evidence: Evidence) -> Finding:
    """Node pruning below IP-BDIP, which has fewer weights left, seed by seed."""
    key = key_of(claim)
    pruned = key._replace(method="ip_bdip")
    for one in (key, pruned):
        if evidence.accuracy(one) is None:
            return missing(one)
    found = evidence.differences(key, pruned)
    if found is None:
        return missing(key, "no seed in common")
    below = [value < 0 for value in found.values]
    ours = f"{signed(found.mean, 2)} points"
    return judge_seeds(below, found.mean < 0, ours, source=found.source)
