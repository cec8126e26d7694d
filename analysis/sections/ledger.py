"""The claims ledger as a table, and its counts for the summary."""

import re

from analysis import paper
from analysis.claims.core import (
    DIRECTION,
    EXACT,
    FAILS,
    HOLDS,
    NOT_CHECKED,
    NOT_RUN,
    UNDECIDED,
    VERDICTS,
)
from analysis.claims.ledger import Entry, counts
from analysis.page import (
    Column,
    Html,
    Section,
    element,
    files,
    group,
    join,
    link,
    paragraph,
    row,
    table,
    text,
)
from analysis.paper import Claim

CLASSES = {
    HOLDS: "holds",
    EXACT: "exact",
    DIRECTION: "direction",
    FAILS: "fails",
    UNDECIDED: "undecided",
    NOT_RUN: "open",
    NOT_CHECKED: "unchecked",
}
MEANINGS = {
    HOLDS: "ours and the paper's number differ by at most two standard deviations of what one more "
    "run would differ by (chance alone exceeds that in one case of five with three seeds, in three "
    "of ten with two); a statement is true with every seed",
    EXACT: "settings, counts and formulas that are as printed",
    DIRECTION: "not within the spread, or one seed only, but true in the sense that the test names",
    FAILS: "neither",
    UNDECIDED: "results are there that neither show nor refute it, such as settings tried of what "
    "`can` be, or two seeds far apart",
    NOT_RUN: "results are missing; the ledger names the command that makes them",
    NOT_CHECKED: "quoted from other authors, or out of reach here",
}
RELATIONS = {"~": "about ", "<": "< ", "<=": "≤ ", ">": "> ", ">=": "≥ "}
SHORT = 60  # characters: longer findings stand in the ledger alone
COLUMNS = [Column("Claim"), Column("Paper"), Column("Ours"), Column("Verdict")]


def anchor(claim_id: str) -> str:
    """An id for the page, of letters, digits and hyphens."""
    return "claim-" + re.sub(r"[^a-z0-9]+", "-", claim_id.lower()).strip("-")


def mark(verdict: str) -> Html:
    return element("span", verdict, class_=f"verdict {CLASSES[verdict]}")


def counts_table(entries: list[Entry]) -> Html:
    """How many claims have which verdict, and what that means."""
    columns = [Column("Verdict"), Column("Claims", number=True), Column("Meaning")]
    found = counts(entries)
    rows = [row(columns, [mark(v), str(found[v]), MEANINGS[v]]) for v in VERDICTS]
    return table(columns, rows)


def failing(entries: list[Entry]) -> Html:
    """The claims that do not hold, each with its place in the ledger."""
    parts, seen = [], set()
    for entry in entries:
        claim, found = entry.claim, entry.finding
        # What the paper says twice, and a number of the table that the text repeats, is told once.
        statement = "" if claim.kind == "accuracy" else claim.statement
        what = (statement, claim.printed, found.ours)
        if found.verdict != FAILS or what in seen:
            continue
        seen.add(what)
        ours = f"; ours: {found.ours}" if 0 < len(found.ours) <= SHORT else ""
        told = f"{claim.statement.rstrip('.')}. The paper: {claim.printed}{ours}."
        place = link(f"#{anchor(claim.id)}", claim.place)
        parts.append(element("li", join([text(told), place], " ")))
    return element("ul", join(parts)) if parts else Html("")


def printed_text(claim: Claim) -> str:
    """What the paper prints; a bare number with its relation and unit."""
    if claim.value is None or not re.fullmatch(r"[\d.,^× -]+", claim.printed):
        return claim.printed
    relation = RELATIONS.get(claim.relation, "")
    unit = f" {claim.unit}" if claim.unit else ""
    return f"{relation}{claim.printed}{unit}".replace(" percent", "%")


def _line(entry: Entry) -> Html:
    claim, found = entry.claim, entry.finding
    small = [element("small", claim.place)]
    if entry.test:
        small.append(element("small", f"Test: {entry.test}"))
    for name in claim.slip:
        small.append(element("small", f"Slip: {paper.slips()[name].remark}"))
    statement = join([text(claim.statement), *small], "<br>")
    ours = [text(found.ours)] if found.ours else []
    ours += [element("small", found.why)] if found.why else []
    ours += [element("small", f"`{found.command}`")] if found.command else []
    source = [element("small", found.source)] if found.source else []
    cells = [
        statement,
        text(printed_text(claim)),
        join(ours, "<br>"),
        join([mark(found.verdict), *source], ""),
    ]
    made = row(COLUMNS, cells)
    classes = f'<tr id="{anchor(claim.id)}" class="{CLASSES[found.verdict]}">'
    return Html(made.replace("<tr>", classes, 1))


# What of the paper has a name of its own.
NAMED = {"abstract": "Abstract", "table1": "Table 1"}


def section_of(claim_id: str) -> str:
    """Heading of a claim's group."""
    head = claim_id.partition("/")[0]
    return NAMED.get(head, f"Section {head}")


def chooser(entries: list[Entry]) -> Html:
    """Radio buttons that show one verdict alone; style does the work, no script."""
    found = counts(entries)
    options = [("all", f"all {len(entries)}")]
    options += [(CLASSES[v], f"{v} {found[v]}") for v in VERDICTS if found[v]]
    made = []
    for name, label in options:
        checked = " checked" if name == "all" else ""
        button = f'<input type="radio" name="verdict" id="show-{name}"{checked}>'
        made.append(element("label", Html(f"{button} {text(label)}")))
    return element("div", join(made), class_="chooser")


def ledger_section(entries: list[Entry]) -> Section:
    """Every claim, its test, our number and the verdict."""
    lines, heading = [], None
    for entry in entries:
        name = section_of(entry.claim.id)
        if name != heading:
            heading = name
            lines.append(group(COLUMNS, name))
        lines.append(_line(entry))
    note = (
        "Every checkable statement of the paper, in its order, with the test that decides it. "
        "Verdicts are computed from the results at each `make report`. Show:"
    )
    made = element("div", table(COLUMNS, lines), class_="ledger")
    parts = [paragraph(note, "note"), chooser(entries), made, files(["claims.csv"])]
    return Section("ledger", "Ledger of claims", element("div", join(parts), class_="claims"))
