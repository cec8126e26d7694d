"""The README's tables and sentences of results: ``python -m analysis.readme``.

Rewrites what stands between the marks in README.md from the reference results, and Figure 1 among
the reference figures; with ``--check`` it only says whether that is what these results give.
"""

import argparse
import re
import tempfile
from pathlib import Path

from analysis import (
    lengths,
    methods,
    paired,
    paper,
    rivals,
    schedules,
    search,
    shuffles,
    table1,
    timings,
    words,
)
from analysis.errors import AnalysisError, run_main
from analysis.figures import figure01
from analysis.files import write_text
from analysis.nulls import Nulls
from analysis.results import Results, load
from analysis.sisters import Spectra
from analysis.table1 import Row, signed
from analysis.timings import BATCH, Timings

README = Path(__file__).resolve().parents[1] / "README.md"
FIGURES = "results/reference/figures"
FIGURE = f"{FIGURES}/figure01.svg"
ENGINES = {"CAFFE": "stock Caffe", "ONEDNN": "oneDNN"}


def table(heads: list[str], lines: list[list[str]], rule: str) -> str:
    """In Markdown."""
    rows = ["| " + " | ".join(cells) + " |" for cells in [heads, *lines]]
    return "\n".join([rows[0], rule, *rows[1:]]) + "\n"


def accuracy(rows: list[Row]) -> str | None:
    """Table 1; rows: those that have a result."""
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
    notes = [f"\n{told}\n" for told in table1.data_sentences(rows)]
    return "".join([table(heads, lines, "|---|---|---|---:|---|---:|"), *notes])


# ---- what the accuracies say --------------------------------------------------------------------


def sentences(results: Results, rows: list[Row]) -> str | None:
    """A list under Table 1, of what the report says in full; None without a result."""
    if not rows:
        return None
    pruned = pruned_sentence(paired.comparisons(results, rows))
    said = [
        seeds_sentence(rows),
        *shuffle_sentences(rows),
        " ".join(one for one in (pruned, tried_sentence(search.tried(results))) if one),
        schedule_sentence(Spectra(results, Nulls(None))),
        length_sentence(results),
    ]
    return "".join(f"- {one}\n" for one in said if one)


def seeds_text(numbers: list[int]) -> str:
    """``3 seeds``, ``1 or 2 seeds``, ``1 to 3 seeds``."""
    low, high = min(numbers), max(numbers)
    if low == high:
        return words.seeds(low)
    return f"{low} {'or' if high == low + 1 else 'to'} {words.seeds(high)}"


def data_text(dataset: str) -> str:
    """``MNIST``, of a validation split the data set that it is from."""
    dataset = dataset.removesuffix(methods.VALIDATION)
    return methods.DATASET_LABELS.get(dataset, dataset)


def seeds_sentence(rows: list[Row]) -> str:
    """How many of the paper's numbers have a result, and by how many seeds."""
    cells, total = len({row.cell.id for row in rows}), len(paper.table1_cells())
    numbers: dict[str, dict[str, int]] = {}
    for row in rows:  # a number of which there are two readings counts by its better known one
        here = numbers.setdefault(data_text(row.key.dataset), {})
        here[row.cell.id] = max(row.shown.n, here.get(row.cell.id, 0))
    told = words.listing(
        [f"{name} with {seeds_text([*n.values()])}" for name, n in numbers.items()]
    )
    which = f"All {total}" if cells == total else f"{cells} of the {total}"
    return f"{which} numbers of the paper's table have been run: {told}."


def shuffle_sentences(rows: list[Row]) -> list[str]:
    """Which of the two shuffles comes near the paper's column, for each data set that has both."""
    return [
        f"To the paper's rand. shuff. with {name}, {shuffles.conclusion(here)}"
        for name, here in shuffles.by_data(rows).items()
    ]


def pruned_sentence(found: list[paired.Comparison]) -> str:
    """Pruning to blocks against starting in blocks, in the words of the paired comparison."""
    pairs = [
        pair
        for pair in found
        if (pair.first.key.method, pair.second.key.method) == ("ip_bdip", "bdip")
        and pair.printed is not None
    ]
    if not pairs:
        return ""
    groups: dict[tuple[str, str], list[str]] = {}
    for pair in pairs:
        told = f"{pair.first.key.config} {signed(pair.mean, 2)}"
        groups.setdefault((data_text(pair.first.key.dataset), pair.words), []).append(told)
    printed = [pair.printed for pair in pairs]
    ours = "; ".join(
        f"{name} {words.listing(told)} ({judged})" for (name, judged), told in groups.items()
    )
    return (
        "IP-BDIP (dense at first, pruned to blocks) minus BDIP (in blocks from the start) is "
        f"{signed(min(printed), 2)} to {signed(max(printed), 2)} points in the paper; here, seed "
        f"by seed: {ours}."
    )


def tried_sentence(found: list[search.Tried]) -> str:
    """In how many of the settings tried pruning to blocks was better than starting in blocks."""
    tried: dict[str, list[paired.Comparison]] = {}
    for one in found:
        if one.key.method.partition(",")[0] == "ip_bdip" and one.difference is not None:
            name = f"{data_text(one.key.dataset)} {one.key.config}"
            tried.setdefault(name, []).append(one.difference)
    if not tried:
        return ""
    told = [
        f"{sum(one.mean > 0 for one in ones)} of {words.count(len(ones), 'setting')} for {name} "
        f"({seeds_text([one.n for one in ones])} each)"
        for name, ones in tried.items()
    ]
    return (
        "Tried on training images that were held out (`make reproduce ONLY=search`), IP-BDIP is "
        f"above BDIP with {words.listing(told)}."
    )


def schedule_sentence(spectra: Spectra) -> str:
    """Which reading of the paper's 9,000 iterations on CIFAR-10 gives its numbers."""
    found = schedules.evidence(spectra)
    if not found:
        return ""
    return (
        "Which 9,000 iterations on CIFAR-10, at a rate of 1e-3 and then at 1e-4? "
        f"{schedules.conclusion(found)}"
    )


def length_sentence(results: Results) -> str:
    """What the paper's error of the net with one hidden layer says of its training."""
    found = lengths.evidence(results)
    if not found:
        return ""
    return f"How long was 784-980-10, (49,1)-BD_2, trained? {lengths.conclusion(found)}"


# ---- speed --------------------------------------------------------------------------------------


def speed(measured: Timings) -> str:
    """Figure 1, and the layer beside what one would use instead."""
    sizes = sorted({place.N for place in measured.places("square", "forward")})
    heads = ["Instead of the layer", "n × n: forward", "all products"]
    heads += [
        "nets' layers: forward",
        "all products",
        "Where it is faster, and how fast the layer is beside it there",
    ]
    lines = []
    for one in rivals.comparisons(measured):
        means = [rivals.mean(one.of(p, s)) for s in (True, False) for p in ("forward", "all")]
        cells = ["" if value is None else words.number(value) for value in means]
        lines.append([one.rival.name, *cells, one.lost_text])
    made = table(heads, lines, "|---|---:|---:|---:|---:|---|")
    return (
        f"How many times as fast the layer is, on {measured.device}, data in the caches where it "
        f"fits: geometric means over all cases with two blocks or more, n from {sizes[0]:,} to "
        f"{sizes[-1]:,} at batch {BATCH}, each timed in the same rounds. CSR, ACDC and the "
        "Toeplitz-like layer compute other functions. The report has every case.\n\n"
        f"{made}\n{limits_sentence(measured)}"
        f"![Speedup over the fastest dense product by number of blocks]({FIGURE})\n\n"
        "Figure 1 on the same device. The paper's, on an NVIDIA P100: "
        f"{figure01.STATEMENT[0].lower()}{figure01.STATEMENT[1:]}\n"
    )


def limits_sentence(measured: Timings) -> str:
    """What is left of the speedups with cold caches, and in whole iterations of training."""
    said = []
    pairs = rivals.beside_warm(measured, "cold")
    forward = [pair for place, pair in pairs.items() if place.product == "forward"]
    if forward:
        cold, warm = (words.number(rivals.mean(one)) for one in zip(*forward, strict=True))
        said.append(
            f"With nothing in the caches, forward, it is {cold} times as fast as dense where it "
            f"is {warm} times with data there ({words.count(len(forward), 'case')})."
        )
    gains = step_gains(measured)
    if gains:
        told = [f"{words.number(gain)} times with {name}" for name, gain in gains.items()]
        said.append(
            "Of a whole training iteration these products are a part: as fast as the dense net's "
            f"it is {words.listing(told)}, which timings from run to run can differ by where it is "
            "near to 1."
        )
    return f"{' '.join(said)}\n\n" if said else ""


def step_gains(measured: Timings) -> dict[str, float]:
    """The dense net's training iteration over that of each configuration that was timed."""
    gains = {}
    for net, configs in measured.net_seconds.items():
        dense, *blocks = configs
        for config in blocks:
            name = f"{rivals.NETS.get(net, net)} {config}"
            gains[name] = configs[dense]["step"] / configs[config]["step"]
    return gains


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
    results = load(reference)
    rows = [row for row in table1.paper_rows(results) if row.shown]
    return {
        "table 1": accuracy(rows),
        "accuracy": sentences(results, rows),
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
            raise AnalysisError("README.md is not what results/reference gives")
        if stale:
            raise AnalysisError(f"{FIGURE} is not what results/reference gives")
        return
    if text != wanted:
        write_text(README, wanted)
    if stale:
        write_text(path, drawn.decode())


if __name__ == "__main__":
    run_main(main)
