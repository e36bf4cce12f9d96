"""The rows that are complete, and what the columns with a role say about them.

A role is what a column does beside the formula: weights, an offset, standard errors, numbers of
trials, an exposure.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from partialpool.data import Column, open_table
from partialpool.data.convert import from_any
from partialpool.errors import InputError

from .design import Floats, Ints
from .matrix import first_of
from .matrix import rows as counted


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
    """

    columns: dict[str, Column]
    roles: dict[str, Floats]
    rows: Ints
    dropped: Ints
    n_zero_weight: int


def complete_rows(names: Iterable[str], table: Any, **given: Any) -> Complete:
    """Take the columns and roles from a table, and drop rows once for all of them.

    Parameters
    ----------
    names : iterable of str
        The columns that the formulas use.
    table : object
        Anything that ``open_table`` opens.
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
    taken = source.take((*names, *named))
    roles = {}
    for role, value in given.items():
        if value is None:
            continue
        column = taken.columns[value] if isinstance(value, str) else _column(role, value, taken)
        if len(column) != taken.n_rows:
            raise InputError(
                f"`{role}` has {len(column)} values for {taken.n_rows} rows",
                remedy="give one value a row",
            )
        roles[role] = column
    columns = {name: taken.columns[name] for name in names}
    keep = np.ones(taken.n_rows, dtype=bool)
    for column in (*columns.values(), *roles.values()):
        keep &= ~column.missing
    if not keep.any():
        empty = [c.name for c in (*columns.values(), *roles.values()) if c.missing.all()]
        what = f"`{empty[0]}` is missing" if empty else "some value is missing"
        raise InputError(f"no complete row is left: {what} in every row")
    for role, column in roles.items():
        if column.kind != "number":
            raise InputError(f"`{role}` holds no numbers", remedy="give a numeric column")
    dropped = np.flatnonzero(~keep)
    if "weights" in roles:
        keep &= _weighted(roles["weights"], keep)
    rows = np.flatnonzero(keep)
    if len(rows) < taken.n_rows:
        columns = {name: column.rows(keep) for name, column in columns.items()}
        roles = {role: column.rows(keep) for role, column in roles.items()}
    for column in (*columns.values(), *roles.values()):
        check_finite(column)
    values = {role: column.values.astype(np.float64) for role, column in roles.items()}
    check_values(values, rows)
    return Complete(columns, values, rows, dropped, taken.n_rows - len(rows) - len(dropped))


def _column(role: str, value: Any, table: Any) -> Column:
    if role != "trials" or not isinstance(value, numbers.Real):
        return from_any(role, value)
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if isinstance(value, bool) or not number.is_integer() or number <= 0:
        raise InputError(f"`trials` is {value}", remedy="give a positive whole number")
    return from_any(role, np.full(table.n_rows, number))


def _weighted(column: Column, keep: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the rows with a positive weight; a negative one in a complete row is an error."""
    weights = np.where(keep, column.values.astype(np.float64), 0.0)
    _refuse("weights", "negative", weights < 0, weights, "give 0 to rows that should not count")
    if not weights.any():
        raise InputError(
            "`weights` is 0 in every complete row", remedy="give some rows a positive weight"
        )
    return np.asarray(weights > 0)


_POSITIVE = {
    "se": "give positive standard errors",
    "exposure": "give positive exposures, or drop those rows",
}


def check_values(values: Mapping[str, Floats], rows: Ints) -> None:
    """Refuse errors and exposures that are not positive, and trials that are no counts."""
    for role, remedy in _POSITIVE.items():
        if role in values:
            own = values[role]
            _refuse(role, "zero or negative", own <= 0, own, remedy, rows)
    if "trials" in values:
        own = values["trials"]
        bad = (own <= 0) | (own != np.floor(own))
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


def check_stray_text(column: Column) -> None:
    """Refuse text in which nearly all values are numbers: one `?` would make it categories."""
    if column.kind != "string":
        return
    values = list(dict.fromkeys(column.values[~column.missing].tolist()))
    stray = [value for value in values if not _is_number(value)]
    if 0 < len(stray) <= 0.1 * len(values):
        raise InputError(
            f"the column `{column.name}` has text among its numbers (`{stray[0]}`)",
            remedy="leave missing values empty or write NA, and correct the others",
        )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
