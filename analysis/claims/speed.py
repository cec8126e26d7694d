"""Claims about speed: Section 4.1, Figures 1 to 3, and the speedups named in Section 4.2.

The paper's device is an NVIDIA P100. Ours is named beside every number, and timings of one device
have no seeds: what is kept "holds in direction", on this device.
"""

import math
from collections.abc import Callable, Sequence

from analysis import methods, paper, words
from analysis.claims.core import (
    DIRECTION,
    FAILS,
    NO_TIMINGS,
    NOT_RUN,
    Evidence,
    Finding,
    evaluator,
    exactly,
    half_digit,
    key_of,
    missing,
)
from analysis.claims.nets import prune_field
from analysis.methods import NET_LABELS
from analysis.paper import Claim
from analysis.timings import BATCH, COMMAND, COMMANDS, Place, Timings, find

PASSES = {"forward": "forward", "both": "all"}
# Of Figure 3.
NETS = ("lenet", "cuda_convnet")
# How far curves may lie apart that "almost perfectly overlap".
OVERLAP = 0.1
# Share of the weights, above which sparse products are to be slow: less is 'nearly all' pruned.
FIFTH = 0.2
# How many times longer may take what is of "comparable speed".
COMPARABLE = 2.0


@evaluator
def speed(claim: Claim, evidence: Evidence) -> Finding:
    """Timings on this device (make bench), beside the paper's on a P100."""
    timings = evidence.timings
    if timings is None:
        return NO_TIMINGS
    rival = RIVAL_OF.get(claim.id)
    if rival is not None and not timings.has(rival):  # as on a GPU, where these are not timed
        timings = find(evidence.results.root, "cpu") or timings
    test = TESTS.get(claim.id, _speedup)
    found = test(claim, timings)
    if found is None:
        return Finding(NOT_RUN, why="not among the timings", command=COMMAND)
    return found


def _told(is_so: bool, ours: str, timings: Timings, why: str = "") -> Finding:
    device = f"on {timings.device}"
    return Finding(DIRECTION if is_so else FAILS, ours, f"{why}; {device}" if why else device)


def _judge_speedup(claim: Claim, value: float, ours: str, timings: Timings) -> Finding:
    """A printed speedup of another device is to be reached, but for what its digits leave open."""
    if claim.relation == ">":
        return _told(value > claim.value, ours, timings)
    reached = value >= claim.value - half_digit(claim.printed)
    return _told(reached, ours, timings, "the printed speedup is to be reached")


def _passes(claim: Claim) -> str:
    return PASSES[claim.subject["passes"]]


# ---- n x n --------------------------------------------------------------------------------------


def _squares(timings: Timings, product: str) -> list[Place]:
    return timings.places("square", product, M=BATCH)


def _sizes(timings: Timings, product: str) -> dict[int, dict[int, float]]:
    """Speedup by n and b."""
    found: dict[int, dict[int, float]] = {}
    for place in _squares(timings, product):
        value = timings.speedup(place)
        if value is not None:
            found.setdefault(place.N, {})[place.b] = value
    return found


def _batch(claim: Claim, timings: Timings) -> Finding | None:
    group = claim.subject.get("net", "square")
    places = timings.places(group, "forward")
    batches = sorted({place.M for place in places})
    if not batches:
        return None
    return exactly(claim.value in batches, words.listing([str(m) for m in batches]))


def _best_blocks(claim: Claim, timings: Timings) -> Finding | None:
    powers = [
        round(math.log2(max(by_blocks, key=by_blocks.get) / n), 1)
        for product in PASSES.values()
        for n, by_blocks in _sizes(timings, product).items()
    ]
    if not powers:
        return None
    printed = math.log2(claim.value)
    return _told(
        all(abs(power - printed) <= 1 for power in powers),
        f"2^{min(powers):g} to 2^{max(powers):g}", timings,
        "over all n, forward and all products; within a factor of two is taken as kept",
    )  # fmt: skip


def _limit(product: str) -> Callable[[Claim, Timings], Finding | None]:
    def test(claim: Claim, timings: Timings) -> Finding | None:
        values = [
            value
            for n, by_blocks in _sizes(timings, product).items()
            for b, value in by_blocks.items()
            if 1 < b <= claim.value * n
        ]
        if not values:
            return None
        slowest = min(values)
        return _told(slowest > 1, f"{words.number(slowest)} at least", timings)

    return test


def _above_acdc(claim: Claim, timings: Timings) -> Finding | None:
    most = claim.subject["dimension"]
    places = [place for place in _squares(timings, "forward") if most >= place.N]
    block = [value for p in places if (value := timings.speedup(p)) is not None]
    rival = [value for p in places if (value := timings.speedup(p, "acdc")) is not None]
    if not block or not rival:
        return None
    ours = f"{words.number(max(block))} (ACDC {words.number(max(rival))})"
    why = f"{words.number(max(block) / max(rival))} times ACDC's, timed in the same rounds"
    return _told(max(block) > max(rival), ours, timings, why)


def _toeplitz(claim: Claim, timings: Timings) -> Finding | None:
    """The ranks about the paper's, at the size that is nearest to its number of nodes.

    Rank r has as many weights as n / 2r blocks.
    """
    rank, nodes = claim.subject["rank"], claim.subject["nodes"]
    product = _passes(claim)
    sizes = {place.N for place in _squares(timings, product)}
    if not sizes:
        return None
    n = min(sizes, key=lambda size: abs(size - nodes))
    found = {
        n // (2 * place.b): value
        for place in timings.places("square", product, M=BATCH, N=n)
        if rank / 2 < n / (2 * place.b) < 2 * rank
        and (value := timings.speedup(place, "toeplitz")) is not None
    }
    if not found:
        return None
    told = [f"{words.number(value)} with rank {r}" for r, value in sorted(found.items())]
    why = f"speedup over dense, forward, n = {n:,}"
    return _told(max(found.values()) < claim.value, words.listing(told), timings, why)


@evaluator
def pruning_pays(claim: Claim, evidence: Evidence) -> Finding:
    """Eq. 2 with each recipe's pruning and block iterations, and its layers' times (make bench).

    Nets of Table 1: the left side, (T(FC) - T(Block)) / T(Prune) of both inner product layers, is
    above the right one, y / x.
    """
    timings = evidence.timings
    if timings is None:
        return NO_TIMINGS
    told, pays = {}, []
    for cell in paper.table1_cells():
        key = key_of(cell)
        if cell.subject["column"] != "ip_bdip" or (key.net, key.config) in told:
            continue
        runs = evidence.runs(key)
        if not runs:
            return missing(key)
        pruning, start = (prune_field(runs[0], name) or 0 for name in ("iters", "start"))
        in_blocks = runs[0].max_iter - start - pruning
        if min(pruning, in_blocks) <= 0:
            return exactly(False, f"{key.config} is not pruned to blocks and trained in them")
        times = _pruning_times(timings, key.net, methods.block_counts(key.config))
        if times is None:
            why = f"{key.config} is not among the timings of updates"
            return Finding(NOT_RUN, why=why, command=COMMANDS[timings.kind])
        gain, cost = times
        pays.append(gain * in_blocks > cost * pruning)
        # A clock can find pruning faster than no pruning by what it is off.
        left = words.number(gain / cost) if cost > 0 else "no time that is measured"
        sign = ">" if pays[-1] else "not above"
        right = words.number(pruning / in_blocks)
        told[key.net, key.config] = f"{key.config} {left} {sign} {right}"
    why = "pruning iterations for each block iteration: the most that pay, and the recipe's"
    return _told(all(pays), "; ".join(told.values()), timings, why)


def _pruning_times(timings: Timings, net: str, blocks: Sequence[int]) -> tuple[float, float] | None:
    """T(FC) - T(Block) and T(Prune) of Eq. 2, a network's inner product layers together."""
    dense, layer = (
        timings.layers_seconds(net, "all", blocks, method) for method in ("dense", "layer")
    )
    pruning = timings.layers_prune_seconds(net, blocks)
    return None if None in (dense, layer, pruning) else (dense - layer, pruning)


def _pruning_adds(claim: Claim, timings: Timings) -> Finding | None:
    """An update with pruning over the plain one, over all n and b."""
    found = [both["prune"] / both["update"] for both in timings.update_seconds.values()]
    if not found:
        return None
    ours = f"{words.number(min(found))} to {words.number(max(found))} times the plain update"
    return _told(min(found) > 1, ours, timings)


def _overhead(claim: Claim, timings: Timings) -> Finding | None:
    sizes = {**_sizes(timings, "forward")}
    if not sizes:
        return None
    falls = [
        n for n, by_blocks in sizes.items() if by_blocks[max(by_blocks)] < max(by_blocks.values())
    ]
    ours = f"it falls for {len(falls)} of {len(sizes)} sizes n"
    return _told(bool(falls), ours, timings, "one is enough for what 'can' be")


# ---- the networks' own layers -------------------------------------------------------------------


def _layer(timings: Timings, net: str, layer: str, product: str, b: int) -> Place | None:
    return next(iter(timings.places(net, product, layer=layer, b=b)), None)


def _together(claim: Claim, timings: Timings, product: str, method: str) -> float | None:
    """Speedup of the claim's inner product layers together."""
    net, blocks = claim.subject["net"], methods.block_counts(claim.subject["config"])
    own = timings.layers_seconds(net, product, blocks, method)
    return None if own is None else timings.layers_seconds(net, product, blocks, "dense") / own


def _speedup(claim: Claim, timings: Timings) -> Finding | None:
    """A speedup of one layer, at some number of blocks or up to one, or of a configuration."""
    product = _passes(claim)
    if "config" in claim.subject:
        value = _together(claim, timings, product, "layer")
        if value is None:
            return None
        return _judge_speedup(claim, value, words.number(value), timings)
    subject = claim.subject
    places = timings.places(subject["net"], product, layer=subject["layer"])
    most = subject.get("max_blocks", subject.get("blocks"))
    least = subject.get("blocks", 2)
    values = [timings.speedup(place) for place in places if least <= place.b <= most]
    if not values or None in values:
        return None
    told = "at least " if len(values) > 1 else ""
    return _judge_speedup(claim, min(values), f"{told}{words.number(min(values))}", timings)


def _overlap(claim: Claim, timings: Timings) -> Finding | None:
    pairs = []
    for place in timings.places(claim.subject["net"], "forward"):
        both = _layer(timings, claim.subject["net"], place.layer, "all", place.b)
        if both is not None:
            pairs.append(timings.speedup(place) / timings.speedup(both))
    if not pairs:
        return None
    ours = f"forward over both {words.number(min(pairs))} to {words.number(max(pairs))}"
    return _told(all(abs(p - 1) <= OVERLAP for p in pairs), ours, timings)


def _sparse(claim: Claim, timings: Timings) -> Finding | None:
    """The worst over both networks."""
    slowest = {net: timings.slowest_sparse(net) for net in NETS}
    if None in slowest.values():
        return None
    told = [f"{words.number(value)} ({NET_LABELS[net]})" for net, value in slowest.items()]
    return _told(max(slowest.values()) > claim.value, f"up to {words.listing(told)}", timings)


def _sparse_both(claim: Claim, timings: Timings) -> Finding | None:
    """CSR over block, forward, every number of blocks of both networks' layers."""
    told, slower = [], []
    for net in NETS:
        places = [p for p in timings.places(net, "forward") if p.b > 1]
        found = [timings.seconds[p] for p in places if "csr" in timings.seconds[p]]
        if not found:
            return None
        ratios = [one["csr"] / one["layer"] for one in found]
        slower += [ratio > 1 for ratio in ratios]
        span = f"{words.number(min(ratios))} to {words.number(max(ratios))}"
        told.append(f"{span} times the blocks' time ({NET_LABELS[net]})")
    return _told(all(slower), words.listing(told), timings, "forward, each layer and b > 1")


def _sparse_needs_few(claim: Claim, timings: Timings) -> Finding | None:
    """Shares of ip1's weights with which CSR is slower than dense: all above a fifth."""
    told, is_so = [], True
    for net in NETS:
        speedups = {
            place.b: value
            for place in timings.places(net, "forward", layer="ip1")
            if place.b > 1 and (value := timings.speedup(place, "csr")) is not None
        }
        if not speedups:
            return None
        slow = [1 / b for b, value in speedups.items() if value < 1]
        is_so &= all(value < 1 for b, value in speedups.items() if 1 / b > FIFTH)
        least = f"down to {min(slow):.0%} of the weights" if slow else "with no share timed"
        told.append(f"{least} ({NET_LABELS[net]})")
    ours = f"slower than dense {words.listing(told)}"
    return _told(is_so, ours, timings, "ip1, forward; above a fifth of the weights is to be slower")


def _trad_slow(claim: Claim, timings: Timings) -> Finding | None:
    value = _together(claim, timings, "forward", "csr")
    if value is None:
        return None
    pace = "slower" if value < 1 else "faster"
    ours = f"{words.number(max(value, 1 / value))} times {pace}"
    return _told(1 / value > claim.value, ours, timings, "as many random entries")


def _few_weights(claim: Claim, timings: Timings) -> Finding | None:
    """Both layers together, forward: as many sparse weights as the paper left beside the blocks."""
    net, blocks = claim.subject["net"], methods.block_counts(claim.subject["config"])
    sparse = timings.layers_seconds(net, "forward", blocks, "csr_few")
    layer = timings.layers_seconds(net, "forward", blocks, "layer")
    if sparse is None or layer is None:
        return None
    ours = f"the sparse products take {words.number(sparse / layer)} times as long as the blocks"
    why = "both layers; less, or within a factor of two, is taken as comparable"
    return _told(sparse <= COMPARABLE * layer, ours, timings, why)


def _fastest(claim: Claim, timings: Timings) -> Finding | None:
    """All pairs (b1, b2) that were timed, both layers together."""
    best = {}
    for net in NETS:
        seconds = {}
        for first in timings.places(net, "all", layer="ip1"):
            for second in timings.places(net, "all", layer="ip2"):
                pair = first.b, second.b
                seconds[pair] = timings.layers_seconds(net, "all", pair, "layer")
        if not seconds or None in seconds.values():
            return None
        best[net] = min(seconds, key=seconds.get)
    told = [f"({b1},{b2}) in {NET_LABELS[net]}" for net, (b1, b2) in best.items()]
    is_so = best == {"lenet": (10, 1), "cuda_convnet": (8, 1)}
    return _told(is_so, words.listing(told), timings, "both layers, all products")


def _train_time(claim: Claim, timings: Timings) -> Finding | None:
    """Faster is a step whose upper quartile is below the dense net's lower one.

    Where quartiles overlap nothing is told. 'In some cases': one is enough; else none is slower.
    """
    steps: dict[str, dict[str, dict[str, str]]] = {}
    for row in timings.nets:
        if row["what"] == "step":
            steps.setdefault(row["net"], {})[row["config"]] = row
    if not steps:
        return None
    told, faster, slower = [], [], []
    for by_config in steps.values():
        dense = next(row for config, row in by_config.items() if config.startswith("(1,1)"))
        for config, row in by_config.items():
            if config.startswith("(1,1)"):
                continue
            faster.append(float(row["q3_s"]) < float(dense["q1_s"]))
            slower.append(float(row["q1_s"]) > float(dense["q3_s"]))
            gain = words.number(float(dense["median_s"]) / float(row["median_s"]))
            open_ = " (within the quartiles)" if not (faster[-1] or slower[-1]) else ""
            told.append(f"{config} {gain}{open_}")
    why = "whole training iterations against dense"
    some = claim.id == "4/train-time"
    is_so = any(faster) and (some or not any(slower))
    return _told(is_so, "; ".join(told), timings, why)


# What is timed beside, where the claim is about it.
RIVAL_OF = {"4.1/above-acdc": "acdc", "4.2.1/toeplitz-slower": "toeplitz"}
TESTS: dict[str, Callable[[Claim, Timings], Finding | None]] = {
    "3/more-pruning-time": _pruning_adds,
    "4.1/batch": _batch,
    "4.1/lenet-batch": _batch,
    "4.1/convnet-batch": _batch,
    "4.1/best-blocks": _best_blocks,
    "4.1/forward-limit": _limit("forward"),
    "4.1/both-limit": _limit("all"),
    "4.1/above-acdc": _above_acdc,
    "4.1/overhead": _overhead,
    "4.1/curves-overlap": _overlap,
    "1/sparse-needs-few": _sparse_needs_few,
    "4.1/sparse": _sparse,
    "4.1/sparse-both": _sparse_both,
    "4.2/fastest": _fastest,
    "4.2/ip-work": _pruning_adds,
    "4.2.1/trad-slow": _trad_slow,
    "4.2.1/toeplitz-slower": _toeplitz,
    "4.2.2/trad-slow": _trad_slow,
    "4.2.3/trad-slow": _trad_slow,
    "4.2.3/sparse-speed": _few_weights,
    "4/train-time": _train_time,
    "6/train-time": _train_time,
}
