"""How the runs were made, and the slips of the paper."""

from analysis import history, paper
from analysis.page import (
    Section,
    bullets,
    definitions,
    element,
    files,
    join,
    paragraph,
)
from analysis.results import OWN, REFERENCE, Results
from analysis.table1 import Row


def history_section(results: Results) -> Section:
    parts = []
    for source, heading in ((OWN, "Your own runs"), (REFERENCE, "Reference runs")):
        runs = [run for run in results.runs if run.source == source and run.finished]
        parts.append(element("h3", heading))
        if runs:
            parts.append(definitions(history.facts(runs)))
        else:
            parts.append(paragraph("None finished."))
    parts.append(files(["runs.csv"]))
    return Section("history", "How it was run", join(parts))


def slips_section(rows: list[Row]) -> Section:
    """The slips of the paper that touch a net, a data set or a method with results here."""
    shown = {part for row_ in rows if row_.shown for part in row_.key[:2]}
    shown |= {row_.key.method for row_ in rows if row_.shown}
    touching = [slip for slip in paper.slips().values() if shown & set(slip.shows)]
    if not touching:
        content = paragraph("None concerns a result shown here.")
    else:
        content = bullets(
            f"{slip.place}: \N{LEFT DOUBLE QUOTATION MARK}{slip.printed}"
            f"\N{RIGHT DOUBLE QUOTATION MARK}. {slip.remark}"
            for slip in touching
        )
        note = "Only those that concern a result shown here; the data keep them as printed."
        content = join([paragraph(note, "note"), content])
    return Section("slips", "Slips in the paper", content)
