"""Settings that were tried on a validation split."""

from analysis import methods
from analysis.page import Column, Section, files, group, join, paragraph, row, table
from analysis.paired import interval_text
from analysis.search import Tried
from analysis.table1 import accuracy_text, section_text, signed

COLUMNS = [
    Column("Method and settings"),
    Column("Accuracy (%)", number=True),
    Column("Minus BDIP", number=True),
    Column("95% interval", number=True),
]


def section(found: list[Tried]) -> Section:
    """One table for each net and config, the best first."""
    note = (
        "Trained without the last training images and tested on them: settings are chosen here, "
        "and never by the test set. Differences are to the net that starts in blocks, seed by "
        "seed, with the same settings of the solver where that was run and trained for as long."
    )
    lines, place = [], None
    for one in found:
        if one.key[:3] != place:
            place = one.key[:3]
            lines.append(group(COLUMNS, f"{section_text(one.key)}: {one.key.config}"))
        minus = one.difference
        cells = [methods.label(*one.key[2:4]), accuracy_text(one.summary)]
        cells += ["", ""] if minus is None else [signed(minus.mean, 2), interval_text(minus)]
        lines.append(row(COLUMNS, cells))
    content = join([paragraph(note, "note"), table(COLUMNS, lines), files(["search.csv"])])
    return Section("search", "Settings tried on a validation split", content)
