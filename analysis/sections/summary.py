"""What there is and what it says, in sentences and counts made from the results."""

from collections import Counter
from collections.abc import Iterable

from analysis import methods, paired, paper, shuffles, table1, words
from analysis.claims.core import (
    DIRECTION,
    FAILS,
    NOT_CHECKED,
    NOT_RUN,
    UNDECIDED,
    VERDICTS,
    Evidence,
    key_of,
)
from analysis.claims.ledger import Entry
from analysis.page import (
    Html,
    Section,
    bullets,
    element,
    join,
    paragraph,
    text,
)
from analysis.results import OWN
from analysis.sections import ledger
from analysis.table1 import Row, signed

NAMED = (DIRECTION, FAILS, UNDECIDED)  # the cells of Table 1 of which this is said are named


def summary_section(
    rows: list[Row], found: list[paired.Comparison], entries: list[Entry], evidence: Evidence
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
        said += length_sentences(done)
        said.append(verdicts_sentence(table1_entries(entries), evidence))
        said += data_parts(done, found, entries, evidence)
    else:
        said.append("No run is finished yet. `make quick` gives a first result.")
    unfinished = sum(len(row.outcome.unfinished) for row in rows)
    if unfinished:
        said.append(f"{words.count(unfinished, 'run')} not finished: {under_way(rows)}.")
    judged = [e for e in entries if e.finding.verdict not in (UNDECIDED, NOT_RUN, NOT_CHECKED)]
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
        f"{table1.section_text(row.key)} {row.key.config} {row.label}, seed {run.seed}, "
        f"{run.progress}"
        for row in rows
        for run in row.outcome.unfinished
    )


def length_sentences(done: list[Row]) -> list[str]:
    """How many results the ledger leaves out, since they did not train as long as the paper's."""
    count = sum(row.shorter_than_paper for row in done)
    if not count:
        return []
    return [
        f"{words.count(count, 'result')} of another number of iterations than the paper's: the "
        "ledger does not judge by these."
    ]


# ---- Table 1, as the ledger judges it -----------------------------------------------------------


def table1_entries(entries: Iterable[Entry]) -> list[Entry]:
    """The ledger's entries for the cells of Table 1."""
    cells = {cell.id for cell in paper.table1_cells()}
    return [entry for entry in entries if entry.claim.id in cells]


def verdicts_sentence(cells: list[Entry], evidence: Evidence) -> str:
    """How many cells have which verdict, and how many of them by one seed."""
    found = Counter(one.finding.verdict for one in cells)
    left, right = "\N{LEFT DOUBLE QUOTATION MARK}", "\N{RIGHT DOUBLE QUOTATION MARK}"
    verdicts = [verdict for verdict in VERDICTS if found[verdict]]
    told = words.listing([f"{found[one]} {left}{one}{right}" for one in verdicts])
    sentence = f"The ledger's verdicts on them, with rand. shuff. as FIXED: {told}."
    judged = [evidence.accuracy(key_of(one.claim)) for one in cells]
    single = sum(summary is not None and summary.n == 1 for summary in judged)
    if single:
        sentence += f" {words.count(single, 'verdict')} by one seed, which has no spread."
    return sentence


def named_cells(cells: list[Entry], evidence: Evidence) -> str:
    """``holds in direction: (10,1)-BD_4 BDIP (+0.13 points); ...``: what is not within the spread.

    The verdicts are the ledger's, and the differences are of the results that it judged.
    """
    parts = []
    for verdict in NAMED:
        told = []
        for entry in cells:
            key = key_of(entry.claim)
            summary = evidence.accuracy(key)
            if entry.finding.verdict != verdict or summary is None:
                continue
            off = signed(summary.mean - entry.claim.value, 2)
            told.append(f"{key.config} {methods.label(key.config, key.method)} ({off} points)")
        parts += [f"{verdict}: {', '.join(told)}"] if told else []
    return "; ".join(parts)


def data_parts(
    done: list[Row], found: list[paired.Comparison], entries: list[Entry], evidence: Evidence
) -> list[Html]:
    """For each net and data set with results: what of Table 1 is not met, and what blocks cost."""
    both = shuffles.by_data(done)
    parts = []
    for section in dict.fromkeys(table1.section_text(row.key) for row in done):
        rows = [row for row in done if table1.section_text(row.key) == section]
        keys = {row.key for row in rows}
        cells = [one for one in table1_entries(entries) if key_of(one.claim) in keys]
        named = named_cells(cells, evidence)
        said = [f"In Table 1, {named}."] if named else []
        said += cost_sentences([pair for pair in found if pair.first.key in keys])
        said += [f"rand. shuff.: {shuffles.conclusion(both[section])}"] if section in both else []
        said += table1.data_sentences(rows)
        parts += [join([text(f"{section}:"), bullets(said)])] if said else []
    return parts


def cost_sentences(found: list[paired.Comparison]) -> list[str]:
    """What blocks cost against the dense net of a data set, beside what they cost in the paper."""
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
