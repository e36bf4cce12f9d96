"""What each column of a table is taken for, in words."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from typing import Protocol

import numpy as np

from partialpool.data.labels import date_labels, label
from partialpool.data.table import Column, Table
from partialpool.errors import InputError

_MOST = 60
"""Columns that are shown."""
_WIDTH = 96


class Open(Protocol):
    """A table that is open: columns that can be taken, and their number of rows."""

    names: tuple[str, ...]
    source: str

    @property
    def n_rows(self) -> int:
        """The number of rows."""

    def take(self, names: Iterable[str]) -> Table:
        """Give these columns."""


def describe(source: Open) -> str:
    """Say what each column is taken for, and how it is read."""
    names = source.names[:_MOST]
    words, notes = {}, []
    for name in names:
        try:
            column = source.take([name]).columns[name]
        except InputError as error:
            words[name] = f"cannot be used: {error.what}"
            continue
        words[name] = column_words(column)
        notes += [note for note in column.notes if note.code != "leading-zeros"]
    count = source.n_rows
    lines = [f"{source.source}: {count} row{'s' * (count != 1)}"]
    width = max(map(len, names), default=0)
    lines += [f"  {name:<{width}}  {text}" for name, text in words.items()]
    left = len(source.names) - len(names)
    lines += [f"  and {left} more columns"] if left else []
    for note in notes:
        lines += textwrap.wrap(f"{note.message} {note.remedy}".strip(), _WIDTH)
    return "\n".join(lines)


def column_words(column: Column) -> str:
    """Say what a column is taken for.

    Examples
    --------
    >>> x = Column("x", "number", np.array([2, 1, 0]), np.array([False, False, True]))
    >>> column_words(x)
    'numbers from 1 to 2, 1 missing'
    """
    present = column.values[~column.missing]
    gone = int(column.missing.sum())
    end = f", {gone} missing" if gone else ""
    if not len(present):
        return "nothing but missing values"
    if column.kind == "number":
        low, high = (f"{value:.6g}" for value in (present.min(), present.max()))
        return f"{low} in every row{end}" if low == high else f"numbers from {low} to {high}{end}"
    if column.kind == "boolean":
        return f"true or false{end}"
    if column.kind == "date":
        low, high = date_labels(np.array([present.min(), present.max()]))
        return f"dates from {low} to {high}{end}"
    found = dict.fromkeys(present.tolist())
    kind = {"string": "text", "categorical": "categories"}[column.kind]
    listed = [f"`{label(value)[:20]}`" for value in list(found)[:4]]
    shown = ", ".join(listed) + (f", … ({len(found)} labels)" if len(found) > 4 else "")
    return f"{'ordered ' if column.ordered else ''}{kind}: {shown}{end}"
