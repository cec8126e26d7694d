"""Which shuffle comes near the paper's column `rand. shuff.`: FIXED or PER_PASS?"""

from dataclasses import dataclass

from analysis import words
from analysis.table1 import Row, accuracy_text, section_text

FIXED, PER_PASS = "shuffle", "shuffle_per_pass"
NAMES = {FIXED: "FIXED", PER_PASS: "PER_PASS"}

# A method is far from the paper's number where it is more than this many of its own standard
# deviations away from it.
FAR = 2.0


@dataclass(frozen=True)
class Evidence:
    """Both shuffles at one cell of the paper's column."""

    fixed: Row
    per_pass: Row

    @property
    def nearer(self) -> str:
        """The method whose mean is nearer to the paper's number."""
        return min((self.fixed, self.per_pass), key=lambda row: abs(row.difference)).key.method

    def is_far(self, method: str) -> bool:
        """True where the method's mean is far from the paper's number, in what seeds differ by.

        One seed differs from none: then the other shuffle's seeds tell, if there are several.
        """
        own, other = self.fixed, self.per_pass
        if method == PER_PASS:
            own, other = other, own
        spreads = [row.shown.sd for row in (own, other) if row.shown.n > 1]
        return bool(spreads) and abs(own.difference) > FAR * spreads[0]


def evidence(rows: list[Row]) -> list[Evidence]:
    """Every cell of the column for which both shuffles have a result."""
    done = {row.key: row for row in rows if row.shown and row.cell}
    return [
        Evidence(row, done[row.key._replace(method=PER_PASS)])
        for row in done.values()
        if row.key.method == FIXED and row.key._replace(method=PER_PASS) in done
    ]


def by_data(rows: list[Row]) -> dict[str, list[Evidence]]:
    """{net and data set: both shuffles at its configs}: two data sets share their configs."""
    found: dict[str, list[Evidence]] = {}
    for one in evidence(rows):
        found.setdefault(section_text(one.fixed.key), []).append(one)
    return found


def sentences(found: list[Evidence]) -> list[str]:
    """What the results say, a sentence for each cell and one that draws the sum."""
    if not found:
        return ["No config has a result with both shuffles yet."]
    said = [
        f"At {one.fixed.key.config} the paper has {one.fixed.cell.printed}; "
        f"FIXED gives {accuracy_text(one.fixed.shown)}, {abs(one.fixed.difference):.2f} away, "
        f"and PER_PASS {accuracy_text(one.per_pass.shown)}, "
        f"{abs(one.per_pass.difference):.2f} away."
        for one in found
    ]
    return [*said, conclusion(found)]


def conclusion(found: list[Evidence]) -> str:
    """One sentence; it decides only where one shuffle is nearer everywhere, the other far."""
    nearer = {one.nearer for one in found}
    where = {1: "in the one config", 2: "in both configs"}.get(
        len(found), f"in all {len(found)} configs"
    )
    if len(nearer) > 1:
        count = sum(one.nearer == FIXED for one in found)
        return (
            f"FIXED is nearer in {count} of {len(found)} configs, PER_PASS in the others: "
            "these results do not tell which of the two the paper used."
        )
    near = nearer.pop()
    far = PER_PASS if near == FIXED else FIXED
    if all(one.is_far(far) and not one.is_far(near) for one in found):
        return (
            f"{NAMES[near]} is nearer {where} and within {FAR:g} standard deviations of a seed, "
            f"{NAMES[far]} is further off: the paper's column is what {NAMES[near]} gives."
        )
    if all(one.is_far(far) for one in found):
        return (
            f"{NAMES[near]} is nearer {where}, and {NAMES[far]} is more than {FAR:g} standard "
            f"deviations of a seed off: {NAMES[near]} is what comes near the paper's column."
        )
    settled = [one.fixed.key.config for one in found if one.is_far(far)]
    if settled:
        return (
            f"{NAMES[near]} is nearer {where}; {NAMES[far]} is more than {FAR:g} standard "
            f"deviations of a seed off at {words.listing(settled)} alone."
        )
    return f"{NAMES[near]} is nearer {where}, by less than these seeds can settle."
