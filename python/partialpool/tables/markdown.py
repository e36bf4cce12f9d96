"""A table of fits in Markdown: a pipe table, as GitHub, Quarto and pandoc read it."""

from __future__ import annotations

from collections.abc import Iterator

from partialpool.tables.grid import Cell, Grid

SPECIAL = frozenset("\\`*_[]<>|~$&#^@{}")


def markdown(grid: Grid) -> str:
    """Write the table, and its notes as paragraphs."""
    rule = [":--", *("--:" for _ in grid.heads)]
    rows = [["", *map(escaped, _heads(grid))], rule, *_body(grid)]
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in rows)
    return "\n\n".join([table, *map(escaped, grid.notes)]) + "\n"


def escaped(text: str) -> str:
    r"""Write a text so that Markdown shows it as it stands.

    Examples
    --------
    >>> escaped("a_b | *c*")
    'a\\_b \\| \\*c\\*'
    """
    return "".join(f"\\{c}" if c in SPECIAL else c for c in text)


def _heads(grid: Grid) -> Iterator[str]:
    """Heads of the columns; there is but one row of them, so they hold the titles above."""
    titles = {k: one.title for one in grid.spanners for k in range(one.first, one.last + 1)}
    for k, head in enumerate(grid.heads):
        yield f"{titles[k]}: {head}" if k in titles else head


def _body(grid: Grid) -> Iterator[list[str]]:
    empty = [""] * len(grid.heads)
    for title, lines in grid.sections():
        yield [f"**{escaped(title)}**", *empty]
        for line in lines:
            yield [escaped(line.label), *map(_text, line.cells)]
            if any(cell.below for cell in line.cells):
                yield ["", *(cell.below for cell in line.cells)]


def _text(cell: Cell) -> str:
    return cell.text if cell.is_number else escaped(cell.text)
