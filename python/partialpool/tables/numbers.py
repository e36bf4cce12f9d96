"""The numbers of a table of fits: as a DataFrame, as CSV, and as JSON holds them."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from partialpool.tables.grid import clean
from partialpool.tables.rows import STATISTICS, Row
from partialpool.tables.side import Entry, Side

if TYPE_CHECKING:
    import pandas as pd

QUANTITIES = Entry._fields


def frame(sides: Sequence[Side], rows: Sequence[Row]) -> pd.DataFrame:
    """Give the numbers: a row a parameter or statistic, columns (fit, quantity)."""
    import pandas as pd

    numbers = [row for row in rows if not row.is_text]
    names = [side.name for side in sides]
    columns = pd.MultiIndex.from_product([names, QUANTITIES], names=["fit", "quantity"])
    index = pd.Index([row.key for row in numbers], name="parameter")
    values = [[x for cell in row.cells for x in _numbers(cell)] for row in numbers]
    return pd.DataFrame(values, index=index, columns=columns, dtype=float)


def _numbers(cell: Entry | str | None) -> Entry:
    return cell if isinstance(cell, Entry) else Entry(math.nan)


def separated(sides: Sequence[Side], rows: Sequence[Row]) -> str:
    """Write all digits as CSV: section, parameter and, for each fit, estimate, sd and interval."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    heads = [clean(f"{side.name} {quantity}") for side in sides for quantity in QUANTITIES]
    writer.writerow(["section", "parameter", *heads])
    for row in rows:
        cells = [x for cell in row.cells for x in _written(cell)]
        writer.writerow([clean(row.section), clean(row.key), *cells])
    return text.getvalue()


def _written(cell: Entry | str | None) -> list[str]:
    if isinstance(cell, Entry):
        return ["" if math.isnan(x) else repr(x) for x in cell]
    return ["" if cell is None else clean(cell), *[""] * (len(QUANTITIES) - 1)]


def records(sides: Sequence[Side], rows: Sequence[Row]) -> dict[str, Any]:
    """Give rows as JSON holds them: the numbers of each fit that has them."""
    found: dict[str, Any] = {"parameters": [], "statistics": []}
    for row in rows:
        cells = {
            side.name: dict(cell._asdict()) if isinstance(cell, Entry) else cell
            for side, cell in zip(sides, row.cells, strict=True)
            if cell is not None
        }
        named = {"label": row.label, "fits": cells}
        if row.section == STATISTICS:
            found["statistics"].append({"statistic": row.key, **named})
        else:
            found["parameters"].append({"parameter": row.key, "section": row.section, **named})
    return found
