"""Section 4.2.3: Figures 4 and 5."""

from pathlib import Path

from analysis.figures import figure04, figure05
from analysis.figures.curves import Drawn
from analysis.page import Section, element, join
from analysis.sections.section5 import Planned, draw_planned, lacking_text, picture
from analysis.sisters import Spectra

COMMAND = "make reproduce ONLY=cifar10"
PLAN = (
    Planned("Figure 4", figure04.draw, COMMAND),
    Planned("Figure 5", figure05.draw, COMMAND),
)


def draw_all(spectra: Spectra, out: Path) -> tuple[list[Drawn], list[Planned]]:
    """Draws both where their runs are there; returns those and the ones that lack runs."""
    return draw_planned(PLAN, spectra, out)


def section(drawn: list[Drawn], lacking: list[Planned]) -> Section:
    """Both figures with what the paper says beside what is seen."""
    parts = [lacking_text(lacking)] if lacking else []
    if drawn:
        parts.append(element("div", join(map(picture, drawn)), class_="figures wide"))
    return Section("overfitting", "Overfitting: training against test accuracy", join(parts))
