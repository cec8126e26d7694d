"""Claims about the variances of sister networks: Figures 6 and 10 (top), 8 and 11 (top)."""

import dataclasses

import numpy as np

from analysis import words
from analysis.claims.core import (
    DIRECTION,
    EXACT,
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
from analysis.results import OWN, REFERENCE
from analysis.sisters import CIFAR10, LENET, MLP, SIGMOID


@evaluator
def variance_ratio(claim: Claim, evidence: Evidence) -> Finding:
    """Final variance over the dense sister's, by seed; in direction: within 10% of its start."""
    member = member_of(claim, evidence)
    if isinstance(member, Finding):
        return member
    values = member.variance_ratio[:, -1]
    start = member.family.start_ratio(member.blocks)
    kept = bool(abs(values.mean() / start - 1) <= FIRST_ORDER)
    same_side = np.sign(values.mean() - start) == np.sign(claim.value - start)
    # Where the paper itself is far from the start, the side it strays to is what counts.
    direction = kept if abs(claim.value / start - 1) <= FIRST_ORDER else bool(same_side)
    told = "it is within 10% of its start" if direction is kept else "it strays to the same side"
    return judge_number(claim, values, direction, told, spread_text(values, 4), member.source)


@evaluator
def ratio_persists(claim: Claim, evidence: Evidence) -> Finding:
    """Variance ratios at every dump, all sisters: within 10% of the start's."""
    members = members_of(claim, evidence, dense=False)
    if isinstance(members, Finding):
        return members
    worst = by_common_seed(members, [np.abs(m.deviation).max(axis=1) for m in members])
    ours = f"at most {words.percent(float(worst.max()))} off, at any dump"
    kept = worst.max(axis=1) <= FIRST_ORDER
    return judge_seeds(kept.tolist(), bool(worst.mean(axis=0).max() <= FIRST_ORDER), ours,
                       source=members[0].source)  # fmt: skip


@evaluator
def survives(claim: Claim, evidence: Evidence) -> Finding:
    """Final variance ratios of every family within 10% of the start's."""
    far, lacking = {}, None
    for family in (LENET, SIGMOID, MLP, CIFAR10):
        members = [m for m in evidence.spectra.members(family) if m.blocks > 1]
        lacking = lacking or (None if members else family)
        for m in members:
            off = abs(float(m.deviation[:, -1].mean()))
            far[family.label] = max(off, far.get(family.label, 0.0))
    if not far:
        return missing(LENET.key(LENET.blocks[-1]))
    ours = "; ".join(f"{label}: at most {100 * off:.1f}% off" for label, off in far.items())
    if max(far.values()) > FIRST_ORDER:
        return Finding(FAILS, ours, "more than 10% in one family")
    if lacking is not None:
        return Finding(NOT_RUN, ours, f"{lacking.label} is missing", REPRODUCE)
    return Finding(HOLDS, ours)


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
    """Standard deviation of the weights at iteration 0, every sister."""
    members = members_of(claim, evidence)
    if isinstance(members, Finding):
        return members
    values = [np.sqrt(m.variance[:, 0]) for m in members]
    right = all(bool((np.abs(v / claim.value - 1) < 0.15).all()) for v in values)
    return exactly(right, listed(members, values), source=members[0].source)


# ---- blocks in ip2 ------------------------------------------------------------------------------


def _second_layer(
    claim: Claim, evidence: Evidence, layer: str
) -> tuple[dict[tuple[int, int], float], list[str]]:
    """{(b1, b2): final variance of `layer` over that with b2 = 1}, and the missing configs."""
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
                    ratio = float(np.mean([
                        one[s][1].variance[-1] / other[s][1].variance[-1] for s in seeds
                    ]))  # fmt: skip
            if ratio is None:
                lacking.append(both.key(b1).config)
            else:
                found[b1, b2] = ratio
    return found, lacking


@evaluator
def second_layer_effect(claim: Claim, evidence: Evidence) -> Finding:
    """Final variance of ip1 with blocks in ip2 over that without: the largest distance from 1."""
    found, lacking = _second_layer(claim, evidence, "ip1")
    if not found:
        return Finding(NOT_RUN, command=REPRODUCE)
    worst = max(found, key=lambda place: abs(found[place] - 1))
    off = abs(found[worst] - 1)
    ours = f"at most {off:.3f}, at b1 = {worst[0]}, b2 = {worst[1]}"
    if off > claim.value:
        return Finding(FAILS, ours, f"{len(found)} pairs")
    if lacking:
        return Finding(NOT_RUN, ours, f"{len(lacking)} pairs are missing", REPRODUCE)
    return Finding(DIRECTION, ours, f"all {len(found)} pairs, one seed")


@evaluator
def second_layer_ratio(claim: Claim, evidence: Evidence) -> Finding:
    """Final variance of ip2 with b2 blocks over that with one, within 10% of b2 (half of them)."""
    found, _ = _second_layer(claim, evidence, "ip2")
    if not found:
        return Finding(NOT_RUN, command=REPRODUCE)
    off = {b2: [] for _, b2 in found}
    for (_, b2), ratio in found.items():
        off[b2].append(ratio / b2)
    ours = "; ".join(f"{words.mean_sd(v)} times b2 = {b2}" for b2, v in off.items())
    near = [abs(v - 1) <= FIRST_ORDER for values in off.values() for v in values]
    verdict = DIRECTION if np.mean(near) >= 0.5 else FAILS
    return Finding(verdict, ours, f"{sum(near)} of {len(near)} within 10%")


@evaluator
def sister_name(claim: Claim, evidence: Evidence) -> Finding:
    """Layers with weights of the net as it was trained."""
    run = evidence.some_run(claim.subject["net"])
    if run is None:
        return Finding(NOT_RUN, command=REPRODUCE)
    layers = run.key.config.rpartition("_")[2]
    same = claim.printed.endswith(f"BD_{layers}")
    return Finding(EXACT if same else FAILS, f"{layers} layers with weights", source=run.source)
