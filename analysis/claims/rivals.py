"""Claims about block layers' run time beside dense and sparse ones: all nets of Table 1."""

from analysis import methods, paper, timings, words
from analysis.claims.core import DIRECTION, FAILS, NOT_RUN, Evidence, Finding, evaluator
from analysis.paper import Claim


def _beside(evidence: Evidence, method: str, product: str = "forward") -> Finding:
    """Run time of `method` over that of the block layers, in every net of Table 1."""
    root = evidence.results.root
    found = timings.find(root) if root is not None else None
    if found is None:
        return Finding(NOT_RUN, why="no timings among the results", command=timings.COMMAND)
    ratios: dict[str, float] = {}
    for cell in paper.table1_cells():
        config, net = cell.subject["config"], cell.subject["net"]
        if cell.subject["column"] != "bdip":
            continue
        blocks = methods.block_counts(config)
        both = [found.layers_seconds(net, product, blocks, one) for one in (method, "layer")]
        if None in both:
            why = f"{config} is not among the timings"
            return Finding(NOT_RUN, why=why, command=timings.COMMAND)
        ratios[config] = both[0] / both[1]
    ours = "; ".join(f"{config} {words.number(ratio)}" for config, ratio in ratios.items())
    verdict = DIRECTION if min(ratios.values()) > 1 else FAILS
    return Finding(verdict, ours, f"times as fast; on {found.device}")


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
    both = _beside(evidence, "csr"), _beside(evidence, "dense", "all")
    for found in both:
        if found.verdict == NOT_RUN:
            return found
    execution, training = both
    verdict = DIRECTION if execution.verdict == training.verdict == DIRECTION else FAILS
    ours = f"execution {execution.ours}; training {training.ours}"
    why = "times the blocks' time in both layers; pruning's own updates come on top"
    return Finding(verdict, ours, f"{why}; {execution.why.partition('; ')[2]}")
