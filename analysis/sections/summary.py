"""What there is and what it says, in sentences and counts made from the results."""

from analysis import methods, paired, paper, shuffles, words
from analysis.claims.core import NOT_CHECKED, NOT_RUN
from analysis.claims.ledger import Entry
from analysis.page import (
    Section,
    bullets,
    element,
    join,
    paragraph,
)
from analysis.results import OWN
from analysis.sections import ledger
from analysis.table1 import Row, signed


def summary_section(
    rows: list[Row], found: list[paired.Comparison], entries: list[Entry]
) -> Section:
    """How many claims hold and which do not; what there is and what it says, in sentences."""
    done = [row for row in rows if row.shown]
    filled = {row.cell.id for row in done}
    own = sum(row.shown.source == OWN for row in done)
    said = [
        f"Of the {len(paper.table1_cells())} numbers of the paper's Table 1, {len(filled)} "
        f"{'has' if len(filled) == 1 else 'have'} a result below."
    ]
    if done:
        said.append(source_sentence(own, len(done) - own))
        said += agreement_sentences(done)
        said += cost_sentences(found)
        evidence = shuffles.evidence(rows)
        said += [shuffles.conclusion(evidence)] if evidence else []
    else:
        said.append("No run is finished yet. `make quick` gives a first result.")
    unfinished = sum(len(row.outcome.unfinished) for row in rows)
    if unfinished:
        said.append(f"{words.count(unfinished, 'run')} not finished: {under_way(rows)}.")
    judged = [e for e in entries if e.finding.verdict not in (NOT_RUN, NOT_CHECKED)]
    lead = (
        f"The ledger below has {len(entries)} checkable statements of the paper; results decide "
        f"{len(judged)} of them so far."
    )
    parts = [paragraph(lead), ledger.counts_table(entries)]
    failing = ledger.failing(entries)
    if failing:
        parts += [element("h3", "What does not hold"), failing]
    parts += [element("h3", "Test accuracy"), bullets(said)]
    return Section("summary", "Summary", join(parts))


def source_sentence(own: int, reference: int) -> str:
    """Whose runs the table shows."""
    places = {"your own runs": own, "the reference runs that come with the project": reference}
    given = [f"{count} from {place}" for place, count in places.items() if count]
    return f"{words.count(own + reference, 'result')} in the table: {' and '.join(given)}."


def under_way(rows: list[Row]) -> str:
    """Each unfinished run with how far it is."""
    return "; ".join(
        f"{row.key.config} {row.label}, seed {run.seed}, {run.progress}"
        for row in rows
        for run in row.outcome.unfinished
    )


def agreement_sentences(done: list[Row]) -> list[str]:
    """How many results lie near the paper's number, in units of our own spread."""
    said = []
    judged = [row for row in done if row.difference_in_sd is not None]
    if judged:
        near = [row for row in judged if abs(row.difference_in_sd) <= 2]
        far = [row for row in judged if row not in near]
        sentence = (
            f"{len(near)} of the {words.count(len(judged), 'result')} with several seeds "
            f"{'lies' if len(near) == 1 else 'lie'} within two of our standard deviations of the "
            "paper's number."
        )
        if far:
            named = ", ".join(
                f"{row.key.config} {row.label} ({signed(row.difference, 2)} points)" for row in far
            )
            sentence += f" Further away: {named}."
        said.append(sentence)
    single = [row for row in done if row.shown.n == 1]
    if single:
        largest = max(single, key=lambda row: abs(row.difference))
        said.append(
            f"{words.count(len(single), 'result')} from one seed: the largest difference from the "
            f"paper is {signed(largest.difference, 2)} points, at {largest.key.config} "
            f"{largest.label}; one seed has no spread to judge it by."
        )
    return said


def cost_sentences(found: list[paired.Comparison]) -> list[str]:
    """What blocks cost against the dense net, beside what they cost in the paper."""
    costs = [
        pair
        for pair in found
        if methods.is_dense(pair.second.key.config) and pair.printed is not None
    ]
    if not costs:
        return []
    parts = [
        f"{pair.first.key.config} {signed(pair.mean, 2)} points "
        f"(paper {signed(pair.printed, 2)}; {pair.words})"
        for pair in costs
    ]
    return ["Blocks against the dense net, seed by seed: " + "; ".join(parts) + "."]
