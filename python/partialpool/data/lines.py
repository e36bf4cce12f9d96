"""A small text file with a line a row → columns, in less time than DuckDB takes to be imported.

What is not plain here (a line with too few fields, odd quotes) is left to `delimited.py`, which
says what is wrong; what both can read they read alike, and a property test holds them to it.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence

import numpy as np

from partialpool.data.reading import Reading
from partialpool.data.table import Column
from partialpool.data.values import read_texts

SMALL = 200_000
"""Bytes up to which this is the faster way."""


def split_lines(path: str, delimiter: str, width: int, skip: int) -> list[list[str]] | None:
    """Return the fields of a file column by column, without the header.

    None where it is not small, or not plain.

    Parameters
    ----------
    path : str
        A file of UTF-8 text.
    delimiter : str
        What divides the fields.
    width : int
        The number of fields of the header.
    skip : int
        Lines before the header.
    """
    with open(path, encoding="utf-8-sig", newline="") as file:
        text = file.read(SMALL + 1)
    # Quotes after blanks, and lines that end in several ways, are read in more than one way.
    if len(text) > SMALL or re.search(rf'(?:^|[{re.escape(delimiter)}\r\n]) +"', text):
        return None
    if "\r" in text and len(set(re.findall(r"\r\n|\n|\r", text))) > 1:
        return None
    lines = io.StringIO(text, newline="")
    for _ in range(skip):
        lines.readline()
    try:
        rows = list(csv.reader(lines, delimiter=delimiter, strict=True))
    except csv.Error:
        return None
    kept = [row or [""] for row in rows[1:] if row or width == 1]
    if any(len(row) != width for row in kept):
        return None
    return [list(column) for column in zip(*kept, strict=True)]


class LineReader:
    """A small text file, whose columns are all text until they are taken."""

    index = None

    def __init__(
        self,
        names: Sequence[str],
        columns: Sequence[list[str]],
        source: str,
        how: Reading,
        *,
        doubtful: bool,
    ) -> None:
        self.names, self.source = tuple(names), source
        self._columns = dict(zip(names, columns, strict=True))
        self._how, self._doubtful = how, doubtful
        self.n_rows = len(columns[0])

    def read(self, names: Iterable[str], labels: Iterable[str]) -> dict[str, Column]:
        """Say what these columns are."""
        found = {}
        for name in names:
            texts = np.empty(self.n_rows, dtype=object)
            texts[:] = self._columns[name]
            missing = np.array([not text for text in self._columns[name]], dtype=bool)
            found[name] = read_texts(
                name, texts, missing, self._how, explicit=False, doubtful=self._doubtful
            )
        return found
