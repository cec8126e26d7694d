"""How every figure looks, and how it is saved.

Sizes are for one column of a paper (3.5 inches): side by side on a wide page, one below the other
on a phone. Colours are Okabe and Ito's, which colour-blind readers can tell apart; each method has
a dash pattern of its own too, for paper.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.files import write_atomically

matplotlib.use("agg")

COLUMN = 3.5
INK = "#222222"
GREY = "#767676"
PALE = "#d9d9d9"
TINT = "#b5d2ea"

RC = {
    "font.family": "STIXGeneral",
    "mathtext.fontset": "stix",
    "font.size": 9.5,
    "axes.titlesize": 9.5,
    "axes.labelsize": 9.5,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "legend.handlelength": 2.6,
    "legend.labelspacing": 0.25,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "lines.linewidth": 1.2,
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.h_pad": 0.03,
    "figure.constrained_layout.w_pad": 0.03,
    "savefig.dpi": 220,
    "svg.hashsalt": "analysis",
    "pdf.fonttype": 42,
}

# Colour and dashes by method; `dense` stands for a config without blocks.
LINES = {
    "dense": (INK, "-"),
    "bdip": ("#0072B2", "-"),
    "shuffle": ("#D55E00", (0, (5, 1.5))),
    "shuffle_per_pass": ("#AA4499", (0, (1.2, 1.2))),
    "ip_bdip": ("#009E73", (0, (6, 1.5, 1.2, 1.5))),
    "magnitude": ("#B8860B", (0, (3, 1))),
    "node": ("#56B4E9", (0, (2, 2))),
}


@contextmanager
def figure(height: float, width: float = COLUMN, **subplots: object) -> Iterator[tuple]:
    """`plt.subplots` in this style; sizes in inches. Closes the figure at the end."""
    with plt.rc_context(RC):
        made, axes = plt.subplots(figsize=(width, height), **subplots)
        try:
            yield made, axes
        finally:
            plt.close(made)


def thousands(axes: Axes) -> None:
    """Iterations as 0, 2,000, 4,000 along x."""
    axes.xaxis.set_major_formatter(matplotlib.ticker.FuncFormatter(lambda x, _: f"{x:,.0f}"))


def save(made: Figure, stem: Path) -> None:
    """Writes `stem`.svg, .pdf and .png, byte for byte the same for the same figure.

    The SVG comes last. One that is there already, with the same bytes (Matplotlib's version is
    among them), has the other two beside it: they are left as they are, which saves most of the
    time of a report in which few figures are new.
    """
    paths = {suffix: stem.with_name(f"{stem.name}.{suffix}") for suffix in ("pdf", "png", "svg")}
    drawn = _rendered(made, "svg", {"Date": None})
    there = all(path.is_file() for path in paths.values())
    if there and paths["svg"].read_bytes() == drawn:
        return
    made_of = {
        "pdf": _rendered(made, "pdf", {"CreationDate": None}),
        "png": _rendered(made, "png", {}),
        "svg": drawn,
    }
    # Without the old one, no SVG stands beside what another figure left.
    paths["svg"].unlink(missing_ok=True)
    for suffix, data in made_of.items():
        write_atomically(paths[suffix], lambda out, data=data: out.write(data))


def _rendered(made: Figure, suffix: str, metadata: dict[str, None]) -> bytes:
    stream = io.BytesIO()
    made.savefig(stream, format=suffix, metadata=metadata)
    return stream.getvalue()
