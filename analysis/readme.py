"""The README's tables of results, from the reference results: ``python -m analysis.readme``.

Rewrites what stands between the marks in README.md, and Figure 1 among the reference figures; with
``--check`` it only says whether that is what the reference results give.
"""

import argparse
import re
import tempfile
from pathlib import Path

from analysis import rivals, table1, timings, words
from analysis.errors import AnalysisError, run_main
from analysis.figures import figure01
from analysis.files import write_text
from analysis.results import load
from analysis.timings import BATCH, Timings

README = Path(__file__).resolve().parents[1] / "README.md"
FIGURES = "results/reference/figures"
FIGURE = f"{FIGURES}/figure01.svg"
ENGINES = {"CAFFE": "stock Caffe", "ONEDNN": "oneDNN"}


def table(heads: list[str], lines: list[list[str]], rule: str) -> str:
    """In Markdown."""
    rows = ["| " + " | ".join(cells) + " |" for cells in [heads, *lines]]
    return "\n".join([rows[0], rule, *rows[1:]]) + "\n"


def accuracy(reference: Path) -> str | None:
    """The rows of Table 1 that the reference runs under `reference` have."""
    rows = [row for row in table1.paper_rows(load(reference)) if row.shown]
    lines = [
        [
            table1.section_text(row.key),
            row.key.config,
            row.label,
            row.cell.printed if row.cell else "",
            table1.ours_text(row, data=False),
            table1.signed(row.difference, 2) if row.difference is not None else "",
        ]
        for row in rows
    ]
    heads = ["Network", "Configuration", "Method", "Paper", "Ours", "Difference"]
    if not lines:
        return None
    notes = [
        f"\n{section}: {'; '.join(told)}.\n"
        for section, told in table1.data_notes(rows).items()
        if told
    ]
    return "".join([table(heads, lines, "|---|---|---|---:|---|---:|"), *notes])


def speed(measured: Timings) -> str:
    """Figure 1, and the layer beside what one would use instead."""
    sizes = sorted({place.N for place in measured.places("square", "forward")})
    heads = ["Instead of the layer", "n × n: forward", "all products"]
    heads += ["nets' layers: forward", "all products", "Where it is faster than the layer"]
    lines = []
    for one in rivals.comparisons(measured):
        means = [rivals.mean(one.of(p, s)) for s in (True, False) for p in ("forward", "all")]
        cells = ["" if value is None else words.number(value) for value in means]
        lines.append([one.rival.name, *cells, one.lost_text])
    made = table(heads, lines, "|---|---:|---:|---:|---:|---|")
    return (
        f"How many times as fast the layer is, on {measured.device}: geometric means over all "
        f"cases with two blocks or more, n from {sizes[0]:,} to {sizes[-1]:,} at batch "
        f"{BATCH}, each timed in the same rounds. The report has every case.\n\n{made}\n"
        f"![Speedup over the fastest dense product by number of blocks]({FIGURE})\n\n"
        "Figure 1 on the same device. The paper's, on an NVIDIA P100: "
        f"{figure01.STATEMENT[0].lower()}{figure01.STATEMENT[1:]}\n"
    )


def engines(measured: Timings) -> str | None:
    """Training steps with each engine of convolution; None where they were not timed."""
    rows = measured.engines
    if not rows:
        return None
    names = list(dict.fromkeys(row["engine"] for row in rows))
    versions = {row["engine"]: row["version"].partition(" ")[0] for row in rows}
    heads = [ENGINES.get(name, f"{name} {versions[name]}") for name in names]
    lines = []
    for network in dict.fromkeys(row["network"] for row in rows):
        mine = {row["engine"]: row for row in rows if row["network"] == network}
        cells = [f"{1e3 * float(mine[n]['median_s']):.1f} ms" if n in mine else "" for n in names]
        images = next(iter(mine.values()))["images"]
        lines.append([f"{network}, {images} images", *cells])
    return (
        f"A training step on {measured.device}, CPU time, median of {rows[0]['rounds']} rounds "
        "taken in turns:\n\n" + table(["", *heads], lines, "|---|" + "---:|" * len(names))
    )


def passages(reference: Path) -> dict[str, str | None]:
    """What stands between the marks of each name; None where the reference results lack it."""
    measured = timings.find(reference.parent, "cpu", own=False)
    return {
        "table 1": accuracy(reference),
        "speed": None if measured is None else speed(measured),
        "engines": None if measured is None else engines(measured),
    }


def replaced(text: str, name: str, passage: str) -> str:
    """README's `text` with the passage in its place; AnalysisError where the marks are gone."""
    begin, end = (f"<!-- {name}: {which} -->\n" for which in ("begin", "end"))
    pattern = re.escape(begin) + ".*?" + re.escape(end)
    if not re.search(pattern, text, re.DOTALL):
        raise AnalysisError(f"README.md has no lines {begin.strip()} and {end.strip()}")
    return re.sub(pattern, lambda _: begin + passage + end, text, count=1, flags=re.DOTALL)


def figure(reference: Path) -> bytes | None:
    """Figure 1 from the reference timings; None without any."""
    measured = timings.find(reference.parent, "cpu", own=False)
    if measured is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        figure01.draw(measured, Path(folder))
        return (Path(folder) / "figure01.svg").read_bytes()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing")
    arguments = parser.parse_args()
    root = README.parent
    wanted = text = README.read_text()
    for name, passage in passages(root / "results" / "reference").items():
        if passage is None:
            print(f"README.md's {name} stays as it is: results/reference has nothing for it")
        else:
            wanted = replaced(wanted, name, passage)
    drawn = figure(root / "results" / "reference")
    path = root / FIGURE
    stale = drawn is not None and not (path.is_file() and path.read_bytes() == drawn)
    if arguments.check:
        if text != wanted:
            raise AnalysisError("README.md's tables are not what results/reference gives")
        if stale:
            raise AnalysisError(f"{FIGURE} is not what results/reference gives")
        return
    if text != wanted:
        write_text(README, wanted)
    if stale:
        write_text(path, drawn.decode())


if __name__ == "__main__":
    run_main(main)
