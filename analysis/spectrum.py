"""How near a layer's weights are to a random matrix: ``python -m analysis.spectrum FILE ...``.

FILE is an NPZ file of weights, or a folder of them: the dumps of a run, or arrays that any other
program saved. Two examples:

    python -m analysis.spectrum "results/lenet-mnist/(10,1)-BD_4/bdip/seed-1/weights" \\
        --layer ip1 --blocks 10

    # from PyTorch: numpy.savez("mine.npz", fc1=model.fc1.weight.detach().numpy())
    python -m analysis.spectrum mine.npz --layer fc1 --figure fc1.svg

Each file gives a line: variance of the weights, the largest and the smallest singular value over
those of random matrices of the same shape, blocks and variance, the mean distance E|1 - ratio| and
the Kolmogorov-Smirnov distance to the Marchenko-Pastur law, each with what truly random matrices
give (mean and the value that 95% of them stay under), and how many eigenvalues lie above the edge
that random matrices pass in one layer of a hundred.
"""

import argparse
from collections.abc import Iterable
from pathlib import Path
from zipfile import BadZipFile, is_zipfile

import numpy as np
from numpy.typing import NDArray

from analysis import block_spectrum
from analysis.block_spectrum import Comparison, Draws, Layout
from analysis.errors import AnalysisError, run_main
from analysis.figures import spectrum


def weight_files(paths: Iterable[Path]) -> list[Path]:
    """The files themselves, and for a folder the NPZ files in it, sorted by name."""
    found = []
    for path in paths:
        inside = sorted(path.glob("*.npz")) if path.is_dir() else [path]
        if not inside:
            raise AnalysisError(f"{path} holds no .npz file: name a folder of weights")
        found += inside
    return found


def load_weight(path: Path, layer: str) -> NDArray:
    """The matrix of one layer: the array named `layer`, `layer`/weight or `layer`.weight."""
    if not path.exists():
        raise AnalysisError(f"there is no file {path}: correct the path")
    if path.is_file() and not is_zipfile(path):
        raise AnalysisError(f"{path} is no NPZ file: save the arrays with numpy.savez")
    try:
        with np.load(path, allow_pickle=False) as arrays:
            names = [
                name for name in (layer, f"{layer}/weight", f"{layer}.weight") if name in arrays
            ]
            if not names:
                raise AnalysisError(
                    f"{path} has no array {layer!r}: name one of {', '.join(arrays.files)}"
                )
            return arrays[names[0]]
    except (OSError, ValueError, TypeError, EOFError, BadZipFile) as error:
        raise AnalysisError(
            f"{path} cannot be read as an NPZ file ({error}): save it again"
        ) from error


def with_null(value: float, null: NDArray) -> str:
    """``0.0123 (random 0.0027, 95% 0.0034)``."""
    return f"{value:.4f} (random {null.mean():.4f}, 95% {np.percentile(null, 95):.4f})"


COLUMNS = ("variance", "largest", "smallest", "mean distance", "KS distance", "above the edge")


def cells(comparison: Comparison) -> list[str]:
    """The line of one file, in the order of COLUMNS."""
    return [
        f"{comparison.variance:.4e}",
        f"{comparison.ratio[0]:.3f}",
        f"{comparison.ratio[-1]:.3f}",
        with_null(comparison.distance, comparison.null_distance),
        with_null(comparison.ks, comparison.null_ks),
        str(comparison.outliers),
    ]


def print_table(header: Iterable[str], lines: list[list[str]]) -> None:
    """Columns as wide as their widest cell."""
    table = [list(header), *lines]
    widths = [max(len(line[i]) for line in table) for i in range(len(table[0]))]
    for line in table:
        print(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        )


def describe(layout: Layout, draws: int, reference: Draws | None) -> str:
    """One line on what is compared with what."""
    blocks = "dense" if layout.blocks == 1 else f"{layout.blocks} blocks of {layout.n} x {layout.m}"
    against = "of the same blocks" if reference is None else "dense and of the variance over b"
    return (
        f"{layout.outputs} outputs, {layout.inputs} inputs, {blocks}; y = {layout.y:g}; "
        f"{draws} random matrices, {against}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="NPZ file or folder")
    parser.add_argument("--layer", required=True, help="name of the array, or of the layer")
    parser.add_argument("--blocks", type=int, default=1, help="blocks b of the layer (default: 1)")
    parser.add_argument(
        "--full",
        action="store_true",
        help="the array is the whole N x K matrix, zeros off the blocks (default: packed, N x K/b)",
    )
    parser.add_argument("--draws", type=int, default=100, help="random matrices (default: 100)")
    parser.add_argument("--seed", type=int, default=1, help="of the random matrices (default: 1)")
    parser.add_argument(
        "--against",
        choices=("blocks", "dense"),
        default="blocks",
        help="random matrices in the same blocks, or dense ones as in the paper (default: blocks)",
    )
    parser.add_argument(
        "--figure", type=Path, help="draws the last file's spectrum: SVG, PDF and PNG"
    )
    arguments = parser.parse_args()
    if arguments.seed < 0:
        raise AnalysisError(f"the seed {arguments.seed} is negative: choose 0, 1, 2, ...")

    null: Draws | None = None
    reference: Draws | None = None
    lines = []
    for path in weight_files(arguments.files):
        weight = load_weight(path, arguments.layer)
        if arguments.full:
            weight = block_spectrum.pack(weight, arguments.blocks)
        split = block_spectrum.blocks_of(weight, arguments.blocks)
        layout = Layout(weight.shape[0], split.shape[2] * arguments.blocks, arguments.blocks)
        if null is None or null.layout != layout:
            null = block_spectrum.draw(layout, arguments.draws, arguments.seed)
            if arguments.against == "dense":
                dense = Layout(layout.outputs, layout.inputs, 1)
                reference = block_spectrum.draw(dense, arguments.draws, arguments.seed + 1)
            print(describe(layout, arguments.draws, reference))
        comparison = block_spectrum.compare(weight, arguments.blocks, null, reference)
        lines.append([path.name, *cells(comparison)])
    print_table(["file", *COLUMNS], lines)
    if arguments.figure:
        known = arguments.figure.suffix in (".svg", ".pdf", ".png")
        stem = arguments.figure.with_suffix("") if known else arguments.figure
        spectrum.draw(comparison, f"{arguments.layer}, b = {layout.blocks}", stem)
        print(f"written: {stem}.svg, .pdf and .png")


if __name__ == "__main__":
    run_main(main)
