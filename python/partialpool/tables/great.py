"""A table of fits for great_tables, whose themes and options then apply."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from partialpool.numerals import minus
from partialpool.tables.grid import Grid

if TYPE_CHECKING:
    from great_tables import GT


def great(grid: Grid) -> GT:
    """Make a ``GT``: sections as row groups, titles over columns as spanners, notes below."""
    import pandas as pd
    from great_tables import GT, html

    rows = []
    for title, lines in grid.sections():
        for line in lines:
            numbers = [minus(c.text) if c.is_number else c.text for c in line.cells]
            rows.append([title, line.label, *numbers])
            if any(cell.below for cell in line.cells):
                rows.append([title, "", *(minus(cell.below) for cell in line.cells)])
    names = [f"column {k + 1}" for k in range(len(grid.heads))]
    frame = pd.DataFrame(rows, columns=["section", "label", *names])
    table = GT(frame, rowname_col="label", groupname_col="section")
    # Labels are taken as HTML, cells are not.
    heads: dict[str, Any] = {
        name: html(_escaped(head)) for name, head in zip(names, grid.heads, strict=True)
    }
    table = table.cols_label(heads).cols_align("right", names)
    for k, one in enumerate(grid.spanners):
        over = names[one.first : one.last + 1]
        table = table.tab_spanner(html(_escaped(one.title)), over, id=f"spanner {k + 1}")
    for note in grid.notes:
        table = table.tab_source_note(html(_escaped(note)))
    return table.tab_options(
        table_font_size="14px",
        table_body_hlines_style="none",
        table_border_top_color="#222222",
        table_border_bottom_color="#222222",
        column_labels_border_top_color="#222222",
        column_labels_border_bottom_color="#222222",
        table_body_border_bottom_color="#222222",
        row_group_font_weight="600",
        row_group_border_top_style="none",
        row_group_border_bottom_style="none",
        row_group_padding="6px",
        data_row_padding="2px",
        stub_border_style="none",
        source_notes_font_size="12px",
    )


def _escaped(text: str) -> str:
    """Escape what HTML would take for its own, and braces, within which units would be read."""
    return escape(text).replace("{", "&#123;")
