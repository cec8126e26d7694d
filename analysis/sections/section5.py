"""Section 5: figures beside what the paper says of them, and the controls."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from analysis import controls, equation4
from analysis.controls import Control
from analysis.figures import (
    controls as controls_figure,
)
from analysis.figures import (
    equation4 as equation4_figure,
)
from analysis.figures import (
    figure06,
    figure07,
    figure08,
    figure09,
    figure10,
    figure11,
    figure12,
    outliers,
)
from analysis.figures.curves import Drawn
from analysis.page import Html, Section, element, figure, join, paragraph, text
from analysis.sisters import CIFAR10, Spectra


class Planned(NamedTuple):
    """A figure: its name, what draws it, and what makes the runs that it needs."""

    name: str
    draw: Callable[[Spectra, Path], Drawn | None]
    command: str = "make reproduce"


PLAN = (
    Planned("Figure 6", figure06.draw),
    Planned("Figure 6, block by block", figure06.draw_blocks),
    Planned("Figure 7", figure07.draw),
    Planned("Figure 8", figure08.draw),
    Planned("Figure 9", figure09.draw),
    Planned("Figure 10", figure10.draw),
    Planned("Figure 10, block by block", figure10.draw_blocks),
    Planned("Figure 11", figure11.draw),
    Planned("Figure 12", figure12.draw),
    Planned("controls of the variance ratio", controls_figure.draw),
    Planned("Equation 4", equation4_figure.draw, equation4.command(equation4.PLAIN_SGD)),
    Planned("the largest singular values, LeNet-5", outliers.draw),
    Planned(
        "the largest singular values, cuda-convnet",
        lambda spectra, out: outliers.draw(spectra, out, CIFAR10),
    ),
)


def draw_all(spectra: Spectra, out: Path) -> tuple[list[Drawn], list[Planned]]:
    """Draws every figure whose runs are there; returns those and the ones that lack runs."""
    return draw_planned(PLAN, spectra, out)


def draw_planned(
    plan: Iterable[Planned], spectra: Spectra, out: Path
) -> tuple[list[Drawn], list[Planned]]:
    """The same for any list of figures."""
    drawn, lacking = [], []
    for planned in plan:
        made = planned.draw(spectra, out)
        if made is None:
            lacking.append(planned)
        else:
            drawn.append(made)
    return drawn, lacking


def lacking_text(lacking: list[Planned]) -> Html:
    """Which figures are not drawn, and what makes their runs."""
    by_command: dict[str, list[str]] = {}
    for planned in lacking:
        by_command.setdefault(planned.command, []).append(planned.name)
    told = [f"{', '.join(names)}: `{command}`" for command, names in by_command.items()]
    return paragraph(f"Not drawn, since runs are missing: {'; '.join(told)}.", "note")


def picture(one: Drawn) -> Html:
    """A figure with what the paper says of it."""
    return figure(
        one.stem, "figures", one.alternative, one.caption, one.size, one.heading, one.statement
    )


def figures_section(drawn: list[Drawn], lacking: list[Planned]) -> Section:
    """Every figure with what the paper says beside what is seen."""
    note = (
        "Sister networks differ only by the number of blocks b in one layer. Bands in colour are "
        "one standard deviation over seeds; grey is what truly random block matrices of the same "
        "shape do (100 drawn; entries as the filler draws them)."
    )
    parts = [paragraph(note, "note")] if drawn else []
    if lacking:
        parts.append(lacking_text(lacking))
    if drawn:
        parts.append(element("div", join(map(picture, drawn)), class_="figures wide"))
    return Section("section5", "Section 5: random matrices", join(parts))


def controls_section(made: list[Control]) -> Section:
    """What each control leaves standing of the paper's statement."""
    parts = [
        paragraph(
            "The paper's statement: the ratio of the weights' variances in sister networks stays "
            "near what it was at the start, through thousands of iterations, though the variances "
            "change; and trained layers have the singular values of random matrices. What these "
            "controls leave of it:",
        )
    ]
    for control in made:
        parts.append(element("h3", control.heading, id=f"control-{control.name}"))
        if control.sentence is None:
            parts.append(paragraph(f"Not run: {control.missing}.", "note"))
        else:
            parts.append(paragraph(control.sentence))
    return Section("paper-lacks", "Controls that the paper lacks", join([text(p) for p in parts]))


def all_controls(spectra: Spectra) -> list[Control]:
    return controls.all_controls(spectra)
