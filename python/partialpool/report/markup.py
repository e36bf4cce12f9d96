"""Elements of a page of HTML: everything that is said goes through here and is escaped."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from msgspec import Struct

from partialpool.numerals import minus
from partialpool.words.table import ResultTable, plain

# Elements that hold nothing and have no end.
VOID = ("img", "input")


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def html(text: str) -> Html:
    """Escape text, unless it is HTML.

    Examples
    --------
    >>> html("a < b"), html(Html("<b>x</b>"))
    ('a &lt; b', '<b>x</b>')
    """
    return text if isinstance(text, Html) else Html(escape(text))


def element(tag: str, /, *inside: str, **attributes: str | int | None) -> Html:
    """Write an element; underscores in names of attributes are dashes, None leaves one out.

    Examples
    --------
    >>> element("p", "1 < 2", class_="note", data_n=3)
    '<p class="note" data-n="3">1 &lt; 2</p>'
    """
    said = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    end = "" if tag in VOID else f"</{tag}>"
    return Html(f"<{tag}{said}>{''.join(map(html, inside))}{end}")


def joined(*parts: str) -> Html:
    """Put pieces after one another."""
    return Html("".join(map(html, parts)))


def paragraph(text: str, kind: str | None = None) -> Html:
    """Write a paragraph; what stands between backticks is code, as in findings.

    Examples
    --------
    >>> paragraph("of `a<b` only")
    '<p>of <code>a&lt;b</code> only</p>'
    """
    return element("p", coded(text), class_=kind)


def coded(text: str) -> Html:
    """Set what stands between backticks as code."""
    if isinstance(text, Html):
        return text
    pieces = text.split("`")
    if len(pieces) % 2 == 0:  # one that opens and does not close
        return html(text)
    return joined(*(element("code", s) if k % 2 else s for k, s in enumerate(pieces)))


def bullets(items: Iterable[str], kind: str | None = None) -> Html:
    """List items."""
    return element("ul", *(element("li", coded(item)) for item in items), class_=kind)


def quoted(text: str, name: str, kind: str = "code") -> Html:
    """Show text to be taken along, with a button that copies it.

    Parameters
    ----------
    name : str
        What it is, for the button.
    kind : {"code", "prose"}
        Whether line breaks count.
    """
    shown = element("pre", element("code", text)) if kind == "code" else element("p", text)
    button = element("button", f"Copy {name}", type="button", class_="copy", hidden="")
    return element("div", shown, button, class_=f"quoted {kind}")


class Cell(Struct, frozen=True):
    """A cell of a table.

    Attributes
    ----------
    text : str
        What is shown.
    value : float or None
        What it is sorted by, where that is not the text; NaN stands last.
    """

    text: str
    value: float | None = None


class Head(Struct, frozen=True):
    """A column of a table: what stands above it, and whether its cells are numbers."""

    title: str
    is_number: bool = True


def table(
    caption: str,
    heads: Sequence[Head],
    rows: Iterable[Sequence[str | Cell]],
    *,
    sortable: bool = False,
    sections: Sequence[str] = (),
    id: str | None = None,
) -> Html:
    """Write a table whose first column heads its rows; it scrolls sideways where it is too wide.

    Parameters
    ----------
    caption : str
        What it shows, read out before it.
    heads : sequence of Head
        The columns.
    rows : iterable of sequences of str or Cell
        The cells.
    sortable : bool
        Whether its headers are buttons that sort it.
    sections : sequence of str
        A title for each row; it is shown where it changes.
    """
    wide, last, body = str(len(heads)), None, []
    for k, row in enumerate(rows):
        if sections and sections[k] != last:
            last = sections[k]
            title = element("th", last, colspan=wide, scope="rowgroup")
            body.append(element("tr", title, class_="part"))
        cells = zip(heads, row, strict=True)
        body.append(element("tr", *(_cell(h, c, not j) for j, (h, c) in enumerate(cells))))
    above = element("tr", *(_head(head, sortable) for head in heads))
    whole = element(
        "table",
        element("caption", caption),
        element("thead", above),
        element("tbody", Html("\n".join(body))),
        id=id,
        class_="sortable" if sortable else None,
    )
    kind = "wide tall" if sortable else "wide"
    return element("div", whole, class_=kind, role="region", aria_label=caption, tabindex=0)


def _head(head: Head, sortable: bool) -> Html:
    kind = "number" if head.is_number else None
    if not sortable:
        return element("th", head.title, scope="col", class_=kind)
    # Browsers print no buttons where a page repeats the head of a table.
    button = element("button", head.title, type="button")
    printed = element("span", head.title, class_="paper", aria_hidden="true")
    return element("th", button, printed, scope="col", class_=kind, aria_sort="none")


def _cell(head: Head, cell: str | Cell, first: bool) -> Html:
    cell = Cell(cell) if isinstance(cell, str) else cell
    value = None if cell.value is None else f"{cell.value:.7g}"
    kind = "number" if head.is_number else None
    shown = minus(cell.text) if head.is_number and not isinstance(cell.text, Html) else cell.text
    if first:
        return element("th", cell.text, scope="row", data_value=value)
    return element("td", shown, class_=kind, data_value=value)


def result_table(caption: str, found: ResultTable, first: str = "") -> Html:
    """Write the table of a result, as a terminal shows it."""
    shown = [column for column in found.columns if column.cells is not None]
    heads = [Head(first or found.index, False)]
    heads += [Head(column.title, not column.is_text) for column in shown]
    cells = [column.cells for column in shown if column.cells is not None]
    rows = [[code(label), *own] for label, *own in zip(found.labels, *cells, strict=True)]
    return table(caption, heads, rows, sections=found.sections)


def code(text: str) -> Html:
    """Set a name as code; where it is long, a line may break inside its brackets.

    Examples
    --------
    >>> code("cor_g[a,b]")
    '<code>cor_g[<wbr>a,<wbr>b]</code>'
    """
    pieces = re.split(r"(?<=[\[,])", text)
    return element("code", Html("<wbr>".join(map(html, pieces))))


def json_block(name: str, value: Any) -> Html:
    r"""Put data into the page, which nothing in them can end or make run.

    Examples
    --------
    >>> json_block("d", {"a": "</script>"})
    '<script type="application/json" id="d">{"a":"\\u003c/script\\u003e"}</script>'
    """
    text = json.dumps(plain(value), separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Html(f'<script type="application/json" id="{escape(name)}">{text}</script>')


def choices(legend: str, name: str, options: Mapping[str, str]) -> Html:
    """Offer one of a few: radio buttons, of which the first is chosen."""
    buttons = []
    for k, (value, shown) in enumerate(options.items()):
        checked = {"checked": ""} if k == 0 else {}
        control = element("input", type="radio", name=name, value=value, **checked)
        buttons.append(element("label", control, f" {shown}"))
    return element("fieldset", element("legend", legend), *buttons, data_control=name)
