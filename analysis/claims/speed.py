"""Claims about speed: Section 4.1, Figures 1 to 3, and the speedups named in Section 4.2."""

from analysis.claims.core import NOT_RUN, Evidence, Finding, evaluator
from analysis.paper import Claim

BENCH = "make bench"


@evaluator
def speed(claim: Claim, evidence: Evidence) -> Finding:
    """A timing on this device, beside the paper's on a P100."""
    return Finding(NOT_RUN, why="no timings among the results", command=BENCH)
