"""A sheet of an Excel workbook → columns: text is read as that of a CSV file is."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from partialpool.data.convert import from_objects
from partialpool.data.labels import label
from partialpool.data.reading import Reading
from partialpool.data.table import Array, Column, check_names, check_rows
from partialpool.data.values import read_texts
from partialpool.errors import InputError, did_you_mean
from partialpool.files.failures import attempt

# The reader makes room for all cells up to the last one: more than these would be no sheet of data.
_MOST_CELLS = 20_000_000
_MOST_BYTES = 1_000_000_000
_CELL = re.compile(r"([A-Z]{1,3})([0-9]{1,7})")


def open_excel(path: Path, sheet: str | None, how: Reading) -> ExcelReader:
    """Open a sheet of a workbook; without a name, its only one.

    Raises
    ------
    InputError
        If the workbook is damaged, has no such sheet, or several where none is named.
    """
    attempt(path.name, lambda: _check(path))
    rows, names = attempt(path.name, lambda: _read(path, sheet))
    source = path.name if len(names) == 1 else f"{path.name}::{sheet}"
    return ExcelReader(rows, source, how)


class ExcelReader:
    """The cells of a sheet below its first row, which names the columns."""

    index = None

    def __init__(self, rows: list[list[Any]], source: str, how: Reading) -> None:
        while rows and _is_empty(rows[-1]):
            rows.pop()
        header = rows[0] if rows else []
        while header and header[-1] == "" and all(row[len(header) - 1] == "" for row in rows):
            header = header[:-1]
        if not header:
            raise InputError(
                f"`{source}` has no header", remedy="put the column names in the first row"
            )
        names = [label(cell) if cell != "" else f"column{k}" for k, cell in enumerate(header)]
        self.names = check_names(names, source)
        self.source = source
        self._rows, self._how = rows[1:], how
        self.n_rows = len(self._rows)
        check_rows(self.n_rows, source)

    def read(self, names: Iterable[str], labels: Iterable[str]) -> dict[str, Column]:
        """Convert these columns."""
        return {name: self._column(name, self.names.index(name)) for name in names}

    def _column(self, name: str, k: int) -> Column:
        values = np.empty(self.n_rows, dtype=object)
        values[:] = [None if row[k] == "" else row[k] for row in self._rows]
        if not any(isinstance(value, str) for value in values):
            return from_objects(name, values, how=self._how)
        missing = np.array([value is None for value in values], dtype=bool)
        texts: Array = np.array(["" if v is None else label(v) for v in values], dtype=object)
        return read_texts(name, texts, missing, self._how, explicit=False)


def _read(path: Path, sheet: str | None) -> tuple[list[list[Any]], list[str]]:
    import python_calamine

    book = python_calamine.CalamineWorkbook.from_path(str(path))
    names = book.sheet_names
    if sheet is None and len(names) > 1:
        shown = ", ".join(f"`{path.name}::{name}`" for name in names[:4])
        raise InputError(f"`{path.name}` has {len(names)} sheets", remedy=f"give one of {shown}")
    if sheet is not None and sheet not in names:
        raise InputError(
            f"there is no sheet `{sheet}` in `{path.name}`", remedy=did_you_mean(sheet, names)
        )
    found = book.get_sheet_by_name(names[0] if sheet is None else sheet)
    return found.to_python(skip_empty_area=False), names


def _check(path: Path) -> None:
    """Refuse a workbook that is damaged, or whose cells lie too far apart to be a table."""
    import zipfile

    with zipfile.ZipFile(path) as book:
        if sum(part.file_size for part in book.infolist()) > _MOST_BYTES:
            raise InputError(f"`{path.name}` is too large", remedy="save it as CSV")
        damaged = book.testzip()
        if damaged:
            raise InputError(f"`{path.name}` is damaged (`{damaged}`)", remedy="save it again")
        for part in book.namelist():
            if "worksheets/" in part and part.endswith(".xml"):
                height, width = _extent(book.read(part))
                if height * width > _MOST_CELLS:
                    raise InputError(
                        f"`{path.name}` has cells up to row {height} and column {width}",
                        remedy="delete those that are no data, or save the sheet as CSV",
                    )


def _extent(sheet: bytes) -> tuple[int, int]:
    """Return the number of rows and columns up to the last cell of a sheet."""
    last = [1, 1]

    def start(name: str, attributes: dict[str, str]) -> None:
        name = name.rpartition(":")[2]
        if name == "c":
            match = _CELL.fullmatch(attributes.get("r", ""))
            if match:
                column = 0
                for letter in match[1]:
                    column = 26 * column + ord(letter) - 64
                last[0], last[1] = max(last[0], int(match[2])), max(last[1], column)
        elif name == "row" and attributes.get("r", "").isdigit():
            last[0] = max(last[0], int(attributes["r"]))

    from xml.parsers import expat

    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    parser.Parse(sheet, True)
    return last[0], last[1]


def _is_empty(row: Iterable[Any]) -> bool:
    return all(cell == "" for cell in row)
