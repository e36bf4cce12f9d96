"""A table of fits as a Word document."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from partialpool.numerals import minus
from partialpool.tables.grid import Grid

# Beyond so many columns of numbers the page lies on its side.
MOST_UPRIGHT = 4
POINTS = 10
RULE, THIN = 12, 6  # eighths of a point


def write(grid: Grid, path: Path) -> None:
    """Write a document with the table, and its notes below."""
    from docx import Document
    from docx.enum.section import WD_ORIENT
    from docx.shared import Pt

    document = Document()
    document.core_properties.title = "Fits side by side"
    document.core_properties.author = ""
    document.core_properties.comments = ""
    document.styles["Normal"].font.size = Pt(POINTS)
    if len(grid.heads) > MOST_UPRIGHT:
        section = document.sections[0]
        section.orientation = WD_ORIENT.LANDSCAPE
        section.page_width, section.page_height = section.page_height, section.page_width
    _table(document, grid)
    for note in grid.notes:
        paragraph = document.add_paragraph()
        paragraph.paragraph_format.space_after = Pt(2)
        paragraph.add_run(note).font.size = Pt(POINTS - 2)
    document.save(str(path))


def _table(document: Any, grid: Grid) -> None:
    count = len(grid.heads) + 1
    table = document.add_table(rows=0, cols=count)
    table.autofit = True
    if grid.spanners:
        row = table.add_row()
        for one in grid.spanners:
            wide = row.cells[one.first + 1].merge(row.cells[one.last + 1])
            _fill(wide, one.title, side="center", bold=True)
            _rule(wide, bottom=THIN)
        _repeat(row)
    row = table.add_row()
    for cell, head in zip(row.cells[1:], grid.heads, strict=True):
        _fill(cell, head, bold=True)
    for cell in row.cells:
        _rule(cell, bottom=THIN)
    _repeat(row)
    for title, lines in grid.sections():
        cells = table.add_row().cells
        _fill(cells[0].merge(cells[-1]), title, side="left", bold=True, stays=True)
        for line in lines:
            cells = table.add_row().cells
            _fill(cells[0], line.label, side="left")
            for cell, own in zip(cells[1:], line.cells, strict=True):
                text = minus(own.text) if own.is_number else own.text
                _fill(cell, "\n".join(filter(None, [text, minus(own.below)])))
    for cell in table.rows[0].cells:
        _rule(cell, top=RULE)
    for cell in table.rows[-1].cells:
        _rule(cell, bottom=RULE)


def _fill(
    cell: Any, text: str, side: str = "right", *, bold: bool = False, stays: bool = False
) -> None:
    """Write into a cell; a title `stays` on the page of the row below it."""
    from docx.enum.text import WD_ALIGN_PARAGRAPH
    from docx.shared import Pt

    paragraph = cell.paragraphs[0]
    paragraph.alignment = getattr(WD_ALIGN_PARAGRAPH, side.upper())
    paragraph.paragraph_format.space_after = Pt(1)
    paragraph.paragraph_format.keep_with_next = stays
    paragraph.add_run(text).bold = bold


def _rule(cell: Any, **edges: int) -> None:
    """Draw lines along edges of a cell: `top`, `bottom`, so many eighths of a point wide."""
    from docx.oxml import OxmlElement
    from docx.oxml.ns import qn

    properties = cell._tc.get_or_add_tcPr()
    borders = properties.find(qn("w:tcBorders"))
    if borders is None:
        borders = OxmlElement("w:tcBorders")
        properties.append(borders)
    for edge, width in edges.items():
        if borders.find(qn(f"w:{edge}")) is not None:  # a merged cell is met once a column
            continue
        line = OxmlElement(f"w:{edge}")
        for name, value in {"val": "single", "sz": str(width), "color": "auto"}.items():
            line.set(qn(f"w:{name}"), value)
        # Word wants the top first.
        borders.insert(0 if edge == "top" else len(borders), line)


def _repeat(row: Any) -> None:
    """Let a row of heads come again on every page."""
    from docx.oxml import OxmlElement

    row._tr.get_or_add_trPr().append(OxmlElement("w:tblHeader"))
