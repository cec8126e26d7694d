"""Claims about accuracies: Table 1's cells and the numbers of Section 4.2."""

import numpy as np

from analysis import methods, table1, words
from analysis.claims.core import (
    DIRECTION,
    FAILS,
    HOLDS,
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
from analysis.paper import Claim
from analysis.results import measured_curve
from analysis.table1 import signed


def _dense_config(config: str) -> str:
    blocks, _, layers = config.partition("-BD_")
    return f"({','.join('1' for _ in blocks.split(','))})-BD_{layers}"


def _printed_dense(claim: Claim) -> float | None:
    """The paper's accuracy of the dense net of the same data."""
    cells = (cell for cell in table1.paper.table1_cells() if cell.subject["column"] == "dense")
    found = [c.value for c in cells if c.subject["dataset"] == claim.subject["dataset"]]
    return found[0] if found else None


def _above_blocks(claim: Claim, evidence: Evidence, mean: float) -> bool:
    """Whether the dense net is above the block nets (BDIP) of the same data, as in the paper."""
    block = [
        row.shown.mean
        for row in evidence.rows
        if row.shown
        and row.key[:2] == (claim.subject["net"], claim.subject["dataset"])
        and row.cell.subject["column"] == "bdip"
    ]
    return bool(block) and mean > max(block)


@evaluator
def final_accuracy(claim: Claim, evidence: Evidence) -> Finding:
    """Final test accuracy of the runs; in direction: on the paper's side of the dense net."""
    key = key_of(claim)
    summary = evidence.accuracy(key, claim.subject.get("iterations"))
    if summary is None:
        return missing(key)
    values = list(summary.by_seed.values())
    ours = spread_text(values, 4)
    if methods.is_dense(key.config):
        direction = _above_blocks(claim, evidence, summary.mean)
        told = "the dense net is above the block nets"
        return judge_number(claim, values, direction, told, ours, summary.source)
    dense_key = key._replace(config=_dense_config(key.config), method=methods.DENSE_METHOD)
    dense = evidence.accuracy(dense_key)
    printed = _printed_dense(claim)
    direction = (
        dense is not None
        and printed is not None
        and np.sign(summary.mean - dense.mean) == np.sign(claim.value - printed)
    )
    side = "below" if printed is None or claim.value < printed else "above"
    return judge_number(
        claim, values, bool(direction), f"it is {side} the dense net's", ours, summary.source
    )


@evaluator
def final_error(claim: Claim, evidence: Evidence) -> Finding:
    """Final test error of the runs; in direction: under 5%, as the paper says of it."""
    key = key_of(claim)
    summary = evidence.accuracy(key)
    if summary is None:
        return missing(key)
    values = [100 - value for value in summary.by_seed.values()]
    if claim.relation != "=":
        return judge_bound(claim, values, source=summary.source)
    return judge_number(
        claim, values, float(np.mean(values)) < 5, "it is under 5%", source=summary.source
    )


@evaluator
def worst_drop(claim: Claim, evidence: Evidence) -> Finding:
    """The largest drop from the dense net in Table 1 (shuffle: FIXED), by the means over seeds."""
    place = (claim.subject["net"], claim.subject["dataset"])
    rows = [
        row
        for row in evidence.rows
        if row.key[:2] == place and row.key.method != "shuffle_per_pass"
    ]
    dense = next(row for row in rows if methods.is_dense(row.key.config))
    blocks = [row for row in rows if row is not dense]
    if dense.shown is None:
        return missing(dense.key)
    drops = [(dense.shown.mean - row.shown.mean, row) for row in blocks if row.shown]
    lacking = [row for row in blocks if row.shown is None]
    if not drops:
        return missing(lacking[0].key)
    drop, worst = max(drops, key=lambda pair: pair[0])
    ours = f"{drop:.2f} points at {worst.key.config} {worst.label}"
    kept = drop < claim.value or (claim.relation == "<=" and drop == claim.value)
    if kept and lacking:
        return missing(lacking[0].key, f"{len(drops)} of {len(blocks)} cells: at most {ours}")
    several = all(row.shown.n > 1 for row in [dense, *(row for _, row in drops)])
    verdict = (HOLDS if several else DIRECTION) if kept else FAILS
    return Finding(verdict, ours, f"{len(drops)} of {len(blocks)} cells", source=dense.shown.source)


@evaluator
def drop_from_dense(claim: Claim, evidence: Evidence) -> Finding:
    """Dense minus pruned accuracy, seed by seed; in direction: a loss, of at most twice as much."""
    key = key_of(claim)
    dense_key = key._replace(config=_dense_config(key.config), method=methods.DENSE_METHOD)
    summary, dense = evidence.accuracy(key), evidence.accuracy(dense_key)
    for one, its_key in ((summary, key), (dense, dense_key)):
        if one is None:
            return missing(its_key)
    seeds = summary.by_seed.keys() & dense.by_seed.keys()
    if not seeds:
        return missing(dense_key, "no seed in common")
    values = [dense.by_seed[seed] - summary.by_seed[seed] for seed in sorted(seeds)]
    return judge_number(
        claim, values, 0 < float(np.mean(values)) <= 2 * claim.value,
        "it is a loss, of at most twice the number", source=summary.source,
    )  # fmt: skip


@evaluator
def accuracy_at(claim: Claim, evidence: Evidence) -> Finding:
    """Test accuracy at an iteration, from metrics.csv; in direction: within a point."""
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
    near = abs(float(np.mean(values)) - claim.value) <= 1
    ours = spread_text(values, 4)
    return judge_number(claim, values, near, "it is within a point", ours, runs[0].source)


@evaluator
def train_accuracy(claim: Claim, evidence: Evidence) -> Finding:
    """Final accuracy on the training set; in direction: above that on the test set."""
    key = key_of(claim)
    finals = [(run, run.record.get("final") or {}) for run in evidence.runs(key)]
    found = [(r, 100 * f["train_set_accuracy"]) for r, f in finals if "train_set_accuracy" in f]
    if not found:
        return missing(key, "accuracy on the training set was not measured")
    above = all(value > run.accuracy for run, value in found)
    values = [value for _, value in found]
    ours = spread_text(values, 4)
    return judge_number(
        claim, values, above, "it is above the test set's", ours, found[0][0].source
    )


def _compare_cells(
    evidence: Evidence, pairs: list[tuple[table1.Row, table1.Row]], what: str
) -> Finding:
    """The first of each pair is to be above the second, cell by cell."""
    done = [(one, other) for one, other in pairs if one.shown and other.shown]
    if not done:
        lacking = next(row for pair in pairs for row in pair if not row.shown)
        return missing(lacking.key)
    by_cell, told = [], []
    for one, other in done:
        difference = one.shown.mean - other.shown.mean
        by_cell.append(difference > 0)
        told.append(f"{table1.section_text(one.key)} {one.key.config} {signed(difference, 2)}")
    ours = "; ".join(told)
    why = f"{what} in {sum(by_cell)} of {len(by_cell)} cells that were run"
    if all(by_cell):
        complete = len(done) == len(pairs) and all(r.shown.n > 1 for pair in done for r in pair)
        return Finding(HOLDS if complete else DIRECTION, ours, why)
    return Finding(FAILS, ours, why)


def _columns(evidence: Evidence, first: str, second: str) -> list[tuple[table1.Row, table1.Row]]:
    """Rows of two methods at the same net, data set and config."""
    by_key = {row.key: row for row in evidence.rows}
    return [
        (row, by_key[row.key._replace(method=second)])
        for row in evidence.rows
        if row.key.method == first and row.key._replace(method=second) in by_key
    ]


@evaluator
def pruned_above_blocks(claim: Claim, evidence: Evidence) -> Finding:
    """IP-BDIP above BDIP in every cell of Table 1, by the means over seeds."""
    return _compare_cells(evidence, _columns(evidence, "ip_bdip", "bdip"), "IP-BDIP is above BDIP")


@evaluator
def pruned_near_traditional(claim: Claim, evidence: Evidence) -> Finding:
    """IP-BDIP less than a point below traditional pruning in every cell of Table 1."""
    pairs = _columns(evidence, "ip_bdip", "magnitude")
    done = [(one, other) for one, other in pairs if one.shown and other.shown]
    if not done:
        return missing(pairs[0][0].key)
    gaps = [one.shown.mean - other.shown.mean for one, other in done]
    ours = f"{min(gaps):+.2f} to {max(gaps):+.2f} points".replace("-", words.MINUS)
    near = [gap > -1 for gap in gaps]
    why = f"{sum(near)} of {len(done)} cells that were run, {len(pairs)} in all"
    if not all(near):
        return Finding(FAILS, ours, why)
    return Finding(HOLDS if len(done) == len(pairs) else DIRECTION, ours, why)


@evaluator
def node_worse(claim: Claim, evidence: Evidence) -> Finding:
    """Node pruning below IP-BDIP with a like number of weights, seed by seed."""
    key = key_of(claim)
    node = evidence.accuracy(key)
    pruned = evidence.accuracy(key._replace(method="ip_bdip"))
    if node is None:
        return missing(key)
    if pruned is None:
        return missing(key._replace(method="ip_bdip"))
    seeds = sorted(node.by_seed.keys() & pruned.by_seed.keys())
    if not seeds:
        return missing(key, "no seed in common")
    below = [node.by_seed[seed] < pruned.by_seed[seed] for seed in seeds]
    ours = f"{node.mean:.2f} against {pruned.mean:.2f}"
    return judge_seeds(below, node.mean < pruned.mean, ours, source=node.source)
