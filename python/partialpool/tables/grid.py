"""The table as texts in rows and columns, which every format writes in its own way."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Literal, NamedTuple

from msgspec import Struct

from partialpool.numerals import decimals, fixed, give_or_take
from partialpool.tables.rows import STATISTICS, Row
from partialpool.tables.side import Entry

Layout = Literal["below", "beside"]
NOTHING = "–"
PLACES, MOST = 2, 3
"""Decimals of statistics without an sd, and of shares of the variance at most."""


class Cell(NamedTuple):
    """What a cell shows, and below it perhaps an interval."""

    text: str = ""
    below: str = ""
    is_number: bool = True


class Spanner(Struct, frozen=True):
    """A title over several columns, counted from 0 without that of labels."""

    title: str
    first: int
    last: int


class Line(Struct, frozen=True):
    """A row of cells with its label and the title that it stands under."""

    section: str
    label: str
    cells: tuple[Cell, ...]


class Grid(Struct, frozen=True):
    """Heads of columns, titles over them, rows, and sentences below."""

    heads: tuple[str, ...]
    spanners: tuple[Spanner, ...]
    lines: tuple[Line, ...]
    notes: tuple[str, ...]

    def sections(self) -> Iterator[tuple[str, list[Line]]]:
        """Rows by the title that they stand under."""
        for title, lines in groupby(self.lines, key=lambda line: line.section):
            yield title, list(lines)


class Head(Struct, frozen=True):
    """What stands above the column of a fit."""

    name: str
    response: str
    interval: str


def build_grid(
    heads: Sequence[Head],
    rows: Sequence[Row],
    notes: Sequence[str],
    *,
    layout: Layout,
    digits: int | None,
) -> Grid:
    """Write the numbers of all rows, with intervals below the estimates, or beside them."""
    written = [(row, _cells(row, digits)) for row in rows]
    names = [clean(head.name) for head in heads]
    if layout == "beside":
        titles = [title for head in heads for title in ("estimate", clean(head.interval))]
        spanners = [Spanner(name, 2 * k, 2 * k + 1) for k, name in enumerate(names)]
        written = [(row, [one for cell in cells for one in _apart(cell)]) for row, cells in written]
    else:
        titles, spanners = names, list(_responses(heads))
    lines = [Line(clean(row.section), clean(row.label), tuple(cells)) for row, cells in written]
    return Grid(tuple(titles), tuple(spanners), tuple(lines), tuple(map(clean, notes)))


def _apart(cell: Cell) -> tuple[Cell, Cell]:
    return cell._replace(below=""), Cell(cell.below)


def _responses(heads: Sequence[Head]) -> Iterator[Spanner]:
    """Give the responses above the names of the fits, where there are several."""
    responses = [clean(head.response) for head in heads]
    if len(set(responses)) < 2:
        return
    for response, run in groupby(range(len(heads)), key=responses.__getitem__):
        places = list(run)
        yield Spanner(response, places[0], places[-1])


def _cells(row: Row, digits: int | None) -> list[Cell]:
    """Write a row. Its numbers have the same decimals where that differs by one at most."""
    own = [_places(cell) if digits is None else digits for cell in row.cells]
    if row.section == STATISTICS and digits is None:
        own = [PLACES if places is None else min(places, MOST) for places in own]
    most = max((places for places in own if places is not None), default=None)
    cells = zip(row.cells, own, strict=True)
    return [_cell(cell, _settled(places, most)) for cell, places in cells]


def _settled(own: int | None, most: int | None) -> int | None:
    return most if own is None or (most is not None and most - own <= 1) else own


def _places(cell: Entry | str | None) -> int | None:
    """How many decimals a number deserves by its sd or, without one, by its interval."""
    if not isinstance(cell, Entry):
        return None
    return decimals(cell.sd if math.isfinite(cell.sd) else (cell.upper - cell.lower) / 4)


def _cell(cell: Entry | str | None, places: int | None) -> Cell:
    if cell is None:
        return Cell(NOTHING)
    if isinstance(cell, str):
        return Cell(clean(cell), is_number=False)
    if isinstance(cell.estimate, int):
        return Cell(str(cell.estimate))
    if math.isnan(cell.lower) and math.isnan(cell.upper):
        known = math.isfinite(cell.sd)  # of a sum
        return Cell(give_or_take(*cell[:2]) if known else fixed(cell.estimate, places))
    ends = f"[{fixed(cell.lower, places)}, {fixed(cell.upper, places)}]"
    return Cell(fixed(cell.estimate, places), ends)


def clean(text: str) -> str:
    r"""Take out of a text what no file can hold: line breaks, control characters, half characters.

    Examples
    --------
    >>> clean("a\nb\x00c")
    'a b�c'
    """
    text = re.sub(r"\s", " ", text)
    bad = ("Cc", "Cs")
    return "".join("\ufffd" if unicodedata.category(c) in bad else c for c in text)
