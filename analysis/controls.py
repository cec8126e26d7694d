"""Controls that the paper lacks: how much of the persisting ratio is training at all.

The paper's statement: the variance ratio of sisters stays near b through thousands of iterations,
though the variances change. Each control ends in one sentence computed from the runs.
"""

from dataclasses import dataclass

import numpy as np

from analysis import decay, words
from analysis.sisters import (
    CHANCE,
    LENET,
    LENET_NO_DECAY,
    LENET_SHUFFLED,
    SIGMOID,
    Family,
    Member,
    Spectra,
)

# A ratio counts as kept where it is within this share of what it is at the start, in theory.
KEPT = 0.1


@dataclass(frozen=True)
class Control:
    """A heading and what the runs say; where there are none, `sentence` is None."""

    name: str
    heading: str
    sentence: str | None
    missing: str = ""


def all_controls(spectra: Spectra) -> list[Control]:
    made = (weight_decay, no_decay, shuffled_labels, finite_start, finite_size, sigmoid)
    return [make(spectra) for make in made]


def _block_members(spectra: Spectra, family: Family) -> list[Member]:
    return [member for member in spectra.members(family) if member.blocks > 1]


def _ratios(members: list[Member]) -> str:
    return words.listing(
        [f"{words.mean_sd(m.variance_ratio[:, -1])} (b = {m.blocks})" for m in members]
    )


def _needs(family: Family, blocks: tuple[int, ...] = (1, 10, 100)) -> str:
    configs = words.listing([family.config.format(b=b) for b in blocks])
    return (
        f"needs runs of {family.net} on {family.dataset}, {configs}, method {family.method}: "
        "`make reproduce` makes them"
    )


def _farthest(members: list[Member]) -> float:
    return max(abs(float(m.deviation[:, -1].mean())) for m in members)


def change_factor(member: Member) -> float:
    """Mean over seeds of the final variance over that of the start."""
    return float((member.variance[:, -1] / member.variance[:, 0]).mean())


def over_decay(member: Member) -> float:
    """The final variance over what weight decay alone would make of the start."""
    expected = decay.variance_factor(member.runs[0].record["solver"], member.last)
    return change_factor(member) / float(expected)


def weight_decay(spectra: Spectra) -> Control:
    """Pure decay in closed form beside the measured change."""
    heading = "Weight decay in closed form"
    members = spectra.members(LENET)
    if not members:
        return Control("decay", heading, None, _needs(LENET))
    expected = float(decay.variance_factor(members[0].runs[0].record["solver"], members[0].last))
    factors = words.listing(
        [f"{words.mean_sd(m.variance[:, -1] / m.variance[:, 0])} (b = {m.blocks})" for m in members]
    )
    over = [over_decay(m) - 1 for m in members]
    ends = " to ".join(dict.fromkeys(words.percent(one) for one in (min(over), max(over))))
    return Control(
        "decay", heading,
        f"Weight decay alone multiplies the variance of every sister's weights by {expected:.3f} "
        f"whatever b is, exp(-2 wd Σlr / (1 - momentum)); measured: {factors}. So decay moves the "
        f"variance by {words.percent(expected - 1)} and learning by {ends} of what decay leaves. "
        "Decay's part keeps the ratio by construction: that the variances changed does not yet "
        "make their ratio's persistence a property of learning.",
    )  # fmt: skip


def shared_change(member: Member) -> float:
    """Change of the variance over the dense sister's, over their ratio at the start, mean of seeds.

    1: the blocks' variance moves as the dense one does. 0: it does not move.
    """
    moved, dense = (one[:, -1] / one[:, 0] - 1 for one in (member.variance, member.dense_variance))
    return float((moved / dense).mean())


def _kept(members: list[Member], dense: Member, kept: str) -> str:
    """What it says that the ratios stayed within KEPT of b: little where nothing moved much."""
    shares = [shared_change(m) for m in members]
    told = words.listing(
        [f"{one:.2f} (b = {m.blocks})" for one, m in zip(shares, members, strict=True)]
    )
    still = abs(1 / change_factor(dense) - 1)
    said = f"the ratio stays within {KEPT:.0%} of b"
    if still > KEPT:
        return f"{said} {kept}; of the dense net's relative change the blocks' is {told}"
    if all(abs(one - 1) <= KEPT for one in shares):
        verdict = "they do change alike, by little"
    else:
        verdict = (
            "the changes are not shared, and how far the ratio is held cannot be told from so "
            "small ones"
        )
    return (
        f"{said}, as it would have if the blocks' variance had not changed at all (it were then "
        f"{still:.1%} off). Of the dense net's relative change the blocks' is {told}, where a "
        f"ratio that persists through change would ask for 1: {verdict}"
    )


def _other_training(
    spectra: Spectra, family: Family, heading: str, told: str, kept: str, strayed: str
) -> Control:
    """Sisters that are trained in another way: whether their final ratios stay near b.

    told: with {ratios}, {factors} (what the variances are multiplied by, the dense net's too) and
    {accuracy}; kept, strayed: what it means that the ratios do, or do not, stay within KEPT.
    """
    members = _block_members(spectra, family)
    if not members:
        return Control(family.name, heading, None, _needs(family))
    dense = spectra.member(family, 1)
    factors = [change_factor(m) for m in [dense, *members]]
    said = told.format(
        ratios=_ratios(members),
        factors=f"{words.number(min(factors))} to {words.number(max(factors))}",
        accuracy=f"{np.mean([run.accuracy for m in members for run in m.runs]):.1f}%",
    )
    far = _farthest(members)
    verdict = (
        _kept(members, dense, kept)
        if far <= KEPT
        else f"the ratio strays by up to {far:.0%} from b: {strayed}"
    )
    fewest = min(len(m.seeds) for m in members)
    return Control(family.name, heading, f"{said} ({words.seeds(fewest)}): {verdict}.")


def no_decay(spectra: Spectra) -> Control:
    """Sisters trained with weight_decay: 0."""
    return _other_training(
        spectra, LENET_NO_DECAY, "No weight decay",
        "With weight_decay: 0 the final ratios are {ratios}, while the variances themselves are "
        "multiplied by {factors}",
        "without decay as well, and the statement stands",
        "without decay nothing holds it",
    )  # fmt: skip


def shuffled_labels(spectra: Spectra) -> Control:
    """Sisters trained on labels that have nothing to do with the images."""
    return _other_training(
        spectra, LENET_SHUFFLED, "Shuffled labels",
        "With labels shuffled among the training images (test accuracy {accuracy}) the final "
        "ratios are {ratios}, and the variances are multiplied by {factors}",
        "where there is nothing general to learn: its persistence says nothing of what a net has "
        "learned",
        "its persistence is no property of the training alone, the data matter",
    )  # fmt: skip


def finite_start(spectra: Spectra) -> Control:
    """How much of the final deviation is there before training, by chance."""
    heading = "Chance at the start"
    members = _block_members(spectra, LENET)
    if not members:
        return Control("finite_start", heading, None, _needs(LENET))
    last = members[-1]
    told = words.listing(
        [
            f"{words.percent(float(m.deviation[:, 0].mean()))} at the start and "
            f"{words.percent(float(m.deviation[:, -1].mean()))} at the end (b = {m.blocks}, chance "
            f"±{100 * CHANCE * m.start_noise():.1f}%)"
            for m in members
        ]
    )
    moved = float((last.deviation[:, -1] - last.deviation[:, 0]).mean())
    within = abs(moved) <= CHANCE * last.start_noise()
    verdict = (
        "within that chance: a single net's ratio shows the draw of its initial weights as much as "
        "training"
        if within
        else "beyond that chance"
    )
    return Control(
        "finite_start", heading,
        "The variance of few weights differs from that of their law by chance. Over b, the ratios "
        f"deviate from 1 by {told}; chance is where 95% of nets start. Training moves the one with "
        f"b = {last.blocks} by {words.percent(moved)}, {verdict}.",
    )  # fmt: skip


def finite_size(spectra: Spectra) -> Control:
    """The mean distance of truly random block matrices, beside that of trained ones."""
    heading = "Finite size"
    members = spectra.members(LENET)
    if not members:
        return Control("finite_size", heading, None, _needs(LENET))
    inside = [m for m in members if m.distance[:, -1].mean() <= np.percentile(m.null_distance, 95)]
    outside = [m for m in members if m not in inside]
    told = words.listing(
        [
            f"{words.mean_sd(m.distance[:, -1])} (b = {m.blocks}, random "
            f"{words.number(float(m.null_distance.mean()))})"
            for m in members
        ]
    )
    verdict = []
    if inside:
        names = words.listing([str(m.blocks) for m in inside])
        verdict.append(f"with b = {names} the trained layer is as near as a random one would be")
    if outside:
        names = words.listing([str(m.blocks) for m in outside])
        verdict.append(
            f"with b = {names} the trained layer is farther away than 95% of random ones"
        )
    return Control(
        "finite_size", heading,
        f"Mean distances from the random matrix at the end: {told}. Truly random blocks have one "
        f"by their size: {', and '.join(verdict)}.",
    )  # fmt: skip


def sigmoid(spectra: Spectra) -> Control:
    """The same ratio with another activation, and what decay does there."""
    heading = "Another activation"
    members = _block_members(spectra, SIGMOID)
    if not members:
        return Control("sigmoid", heading, None, _needs(SIGMOID, SIGMOID.blocks))
    last = members[-1]
    dense = spectra.member(SIGMOID, 1)
    moved = float((last.deviation[:, -1] - last.deviation[:, 0]).mean())
    relu = spectra.member(LENET, last.blocks)
    than = ""
    if relu is not None:
        other = float((relu.deviation[:, -1] - relu.deviation[:, 0]).mean())
        than = f", where with ReLU it moves it by {words.percent(other)}"
    return Control(
        "sigmoid", heading,
        f"With a sigmoid after ip1 the final ratios are {_ratios(members)}; the start had "
        f"{words.mean_sd(last.variance_ratio[:, 0])} (b = {last.blocks}), so that training moves "
        f"the ratio by {words.percent(moved)}{than}. The dense net's variance ends "
        f"{words.percent(over_decay(dense) - 1)} from where decay alone would leave it.",
    )  # fmt: skip
