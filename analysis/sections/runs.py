"""How the runs were made, and the slips of the paper."""

from analysis import history, methods, paper
from analysis.figures.curves import Drawn
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
from analysis.sections.speed import Measured


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


def shown_parts(results: Results, section5: list[Drawn], measured: list[Measured]) -> set[str]:
    """What the page shows, in the terms in which paper.json says where a slip shows.

    Nets, data sets and methods of finished runs, the columns of Table 1 that these methods stand
    for, the networks whose layers were timed, and "spectrum" where Section 5 has figures.
    """
    shown = {"spectrum"} if section5 else set()
    for key in dict.fromkeys(run.key for run in results.runs if run.finished and run.key.net):
        name = key.method.partition(",")[0]
        shown |= {key.net, key.dataset, name}
        if name in methods.METHODS and methods.METHODS[name].column:
            shown.add(methods.METHODS[name].column)
    for one in measured:
        shown |= {place.group for place in one.timings.seconds}
    return shown


def slips_section(shown: set[str]) -> Section:
    """The slips of the paper that touch something of `shown`; see `shown_parts`."""
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
