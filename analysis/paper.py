"""The paper's own numbers, read from paper.json.

Nesky and Stout, "Neural networks with block diagonal inner product layers" (2019). The data file
keeps every value as printed; what cannot be taken as printed is flagged by a slip, never corrected.
"""

import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

PATH = Path(__file__).with_name("paper.json")


@dataclass(frozen=True)
class Claim:
    """One checkable statement; the fields are explained in paper.json under "fields"."""

    id: str
    place: str
    statement: str
    kind: str
    printed: str
    value: float | list[float] | None
    unit: str
    relation: str
    subject: dict[str, Any] = field(default_factory=dict)
    slip: tuple[str, ...] = ()
    test: str | None = None
    why: str | None = None


@dataclass(frozen=True)
class Slip:
    """A place where the paper's text cannot be taken as printed."""

    id: str
    place: str
    printed: str
    remark: str
    shows: tuple[str, ...]


@cache
def about() -> dict[str, Any]:
    """Title, authors, year and publisher."""
    return json.loads(PATH.read_text())["paper"]


@cache
def claims() -> dict[str, Claim]:
    """All claims by id, in the paper's order."""
    entries = json.loads(PATH.read_text())["claims"]
    made = (Claim(**{**entry, "slip": tuple(entry.get("slip", ()))}) for entry in entries)
    return {claim.id: claim for claim in made}


@cache
def slips() -> dict[str, Slip]:
    """All slips by id."""
    entries = json.loads(PATH.read_text())["slips"]
    return {entry["id"]: Slip(**{**entry, "shows": tuple(entry["shows"])}) for entry in entries}


def iterations(dataset: str | None) -> int | None:
    """How long the paper trains on a data set; None for one that is not the paper's."""
    lengths = (cell.subject for cell in table1_cells())
    return next((one["iterations"] for one in lengths if one["dataset"] == dataset), None)


def table1_cells() -> list[Claim]:
    """The cells of Table 1 and the three dense baselines, in the table's order.

    Each one's subject has net, dataset, config, column (dense, bdip, shuffle, ip_bdip or
    trad_prune) and iterations.
    """
    return [claim for claim in claims().values() if claim.id.startswith("table1/")]
