"""The ledger: every claim of the paper, evaluated from results. Writes claims.csv."""

import csv
import io
from collections import Counter
from dataclasses import dataclass

from analysis import paper
from analysis.claims import (  # noqa: F401  (evaluators register themselves)
    accuracy,
    formulas,
    nets,
    overfit,
    rivals,
    spectrum,
    speed,
    variances,
)
from analysis.claims.core import (
    EVALUATORS,
    NOT_CHECKED,
    NOT_RUN,
    REPRODUCE,
    VERDICTS,
    Evidence,
    Finding,
    NoCommonSeed,
)
from analysis.paper import Claim


@dataclass(frozen=True)
class Entry:
    """A claim, what decides it and what came out."""

    claim: Claim
    test: str
    finding: Finding


def test_text(claim: Claim) -> str:
    """What decides a claim: the first line of its evaluator's docstring."""
    if claim.test is None:
        return ""
    return EVALUATORS[claim.test].__doc__.strip().split("\n")[0]


def evaluate(evidence: Evidence) -> list[Entry]:
    """All claims in the paper's order."""
    entries = []
    for claim in paper.claims().values():
        if claim.test is None:
            finding = Finding(NOT_CHECKED, why=claim.why or "")
        else:
            try:
                finding = EVALUATORS[claim.test](claim, evidence)
            except NoCommonSeed:
                why = "the runs that it compares have no seed in common"
                finding = Finding(NOT_RUN, why=why, command=REPRODUCE)
        entries.append(Entry(claim, test_text(claim), finding))
    return entries


def counts(entries: list[Entry]) -> dict[str, int]:
    """How many claims have each verdict, every verdict named."""
    found = Counter(entry.finding.verdict for entry in entries)
    return {verdict: found[verdict] for verdict in VERDICTS}


CSV_FIELDS = (
    *("id", "place", "statement", "kind", "paper", "unit", "relation", "verdict", "ours", "why"),
    *("test", "command", "source", "slips"),
)


def csv_text(entries: list[Entry]) -> str:
    """One row per claim."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(CSV_FIELDS)
    for entry in entries:
        claim, found = entry.claim, entry.finding
        about = (claim.id, claim.place, claim.statement, claim.kind, claim.printed, claim.unit)
        judged = (claim.relation, found.verdict, found.ours, found.why, entry.test)
        writer.writerow([*about, *judged, found.command, found.source, " ".join(claim.slip)])
    return stream.getvalue()
