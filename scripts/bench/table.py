"""The table in the terminal: speedups over the fastest dense product."""

from __future__ import annotations

from collections.abc import Sequence

COLUMNS = {
    "layer": "layer", "libxsmm": "libxsmm", "onednn": "oneDNN", "torch_bmm": "torch.bmm",
    "cblas_loop": "loop", "csr": "CSR", "acdc": "ACDC", "toeplitz": "Toeplitz",
}  # fmt: skip


def limit_seconds(row: dict, machine: Sequence[dict]) -> float:
    """The least time the row's cores could take: arithmetic at peak, or the arrays at full speed.

    machine: rows of "peak" and "bandwidth"; those count whose `cores` are the row's threads.
    """
    mine = [m for m in machine if int(m.get("cores", 1)) == int(row.get("threads", 1))]
    peak = next(float(m["value"]) for m in mine if m["what"] == "peak")
    wide = [(int(m["working_set"]), float(m["value"])) for m in mine if m["what"] == "bandwidth"]
    speed = next((v for size, v in wide if size >= int(row["working_set"])), wide[-1][1])
    return max(float(row["flops"]) / peak, float(row["bytes"]) / speed)


def show(rows: Sequence[dict], machine: Sequence[dict]) -> None:
    """Print a line for each case."""
    cases: dict[tuple, dict[str, dict]] = {}
    for row in rows:
        key = tuple(
            row[name] for name in ("group", "layer", "M", "N", "K", "product", "state", "b")
        )
        cases.setdefault(key, {})[row["method"]] = row
    heads = " ".join(f"{text:>9}" for text in COLUMNS.values())
    print("Times faster than the fastest dense product")
    print(f"{'':44}{'dense ms':>9} {heads} {'of limit':>9}")
    for (group, layer, M, N, K, product, state, b), found in cases.items():
        times = {name: float(row["median_s"]) for name, row in found.items()}
        dense = min(value for name, value in times.items() if name.startswith("dense"))
        cells = [f"{dense / times[name]:9.2f}" if name in times else f"{'':>9}" for name in COLUMNS]
        share = limit_seconds(found["layer"], machine) / times["layer"]
        what = f"{group} {layer}".strip() + f" {M}x{K}->{N} {product} {state} b={b}"
        print(f"{what:44}{1e3 * dense:9.3f} {' '.join(cells)} {100 * share:8.0f}%")
