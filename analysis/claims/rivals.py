"""Claims about block layers' run time beside dense and sparse ones: all nets of Table 1."""

from analysis import methods, paper, words
from analysis.claims.core import (
    DIRECTION,
    FAILS,
    NO_TIMINGS,
    NOT_RUN,
    Evidence,
    Finding,
    evaluator,
)
from analysis.paper import Claim
from analysis.timings import COMMAND


def _ratios(evidence: Evidence, method: str, product: str) -> dict[str, float] | Finding:
    """Run time of `method` over that of the block layers, by config of Table 1; or what is missing.

    product: "forward" or "all".
    """
    found = evidence.timings
    if found is None:
        return NO_TIMINGS
    ratios: dict[str, float] = {}
    for cell in paper.table1_cells():
        config, net = cell.subject["config"], cell.subject["net"]
        if cell.subject["column"] != "bdip":
            continue
        blocks = methods.block_counts(config)
        both = [found.layers_seconds(net, product, blocks, one) for one in (method, "layer")]
        if None in both:
            why = f"{config} is not among the timings"
            return Finding(NOT_RUN, why=why, command=COMMAND)
        ratios[config] = both[0] / both[1]
    return ratios


def _listed(ratios: dict[str, float]) -> str:
    return "; ".join(f"{config} {words.number(ratio)}" for config, ratio in ratios.items())


def _beside(evidence: Evidence, method: str) -> Finding:
    """Forward: `method` slower than the block layers in every net of Table 1."""
    ratios = _ratios(evidence, method, "forward")
    if isinstance(ratios, Finding):
        return ratios
    verdict = DIRECTION if min(ratios.values()) > 1 else FAILS
    return Finding(verdict, _listed(ratios), f"times as fast; on {evidence.timings.device}")


@evaluator
def faster_than_dense(claim: Claim, evidence: Evidence) -> Finding:
    """Forward products of both layers, dense over block, in every net of Table 1 (make bench)."""
    return _beside(evidence, "dense")


@evaluator
def faster_than_sparse(claim: Claim, evidence: Evidence) -> Finding:
    """Forward products, CSR with as many weights over block, every net of Table 1 (make bench)."""
    return _beside(evidence, "csr")


@evaluator
def slower_than_blocks(claim: Claim, evidence: Evidence) -> Finding:
    """CSR over block, forward; training: dense products, of which a mask keeps few, over block."""
    both = _ratios(evidence, "csr", "forward"), _ratios(evidence, "dense", "all")
    for ratios in both:
        if isinstance(ratios, Finding):
            return ratios
    execution, training = both
    verdict = DIRECTION if min(*execution.values(), *training.values()) > 1 else FAILS
    ours = f"execution {_listed(execution)}; training {_listed(training)}"
    why = "times the blocks' time in both layers; pruning's own updates come on top"
    return Finding(verdict, ours, f"{why}; on {evidence.timings.device}")
