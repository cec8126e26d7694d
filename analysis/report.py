"""``python -m analysis.report``: everything that results/ holds, as one static page.

report/index.html needs no network and no script. Every word about a result is computed from the
results: nothing here knows how they came out.
"""

import argparse
from pathlib import Path

from analysis import history, methods, paired, paper, shuffles, table1
from analysis.errors import run_main
from analysis.figures import accuracy
from analysis.files import write_text
from analysis.page import (
    Column,
    Html,
    Section,
    bullets,
    definitions,
    element,
    figure,
    files,
    group,
    join,
    page,
    paragraph,
    row,
    table,
    text,
)
from analysis.results import OWN, REFERENCE, Results, load
from analysis.table1 import Row, accuracy_text, signed

TITLE = "Block diagonal inner product layers: the paper and this reproduction"
FIGURE_SIZE = (350, 390)

SOURCE_WORDS = {OWN: "own", REFERENCE: "reference"}


def count_text(count: int, noun: str) -> str:
    """``1 number``, ``5 numbers``."""
    return f"{count} {noun}" + ("" if count == 1 else "s")


# ---- summary ------------------------------------------------------------------------------------


def summary_section(rows: list[Row], found: list[paired.Comparison]) -> Section:
    """What there is and what it says, in sentences made from the numbers."""
    begun = [row for row in rows if table1.section_is_begun(row, rows) and not table1.is_empty(row)]
    done = [row for row in begun if row.shown]
    cells = {row.cell.id for row in begun}
    filled = {row.cell.id for row in done}
    own = sum(row.shown.source == OWN for row in done)
    said = [
        f"The paper's Table 1 has {len(paper.table1_cells())} numbers. This project can make "
        f"{len(cells)} of them so far; {len(filled)} of these {len(cells)} "
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
        said.append(f"{count_text(unfinished, 'run')} not finished: {under_way(rows)}.")
    return Section("summary", "Summary", bullets(said))


def source_sentence(own: int, reference: int) -> str:
    """Whose runs the table shows."""
    places = {"your own runs": own, "the reference runs that come with the project": reference}
    given = [f"{count} from {place}" for place, count in places.items() if count]
    return f"{count_text(own + reference, 'result')} in the table: {' and '.join(given)}."


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
            f"{len(near)} of the {count_text(len(judged), 'result')} with several seeds "
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
            f"{count_text(len(single), 'result')} from one seed: the largest difference from the "
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


# ---- table 1 ------------------------------------------------------------------------------------

TABLE1_COLUMNS = [
    Column("Method"),
    Column("Paper (%)", number=True),
    Column("Ours (%)", number=True),
    Column("Difference", number=True),
    Column("In our sd", number=True),
]


def table1_row(row_: Row) -> Html:
    """One cell of the paper's table beside ours."""
    columns = TABLE1_COLUMNS
    printed = row_.cell.printed if row_.cell else ""
    if row_.shown is None:
        heading = element("th", row_.label, scope="row")
        number = element("td", printed, class_="n")
        missing = element("td", table1.ours_text(row_), colspan=3, class_="missing")
        return element("tr", join([heading, number, missing], ""))
    summary = row_.shown
    spread = "" if summary.sd is None else f" ± {summary.sd:.2f}"
    small = [f"{count_text(summary.n, 'seed')}, {SOURCE_WORDS[summary.source]}"]
    if row_.shorter_than_paper:
        small[0] += f", at {summary.iterations:,} iterations"
    if row_.reference_beside_own:
        small.append(f"reference: {accuracy_text(row_.reference_beside_own)}")
    small += [f"seed {run.seed} {run.progress}" for run in row_.outcome.unfinished]
    lines = [text(f"{summary.mean:.2f}{spread}"), *(element("small", line) for line in small)]
    ours = join(lines, "<br>")
    difference = "" if row_.difference is None else signed(row_.difference, 2)
    return row(columns, [row_.label, printed, ours, difference, table1.sd_text(row_)])


def table1_lines(rows: list[Row]) -> list[Html]:
    """The rows under a heading for each net, data set and config."""
    lines, heading = [], None
    for row_ in rows:
        name = f"{table1.section_text(row_.key)}: {table1.what_text(row_)}"
        if name != heading:
            heading = name
            lines.append(group(TABLE1_COLUMNS, name))
        lines.append(table1_row(row_))
    return lines


def table1_section(rows: list[Row], others: list[Row]) -> Section:
    """The paper's cells beside ours, then the results that have no cell there."""
    begun = [row_ for row_ in rows if table1.section_is_begun(row_, rows)]
    parts = [
        paragraph(table1.CAPTION, "note"),
        paragraph(
            "The paper gives one column for random shuffling of blocks and does not say whether "
            "the shuffle is drawn once and kept (FIXED here) or again at every pass (PER_PASS "
            "here); both stand below beside the same number. The paper's numbers are of one run "
            "each, as far as it says.",
            "note",
        ),
        table(TABLE1_COLUMNS, table1_lines(begun)),
    ]
    missing = table1.missing_cells(rows)
    if missing:
        parts.append(paragraph(table1.missing_text(missing), "note"))
    if others:
        parts.append(element("h3", "Other results, with no cell in the paper's table"))
        parts.append(table(TABLE1_COLUMNS, table1_lines(others)))
    parts.append(files(["table1.csv", "table1.md", "table1.tex"]))
    return Section("table1", "Table 1: test accuracy", join(parts))


# ---- figures, shuffles, pairs -------------------------------------------------------------------


def figure_caption(drawn: accuracy.Drawn) -> str:
    """Which runs are in the figure, said from the runs themselves."""
    curves = "; ".join(
        f"{curve.row.label} {count_text(curve.summary.n, 'seed')} "
        f"({SOURCE_WORDS[curve.summary.source]})"
        for curve in drawn.curves
    )
    bands = any(curve.summary.n > 1 for curve in drawn.curves)
    words = f"{drawn.config}: mean test accuracy"
    if bands:
        words += ", bands one standard deviation over seeds"
    if any(curve.row.cell for curve in drawn.curves):
        words += "; triangles at the right edge: the paper's final values"
    return f"{words}. Curves: {curves}."


def figures_section(drawn: list[accuracy.Drawn]) -> Section:
    pictures = [
        figure(
            one.stem,
            "figures",
            f"Test accuracy over iterations, {one.config}: "
            + ", ".join(f"{c.row.label} ends at {c.mean[-1]:.2f}%" for c in one.curves),
            figure_caption(one),
            FIGURE_SIZE,
        )
        for one in drawn
    ]
    content = element("div", join(pictures), class_="figures")
    return Section("accuracy", "Test accuracy over iterations", content)


def shuffle_section(rows: list[Row]) -> Section:
    said = shuffles.sentences(shuffles.evidence(rows))
    explanation = (
        "Section 4.2 says that whole blocks are shuffled randomly each pass, as in a layer of "
        "cuda-convnet; that layer draws its connections once and keeps them. With FIXED a weight "
        "block always meets the same input block, in training and in testing. With PER_PASS it "
        "meets another one at each pass of training, and its own in testing."
    )
    content = join([paragraph(explanation), paragraph(" ".join(said))])
    return Section("shuffle", "FIXED or PER_PASS?", content)


PAIR_COLUMNS = [
    Column("Difference"),
    Column("Paper", number=True),
    Column("Ours", number=True),
    Column("95% interval", number=True),
    Column("What the seeds say"),
]


def pair_line(pair: paired.Comparison) -> Html:
    spread = "" if pair.sd is None else f" ± {pair.sd:.2f}"
    small = element("small", f"{count_text(pair.n, 'seed')}, {SOURCE_WORDS[pair.source]}")
    ours = join([text(f"{signed(pair.mean, 2)}{spread}"), Html("<br>"), small], "")
    printed = "" if pair.printed is None else signed(pair.printed, 2)
    name = f"{pair.first.label} {table1.MINUS} {pair.second.label}"
    return row(PAIR_COLUMNS, [name, printed, ours, paired.interval_text(pair), pair.words])


def pairs_section(found: list[paired.Comparison]) -> Section:
    lines, heading = [], None
    for pair in found:
        name = f"{table1.section_text(pair.first.key)}: {pair.first.key.config}"
        if name != heading:
            heading = name
            lines.append(group(PAIR_COLUMNS, name))
        lines.append(pair_line(pair))
    note = (
        "Points of test accuracy, the same seeds on both sides, from one source: mean ± sample "
        "standard deviation of the differences, and Student's 95% interval of their mean, one pair "
        "at a time. An interval that holds zero shows no difference."
    )
    parts = [paragraph(note, "note"), table(PAIR_COLUMNS, lines), files(["paired.csv"])]
    return Section("pairs", "Method against method, seed by seed", join(parts))


# ---- how it was run, slips ----------------------------------------------------------------------


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


# ---- the page -----------------------------------------------------------------------------------


def write(results: Results, out: Path) -> Path:
    """Writes the page with its tables and figures into `out`; returns the page's path."""
    rows, others = table1.paper_rows(results), table1.other_rows(results)
    found = paired.comparisons(results, rows + others)
    table1.write(results, out)
    write_text(out / "paired.csv", paired.csv_text(found))
    write_text(out / "runs.csv", history.csv_text(list(results.runs)))
    drawn = accuracy.draw_all(results, out / "figures")

    sections = [summary_section(rows, found), table1_section(rows, others)]
    if drawn:
        sections.append(figures_section(drawn))
    sections.append(shuffle_section(rows))
    if found:
        sections.append(pairs_section(found))
    sections += [history_section(results), slips_section(rows)]

    about = paper.about()
    lead = (
        f"{' and '.join(about['authors'])}, \N{LEFT DOUBLE QUOTATION MARK}{about['title']}"
        f"\N{RIGHT DOUBLE QUOTATION MARK} ({about['year']}), run again with Caffe. "
        "Every number and every sentence about a result on this page is computed from the runs."
    )
    path = out / "index.html"
    write_text(path, page(TITLE, text(lead), sections))
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--results", type=Path, default=Path("results"), help="run folders")
    parser.add_argument("--out", type=Path, default=Path("report"), help="where the page goes")
    arguments = parser.parse_args()
    print("written:", write(load(arguments.results), arguments.out))


if __name__ == "__main__":
    run_main(main)
