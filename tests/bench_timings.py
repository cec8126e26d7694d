"""Timings as `make bench` writes them, made by hand."""

from __future__ import annotations

import csv
from pathlib import Path

from scripts.bench.cases import LAYERS, chosen

DEVICE = {"device": "Test", "isa": "none", "threads": "1", "time": "2026-01-01T00:00:00Z"}


def write(path: Path, rows: list[dict]) -> None:
    """A CSV file of rows of the same keys."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def write_timings(folder: Path, **device: str) -> None:
    """n to 512; a layer of b blocks is b times faster, and forward takes a third of all.

    The bare product takes half the layer's time, CSR nine times the layer's. device: columns that
    are otherwise.
    """
    about = {**DEVICE, **device}
    times, updates = [], []
    for case in chosen(full=False):
        if case.group == "square" and case.N > 512:
            continue
        dense = case.flops * case.b * 1e-9
        layer = dense / case.b
        seconds = {"dense": 2 * dense, "dense_onednn": dense, "layer": layer, "product": layer / 2}
        if case.product == "forward":
            seconds["csr"] = 9 * layer
        names = ("group", "layer", "M", "N", "K", "b", "product", "state", "flops", "bytes",
                 "working_set")  # fmt: skip
        for method, value in seconds.items():
            row = {name: getattr(case, name) for name in names}
            times.append({**row, "method": method, "median_s": value, **about})
    for n in (256, 512):
        for b, extra in ((2, 0.5), (16, 1.0)):
            for method, value in (("update", 1), ("prune", 1 + extra)):
                row = {"N": n, "K": n, "b": b, "method": method, "median_s": value}
                updates.append({**row, **about})
    for its in LAYERS.values():
        for _, outputs, inputs, blocks in its.values():
            for b in blocks[1:]:
                for method, value in (("update", 1e-3), ("prune", 3e-3)):
                    row = {"N": outputs, "K": inputs, "b": b, "method": method, "median_s": value}
                    updates.append({**row, **about})
    # The layer reaches half of this peak, and bandwidth is no limit.
    machine = [
        {"what": "peak", "cores": 1, "working_set": 0, "value": 2e9},
        {"what": "bandwidth", "cores": 1, "working_set": 1 << 40, "value": 1e30},
    ]
    nets = [
        {"config": config, "what": what, "net": "lenet", "median_s": value, "q1_s": value - 0.1,
         "q3_s": value + 0.1}
        for config, step, own in (("(1,1)-BD_4", 3, 1.5), ("(10,1)-BD_4", 2, 0.5))
        for what, value in (("step", step), ("ip", own))
    ]  # fmt: skip
    engines = [
        {"network": "LeNet-5", "images": 64, "engine": engine, "version": "1.2 x", "rounds": 9,
         "median_s": seconds}
        for engine, seconds in (("CAFFE", 0.03), ("ONEDNN", 0.02))
    ]  # fmt: skip
    files = {
        "times": times,
        "updates": updates,
        "machine": machine,
        "nets": nets,
        "engines": engines,
    }
    for name, rows in files.items():
        write(folder / f"{name}.csv", [{**row, **about} for row in rows])
