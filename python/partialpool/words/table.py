"""One table behind all that is printed, shown in a notebook, written as JSON or given to pandas."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import Struct

if TYPE_CHECKING:
    import pandas as pd


class ResultColumn(Struct, frozen=True):
    """A column of a table.

    Attributes
    ----------
    name : str
        What frames and JSON call it.
    values : sequence or None
        What frames and JSON hold; None for a column that is only shown.
    cells : sequence of str or None
        What is shown; None for a column that is not.
    head : str
        What is shown above them; by default the name.
    is_text : bool
        Whether cells are set flush left.
    """

    name: str
    values: Sequence[Any] | np.ndarray | None
    cells: Sequence[str] | None = None
    head: str = ""
    is_text: bool = False

    @property
    def title(self) -> str:
        """What is shown above the cells."""
        return self.head or self.name


class ResultTable(Struct, frozen=True):
    """Rows with labels, perhaps in sections that have titles.

    Examples
    --------
    >>> mean = ResultColumn("mean", [1.5, 2.0], ["1.5", "2"])
    >>> table = ResultTable("parameter", ["b[x]", "sigma"], [mean])
    >>> for line in table.text():
    ...     print(line)
             mean
    b[x]      1.5
    sigma       2
    >>> table.records()[0]
    {'parameter': 'b[x]', 'mean': 1.5}
    """

    index: str
    labels: Sequence[str]
    columns: Sequence[ResultColumn]
    sections: Sequence[str] = ()
    width: int = 0
    """In a terminal, columns that reach beyond go below; 0: none do."""

    @property
    def _shown(self) -> list[tuple[ResultColumn, Sequence[str]]]:
        return [(column, column.cells) for column in self.columns if column.cells is not None]

    @property
    def holds_values(self) -> bool:
        """Whether it holds anything beside what is shown."""
        return any(column.values is not None for column in self.columns)

    def text(self) -> list[str]:
        """Give the lines of a terminal."""
        indent = "  " if self.sections else ""
        first = max((len(label) for label in self.labels), default=0) + 2
        labels = [" " * (len(indent) + first), *(f"{indent}{x:<{first}}" for x in self.labels)]
        blocks: list[list[str]] = [labels]
        for column, cells in self._shown:
            whole = [column.title, *cells]
            width = max(map(len, whole))
            side = "<" if column.is_text else ">"
            gap = "   " if column.is_text else "  "
            written = [f"{gap}{cell:{side}{width}}" for cell in whole]
            lines = blocks[-1]
            if self.width and lines is not labels and len(lines[0] + written[0]) > self.width:
                blocks.append(lines := labels)
            blocks[-1] = [line + cell for line, cell in zip(lines, written, strict=True)]
        found: list[str] = []
        for block in blocks:
            head, *rows = (line.rstrip() for line in block)
            found += [*[""] * bool(found), head, *self._with_sections(rows, lambda title: title)]
        return found

    def html(self) -> str:
        """Give a table of HTML; all text is escaped."""
        heads = ["", *(column.title for column, _ in self._shown)]
        row_cells = zip(self.labels, *(cells for _, cells in self._shown), strict=True)
        rows = [
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"
            for cells in row_cells
        ]

        def section(title: str) -> str:
            wide = f"colspan='{len(heads)}' style='text-align:left'"
            return f"<tr><th {wide}>{escape(title)}</th></tr>"

        return "\n".join(
            [
                "<table><thead><tr>"
                + "".join(f"<th>{escape(head)}</th>" for head in heads)
                + "</tr></thead>",
                "<tbody>",
                *self._with_sections(rows, section),
                "</tbody></table>",
            ]
        )

    def _with_sections(self, rows: Sequence[str], written: Any) -> list[str]:
        """Put titles of sections before their first rows."""
        lines, last = [], None
        for k, row in enumerate(rows):
            title = self.sections[k] if self.sections else None
            if title is not None and title != last:
                lines.append(written(title))
            last = title
            lines.append(row)
        return lines

    def records(self) -> list[dict[str, Any]]:
        """Give one object a row, as JSON holds it."""
        held = [column for column in self.columns if column.values is not None]
        return [
            {self.index: label}
            | {column.name: plain(column.values[k]) for column in held if column.values is not None}
            for k, label in enumerate(self.labels)
        ]

    def frame(self) -> pd.DataFrame:
        """Give a pandas DataFrame with the labels as index."""
        import pandas as pd

        held = {c.name: list(c.values) for c in self.columns if c.values is not None}
        return pd.DataFrame(held, index=pd.Index(list(self.labels), name=self.index))


def plain(value: Any) -> Any:
    """Give what JSON can hold of a value: numbers that it lacks are null, arrays are lists.

    Examples
    --------
    >>> plain({"a": np.array([1.0, np.nan]), "b": (np.int64(2), "x")})
    {'a': [1.0, None], 'b': [2, 'x']}
    """
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)
