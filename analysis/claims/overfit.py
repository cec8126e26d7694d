"""Claims about overfitting: Figures 4 and 5, from accuracies on the training set."""

from analysis import words
from analysis.claims.accuracy import SEARCH, longer_pruned
from analysis.claims.core import (
    NOT_RUN,
    UNDECIDED,
    Evidence,
    Finding,
    NoCommonSeed,
    evaluator,
    judge_seeds,
)
from analysis.claims.sister_claims import by_common_seed, judge_ranks, listed
from analysis.methods import block_counts
from analysis.overfit import members, of_key
from analysis.paper import Claim
from analysis.results import Key
from analysis.sisters import CIFAR10

COMMAND = "make reproduce ONLY=cifar10"
PRUNED = "(64,2)-BD_5"


@evaluator
def overfit(claim: Claim, evidence: Evidence) -> Finding:
    """Training minus test accuracy of cuda-convnet, by number of blocks."""
    if claim.id == "4.2.3/ip-overfit":
        return _pruned(evidence)
    found = members(evidence.results)
    if len(found) < len(CIFAR10.blocks):
        there = words.listing([str(one.blocks) for one in found]) or "no b"
        return Finding(NOT_RUN, why=f"training accuracies of {there} only", command=COMMAND)
    of_ratio = claim.id == "4.2.3/fig5"
    values = [one.final_ratio if of_ratio else one.final_gap for one in found]
    return judge_ranks(found, values, 1 if of_ratio else -1, listed(found, values))


@evaluator
def less_overfit(claim: Claim, evidence: Evidence) -> Finding:
    """Training minus test accuracy of (64,2)-BD_5, BDIP and IP-BDIP: both below the dense net's."""
    keys = [(CIFAR10.key(1), 1)]
    keys += [(Key(CIFAR10.net, CIFAR10.dataset, PRUNED, one), 64) for one in ("bdip", "ip_bdip")]
    found = [of_key(evidence.results, key, blocks) for key, blocks in keys]
    if None in found:
        why = f"(1,1)-BD_5 and {PRUNED} with both methods are needed"
        return Finding(NOT_RUN, why=why, command=COMMAND)
    gaps = by_common_seed(found, [one.final_gap for one in found])
    dense, *blocks = (words.mean_sd(column) for column in gaps.T)
    told = f"{dense} points dense, {blocks[0]} BDIP, {blocks[1]} IP-BDIP"
    less = (gaps[:, 1:] < gaps[:, :1]).all(axis=1)
    mean = gaps.mean(axis=0)
    return judge_seeds(less.tolist(), bool((mean[1:] < mean[0]).all()), told,
                       source=found[0].source)  # fmt: skip


@evaluator
def more_pruning_overfit(claim: Claim, evidence: Evidence) -> Finding:
    """Training minus test accuracy with more pruning iterations: less in some setting tried.

    What `can` be is not refuted by settings in which it is not.
    """
    told, tried = [], []
    for keys in longer_pruned(evidence):
        pair = [of_key(evidence.results, key, max(block_counts(key.config))) for key in keys]
        if None in pair:
            continue
        try:
            more, less = by_common_seed(pair, [one.final_gap for one in pair]).T
        except NoCommonSeed:
            continue
        told.append(
            f"{keys[0].config} {keys[0].method}: {words.mean_sd(more)} points against "
            f"{words.mean_sd(less)}"
        )
        tried.append((more - less, pair[0].source))
    if not told:
        return Finding(NOT_RUN, why="accuracies on the training set are needed", command=SEARCH)
    ours = "; ".join(told)
    change, source = min(tried, key=lambda one: one[0].mean())
    if change.mean() >= 0:
        why = f"less in 0 of {words.count(len(told), 'setting')} tried, which does not refute it"
        return Finding(UNDECIDED, ours, why, source=source)
    return judge_seeds((change < 0).tolist(), True, ours, source=source)


def _pruned(evidence: Evidence) -> Finding:
    pair = [
        of_key(evidence.results, Key(CIFAR10.net, CIFAR10.dataset, PRUNED, method), 64)
        for method in ("ip_bdip", "bdip")
    ]
    if None in pair:
        return Finding(NOT_RUN, why=f"{PRUNED} with both methods is needed", command=COMMAND)
    gaps = by_common_seed(pair, [one.final_gap for one in pair])
    told = (
        f"{words.mean_sd(gaps[:, 0])} points pruned to blocks, {words.mean_sd(gaps[:, 1])} without"
    )
    less = gaps[:, 0] < gaps[:, 1]
    return judge_seeds(list(less), gaps[:, 0].mean() < gaps[:, 1].mean(), told,
                       source=pair[0].source)  # fmt: skip
