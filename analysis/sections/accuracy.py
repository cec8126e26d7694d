"""Table 1, accuracy over iterations, the two shuffles and the paired differences."""

from analysis import lengths, paired, paper, schedules, shuffles, table1, words
from analysis.claims.core import spread_text
from analysis.figures import accuracy
from analysis.page import (
    Column,
    Html,
    Section,
    details,
    element,
    figure,
    files,
    group,
    join,
    paragraph,
    row,
    table,
    text,
)
from analysis.results import OWN, REFERENCE
from analysis.table1 import Row, accuracy_text, signed

FIGURE_SIZE = (350, 450)
MANY = 8  # results that have no cell: more are shown when asked for
SOURCE_WORDS = {OWN: "own", REFERENCE: "reference"}
EACH_PASS = "4.2/shuffle-each-pass"


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
    small = [f"{words.count(summary.n, 'seed')}, {SOURCE_WORDS[summary.source]}"]
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


def data_notes(rows: list[Row]) -> list[Html]:
    """A line for each data set whose results are not on the official data, as runs record it."""
    return [paragraph(told, "note") for told in table1.data_sentences(rows)]


def table1_section(rows: list[Row], others: list[Row]) -> Section:
    """The paper's cells beside ours, then the results that have no cell there."""
    each_pass = paper.claims()[EACH_PASS]
    parts = [
        paragraph(table1.CAPTION, "note"),
        paragraph(
            "The paper has one column for random shuffling of blocks, and two readings of it: "
            f"{each_pass.place.partition(',')[0]} says \N{LEFT DOUBLE QUOTATION MARK}"
            f"{each_pass.printed}\N{RIGHT DOUBLE QUOTATION MARK} (PER_PASS here), but like in a "
            "layer of cuda-convnet, which draws its connections once and keeps them (FIXED here). "
            "Where both were run, both stand below beside the same number. The paper's numbers are "
            "of one run each, as far as it says. Alpha, begin and cuts of traditional and node "
            "pruning and the number that `less than 1000` stands for are not in the paper: those "
            "are this project's, and differences can come of them.",
            "note",
        ),
        table(TABLE1_COLUMNS, table1_lines(rows)),
        *data_notes(rows + others),
    ]
    if others:
        heading = "Other results, with no cell in the paper's table"
        lines = table(TABLE1_COLUMNS, table1_lines(others))
        if len(others) > MANY:
            parts.append(details(f"{heading} ({len(others)})", lines))
        else:
            parts += [element("h3", heading), lines]
    parts.append(files(["table1.csv", "table1.md", "table1.tex"]))
    return Section("table1", "Table 1: test accuracy", join(parts))


def figure_caption(drawn: accuracy.Drawn) -> str:
    """Which runs are in the figure, said from the runs themselves."""
    curves = "; ".join(
        f"{curve.row.label} {words.count(curve.summary.n, 'seed')} "
        f"({SOURCE_WORDS[curve.summary.source]})"
        for curve in drawn.curves
    )
    bands = any(curve.summary.n > 1 for curve in drawn.curves)
    told = f"{drawn.name}: mean test accuracy"
    if bands:
        told += ", bands one standard deviation over seeds"
    if any(curve.row.cell for curve in drawn.curves):
        told += "; triangles at the right edge: the paper's final values"
    return f"{told}. Curves: {curves}."


def figures_section(drawn: list[accuracy.Drawn]) -> Section:
    """A figure for each net, data set and config, and what they were trained and tested on."""
    pictures = [
        figure(
            one.stem,
            "figures",
            f"Test accuracy over iterations, {one.name}: "
            + ", ".join(f"{c.row.label} ends at {c.mean[-1]:.2f}%" for c in one.curves),
            figure_caption(one),
            FIGURE_SIZE,
        )
        for one in drawn
    ]
    # The dense net is in each figure of its data set.
    rows = list({curve.row.key: curve.row for one in drawn for curve in one.curves}.values())
    content = join([*data_notes(rows), element("div", join(pictures), class_="figures")])
    return Section("accuracy", "Test accuracy over iterations", content)


def shuffle_section(rows: list[Row]) -> Section:
    """What each reading of the paper's column gives, a paragraph for each data set."""
    found = shuffles.by_data(rows)
    said = [f"{name}. {' '.join(shuffles.sentences(here))}" for name, here in found.items()]
    said = said or shuffles.sentences([])
    both = [row for here in found.values() for one in here for row in (one.fixed, one.per_pass)]
    explanation = (
        "Section 4.2 says that whole blocks are shuffled randomly each pass, as in a layer of "
        "cuda-convnet; that layer draws its connections once and keeps them. With FIXED a weight "
        "block always meets the same input block, in training and in testing. With PER_PASS it "
        "meets another one at each pass of training, and its own in testing."
    )
    content = join([paragraph(explanation), *map(paragraph, said), *data_notes(both)])
    return Section("shuffle", "FIXED or PER_PASS?", content)


SCHEDULE_COLUMNS = [
    Column("Iterations at 1e-3 + at 1e-4"),
    Column("Test accuracy (%)", number=True),
    Column("Variance of ip1", number=True),
]


def schedule_section(found: list[schedules.Reading]) -> Section:
    """The readings of the paper's 9,000 iterations on CIFAR-10, as far as they were run."""
    claims = paper.claims()
    printed = [claims[name].printed for name in (schedules.ACCURACY, schedules.VARIANCE)]
    lines = [row(SCHEDULE_COLUMNS, ["The paper", *printed])]
    for one in found:
        variance = f"{words.mean_sd([1e3 * value for value in one.variance])} × 10^-3"
        lines.append(row(SCHEDULE_COLUMNS, [one.name, accuracy_text(one.summary), variance]))
    explanation = (
        "Caffe's example for cuda-convnet trains for 4,000 iterations and goes on for 1,000 at a "
        "tenth of the rate. The paper trains for 9,000 and says that nothing was changed. This is "
        "the dense net at the end of each reading."
    )
    parts = [paragraph(explanation), table(SCHEDULE_COLUMNS, lines)]
    return Section(
        "schedule",
        "Which 9,000 iterations?",
        join([*parts, paragraph(schedules.conclusion(found))]),
    )


LENGTH_COLUMNS = [
    Column("LeNet-5's solver for"),
    Column("IP-BDIP, error (%)", number=True),
    Column("BDIP, error (%)", number=True),
]


def length_section(found: list[lengths.Reading]) -> Section:
    """The trainings of the net with one hidden layer, as far as they were run."""
    lines = [row(LENGTH_COLUMNS, ["The paper", paper.claims()[lengths.ERROR].printed, ""])]
    for one in found:
        errors = [
            "" if summary is None else spread_text([100 - x for x in summary.by_seed.values()], 3)
            for summary in (one.pruned, one.blocks)
        ]
        lines.append(row(LENGTH_COLUMNS, [one.name, *errors]))
    explanation = (
        "The paper does not say how it trained 784-980-10, (49,1)-BD_2. This is its error at the "
        "end of LeNet-5's training, and of longer ones."
    )
    parts = [paragraph(explanation), table(LENGTH_COLUMNS, lines)]
    return Section(
        "length",
        "How long was 784-980-10 trained?",
        join([*parts, paragraph(lengths.conclusion(found))]),
    )


PAIR_COLUMNS = [
    Column("Difference"),
    Column("Paper", number=True),
    Column("Ours", number=True),
    Column("95% interval", number=True),
    Column("What the seeds say"),
]


def pair_line(pair: paired.Comparison) -> Html:
    spread = "" if pair.sd is None else f" ± {pair.sd:.2f}"
    small = element("small", f"{words.count(pair.n, 'seed')}, {SOURCE_WORDS[pair.source]}")
    ours = join([text(f"{signed(pair.mean, 2)}{spread}"), Html("<br>"), small], "")
    printed = "" if pair.printed is None else signed(pair.printed, 2)
    name = f"{pair.first.label} {table1.MINUS} {pair.second.label}"
    return row(PAIR_COLUMNS, [name, printed, ours, paired.interval_text(pair), pair.words])


def _pairs_table(found: list[paired.Comparison]) -> Html:
    """The pairs under a heading for each net, data set and config."""
    lines, heading = [], None
    for pair in found:
        name = f"{table1.section_text(pair.first.key)}: {pair.first.key.config}"
        if name != heading:
            heading = name
            lines.append(group(PAIR_COLUMNS, name))
        lines.append(pair_line(pair))
    return table(PAIR_COLUMNS, lines)


def pairs_section(found: list[paired.Comparison]) -> Section:
    """Pairs of the configs in the paper's table; those of other configs when asked for."""
    note = (
        "Points of test accuracy, the same seeds on both sides, from one source: mean ± sample "
        "standard deviation of the differences, and Student's 95% interval of their mean, one pair "
        "at a time. An interval that holds zero shows no difference."
    )
    main = [pair for pair in found if pair.first.cell is not None]
    others = [pair for pair in found if pair.first.cell is None]
    if len(others) <= MANY:
        main, others = main + others, []
    parts = [paragraph(note, "note")]
    if main:
        parts.append(_pairs_table(main))
    if others:
        heading = f"Other configs ({words.count(len(others), 'pair')})"
        parts.append(details(heading, _pairs_table(others)))
    parts += data_notes([row for pair in found for row in (pair.first, pair.second)])
    parts.append(files(["paired.csv"]))
    return Section("pairs", "Method against method, seed by seed", join(parts))
