"""Section 4.1: speed as `make bench` measured it, beside the paper's and other libraries'."""

from dataclasses import dataclass
from pathlib import Path

from analysis import rivals, words
from analysis.claims.core import NOT_RUN
from analysis.claims.ledger import Entry
from analysis.figures import figure01, figure02, figure03
from analysis.figures.curves import Drawn
from analysis.files import write_text
from analysis.page import (
    Column,
    Html,
    Section,
    details,
    element,
    files,
    join,
    link,
    paragraph,
    row,
    table,
    text,
)
from analysis.sections.ledger import anchor, mark, printed_text
from analysis.sections.section5 import picture
from analysis.timings import BATCH, COMMANDS, KINDS, Place, Timings, find

# Evaluators of what `make bench` measures, whatever kind their claims are of.
SPEED_TESTS = ("speed", "pruning_pays")
# From this size on the layer is to cost no more than its products.
LARGE = 512


@dataclass(frozen=True)
class Measured:
    """The timings of one kind of device, and what was drawn and written from them."""

    timings: Timings
    drawn: list[Drawn]
    by_batch: dict[int, list[rivals.Comparison]]

    @property
    def compared(self) -> list[rivals.Comparison]:
        """At the paper's batch size."""
        return self.by_batch.get(BATCH, [])

    @property
    def rivals_csv(self) -> str:
        """Name of the file with all comparisons."""
        return "rivals.csv" if self.timings.kind == "cpu" else f"rivals-{self.timings.kind}.csv"


def measure_all(results: Path | None, out: Path) -> list[Measured]:
    """Draws the figures of each kind of device, to `out`/figures, and writes its comparisons."""
    made = []
    for kind in KINDS:
        timings = find(results, kind) if results is not None else None
        if timings is None:
            continue
        drawn = [one.draw(timings, out / "figures") for one in (figure01, figure02, figure03)]
        by_batch = {
            batch: rivals.comparisons(timings, batch=batch)
            for batch in sorted({BATCH, *rivals.batches(timings)})
        }
        measured = Measured(timings, [one for one in drawn if one is not None], by_batch)
        everything = [one for compared in by_batch.values() for one in compared]
        write_text(out / measured.rivals_csv, rivals.csv_text(everything))
        made.append(measured)
    return made


def section(made: list[Measured], entries: list[Entry]) -> Section:
    """Everything that was measured, a device after the other, and what was not."""
    kinds = {one.timings.kind for one in made}
    parts = []
    for one in made:
        parts += _device(one)
    if made:
        parts.append(details("The paper's statements one by one", claims_table(entries)))
    if "cpu" not in kinds:
        parts.append(paragraph(f"Not measured on a CPU: `{COMMANDS['cpu']}`.", "note"))
    if "gpu" not in kinds:
        parts.append(paragraph(f"Not measured: no GPU. With one: `{COMMANDS['gpu']}`.", "note"))
    return Section("speed", "Speed", join(parts))


def _device(one: Measured) -> list[Html]:
    timings = one.timings
    parts = [
        element("h3", f"On {timings.device}", id=f"speed-{timings.kind}"),
        paragraph(source_text(timings), "note"),
        element("div", join(map(picture, one.drawn)), class_="figures wide"),
        element("h3", "Beside what one would use instead"),
        rivals_table(one.compared),
        files([one.rivals_csv]),
        paragraph(limits_text(timings)),
    ]
    parts += [made for made in (batches_table(one), states_table(timings)) if made]
    if timings.updates:
        parts += [element("h3", "Pruning's cost, Eq. 2"), updates_table(timings)]
    if timings.nets:
        parts += [element("h3", "Whole nets"), *nets_parts(timings)]
    return parts


def source_text(timings: Timings) -> str:
    """Whose timings these are, and how busy the machine was."""
    rows = timings.times
    whose = "The reference timings that come with the project" if timings.is_reference else "Yours"
    told = f"{whose}: {rows[0].get('time', '')[:10]}".rstrip(": ")
    if rows[0].get("commit"):
        told += f", commit {rows[0]['commit']}"
    loads = [float(row["load"]) for row in rows if row.get("load")]
    if loads:
        told += f", load {words.number(min(loads), 2)} to {words.number(max(loads), 2)}"
    return f"{told}. `{COMMANDS[timings.kind]}` measures again."


# ---- tables -------------------------------------------------------------------------------------


def claims_table(entries: list[Entry]) -> Html:
    """What the paper says in numbers, ours and the verdict; the ledger has the rest."""
    columns = [Column("The paper"), Column("Printed"), Column("Ours"), Column("Verdict")]
    lines = []
    for entry in entries:
        claim, found = entry.claim, entry.finding
        if claim.test not in SPEED_TESTS or found.verdict == NOT_RUN:
            continue
        place = link(f"#{anchor(claim.id)}", claim.place)
        statement = join([text(claim.statement), element("small", place)], "<br>")
        cells = [statement, printed_text(claim), found.ours, mark(found.verdict)]
        lines.append(row(columns, cells))
    return table(columns, lines) if lines else Html("")


def ratio_text(values: list[float]) -> str:
    """The geometric mean; a dash where nothing was compared."""
    value = rivals.mean(values)
    return "\N{EN DASH}" if value is None else words.number(value)


RIVAL_COLUMNS = [
    Column("Instead of the layer"),
    Column("n\u00a0×\u00a0n, forward", number=True),
    Column("n\u00a0×\u00a0n, all", number=True),
    Column("nets' layers, forward", number=True),
    Column("nets' layers, all", number=True),
    Column("Where it is faster, and how fast the layer is beside it there"),
]


def rivals_table(compared: list[rivals.Comparison]) -> Html:
    """How many times as fast as each rival the layer is, and where it is slower."""
    lines = []
    for one in compared:
        named = join([text(one.rival.name), element("small", one.rival.remark)], "<br>")
        cells = [named]
        cells += [ratio_text(one.of(p, s)) for s in (True, False) for p in ("forward", "all")]
        lines.append(row(RIVAL_COLUMNS, [*cells, one.lost_text]))
    note = (
        f"How many times as fast the layer is, through Caffe: geometric means over all cases with "
        f"two blocks or more (n × n at batch {BATCH}; the inner product layers of the "
        "paper's networks at their batch sizes), each timed in the same rounds."
    )
    return join([paragraph(note, "note"), table(RIVAL_COLUMNS, lines)])


def limits_text(timings: Timings) -> str:
    """The layer beside its bare products, and beside what the machine allows."""
    said = []
    places = [p for p in rivals.cases(timings) if p.group == "square"]
    over = {
        p: timings.seconds[p]["layer"] / timings.seconds[p]["product"]
        for p in places
        if p.N >= LARGE and "product" in timings.seconds[p]
    }
    if over:
        worst = max(over, key=over.get)
        said.append(
            f"For n of {LARGE} and more the layer takes {words.number(rivals.mean(over.values()))} "
            f"times as long as its bare products (geometric mean; at most "
            f"{words.number(over[worst])}, {rivals.case_text(worst)})."
        )
    shares = limit_shares(timings, places)
    if shares:
        worst = min(shares, key=shares.get)
        said.append(
            "Of what the machine's arithmetic and bandwidth, measured alongside, allow it reaches "
            f"{percent(rivals.mean(shares.values()))} (geometric mean; least "
            f"{percent(shares[worst])}, {rivals.case_text(worst)})."
        )
    return " ".join(said)


def limit_shares(timings: Timings, places: list[Place]) -> dict[Place, float]:
    """The machine's limit over the layer's time; cases without a known limit are left out."""
    return {
        place: limit / timings.seconds[place][rivals.LAYER]
        for place in places
        if (limit := timings.limit(place)) is not None
    }


def percent(share: float) -> str:
    return f"{100 * share:.0f}%" if share >= 0.095 else f"{100 * share:.1f}%"


def batches_table(one: Measured) -> Html | None:
    """The n x n cases at every batch size; None where there is one size only."""
    by_batch = {batch: compared for batch, compared in one.by_batch.items() if compared}
    if len(by_batch) < 2:
        return None
    timed = {each.rival for compared in by_batch.values() for each in compared}
    shown = [rival for rival in (rivals.DENSE, *rivals.SAME) if rival in timed]
    columns = [
        Column("Batch", number=True),
        Column("Products"),
        Column("Cases", number=True),
        *(Column(rival.name, number=True) for rival in shown),
        Column("Of the limit", number=True),
        Column("Losses", number=True),
    ]
    lines = []
    for batch, compared in by_batch.items():
        found = {each.rival: each for each in compared}
        for product in ("forward", "all"):
            ratios = [found[rival].of(product, True) if rival in found else [] for rival in shown]
            lost = {
                place
                for rival in rivals.BATCHED
                if rival in found
                for place in found[rival].lost
                if place.group == "square" and place.product == product
            }
            cells = [f"{batch:,}", product, str(len(ratios[0]))]
            cells += [ratio_text(values) for values in ratios]
            places = [
                place
                for place in rivals.cases(one.timings, batch=batch)
                if place.group == "square" and place.product == product
            ]
            share = rivals.mean(limit_shares(one.timings, places).values())
            limit = "" if share is None else percent(share)
            lines.append(row(columns, [*cells, limit, str(len(lost))]))
    note = (
        "How many times as fast the layer is with other numbers of images, geometric means over "
        "the n\u00a0×\u00a0n cases, and what it reaches of the machine's limit. Losses are the "
        f"cases in which a batched product ({', '.join(one.name for one in rivals.BATCHED)}) took "
        "less time; the file above has each, and the other rivals."
    )
    return join([paragraph(note, "note"), table(columns, lines)])


def states_table(timings: Timings) -> Html | None:
    """Speedups in other states, such as cold caches, beside warm ones in the same cases."""
    states = sorted({place.state for place in timings.seconds} - {"warm"})
    if not states:
        return None
    columns = [
        Column("State"),
        Column("Cases", number=True),
        Column("Speedup over dense", number=True),
        Column("The same, warm", number=True),
    ]
    lines = []
    for state in states:
        pairs = rivals.beside_warm(timings, state)
        if pairs:
            cold, warm = (ratio_text(list(values)) for values in zip(*pairs.values(), strict=True))
            lines.append(row(columns, [state, str(len(pairs)), cold, warm]))
    note = "Other states of the machine, geometric means; dense products in the same state."
    return join([paragraph(note, "note"), table(columns, lines)]) if lines else None


def updates_table(timings: Timings) -> Html:
    """A solver's update of n x n weights, and what pruning adds to it."""
    columns = [
        Column("n"),
        Column("blocks", number=True),
        Column("update, ms", number=True),
        Column("while pruning, ms", number=True),
        Column("T(Prune), ms", number=True),
        Column("pruning per block iteration at most", number=True),
    ]
    lines = []
    for (n, b), both in sorted(timings.update_seconds.items()):
        adds = both["prune"] - both["update"]
        place = next(iter(timings.places("square", "all", M=BATCH, N=n, b=b)), None)
        bound = ""
        if place is not None and adds > 0:
            gain = timings.dense(place) - timings.seconds[place]["layer"]
            bound = words.number(gain / adds)
        seconds = [words.number(1e3 * value) for value in (both["update"], both["prune"], adds)]
        lines.append(row(columns, [f"{n:,}", f"{b:,}", *seconds, bound]))
    note = (
        "T(Prune) is what a pruning update takes longer than a plain one. The last column is "
        "Eq. 2, (T(FC) - T(Block)) / T(Prune), with as many blocks."
    )
    return join([paragraph(note, "note"), table(columns, lines)])


def nets_parts(timings: Timings) -> list[Html]:
    """Iterations of training a second, and what the inner product layers have of them."""
    columns = [
        Column("Network"),
        Column("Configuration"),
        Column("Iterations/s", number=True),
        Column("Against dense", number=True),
        Column("Inner products' share", number=True),
    ]
    lines, limits = [], []
    for net, configs in timings.net_seconds.items():
        name = rivals.NETS.get(net, net)
        dense = next(iter(configs.values()))
        for config, its in configs.items():
            share = percent(its["ip"] / its["step"])
            speed = words.number(1 / its["step"])
            against = words.number(dense["step"] / its["step"])
            lines.append(row(columns, [name, text(config), speed, against, share]))
        share = dense["ip"] / dense["step"]
        limits.append(f"{name} {words.number(1 / (1 - share))}")
    note = (
        "An iteration is forward, backward and update on data in memory; the share is that of the "
        "inner product layers' forward and backward. Were these to take no time at all, the dense "
        f"nets would be faster by {words.listing(limits)} times (Amdahl's law). What is gained "
        "beyond that can be the update of fewer weights; where these are few, as in cuda-convnet, "
        "it is what such timings differ by from run to run."
    )
    return [paragraph(note, "note"), table(columns, lines)]
