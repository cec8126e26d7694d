"""``python -m analysis.report``: everything that results/ holds, as one static page.

report/index.html needs no network and no script. Every word about a result is computed from the
results: nothing here knows how they came out.
"""

import argparse
from pathlib import Path

from analysis import history, lengths, paired, paper, schedules, search, table1
from analysis.claims import ledger as claims_ledger
from analysis.claims.core import Evidence
from analysis.errors import run_main
from analysis.figures import accuracy as accuracy_figures
from analysis.files import write_text
from analysis.nulls import DRAWS, Nulls
from analysis.page import page, text
from analysis.results import Results, load
from analysis.sections import accuracy, ledger, overfitting, runs, section5, speed, summary
from analysis.sections import search as search_section
from analysis.sisters import Spectra

TITLE = "Block diagonal inner product layers: the paper and this reproduction"


def write(results: Results, out: Path, draws: int = DRAWS) -> Path:
    """Writes the page with its tables and figures into `out`; returns the page's path.

    draws: random matrices of each layout; they are kept under the results, in .null/.
    """
    rows, others = table1.paper_rows(results), table1.other_rows(results)
    found = paired.comparisons(results, rows + others)
    spectra = Spectra(results, Nulls(results.root and results.root / ".null", draws))
    evidence = Evidence(results, spectra)
    entries = claims_ledger.evaluate(evidence)
    table1.write(results, out)
    write_text(out / "paired.csv", paired.csv_text(found))
    write_text(out / "runs.csv", history.csv_text(list(results.runs)))
    write_text(out / "claims.csv", claims_ledger.csv_text(entries))
    curves = accuracy_figures.draw_all(results, out / "figures")
    tried = search.tried(results)
    write_text(out / "search.csv", search.csv_text(tried))
    overfit_drawn, overfit_lacking = overfitting.draw_all(spectra, out / "figures")
    drawn, lacking = section5.draw_all(spectra, out / "figures")
    measured = speed.measure_all(results.root, out)

    sections = [
        summary.summary_section(rows, found, entries, evidence),
        accuracy.table1_section(rows, others),
    ]
    if curves:
        sections.append(accuracy.figures_section(curves))
    sections.append(accuracy.shuffle_section(rows))
    schedules_run = schedules.evidence(spectra)
    if schedules_run:
        sections.append(accuracy.schedule_section(schedules_run))
    lengths_run = lengths.evidence(results)
    if lengths_run:
        sections.append(accuracy.length_section(lengths_run))
    if found:
        sections.append(accuracy.pairs_section(found))
    if tried:
        sections.append(search_section.section(tried))
    sections += [
        speed.section(measured, entries),
        overfitting.section(overfit_drawn, overfit_lacking),
        section5.figures_section(drawn, lacking),
        section5.controls_section(section5.all_controls(spectra)),
        ledger.ledger_section(entries),
        runs.history_section(results),
        runs.slips_section(runs.shown_parts(results, drawn, measured)),
    ]

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
