"""Claims about the variances of sister networks: Figures 6 and 10 (top), 8 and 11 (top)."""

import dataclasses

import numpy as np

from analysis import methods, paper, words
from analysis.claims.core import (
    DIRECTION,
    FAILS,
    HOLDS,
    NOT_RUN,
    REPRODUCE,
    Evidence,
    Finding,
    evaluator,
    exactly,
    judge_number,
    judge_seeds,
    missing,
    spread_text,
)
from analysis.claims.sister_claims import (
    FIRST_ORDER,
    by_common_seed,
    family_of,
    judge_ranks,
    listed,
    member_of,
    members_of,
)
from analysis.paper import Claim
from analysis.results import OWN, REFERENCE, Key
from analysis.sisters import CIFAR10, LENET, MLP, SIGMOID, Family, Member


@evaluator
def variance_ratio(claim: Claim, evidence: Evidence) -> Finding:
    """Final variance over the dense sister's; in direction: off its start by under 10%, as there.

    Where the paper's ratio is more than 10% off its start: off to the same side, from half to twice
    as far.
    """
    member = member_of(claim, evidence)
    if isinstance(member, Finding):
        return member
    values = member.variance_ratio[:, -1]
    start = member.family.start_ratio(member.blocks)
    off, printed_off = values.mean() / start - 1, claim.value / start - 1
    # Where the paper itself is far from the start, how far it strays is what counts.
    if abs(printed_off) <= FIRST_ORDER:
        direction, told = abs(off) <= FIRST_ORDER, "it is within 10% of its start"
    else:
        direction = 0.5 <= off / printed_off <= 2
        told = "it strays to the same side, from half to twice as far"
    return judge_number(claim, values, bool(direction), told, spread_text(values, 4), member.source)


@evaluator
def ratio_persists(claim: Claim, evidence: Evidence) -> Finding:
    """Variance ratios of all sisters, at every dump or as claimed at the end: 10% off at most."""
    members = members_of(claim, evidence, dense=False)
    if isinstance(members, Finding):
        return members
    at_end = "iteration" in claim.subject
    deviations = [m.deviation[:, -1:] if at_end else m.deviation for m in members]
    worst = by_common_seed(members, [np.abs(one).max(axis=1) for one in deviations])
    when = "at the end" if at_end else "at any dump"
    ours = f"at most {words.percent(float(worst.max()))} off, {when}"
    kept = worst.max(axis=1) <= FIRST_ORDER
    printed = _printed_off(members[0].family)
    why = f"the paper's own final ratios are up to {printed:.0%} off" if printed else ""
    return judge_seeds(kept.tolist(), bool(worst.mean(axis=0).max() <= FIRST_ORDER), ours, why,
                       source=members[0].source)  # fmt: skip


def _printed_off(family: Family) -> float | None:
    """How far the printed final ratios of a family are from their start, at most."""
    own = [c for c in paper.claims().values() if c.test == "variance_ratio"]
    of_family = [c for c in own if family_of(c) == family]
    starts = [family.start_ratio(max(methods.block_counts(c.subject["config"]))) for c in of_family]
    off = [abs(c.value / start - 1) for c, start in zip(of_family, starts, strict=True)]
    return max(off, default=None)


def _sisters(evidence: Evidence) -> dict[Family, list[Member]]:
    """The block sisters that are there, of every family that is about the paper's own nets."""
    return {
        family: [m for m in evidence.spectra.members(family) if m.blocks > 1]
        for family in (LENET, SIGMOID, MLP, CIFAR10)
    }


def _not_all(sisters: dict[Family, list[Member]], ours: str) -> Finding | None:
    """Not run, where one of them is missing."""
    lacking = [f.label for f, members in sisters.items() if len(members) + 1 < len(f.blocks)]
    if not lacking:
        return None
    why = f"not all sisters are there of {words.listing(lacking)}"
    return Finding(NOT_RUN, ours, why, REPRODUCE)


@evaluator
def change_ratio(claim: Claim, evidence: Evidence) -> Finding:
    """Change of the variance over the dense sister's, all families: within 10% of its start's.

    The change is that from iteration 0 to the end.
    """
    sisters = _sisters(evidence)
    told, near = [], []
    for family, members in sisters.items():
        ratios = [
            (m.variance[:, -1] - m.variance[:, 0])
            / (m.dense_variance[:, -1] - m.dense_variance[:, 0])
            / family.start_ratio(m.blocks)
            for m in members
        ]
        means = [float(one.mean()) for one in ratios]
        if means:
            span = f"{words.number(min(means))} to {words.number(max(means))}"
            told.append(f"{family.label}: {span}")
            near += [np.abs(one - 1) <= FIRST_ORDER for one in ratios]
    if not told:
        return missing(LENET.key(LENET.blocks[-1]))
    ours = "; ".join(told)
    why = "over the ratio of variances at the start, all b; 1 is a change in that very ratio"
    if not all(one.mean() >= 0.5 for one in near):
        return Finding(FAILS, ours, why)
    if found := _not_all(sisters, ours):
        return found
    every = all(one.size > 1 and one.all() for one in near)
    return Finding(HOLDS if every else DIRECTION, ours, why)


@evaluator
def survives(claim: Claim, evidence: Evidence) -> Finding:
    """Final variance ratios of every family, all sisters: within 10% of the start's."""
    sisters = _sisters(evidence)
    far, off_by_seed = {}, []
    for family, members in sisters.items():
        if members:
            far[family.label] = max(abs(float(m.deviation[:, -1].mean())) for m in members)
            off_by_seed += [np.abs(m.deviation[:, -1]) for m in members]
    if not far:
        return missing(LENET.key(LENET.blocks[-1]))
    ours = "; ".join(f"{label}: at most {100 * off:.1f}% off" for label, off in far.items())
    if max(far.values()) > FIRST_ORDER:
        printed = _printed_off(CIFAR10)
        why = (
            f"more than 10% in one family; the paper's own of cuda-convnet are up to {printed:.0%}"
        )
        return Finding(FAILS, ours, why)
    if found := _not_all(sisters, ours):
        return found
    every = all(off.size > 1 and off.max() <= FIRST_ORDER for off in off_by_seed)
    return Finding(HOLDS if every else DIRECTION, ours)


@evaluator
def deteriorates(claim: Claim, evidence: Evidence) -> Finding:
    """Distance of the final variance ratio from its start, growing with b by rank."""
    members = members_of(claim, evidence, dense=False)
    if isinstance(members, Finding):
        return members
    values = [np.abs(m.deviation[:, -1]) for m in members]
    return judge_ranks(members, values, 1, listed(members, values, 2))


@evaluator
def sigmoid_less(claim: Claim, evidence: Evidence) -> Finding:
    """Distance of the final ratio from b = 100: smaller with the sigmoid than with ReLU."""
    sigmoid = evidence.spectra.member(SIGMOID, 100)
    relu = evidence.spectra.member(LENET, 100)
    for member, family in ((sigmoid, SIGMOID), (relu, LENET)):
        if member is None:
            return missing(family.key(100))
    table = by_common_seed([sigmoid, relu], [np.abs(m.deviation[:, -1]) for m in (sigmoid, relu)])
    mean = table.mean(axis=0)
    ours = f"{100 * mean[0]:.1f}% against {100 * mean[1]:.1f}%"
    return judge_seeds((table[:, 0] < table[:, 1]).tolist(), bool(mean[0] < mean[1]), ours,
                       source=sigmoid.source)  # fmt: skip


@evaluator
def final_variance(claim: Claim, evidence: Evidence) -> Finding:
    """Final variance of the weights; in direction: within 10%."""
    member = member_of(claim, evidence)
    if isinstance(member, Finding):
        return member
    values = member.variance[:, -1]
    near = abs(values.mean() / claim.value - 1) <= FIRST_ORDER
    return judge_number(claim, values, bool(near), "it is within 10%", source=member.source)


@evaluator
def variances_change(claim: Claim, evidence: Evidence) -> Finding:
    """Final variance over that of the start: more than 10% away from 1 in every sister."""
    members = members_of(claim, evidence)
    if isinstance(members, Finding):
        return members
    factors = [m.variance[:, -1] / m.variance[:, 0] for m in members]
    changed = (np.abs(by_common_seed(members, factors) - 1) > FIRST_ORDER).all(axis=1)
    return judge_seeds(changed.tolist(), bool(changed.any()), listed(members, factors),
                       source=members[0].source)  # fmt: skip


@evaluator
def initial_variance(claim: Claim, evidence: Evidence) -> Finding:
    """Variance at iteration 0 over b / K, within what chance does (4 standard deviations)."""
    members = members_of(claim, evidence)
    if isinstance(members, Finding):
        return members
    ratios = [m.variance[:, 0] * m.layout.inputs / m.blocks for m in members]
    # Relative variance of the sample variance of uniform numbers: 0.8 over their count.
    chance = [np.sqrt(0.8 * m.blocks / (m.layout.outputs * m.layout.inputs)) for m in members]
    right = [
        bool((np.abs(ratio - 1) <= 4 * one).all())
        for one, ratio in zip(chance, ratios, strict=True)
    ]
    return exactly(all(right), listed(members, ratios), "over b / K", members[0].source)


@evaluator
def initial_ratio(claim: Claim, evidence: Evidence) -> Finding:
    """Variance ratio at iteration 0, within what chance does (4 standard deviations)."""
    members = members_of(claim, evidence, dense=False)
    if isinstance(members, Finding):
        return members
    right = [bool((np.abs(m.deviation[:, 0]) <= 4 * m.start_noise()).all()) for m in members]
    ours = listed(members, [m.variance_ratio[:, 0] for m in members])
    return exactly(all(right), ours, source=members[0].source)


@evaluator
def initial_deviation(claim: Claim, evidence: Evidence) -> Finding:
    """Standard deviation at iteration 0, within what chance does (4 standard deviations)."""
    members = members_of(claim, evidence)
    if isinstance(members, Finding):
        return members
    values = [np.sqrt(m.variance[:, 0]) for m in members]
    # Relative standard deviation of the sample standard deviation of Gaussian numbers.
    chance = [np.sqrt(m.blocks / (2 * m.layout.outputs * m.layout.inputs)) for m in members]
    right = [
        bool((np.abs(value / claim.value - 1) <= 4 * one).all())
        for one, value in zip(chance, values, strict=True)
    ]
    return exactly(all(right), listed(members, values), source=members[0].source)


# ---- blocks in ip2 ------------------------------------------------------------------------------


def _second_layer(
    claim: Claim, evidence: Evidence, layer: str
) -> tuple[dict[tuple[int, int], list[float]], list[Key]]:
    """{(b1, b2): final variance of `layer` over that with b2 = 1, by seed}, and what is missing."""
    family = family_of(claim)
    found, lacking = {}, []
    for b1 in claim.subject["b1"]:
        for b2 in claim.subject["b2"]:
            if b2 == 1:
                continue
            both = dataclasses.replace(family, config=family.config.replace(",1)", f",{b2})"))
            ratio = None
            for source in (OWN, REFERENCE):
                one, other = (
                    evidence.spectra.histories(f.key(b1), layer, f.iterations, source)
                    for f in (both, family)
                )
                seeds = one.keys() & other.keys()
                if seeds and ratio is None:
                    ratio = [
                        float(one[s][1].variance[-1] / other[s][1].variance[-1])
                        for s in sorted(seeds)
                    ]
            if ratio is None:
                lacking.append(both.key(b1))
            else:
                found[b1, b2] = ratio
    return found, lacking


@evaluator
def second_layer_effect(claim: Claim, evidence: Evidence) -> Finding:
    """Final variance of ip1 with blocks in ip2 over that without: the largest distance from 1."""
    found, lacking = _second_layer(claim, evidence, "ip1")
    if not found:
        return missing(lacking[0])
    off = {place: abs(float(np.mean(values)) - 1) for place, values in found.items()}
    worst = max(off, key=off.get)
    ours = f"at most {off[worst]:.3f}, at b1 = {worst[0]}, b2 = {worst[1]}"
    if off[worst] > claim.value:
        return Finding(FAILS, ours, words.count(len(found), "pair"))
    if lacking:
        told = f"of {len(found)} of {len(found) + len(lacking)} pairs, the others were not run"
        return missing(lacking[0], f"{ours}, {told}")
    fewest = min(map(len, found.values()))
    every = all(abs(one - 1) <= claim.value for values in found.values() for one in values)
    why = f"all {len(found)} pairs, at least {words.seeds(fewest)} each"
    return Finding(HOLDS if fewest > 1 and every else DIRECTION, ours, why)


@evaluator
def second_layer_ratio(claim: Claim, evidence: Evidence) -> Finding:
    """Final variance of ip2 with b2 blocks over that with one, within 10% of b2 (most of them)."""
    found, lacking = _second_layer(claim, evidence, "ip2")
    if not found:
        return missing(lacking[0])
    off = {b2: [] for _, b2 in found}
    for (_, b2), ratios in found.items():
        off[b2].append(float(np.mean(ratios)) / b2)
    ours = "; ".join(f"{words.mean_sd(v)} times b2 = {b2} ({len(v)} b1)" for b2, v in off.items())
    near = [abs(v - 1) <= FIRST_ORDER for values in off.values() for v in values]
    if lacking:
        told = f"of {len(found)} of {len(found) + len(lacking)} pairs, the others were not run"
        return missing(lacking[0], f"{ours}, {told}")
    verdict = DIRECTION if np.mean(near) > 0.5 else FAILS
    return Finding(verdict, ours, f"{sum(near)} of {len(near)} within 10%")
