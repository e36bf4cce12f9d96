"""The rows that are complete, and what the columns with a role say about them.

A role is what a column does beside the formula: weights, an offset, standard errors, numbers of
trials, an exposure.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from partialpool.data import Column, Note, open_table
from partialpool.data.convert import from_any
from partialpool.data.index import aligned
from partialpool.data.unclear import as_numbers
from partialpool.errors import InputError

from .design import Floats, Ints
from .matrix import first_of
from .matrix import rows as counted
from .response import nearly_whole


@dataclass(frozen=True, eq=False)
class Complete:
    """The rows without a missing value and with a weight, and the columns in these rows.

    Parameters
    ----------
    columns : dict of str to Column
        The columns of the formulas.
    roles : dict of str to numpy.ndarray
        The roles that were given, as float64.
    rows, dropped : numpy.ndarray
        Positions in the table of the rows kept, and of those with a missing value.
    n_zero_weight : int
        Complete rows left out because their weight is 0.
    notes : tuple of Note
        What to say of how the columns with a role were read.
    """

    columns: dict[str, Column]
    roles: dict[str, Floats]
    rows: Ints
    dropped: Ints
    n_zero_weight: int
    notes: tuple[Note, ...] = ()


def complete_rows(
    names: Iterable[str], table: Any, labels: Iterable[str] = (), **given: Any
) -> Complete:
    """Take the columns and roles from a table, and drop rows once for all of them.

    Parameters
    ----------
    names : iterable of str
        The columns that the formulas use.
    table : object
        Anything that ``open_table`` opens.
    labels : iterable of str
        The columns whose values name things.
    **given : str, array or None
        By role: the name of a column or one value a row; `trials` may be one whole number.

    Examples
    --------
    >>> data = {"x": [1.0, None, 3.0], "w": [2.0, 1.0, 0.0]}
    >>> c = complete_rows(["x"], data, weights="w")
    >>> c.rows.tolist(), c.dropped.tolist(), c.n_zero_weight
    ([0], [1], 1)
    """
    names = tuple(dict.fromkeys(names))
    source = open_table(table)
    named = [value for value in given.values() if isinstance(value, str)]
    taken = source.take((*names, *named), labels)
    roles = {}
    for role, value in given.items():
        if value is None:
            continue
        column = (
            taken.columns[value]
            if isinstance(value, str)
            else role_column(role, value, source.index, taken.n_rows, source.source)
        )
        if len(column) != taken.n_rows:
            raise InputError(
                f"`{role}` has {len(column)} values for {taken.n_rows} rows",
                remedy="give one value a row",
            )
        roles[role] = column
    named_by = frozenset(labels)
    columns = {name: taken.columns[name] for name in names}
    columns = {  # texts are kept where they name things
        name: column if name in named_by else replace(column, texts=None)
        for name, column in columns.items()
    }
    keep = np.ones(taken.n_rows, dtype=bool)
    for column in (*columns.values(), *roles.values()):
        keep &= ~column.missing
    if not keep.any():
        empty = [c.name for c in (*columns.values(), *roles.values()) if c.missing.all()]
        what = f"`{empty[0]}` is missing" if empty else "some value is missing"
        raise InputError(f"no complete row is left: {what} in every row")
    every = np.arange(taken.n_rows)
    roles = {role: numeric_role(role, column, every) for role, column in roles.items()}
    dropped = np.flatnonzero(~keep)
    if "weights" in roles:
        keep &= _weighted(roles["weights"], keep)
    rows = np.flatnonzero(keep)
    if len(rows) < taken.n_rows:
        columns = {name: column.rows(keep) for name, column in columns.items()}
        roles = {role: column.rows(keep) for role, column in roles.items()}
    for column in columns.values():
        if column.texts is None:  # what only names things may be any number
            check_finite(column)
    for column in roles.values():
        check_finite(column)
    values = {role: column.values.astype(np.float64) for role, column in roles.items()}
    check_values(values, rows)
    notes = tuple(note for column in roles.values() for note in column.notes)
    left = taken.n_rows - len(rows) - len(dropped)
    return Complete(columns, values, rows, dropped, left, notes)


def role_column(role: str, value: Any, index: Any, n_rows: int, source: str) -> Column:
    """Make a column of what is given for a role beside the table: a number, or one a row."""
    if isinstance(value, numbers.Real) and not isinstance(value, (bool, np.bool_)):
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if role == "trials" and not (number.is_integer() and number > 0):
            raise InputError(f"`trials` is {_short(value)}", remedy="give a positive whole number")
        return from_any(role, np.full(n_rows, number))
    if isinstance(value, (bool, np.bool_)):
        raise InputError(f"`{role}` is {value}", remedy="give a number, or one a row")
    return from_any(role, aligned(role, value, index, n_rows, source))


def numeric_role(role: str, column: Column, rows: Ints) -> Column:
    """Return the column of a role as numbers.

    Raises
    ------
    InputError
        If it holds none.
    """
    column = as_numbers(column, rows, "column")
    if column.kind != "number":
        raise InputError(f"`{role}` holds no numbers", remedy="give a numeric column")
    if role == "trials" and column.values.dtype.kind == "f":
        column = replace(column, values=nearly_whole(column.values))
    return column


def _short(value: Any) -> str:
    try:
        text = str(value)
    except ValueError:  # more digits than Python writes
        return "far too large"
    return text if len(text) < 40 else f"{text[:20]}…"


def _weighted(column: Column, keep: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the rows with a positive weight; a negative one in a complete row is an error."""
    weights = np.where(keep, column.values.astype(np.float64), 0.0)
    _refuse("weights", "negative", weights < 0, weights, "give 0 to rows that should not count")
    if not weights.any():
        raise InputError(
            "`weights` is 0 in every complete row", remedy="give some rows a positive weight"
        )
    return np.asarray(weights > 0)


_LARGEST = 1e100
_LARGEST_COUNT = 2.0**53  # beyond it, floats are no longer counts
_POSITIVE = {
    "se": "give positive standard errors",
    "exposure": "give positive exposures, or drop those rows",
}


def check_values(values: Mapping[str, Floats], rows: Ints) -> None:
    """Refuse errors and exposures that are not positive, and trials that are no counts.

    And errors and weights whose squares no float holds.
    """
    if "offset" in values:
        own = values["offset"]
        what = "too large to be computed with"
        _refuse("offset", what, np.abs(own) > _LARGEST, own, "correct those rows", rows)
    for role in ("se", "weights"):
        if role in values:
            own = values[role]
            far = (own != 0) & ((np.abs(own) < 1 / _LARGEST) | (np.abs(own) > _LARGEST))
            what = "too close to 0 or too large to be computed with"
            _refuse(role, what, far, own, "give it in another unit", rows)
    for role, remedy in _POSITIVE.items():
        if role in values:
            own = values[role]
            _refuse(role, "zero or negative", own <= 0, own, remedy, rows)
    if "trials" in values:
        own = values["trials"]
        bad = (own <= 0) | (own != np.floor(own)) | (own > _LARGEST_COUNT)
        remedy = "give each row its number of trials"
        _refuse("trials", "not a positive whole number", bad, own, remedy, rows)


def _refuse(
    role: str,
    what: str,
    bad: NDArray[np.bool_],
    values: Floats,
    remedy: str,
    rows: Ints | None = None,
) -> None:
    if bad.any():
        raise InputError(
            f"`{role}` is {what} in {counted(int(bad.sum()))}",
            where=first_of(bad, values, np.arange(len(bad)) if rows is None else rows),
            remedy=remedy,
        )


def check_finite(column: Column) -> None:
    """Refuse a numeric column with infinite values."""
    if column.values.dtype.kind == "f":
        count = int(np.isinf(column.values[~column.missing]).sum())
        if count:
            raise InputError(
                f"the column `{column.name}` is infinite in {counted(count)}",
                remedy="correct or drop those rows",
            )
