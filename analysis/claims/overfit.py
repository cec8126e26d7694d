"""Claims about overfitting: Figures 4 and 5, from accuracies on the training set."""

from analysis.claims.core import NOT_RUN, REPRODUCE, Evidence, Finding, evaluator
from analysis.paper import Claim


@evaluator
def overfit(claim: Claim, evidence: Evidence) -> Finding:
    """Training minus test accuracy of cuda-convnet, by number of blocks."""
    return Finding(NOT_RUN, why="no curves of training accuracy", command=REPRODUCE)
