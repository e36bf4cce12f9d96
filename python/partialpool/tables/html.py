"""A table of fits as HTML: a fragment for notebooks, or a page that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from partialpool.numerals import minus
from partialpool.tables.grid import Cell, Grid

# Lines as in print: above, below the heads, and below; in the colour of the text, light or dark.
STYLE = """\
.partialpool-fits { border-collapse: collapse; border-block: 2px solid; font-size: 0.95em;
  font-variant-numeric: tabular-nums; line-height: 1.35; }
.partialpool-fits th, .partialpool-fits td { border: 0; padding: 0.2em 0.9em; text-align: right;
  vertical-align: top; background: none; white-space: nowrap; }
.partialpool-fits th { font-weight: 600; }
.partialpool-fits th[scope=row] { text-align: left; font-weight: 400; padding-left: 1.4em;
  white-space: normal; }
.partialpool-fits th[scope=rowgroup] { text-align: left; padding: 0.7em 0.2em 0.2em; }
.partialpool-fits thead tr:last-child { border-bottom: 1px solid; }
.partialpool-fits th[scope=colgroup] { text-align: center; border-bottom: 1px solid; }
.partialpool-fits td small { opacity: 0.8; }
.partialpool-fits tfoot tr:first-child { border-top: 1px solid; }
.partialpool-fits tfoot td { text-align: left; white-space: normal; font-size: 0.85em;
  padding: 0.15em 0.2em; max-width: 40em; overflow-wrap: anywhere; }
"""
PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font-family: system-ui, sans-serif; margin: 2rem; color: #222; background: #fff;
  overflow-x: auto; }}
{style}</style>
</head>
<body>
{table}
</body>
</html>
"""


def fragment(grid: Grid) -> str:
    """Write a table with the style that it needs. All text is escaped."""
    return f"<style>\n{STYLE}</style>\n{_table(grid)}"


def page(grid: Grid, title: str) -> str:
    """Write a page of HTML."""
    return PAGE.format(title=escape(title), style=STYLE, table=_table(grid))


def _table(grid: Grid) -> str:
    return "\n".join(
        [
            "<table class='partialpool-fits'>",
            *_head(grid),
            *_body(grid),
            "<tfoot>",
            *(
                f"<tr><td colspan='{len(grid.heads) + 1}'>{escape(note)}</td></tr>"
                for note in grid.notes
            ),
            "</tfoot>",
            "</table>",
        ]
    )


def _head(grid: Grid) -> Iterator[str]:
    yield "<thead>"
    if grid.spanners:
        above = "".join(
            f"<th scope='colgroup' colspan='{one.last - one.first + 1}'>{escape(one.title)}</th>"
            for one in grid.spanners
        )
        yield f"<tr><td></td>{above}</tr>"
    heads = "".join(f"<th scope='col'>{escape(head)}</th>" for head in grid.heads)
    yield f"<tr><td></td>{heads}</tr>"
    yield "</thead>"


def _body(grid: Grid) -> Iterator[str]:
    for title, lines in grid.sections():
        yield "<tbody>"
        wide = len(grid.heads) + 1
        yield f"<tr><th scope='rowgroup' colspan='{wide}'>{escape(title)}</th></tr>"
        for line in lines:
            cells = "".join(f"<td>{_cell(cell)}</td>" for cell in line.cells)
            yield f"<tr><th scope='row'>{escape(line.label)}</th>{cells}</tr>"
        yield "</tbody>"


def _cell(cell: Cell) -> str:
    if not cell.is_number:
        return escape(cell.text)
    below = f"<br><small>{minus(cell.below)}</small>" if cell.below else ""
    return minus(cell.text) + below
