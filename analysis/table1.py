"""Table 1 of the paper beside ours: ``python -m analysis.table1`` writes table1.csv, .md and .tex.

One row per cell; the paper's `rand. shuff.` has two rows of ours, FIXED and PER_PASS. Results that
have no cell in the paper's table (other configs, other data sets, a user's own solver) follow it.
"""

import argparse
import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from analysis import methods, paper, words
from analysis.errors import run_main
from analysis.files import write_text
from analysis.results import OWN, Key, Outcome, Results, Summary, load

MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True)
class Row:
    """One line of the table: a cell of the paper's (or None), and what we have for it.

    `data_note`: what the shown runs were trained and tested on, where that is not the official data
    set in whole. `data_missing`: nothing is shown, since the data was not at hand.
    """

    key: Key
    label: str
    cell: paper.Claim | None
    outcome: Outcome
    command: str | None
    data_note: str = ""
    data_missing: bool = False

    @property
    def shown(self) -> Summary | None:
        return self.outcome.shown

    @property
    def reference_beside_own(self) -> Summary | None:
        """The reference result where the shown one is the user's own."""
        own = self.shown is not None and self.shown.source == OWN
        return self.outcome.reference if own else None

    @property
    def difference(self) -> float | None:
        """Ours minus the paper's, in points."""
        if self.cell is None or self.shown is None:
            return None
        return self.shown.mean - self.cell.value

    @property
    def difference_in_sd(self) -> float | None:
        """That difference in units of our own standard deviation over seeds."""
        if self.difference is None or not self.shown.sd:
            return None
        return self.difference / self.shown.sd

    @property
    def status(self) -> str:
        """``finished``, what is under way, or ``not run``, and whether for want of the data."""
        parts = ["finished"] if self.shown else []
        parts += [f"seed {run.seed} {run.progress}" for run in self.outcome.unfinished]
        if parts:
            return "; ".join(parts)
        return "not run: data not at hand" if self.data_missing else "not run"

    @property
    def shorter_than_paper(self) -> bool:
        """True where our runs were made with another number of iterations than the paper's."""
        if self.cell is None or self.shown is None:
            return False
        return self.shown.iterations != self.cell.subject["iterations"]


def _row(results: Results, key: Key, cell: paper.Claim | None) -> Row:
    iterations = cell.subject["iterations"] if cell else None
    outcome = results.outcome(key, iterations)
    label = methods.label(key.config, key.method)
    if outcome.shown is not None:
        return Row(key, label, cell, outcome, None, _data_note(results, outcome.shown, key))
    command = None
    missing = False
    if key.solver_file is None:
        command = methods.train_command(key.net, key.dataset, key.config, key.method, seed=1)
        missing = key.dataset in methods.IMPORT_COMMANDS and not data_at_hand(key.dataset)
        if command and missing:
            command = methods.IMPORT_COMMANDS[key.dataset]
    return Row(key, label, cell, outcome, command, data_missing=missing)


def data_at_hand(dataset: str, data: Path = Path("data")) -> bool:
    """Whether `make train` finds the data set, counted from the project's folder."""
    return (data / dataset / "manifest.json").is_file()


def _data_note(results: Results, shown: Summary, key: Key) -> str:
    """Such as ``tested on the first 10,000 of 26,032``, by the runs' own records."""
    notes: dict[str, None] = {}
    for run in results.finished_runs(shown, key):
        for split, verb in (("train", "trained"), ("test", "tested")):
            about = (run.record.get("data") or {}).get(split) or {}
            if "imported_sha256" in about:
                notes[f"{verb} on {imported_text(about)}"] = None
    return ", ".join(notes)


def imported_text(about: dict) -> str:
    """What a run's record says of a split that a user imported, in words.

    about: ``count``, and where the data set is an official one ``official_count`` and, if these
    images are known, ``known_as``.
    """
    if "known_as" in about:
        return about["known_as"]
    if "official_count" in about:
        return (
            f"{about['count']:,} imported images (the official set has {about['official_count']:,})"
        )
    return f"{about['count']:,} imported images"


def paper_rows(results: Results) -> list[Row]:
    """A row for each cell of the paper's table and each method that stands for it."""
    return [
        _row(results, Key(subject["net"], subject["dataset"], subject["config"], method), cell)
        for cell in paper.table1_cells()
        for subject in [cell.subject]
        for method in methods.methods_of_column(subject["column"])
    ]


def other_rows(results: Results) -> list[Row]:
    """Rows for the results that have no cell in the paper's table.

    What was tried on a validation split is another table (analysis.search).
    """
    in_paper = {row.key for row in paper_rows(results)}
    keys = sorted(set(results.keys()) - in_paper, key=str)
    keys = [key for key in keys if not (key.dataset or "").endswith(methods.VALIDATION)]
    return [_row(results, key, None) for key in keys]


# ---- words and numbers for people ---------------------------------------------------------------


def signed(value: float, digits: int) -> str:
    """``+0.02`` or, with a true minus sign, the opposite."""
    return f"{value:+.{digits}f}".replace("-", MINUS)


def accuracy_text(summary: Summary) -> str:
    """``98.83 ± 0.05 (3 seeds)``; one seed has no spread."""
    if summary.sd is None:
        return f"{summary.mean:.2f} (1 seed)"
    return f"{summary.mean:.2f} ± {summary.sd:.2f} ({summary.n} seeds)"


def what_text(row: Row) -> str:
    """The config, or the user's solver."""
    if row.key.solver_file is not None:
        return f"solver {row.key.solver_file}"
    return row.key.config


def section_text(key: Key) -> str:
    """``LeNet-5 on MNIST``."""
    if key.solver_file is not None:
        return "Own solvers"
    net = methods.NET_LABELS.get(key.net, key.net)
    return f"{net} on {methods.DATASET_LABELS.get(key.dataset, key.dataset)}"


def ours_text(row: Row, data: bool = True) -> str:
    """Our number; failing that what is under way, or the command that makes it.

    data: with what it was trained and tested on, where that is not the official data.
    """
    if row.shown is None:
        return f"{row.status}: `{row.command}`" if row.status.startswith("not run") else row.status
    text = accuracy_text(row.shown)
    if data and row.data_note:
        text += f", {row.data_note}"
    if row.shorter_than_paper:
        text += f", at {row.shown.iterations:,} iterations"
    under_way = [f"seed {run.seed} {run.progress}" for run in row.outcome.unfinished]
    return "; ".join([text, *under_way])


def data_notes(rows: Sequence[Row]) -> dict[str, list[str]]:
    """{section_text: what its rows were trained and tested on, if not the official data}."""
    notes: dict[str, list[str]] = {}
    for row in rows:
        mine = notes.setdefault(section_text(row.key), [])
        if row.data_note and row.data_note not in mine:
            mine.append(row.data_note)
    return notes


def data_sentences(rows: Sequence[Row]) -> list[str]:
    """What the numbers of the rows come from, where that is not the official data in whole.

    A sentence for each data set; where only some of its results are on such data, it names them.
    """
    said = []
    for section in dict.fromkeys(section_text(row.key) for row in rows):
        mine = [row for row in rows if row.shown and section_text(row.key) == section]
        for note in dict.fromkeys(row.data_note for row in mine if row.data_note):
            noted = [f"{what_text(row)} {row.label}" for row in mine if row.data_note == note]
            which = "" if len(noted) == len(mine) else f", {words.listing(noted)}"
            said.append(f"{section}{which}: {note}.")
    return said


def sd_text(row: Row) -> str:
    """The difference in units of our standard deviation, or why there is none."""
    if row.difference is None:
        return ""
    if row.shown.n < 2:
        return "one seed"
    if row.difference_in_sd is None:
        return "no spread"
    return signed(row.difference_in_sd, 1)


# ---- files --------------------------------------------------------------------------------------

CSV_FIELDS = (
    "net", "dataset", "config", "method", "label", "solver_file", "paper_percent", "mean_percent",
    "sd_points", "n_seeds", "seeds", "iterations", "difference_points", "difference_in_sd",
    "source", "data", "reference_mean_percent", "reference_sd_points", "reference_n_seeds",
    "status", "command",
)  # fmt: skip


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def _summary_fields(prefix: str, summary: Summary | None) -> dict[str, str]:
    if summary is None:
        return {}
    return {
        f"{prefix}mean_percent": _number(summary.mean),
        f"{prefix}sd_points": _number(summary.sd),
        f"{prefix}n_seeds": str(summary.n),
    }


def csv_text(rows: list[Row]) -> str:
    """All rows, numbers to six digits, empty where there is none."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, CSV_FIELDS, restval="", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        fields = {name: value or "" for name, value in row.key._asdict().items()}
        fields |= {
            "label": row.label,
            "paper_percent": row.cell.printed if row.cell else "",
            "difference_points": _number(row.difference),
            "difference_in_sd": _number(row.difference_in_sd),
            "data": row.data_note,
            "status": row.status,
            "command": row.command or "",
        }
        fields |= _summary_fields("", row.shown)
        fields |= _summary_fields("reference_", row.outcome.reference)
        if row.shown:
            fields["seeds"] = " ".join(str(seed) for seed in row.shown.by_seed)
            fields["iterations"] = str(row.shown.iterations)
            fields["source"] = row.shown.source
        writer.writerow(fields)
    return stream.getvalue()


CAPTION = (
    "Final test accuracy in percent: mean ± sample standard deviation over seeds. Difference: ours "
    "minus the paper's, in points and in units of our standard deviation (itself uncertain by "
    "about half with three seeds). Source: your own runs where there are any, else the reference "
    "runs that come with the project."
)


def markdown(rows: list[Row], others: list[Row]) -> str:
    """The table as Markdown."""
    lines = ["# Table 1", "", CAPTION]
    section = None
    for row in rows + others:
        heading = section_text(row.key)
        if row.cell is None:
            heading += " (no cell in the paper's table)"
        if heading != section:
            section = heading
            lines += ["", f"## {heading}", ""]
            lines += [
                "| Config | Method | Paper | Ours | Difference | In our sd | Source |",
                "|---|---|---:|---|---:|---:|---|",
            ]
        source = row.shown.source if row.shown else ""
        if row.reference_beside_own:
            source += f" (reference: {accuracy_text(row.reference_beside_own)})"
        difference = "" if row.difference is None else signed(row.difference, 2)
        printed = row.cell.printed if row.cell else ""
        cells = [what_text(row), row.label, printed, ours_text(row), difference, sd_text(row)]
        lines.append("| " + " | ".join([*cells, source]) + " |")
    return "\n".join(lines) + "\n"


def latex(rows: list[Row]) -> str:
    """The paper's cells as a booktabs table, for a paper of one's own."""
    notes = data_notes(rows)
    lines = [
        r"% needs \usepackage{booktabs}",
        r"\begin{tabular}{llrrlr}",
        r"\toprule",
        r"Config & Method & Paper (\%) & Ours (\%) & Seeds & Difference \\",
    ]
    section = None
    for row in rows:
        if section_text(row.key) != section:
            section = section_text(row.key)
            heading = section + (f" ({'; '.join(notes[section])})" if notes[section] else "")
            lines += [r"\midrule", rf"\multicolumn{{6}}{{l}}{{{heading}}} \\"]
        name, _, layers = row.key.config.partition("-BD_")
        config = rf"{name}-BD$_{layers}$"
        label = row.label.replace("_", r"\_")
        if row.shown is None:
            ours, seeds, difference = "---", "", ""
        else:
            spread = "" if row.shown.sd is None else rf" \pm {row.shown.sd:.2f}"
            ours, seeds = f"${row.shown.mean:.2f}{spread}$", str(row.shown.n)
            difference = f"${row.difference:+.2f}$"
        cells = [config, label, row.cell.printed, ours, seeds, difference]
        lines.append(" & ".join(cells) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def write(results: Results, out: Path) -> list[Path]:
    """Writes the table's three files into `out` and returns their paths."""
    rows, others = paper_rows(results), other_rows(results)
    texts = {
        "table1.csv": csv_text(rows + others),
        "table1.md": markdown(rows, others),
        "table1.tex": latex(rows),
    }
    for name, text in texts.items():
        write_text(out / name, text)
    return [out / name for name in texts]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--results", type=Path, default=Path("results"), help="run folders")
    parser.add_argument("--out", type=Path, default=Path("report"), help="where the table goes")
    arguments = parser.parse_args()
    paths = write(load(arguments.results), arguments.out)
    print(paths[1].read_text())
    print("written:", ", ".join(str(path) for path in paths))


if __name__ == "__main__":
    run_main(main)
