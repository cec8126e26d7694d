"""Figures 1 to 3: speedups of block layers, drawn from what `make bench` measured."""

import argparse
import csv
import io
from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib
from matplotlib import ticker
from matplotlib.axes import Axes

from analysis import methods, words
from analysis.errors import AnalysisError
from analysis.figures import style
from analysis.figures.curves import Drawn, pixels
from analysis.files import write_text
from analysis.timings import BATCH, COMMAND, Place, Timings, find

NETS = ("lenet", "cuda_convnet")
PASSES = {"forward": "forward", "all": "forward and backward"}

# Panel, curve, x, y: what is drawn, and what the CSV beside the figure holds.
Row = tuple[str, str, float, float]


def run(draw: Callable[[Timings, Path], Drawn | None]) -> None:
    """Draws one figure from the command line; AnalysisError where nothing was timed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--out", type=Path, default=Path("report"))
    arguments = parser.parse_args()
    timings = find(arguments.results)
    drawn = draw(timings, arguments.out) if timings else None
    if drawn is None:
        raise AnalysisError(f"{arguments.results} has no timings for this: run `{COMMAND}`")
    print(f"{arguments.out / drawn.stem}.svg: {drawn.caption}")


def _save(figure: object, rows: Sequence[Row], x: str, y: str, out: Path, stem: str) -> None:
    style.save(figure, out / stem)
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["panel", "curve", x, y])
    writer.writerows([panel, curve, f"{a:g}", f"{b:.5g}"] for panel, curve, a, b in rows)
    write_text(out / f"{stem}.csv", stream.getvalue())


def _stem(name: str, timings: Timings) -> str:
    """A GPU's figures stand beside a CPU's."""
    return name if timings.kind == "cpu" else f"{name}-{timings.kind}"


def _sizes(timings: Timings) -> list[int]:
    return sorted({place.N for place in timings.places("square", "forward", M=BATCH)})


def _look(n: int, sizes: Sequence[int]) -> dict[str, object]:
    place = sizes.index(n)
    shade = matplotlib.colormaps["plasma"](0.84 * place / max(1, len(sizes) - 1))
    return {"color": shade, "ls": ("-", (0, (4.5, 1.2)))[place % 2], "label": f"$n={n:,}$"}


def _logarithmic(axes: Axes) -> None:
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.axhline(1, color=style.GREY, lw=0.8, zorder=0)


def _plain_ticks(axes: Axes) -> None:
    """0.1, 1, 10 rather than powers; 2 and 5 between them where there is room."""
    low, high = axes.get_ylim()
    between = (1, 2, 5) if high < 200 * low else (1,)
    axes.yaxis.set_major_locator(ticker.LogLocator(subs=between))
    axes.yaxis.set_major_formatter(ticker.FuncFormatter(lambda y, _: f"{y:,g}"))
    axes.yaxis.set_minor_formatter(ticker.NullFormatter())


def _best(timings: Timings, product: str) -> tuple[float, Place]:
    places = timings.places("square", product, M=BATCH)
    return max((timings.speedup(place) or 0, place) for place in places)


def figure01(timings: Timings, out: Path, statement: str) -> Drawn | None:
    """Speedup of n x n block layers over dense ones by number of blocks."""
    sizes = _sizes(timings)
    if not sizes:
        return None
    rows: list[Row] = []
    height = 5.2
    with style.figure(height, nrows=2, sharex=True) as (figure, panels):
        for axes, (product, told) in zip(panels, PASSES.items(), strict=True):
            _logarithmic(axes)
            for n in sizes:
                places = timings.places("square", product, M=BATCH, N=n)
                x = [place.b for place in places]
                y = [timings.speedup(place) for place in places]
                axes.plot(x, y, **_look(n, sizes))
                rows += [(told, f"n={n}", a, b) for a, b in zip(x, y, strict=True)]
            axes.set_ylabel(f"speedup, {told}")
            _plain_ticks(axes)
        panels[-1].set_xlabel("number of blocks")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncol=3)
        _save(figure, rows, "blocks", "speedup", out, _stem("figure01", timings))
    told = []
    for product, name in PASSES.items():
        value, place = _best(timings, product)
        told.append(f"{name} {words.number(value)} (n = {place.N:,}, b = {place.b:,})")
    slower = [y for *_, x, y in rows if x > 1 and y <= 1]
    everywhere = (
        "with two blocks or more none is slower than dense"
        if not slower
        else f"{len(slower)} of {len(rows)} points are not above 1"
    )
    return Drawn(
        _stem("figure01", timings), "Figure 1", statement,
        f"{timings.device}; the paper's is an NVIDIA P100. n × n weights, batch {BATCH}, over the "
        f"fastest dense product timed in the same rounds. Largest speedups: {'; '.join(told)}; "
        f"{everywhere}.",
        "Figure 1: speedup of block diagonal products over dense ones by number of blocks",
        pixels(style.COLUMN, height),
    )  # fmt: skip


def figure02(timings: Timings, out: Path, statement: str) -> Drawn | None:
    """(T(FC) - T(Block)) / T(Prune) by number of blocks, Eq. 2."""
    sizes = [n for n in _sizes(timings) if timings.prune_seconds(n) is not None]
    if not sizes:
        return None
    rows: list[Row] = []
    height = 3.2
    with style.figure(height) as (figure, axes):
        _logarithmic(axes)
        for n in sizes:
            places = [p for p in timings.places("square", "all", M=BATCH, N=n) if p.b > 1]
            block = [timings.seconds[place]["layer"] for place in places]
            gain = [timings.dense(p) - own for p, own in zip(places, block, strict=True)]
            y = [value / timings.prune_seconds(n) for value in gain]
            x = [place.b for place in places]
            axes.plot(x, y, **_look(n, sizes))
            rows += [("bound", f"n={n}", a, b) for a, b in zip(x, y, strict=True)]
        axes.set_xlabel("number of blocks")
        axes.set_ylabel("pruning iterations per block iteration")
        _plain_ticks(axes)
        handles, labels = axes.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncol=3)
        _save(figure, rows, "blocks", "bound", out, _stem("figure02", timings))
    values = [y for *_, y in rows]
    return Drawn(
        _stem("figure02", timings), "Figure 2", statement,
        f"{timings.device}; the paper's is an NVIDIA P100. n × n weights, batch {BATCH}; T(Prune) "
        "is what pruning adds to a solver's update of the weights, the most of the numbers of "
        "blocks that were timed. So many pruning iterations per "
        "block iteration may there be at most, if the layer's training is to be faster than dense: "
        f"{words.number(min(values))} to {words.number(max(values))}.",
        "Figure 2: upper bound of pruning iterations per block iteration by number of blocks",
        pixels(style.COLUMN, height),
    )  # fmt: skip


# Curve: product, method, colour and dashes by layer.
CURVES = {
    "blocks, forward": ("forward", "layer", "#0072B2"),
    "blocks, all": ("all", "layer", "#D55E00"),
    "CSR, forward": ("forward", "csr", style.GREY),
}


def figure03(timings: Timings, out: Path, statement: str) -> Drawn | None:
    """Speedups of the networks' own layers by number of non-zero weights."""
    nets = [net for net in NETS if timings.places(net, "forward")]
    if not nets:
        return None
    rows: list[Row] = []
    height = 0.8 + 2.3 * len(nets)
    with style.figure(height, nrows=len(nets), squeeze=False) as (figure, panels):
        for axes, net in zip(panels[:, 0], nets, strict=True):
            _logarithmic(axes)
            layers = sorted({place.layer for place in timings.places(net, "forward")})
            for layer, dashes in zip(layers, ("-", (0, (3, 1.5))), strict=False):
                for name, (product, method, colour) in CURVES.items():
                    points = [
                        (place.weights, timings.speedup(place, method))
                        for place in timings.places(net, product, layer=layer)
                    ]
                    x, y = zip(*[p for p in points if p[1] is not None] or [((), ())], strict=True)
                    axes.plot(x, y, color=colour, ls=dashes, label=f"{layer}: {name}", marker=".",
                              ms=3)  # fmt: skip
                    rows += [
                        (methods.NET_LABELS[net], f"{layer}: {name}", *pair)
                        for pair in zip(x, y, strict=True)
                    ]
                full = max(place.weights for place in timings.places(net, "forward", layer=layer))
                axes.axvline(full, color=style.INK, lw=0.8, ls=(0, (1, 1.5)))
            axes.set_ylabel("speedup")
            _plain_ticks(axes)
            axes.set_title(methods.NET_LABELS[net], loc="left", pad=2)
        panels[-1, 0].set_xlabel("non-zero weights")
        handles, labels = panels[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncol=2)
        _save(figure, rows, "weights", "speedup", out, _stem("figure03", timings))
    slowest = {net: timings.slowest_sparse(net) for net in nets}
    told = [
        f"{words.number(value)} times ({methods.NET_LABELS[net]})"
        for net, value in slowest.items()
        if value is not None
    ]
    # As the ledger counts: a matrix that has all weights is left out.
    sparse = f" CSR is slower than dense by up to {words.listing(told)}." if told else ""
    return Drawn(
        _stem("figure03", timings), "Figure 3", statement,
        f"{timings.device}; the paper's is an NVIDIA P100. The inner product layers at their batch "
        "sizes (64 and 100), over the fastest dense product timed in the same rounds; all: forward "
        "and both gradients; CSR has as "
        f"many weights, anywhere. Dotted: all weights, the dense layer.{sparse}",
        "Figure 3: speedup of the inner product layers of LeNet-5 and cuda-convnet",
        pixels(style.COLUMN, height),
    )  # fmt: skip
