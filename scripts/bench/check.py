"""Whether `make bench` can run as asked, before anything is built for it.

python -m scripts.bench.check DEVICE THREADS BENCH
"""

from __future__ import annotations

import os
import sys

from scripts.errors import UserError, run_main
from scripts.provenance import gpu_count, parse_device


def thread_count(told: str) -> int:
    """UserError where it is no number from 1 to the number of processors."""
    most = os.cpu_count() or 1
    if not told.isdecimal() or not 1 <= int(told) <= most:
        raise UserError(f"THREADS is {told}: it has to be a number from 1 to {most}")
    return int(told)


def device(told: str) -> tuple[str, int]:
    """("cpu", 0) or ("gpu", number); UserError where there is no such GPU."""
    kind, number = parse_device(told)
    if kind == "gpu" and (cards := gpu_count()) <= number:
        there = f"only {cards}" if cards else "no GPU"
        raise UserError(
            f"DEVICE={told}: nvidia-smi lists {there} on this machine; without DEVICE the CPU is "
            "timed"
        )
    return kind, number


def extent(told: str) -> None:
    """UserError where it is neither nothing nor `full`."""
    if told not in ("", "full"):
        raise UserError(f"BENCH is {told}: there is BENCH=full, or no BENCH at all")


def main() -> None:
    device(sys.argv[1])
    thread_count(sys.argv[2])
    extent(sys.argv[3])


if __name__ == "__main__":
    run_main(main)
