"""The README's table of results, from the reference runs: ``python -m analysis.readme``.

Rewrites what stands between the two marks in README.md; with ``--check`` it only says whether that
is what the reference runs give.
"""

import argparse
import re
from pathlib import Path

from analysis import table1
from analysis.errors import AnalysisError, run_main
from analysis.files import write_text
from analysis.results import load

README = Path(__file__).resolve().parents[1] / "README.md"
BEGIN, END = "<!-- table 1: begin -->\n", "<!-- table 1: end -->\n"


def block(reference: Path) -> str:
    """The rows of Table 1 that the reference runs under `reference` have, in Markdown."""
    rows = [row for row in table1.paper_rows(load(reference)) if row.shown]
    if not rows:
        return ""
    lines = [
        "| Network | Configuration | Method | Paper | Ours | Difference |",
        "|---|---|---|---:|---|---:|",
    ]
    for row in rows:
        cells = (
            table1.section_text(row.key),
            row.key.config,
            row.label,
            row.cell.printed if row.cell else "",
            table1.ours_text(row),
            table1.signed(row.difference, 2) if row.difference is not None else "",
        )
        lines.append("| " + " | ".join(str(cell) for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def replaced(text: str, table: str) -> str:
    """README's `text` with the table in its place; AnalysisError where the marks are gone."""
    pattern = re.escape(BEGIN) + ".*?" + re.escape(END)
    if not re.search(pattern, text, re.DOTALL):
        raise AnalysisError(f"README.md has no lines {BEGIN.strip()} and {END.strip()}")
    return re.sub(pattern, lambda _: BEGIN + table + END, text, count=1, flags=re.DOTALL)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing")
    arguments = parser.parse_args()
    text = README.read_text()
    wanted = replaced(text, block(README.parent / "results" / "reference"))
    if text != wanted:
        if arguments.check:
            raise AnalysisError("README.md's table is not what results/reference gives")
        write_text(README, wanted)


if __name__ == "__main__":
    run_main(main)
