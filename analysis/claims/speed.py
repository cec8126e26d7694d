"""Claims about speed: Section 4.1, Figures 1 to 3, and the speedups named in Section 4.2.

The paper's device is an NVIDIA P100. Ours is named beside every number, and timings of one device
have no seeds: what is kept "holds in direction", on this device.
"""

import math
from collections.abc import Callable

from analysis import methods, words
from analysis import timings as timings_module
from analysis.claims.core import DIRECTION, FAILS, NOT_RUN, Evidence, Finding, evaluator, exactly
from analysis.paper import Claim
from analysis.timings import BATCH, COMMAND, Place, Timings

PASSES = {"forward": "forward", "both": "all"}
# How far curves may lie apart that "almost perfectly overlap".
OVERLAP = 0.1


@evaluator
def speed(claim: Claim, evidence: Evidence) -> Finding:
    """Timings on this device (make bench), beside the paper's on a P100."""
    root = evidence.results.root
    timings = timings_module.find(root) if root is not None else None
    if timings is None:
        return Finding(NOT_RUN, why="no timings among the results", command=COMMAND)
    test = TESTS.get(claim.id, _speedup)
    found = test(claim, timings)
    if found is None:
        return Finding(NOT_RUN, why="not among the timings", command=COMMAND)
    return found


def _told(is_so: bool, ours: str, timings: Timings, why: str = "") -> Finding:
    device = f"on {timings.device}"
    return Finding(DIRECTION if is_so else FAILS, ours, f"{why}; {device}" if why else device)


def _keeps(claim: Claim, value: float) -> bool:
    """Whether a speedup keeps the printed relation; an approximate one is to be reached."""
    return value > claim.value if claim.relation == ">" else value >= claim.value


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
    block = [value for v in _sizes(timings, "forward").values() for value in v.values()]
    rival = [timings.speedup(place, "acdc") for place in _squares(timings, "forward")]
    rival = [value for value in rival if value is not None]
    if not block or not rival:
        return None
    ours = f"{words.number(max(block))} (ACDC {words.number(max(rival))})"
    return _told(max(block) > max(rival), ours, timings, "both timed in the same rounds")


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


def _eq2(claim: Claim, timings: Timings) -> Finding | None:
    bounds = [
        (timings.dense(place) - timings.seconds[place]["layer"]) / pruning
        for place in _squares(timings, "all")
        if place.b > 1 and (pruning := timings.prune_seconds(place.N)) is not None
    ]
    if not bounds:
        return None
    ours = f"{words.number(min(bounds))} to {words.number(max(bounds))}"
    return _told(
        min(bounds) > 0, ours, timings, "above 0 some pruning pays; Figure 2 has the bound"
    )


def _overhead(claim: Claim, timings: Timings) -> Finding | None:
    sizes = {**_sizes(timings, "forward")}
    if not sizes:
        return None
    falls = [
        n for n, by_blocks in sizes.items() if by_blocks[max(by_blocks)] < max(by_blocks.values())
    ]
    ours = f"it falls for {len(falls)} of {len(sizes)} sizes n"
    return _told(len(falls) == len(sizes), ours, timings)


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
        return None if value is None else _told(_keeps(claim, value), words.number(value), timings)
    subject = claim.subject
    places = timings.places(subject["net"], product, layer=subject["layer"])
    most = subject.get("max_blocks", subject.get("blocks"))
    least = subject.get("blocks", 2)
    values = [timings.speedup(place) for place in places if least <= place.b <= most]
    if not values or None in values:
        return None
    told = "at least " if len(values) > 1 else ""
    return _told(_keeps(claim, min(values)), f"{told}{words.number(min(values))}", timings)


def _overlap(claim: Claim, timings: Timings) -> Finding | None:
    pairs = []
    for place in timings.places(claim.subject["net"], "forward", layer="ip1"):
        both = _layer(timings, claim.subject["net"], "ip1", "all", place.b)
        if both is not None:
            pairs.append(timings.speedup(place) / timings.speedup(both))
    if not pairs:
        return None
    ours = f"forward over both {words.number(min(pairs))} to {words.number(max(pairs))} (ip1)"
    return _told(all(abs(p - 1) <= OVERLAP for p in pairs), ours, timings)


def _sparse(claim: Claim, timings: Timings) -> Finding | None:
    values = [
        1 / value
        for net in ("lenet", "cuda_convnet")
        for place in timings.places(net, "forward")
        if (value := timings.speedup(place, "csr")) is not None
    ]
    if not values:
        return None
    return _told(max(values) > claim.value, f"up to {words.number(max(values))}", timings)


def _trad_slow(claim: Claim, timings: Timings) -> Finding | None:
    value = _together(claim, timings, "forward", "csr")
    if value is None:
        return None
    return _told(
        1 / value > claim.value, words.number(1 / value), timings, "as many random entries"
    )


def _fastest(claim: Claim, timings: Timings) -> Finding | None:
    best = {}
    for net in ("lenet", "cuda_convnet"):
        places = timings.places(net, "all", layer="ip1")
        if not places:
            return None
        best[net] = min(places, key=lambda place: timings.seconds[place]["layer"]).b
    ours = f"b1 = {best['lenet']} (LeNet-5), b1 = {best['cuda_convnet']} (cuda-convnet)"
    return _told(best == {"lenet": 10, "cuda_convnet": 8}, ours, timings, "ip1, all products")


def _train_time(claim: Claim, timings: Timings) -> Finding | None:
    steps: dict[str, dict[str, float]] = {}
    for row in timings.nets:
        if row["what"] == "step":
            steps.setdefault(row["net"], {})[row["config"]] = float(row["median_s"])
    if not steps:
        return None
    told, faster = [], []
    for by_config in steps.values():
        dense = next(value for config, value in by_config.items() if config.startswith("(1,1)"))
        for config, value in by_config.items():
            if not config.startswith("(1,1)"):
                told.append(f"{config} {words.number(dense / value)}")
                faster.append(value < dense)
    return _told(all(faster), "; ".join(told), timings, "whole training iterations against dense")


TESTS: dict[str, Callable[[Claim, Timings], Finding | None]] = {
    "4.1/batch": _batch,
    "4.1/lenet-batch": _batch,
    "4.1/convnet-batch": _batch,
    "4.1/best-blocks": _best_blocks,
    "4.1/forward-limit": _limit("forward"),
    "4.1/both-limit": _limit("all"),
    "4.1/above-acdc": _above_acdc,
    "4.1/eq2": _eq2,
    "4.1/overhead": _overhead,
    "4.1/curves-overlap": _overlap,
    "4.1/sparse": _sparse,
    "4.2/fastest": _fastest,
    "4.2.1/trad-slow": _trad_slow,
    "4.2.1/toeplitz-slower": _toeplitz,
    "4.2.2/trad-slow": _trad_slow,
    "4.2.3/trad-slow": _trad_slow,
    "6/train-time": _train_time,
}
