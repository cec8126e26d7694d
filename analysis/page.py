"""The few pieces of HTML that the report is made of. Text is escaped here and nowhere else."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from pathlib import Path

CSS = Path(__file__).with_name("report.css")
EQUALS = re.compile(r"\b(b[12]?|y) = (\d)")
CONFIG = re.compile(r"\([\d,]+\)-BD_\d+")


class Html(str):
    """Markup that is not to be escaped again."""


def text(content: str) -> Html:
    """Escapes plain text.

    `code` between back quotes becomes an element, an apostrophe outside code a curved one, and
    a config such as (10,1)-BD_4, a spread such as 98.83 ± 0.05 or an equation such as b = 10 stays
    on one line.
    """
    if isinstance(content, Html):
        return content
    parts = escape(content, quote=False).split("`")
    for i, part in enumerate(parts):
        if i % 2:
            parts[i] = f"<code>{part}</code>"
        else:
            part = part.replace("'", "\N{RIGHT SINGLE QUOTATION MARK}")
            part = part.replace(" ± ", "\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}")
            part = EQUALS.sub("\\1\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}\\2", part)
            parts[i] = CONFIG.sub(r'<span class="config">\g<0></span>', part)
    return Html("".join(parts))


def element(name: str, content: str = "", **attributes: str | int) -> Html:
    """One element; an attribute that Python reserves is written with a trailing underscore."""
    given = "".join(
        f' {key.rstrip("_")}="{escape(str(value))}"' for key, value in attributes.items()
    )
    return Html(f"<{name}{given}>{text(content)}</{name}>")


def join(parts: Iterable[str], between: str = "\n") -> Html:
    """Escaped pieces one after the other."""
    return Html(between.join(text(part) for part in parts))


def paragraph(content: str, class_: str | None = None) -> Html:
    return element("p", content, **({"class_": class_} if class_ else {}))


def bullets(items: Iterable[str]) -> Html:
    return element("ul", join(element("li", item) for item in items))


def link(path: str, label: str) -> Html:
    return element("a", label, href=path)


def files(paths: Iterable[str]) -> Html:
    """A line of links to the data behind what stands above."""
    links = join((link(path, path) for path in paths), ", ")
    return paragraph(join(["Data: ", links], ""), "files")


@dataclass(frozen=True)
class Column:
    """A table's column: numbers are set to the right."""

    heading: str
    number: bool = False


def cell(content: str, column: Column, name: str = "td", **attributes: str | int) -> Html:
    if column.number:
        attributes["class_"] = f"n {attributes.get('class_', '')}".strip()
    return element(name, content, **attributes)


def table(columns: list[Column], rows: Iterable[Html]) -> Html:
    """A table of rows made with `row` or `group`."""
    head = element("tr", join((cell(c.heading, c, "th", scope="col") for c in columns), ""))
    body = join(rows)
    content = join([element("thead", head), element("tbody", body)])
    return element("div", element("table", content), class_="table")


def row(columns: list[Column], contents: list[str]) -> Html:
    """One line of a table, its first cell the heading."""
    cells = [cell(contents[0], columns[0], "th", scope="row")]
    cells += [cell(c, column) for c, column in zip(contents[1:], columns[1:], strict=True)]
    return element("tr", join(cells, ""))


def group(columns: list[Column], heading: str) -> Html:
    """A line that heads the rows under it."""
    heading = element("th", heading, colspan=len(columns), scope="rowgroup")
    return element("tr", heading, class_="group")


def figure(
    stem: str,
    folder: str,
    alternative: str,
    caption: str,
    size: tuple[int, int],
    heading: str = "",
    statement: str = "",
) -> Html:
    """A figure with its caption and its other formats; `size` gives the picture's proportions.

    heading: what it is called. statement: what the paper says of it.
    """
    path = f"{folder}/{stem}"
    picture = Html(
        f'<img src="{escape(path)}.svg" alt="{escape(alternative)}" '
        f'width="{size[0]}" height="{size[1]}" loading="lazy">'
    )
    suffixes = ("pdf", "png", "csv")
    links = join((link(f"{path}.{suffix}", suffix.upper()) for suffix in suffixes), ", ")
    parts = []
    if heading:
        parts.append(element("h3", heading, id=stem))
    if statement:
        parts.append(paragraph(join([element("b", "The paper:"), text(statement)], " "), "says"))
    parts += [picture, element("figcaption", join([text(caption), links], " "))]
    return element("figure", join(parts))


def details(heading: str, content: Html) -> Html:
    """Content that opens when its heading is chosen; no script is needed for it."""
    return element("details", join([element("summary", heading), content]))


def definitions(pairs: Iterable[tuple[str, str]]) -> Html:
    return element(
        "dl", join(join([element("dt", name), element("dd", value)], "") for name, value in pairs)
    )


@dataclass(frozen=True)
class Section:
    """A part of the page, with its place in the table of contents."""

    anchor: str
    heading: str
    content: Html


def page(title: str, lead: Html, sections: list[Section]) -> str:
    """The whole page: no script, no request to anywhere."""
    contents = join(
        element("li", link(f"#{section.anchor}", section.heading)) for section in sections
    )
    body = join(
        [
            element("h1", title),
            paragraph(lead, "lead"),
            element("nav", element("ol", contents)),
            *(
                join([element("h2", section.heading, id=section.anchor), section.content])
                for section in sections
            ),
        ]
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{CSS.read_text()}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )
