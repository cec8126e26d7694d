"""Claims about the singular values of sister networks: Figures 6 and 10 (bottom), 7, 9, 11, 12."""

import dataclasses

import numpy as np

from analysis import block_spectrum, paper, words
from analysis.claims.core import (
    NOT_RUN,
    REPRODUCE,
    Evidence,
    Finding,
    evaluator,
    exactly,
    judge_bound,
    judge_number,
    judge_seeds,
    missing,
    spread_text,
)
from analysis.claims.sister_claims import (
    FIRST_ORDER,
    by_common_seed,
    judge_ranks,
    listed,
    member_of,
    members_of,
)
from analysis.paper import Claim
from analysis.sisters import Member

NEAR = 0.05  # Kolmogorov-Smirnov distance under which a spectrum looks the same in a picture


@evaluator
def mean_distance(claim: Claim, evidence: Evidence) -> Finding:
    """Mean over order of |1 - sigma_W / sigma_R| at the end, the largest over all sisters."""
    members = members_of(claim, evidence)
    if isinstance(members, Finding):
        return members
    table = by_common_seed(members, [m.distance[:, -1] for m in members])
    worst = members[int(table.mean(axis=0).argmax())]
    values = table.max(axis=1)
    ours = f"{spread_text(values)}, at b = {worst.blocks}"
    found = judge_bound(claim, values, ours, members[0].source)
    null = float(worst.null_distance.mean())
    return dataclasses.replace(
        found, why=f"{found.why}; random blocks have {words.number(null)} there"
    )


@evaluator
def distance_of(claim: Claim, evidence: Evidence) -> Finding:
    """Mean over order of |1 - sigma_W / sigma_R| at the end; in direction: within a third."""
    member = member_of(claim, evidence)
    if isinstance(member, Finding):
        return member
    values = member.distance[:, -1]
    near = abs(values.mean() / claim.value - 1) <= 1 / 3
    found = judge_number(claim, values, bool(near), "it is within a third", source=member.source)
    why = f"{found.why}; random blocks have {words.number(float(member.null_distance.mean()))}"
    if member.blocks > 1:
        # R taken literally: dense, with the variance of the block layer.
        ratio = member.singular[:, -1] / (
            np.sqrt(member.variance[:, -1])[:, None] * member.reference
        )
        literal = float(np.abs(1 - ratio).mean())
        why += f"; R as printed, of the block layer's variance, gives {words.number(literal)}"
    return dataclasses.replace(found, why=why)


@evaluator
def top_ratio(claim: Claim, evidence: Evidence) -> Finding:
    """Largest singular value over the random one's; in direction: above 95% of random ones."""
    member = member_of(claim, evidence)
    if isinstance(member, Finding):
        return member
    index = member.at(claim.subject["iteration"])
    if index is None:
        return missing(member.family.key(member.blocks), "no dump at that iteration")
    values = member.singular_ratio[:, index, 0]
    edge = float(np.percentile(member.null_ratio[:, 0], 95))
    return judge_number(
        claim, values, bool(values.min() > edge),
        f"it is above {edge:.2f}, where 5% of random ones are",
        source=member.source,
    )  # fmt: skip


@evaluator
def extremes(claim: Claim, evidence: Evidence) -> Finding:
    """Mean |1 - ratio| of the first and the last twentieth of the orders above that between."""
    members = members_of(claim, evidence)
    if isinstance(members, Finding):
        return members
    told, table = [], []
    for m in members:
        off = np.abs(1 - m.singular_ratio[:, -1])
        end = max(1, off.shape[1] // 20)
        first, last = off[:, :end].mean(axis=1), off[:, -end:].mean(axis=1)
        middle = off[:, end:-end].mean(axis=1)
        table.append((np.minimum(first, last) > middle).astype(float))
        told.append(f"{first.mean():.3f}, {middle.mean():.3f}, {last.mean():.3f} (b = {m.blocks})")
    by_seed = by_common_seed(members, table).all(axis=1)
    on_mean = by_common_seed(members, table).mean() > 0.5
    return judge_seeds(by_seed.tolist(), bool(on_mean), "; ".join(told), "first, middle, last",
                       members[0].source)  # fmt: skip


@evaluator
def nearer_at_start(claim: Claim, evidence: Evidence) -> Finding:
    """Mean distance at iteration 0, growing with b by rank."""
    members = members_of(claim, evidence)
    if isinstance(members, Finding):
        return members
    values = [m.distance[:, 0] for m in members]
    return judge_ranks(members, values, 1, listed(members, values, 2))


@evaluator
def farther_at_end(claim: Claim, evidence: Evidence) -> Finding:
    """Mean distance at the end, falling with b by rank."""
    members = members_of(claim, evidence)
    if isinstance(members, Finding):
        return members
    values = [m.distance[:, -1] for m in members]
    found = judge_ranks(members, values, -1, listed(members, values, 2))
    last = members[-1]
    null = words.number(float(last.null_distance.mean()))
    return dataclasses.replace(
        found, why=f"{found.why}; random blocks with b = {last.blocks} have {null}"
    )


@evaluator
def blocks_alike(claim: Claim, evidence: Evidence) -> Finding:
    """Spread of the singular values over blocks, by order: as random ones'; in direction: < 2x."""
    members = members_of(claim, evidence, dense=False)
    if isinstance(members, Finding):
        return members
    told, inside, near = [], [], []
    generator = np.random.default_rng(1)
    for m in members:
        trained = _spread(m.by_block)
        shape = (40, m.blocks, m.layout.n, m.layout.m)
        random = _spread(np.array([
            block_spectrum.gram_singular_values(generator.uniform(-1, 1, shape[1:]))
            for _ in range(shape[0])
        ]))  # fmt: skip
        inside.append((trained <= np.percentile(random, 97.5)).astype(float))
        near.append(bool(trained.mean() <= 2 * random.mean()))
        told.append(f"{trained.mean():.3f}, random {random.mean():.3f} (b = {m.blocks})")
    by_seed = by_common_seed(members, inside).all(axis=1)
    return judge_seeds(by_seed.tolist(), all(near), "; ".join(told),
                       "spread at most as of random blocks", members[0].source)  # fmt: skip


def _spread(by_block: np.ndarray) -> np.ndarray:
    """(matrices, b, r): standard deviation over blocks over the mean, averaged over order."""
    return (by_block.std(axis=1, ddof=1) / by_block.mean(axis=1)).mean(axis=-1)


@evaluator
def spectrum_aligned(claim: Claim, evidence: Evidence) -> Finding:
    """Kolmogorov-Smirnov distance to the law, zeros left out: as of random matrices, or < 0.05."""
    member = member_of(claim, evidence)
    if isinstance(member, Finding):
        return member
    values, limit = member.law_distance, _most(member.null_law_distance)
    return _as_random(values, limit, bool(values.mean() < NEAR), member)


def _most(random: np.ndarray) -> float:
    """What 95% of random layers stay under."""
    return float(np.percentile(random, 95))


def _as_random(values: np.ndarray, limit: float, direction: bool, member: Member) -> Finding:
    """Whether distances, (S,), are within the `limit` that `_most` random layers keep."""
    return judge_seeds(
        (values <= limit).tolist(), direction, spread_text(values),
        f"95% of random matrices are below {words.number(limit)}", member.source,
    )  # fmt: skip


@evaluator
def blocks_follow_the_law(claim: Claim, evidence: Evidence) -> Finding:
    """KS distance of every sister to its blocks' law: as random ones'; in direction: < 0.05."""
    members = members_of(claim, evidence)
    if isinstance(members, Finding):
        return members
    found = [(m.law_distance, _most(m.null_law_distance)) for m in members]
    inside = [(values <= limit).astype(float) for values, limit in found]
    # What random blocks of this size keep from the law is no fault of the trained ones.
    near = [bool(values.mean() < max(NEAR, limit)) for values, limit in found]
    told = (
        f"{words.number(float(values.mean()), 2)}, random under {words.number(limit, 2)} "
        f"(b = {member.blocks})"
        for member, (values, limit) in zip(members, found, strict=True)
    )
    by_seed = by_common_seed(members, inside).all(axis=1)
    return judge_seeds(by_seed.tolist(), all(near), "; ".join(told), source=members[0].source)


@evaluator
def follows_curve(claim: Claim, evidence: Evidence) -> Finding:
    """Mean over order of |1 - sigma_W / sigma_R|: as of random matrices; in direction: < 0.04."""
    member = member_of(claim, evidence)
    if isinstance(member, Finding):
        return member
    values = member.distance[:, -1]
    near = paper.claims()["5.1/mean-distance"].value  # what the paper calls the same in 5.1
    return _as_random(values, _most(member.null_distance), bool(values.mean() <= near), member)


@evaluator
def curves_alike(claim: Claim, evidence: Evidence) -> Finding:
    """Mean over order of the distance between two sisters' ratios, the farthest two: under 0.05."""
    members = members_of(claim, evidence)
    if isinstance(members, Finding):
        return members
    table = by_common_seed(members, [m.singular_ratio[:, -1] for m in members])
    apart = np.abs(table[:, :, None] - table[:, None]).mean(axis=-1)  # (seeds, sisters, sisters)
    one, two = np.unravel_index(apart.mean(axis=0).argmax(), apart.shape[1:])
    worst = apart.max(axis=(1, 2))
    ours = f"{spread_text(worst)}, between b = {members[one].blocks} and b = {members[two].blocks}"
    return judge_seeds(
        (worst < NEAR).tolist(), bool(worst.mean() < NEAR), ours, source=members[0].source
    )


@evaluator
def as_an_operator(claim: Claim, evidence: Evidence) -> Finding:
    """Its norm and its spectrum as random ones'; in direction: within 10%, and KS < 0.05.

    The norm is the largest singular value, the spectrum is judged by its Kolmogorov-Smirnov
    distance to the law.
    """
    member = member_of(claim, evidence)
    if isinstance(member, Finding):
        return member
    norms = member.own_ratio[:, -1, 0]
    low, high = np.percentile(member.draws.singular[:, 0] / member.draws.mean[0], [2.5, 97.5])
    values, most = member.law_distance, _most(member.null_law_distance)
    inside = (norms >= low) & (norms <= high) & (values <= most)
    near = abs(norms.mean() - 1) <= FIRST_ORDER and values.mean() < NEAR
    return judge_seeds(
        inside.tolist(), bool(near),
        f"norm {words.mean_sd(norms)} times a random matrix's, distance of the spectrum from the "
        f"law {words.mean_sd(values)}",
        f"95% of random matrices have a norm of {low:.3f} to {high:.3f} times their mean, and a "
        f"distance below {words.number(most)}",
        member.source,
    )  # fmt: skip


@evaluator
def leaves_the_bulk(claim: Claim, evidence: Evidence) -> Finding:
    """Eigenvalues above the edge that 99% of random matrices stay under: more than one.

    One alone could come of the entries' mean, which is not taken off.
    """
    member = member_of(claim, evidence)
    if isinstance(member, Finding):
        return member
    count = member.outliers[:, -1]
    return judge_seeds(
        (count > 1).tolist(), bool(count.mean() > 1), spread_text(count), source=member.source
    )


@evaluator
def root_law(claim: Claim, evidence: Evidence) -> Finding:
    """Median singular value ratio times sqrt(b): every sister within 10%; in direction: most."""
    members = members_of(claim, evidence, dense=False)
    if isinstance(members, Finding):
        return members
    values = [np.median(m.singular_ratio[:, -1], axis=1) * np.sqrt(m.blocks) for m in members]
    off = np.abs(by_common_seed(members, values) - 1)
    return judge_seeds(
        (off.max(axis=1) <= FIRST_ORDER).tolist(), bool(np.median(off) <= FIRST_ORDER),
        listed(members, values), "times √b", members[0].source,
    )  # fmt: skip


@evaluator
def spectrum_deteriorates(claim: Claim, evidence: Evidence) -> Finding:
    """Mean |1 - sqrt(b) sigma_W / sigma_R|, growing with b by rank."""
    members = members_of(claim, evidence)
    if isinstance(members, Finding):
        return members
    values = [np.abs(1 - np.sqrt(m.blocks) * m.singular_ratio[:, -1]).mean(axis=1) for m in members]
    return judge_ranks(members, values, 1, listed(members, values, 2))


@evaluator
def layer_shape(claim: Claim, evidence: Evidence) -> Finding:
    """Shape of the layer's weights in the dumps."""
    net = claim.subject["net"]
    layer = claim.subject.get("layer") or ("ip2" if claim.id.endswith("ip2") else "ip1")
    for run in evidence.results.runs:
        if run.finished and run.key.net == net:
            history = evidence.spectra.layers(run).get(layer)
            if history is not None:
                shape = [history.outputs, history.inputs]
                ours = f"{shape[0]} outputs, {shape[1]} inputs"
                turned = claim.value == shape[::-1] and claim.value != shape
                why = f"printed as {'inputs by outputs' if turned else 'outputs by inputs'}"
                same = claim.value in (shape, shape[::-1])
                return exactly(same, ours, why if same else "", run.source)
    return Finding(NOT_RUN, why="no weights among the results", command=REPRODUCE)
