"""What the evaluators of claims about sister networks share."""

from collections.abc import Sequence

import numpy as np
from scipy import stats

from analysis import words
from analysis.claims.core import Evidence, Finding, NoCommonSeed, judge_seeds, missing
from analysis.paper import Claim
from analysis.sisters import CIFAR10, LENET, MLP, SIGMOID, Family, Member, OverBlocks

FIRST_ORDER = 0.1  # a ratio within this of its start counts as kept 'to first order'


def family_of(claim: Claim) -> Family:
    """The sisters that a claim is about."""
    subject = claim.subject
    if subject.get("activation") == "sigmoid":
        return SIGMOID
    return {"lenet": LENET, "mlp500": MLP, "cuda_convnet": CIFAR10}[subject["net"]]


def member_of(claim: Claim, evidence: Evidence) -> Member | Finding:
    """The sister that a claim's config names, or what is missing."""
    family = family_of(claim)
    blocks = next(b for b in family.blocks if family.key(b).config == claim.subject["config"])
    member = evidence.spectra.member(family, blocks)
    if member is None:
        return missing(family.key(blocks), "spectra of this net and its dense sister are needed")
    return member


def members_of(claim: Claim, evidence: Evidence, dense: bool = True) -> list[Member] | Finding:
    """All sisters of a claim's family, or what is missing of them."""
    family = family_of(claim)
    for blocks in family.blocks:
        if evidence.spectra.member(family, blocks) is None:
            return missing(family.key(blocks), "spectra of all sisters are needed")
    members = evidence.spectra.members(family)
    return members if dense else [m for m in members if m.blocks > 1]


def by_common_seed(members: Sequence[OverBlocks], values: Sequence[np.ndarray]) -> np.ndarray:
    """values[i] has one number, or array, per seed of members[i]: (common seeds, members, ...).

    NoCommonSeed where there is none, as when some runs are the user's own and some the reference's.
    """
    seeds = sorted(set.intersection(*(set(m.seeds) for m in members)))
    if not seeds:
        raise NoCommonSeed
    pairs = list(zip(members, values, strict=True))
    return np.array([[value[m.seeds.index(seed)] for m, value in pairs] for seed in seeds])


def ranks(blocks: Sequence[int], table: np.ndarray) -> tuple[list[float], float]:
    """Spearman's rank correlation of blocks and each row of `table`, and of their mean."""
    rows = [float(stats.spearmanr(blocks, row).statistic) for row in table]
    return rows, float(stats.spearmanr(blocks, table.mean(axis=0)).statistic)


def judge_ranks(
    members: Sequence[OverBlocks], values: Sequence[np.ndarray], sign: int, ours: str
) -> Finding:
    """Whether values go up (sign 1) or down (-1) with the number of blocks."""
    table = by_common_seed(members, values)
    rows, mean = ranks([m.blocks for m in members], table)
    why = f"rank correlation with b {mean:+.2f}".replace("-", words.MINUS)
    return judge_seeds(
        [sign * row >= 0.9 for row in rows], sign * mean > 0.5, ours, why, members[0].source
    )


def listed(members: Sequence[OverBlocks], values: Sequence[np.ndarray], digits: int = 3) -> str:
    told = (
        f"{words.mean_sd(value, digits)} (b = {m.blocks})"
        for m, value in zip(members, values, strict=True)
    )
    return "; ".join(told)
