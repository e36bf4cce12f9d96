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

from partialpool.arrays import Array, Ints, nearly_whole
from partialpool.data import Column, Note, Table, open_table
from partialpool.data.index import aligned
from partialpool.data.mapping import from_any
from partialpool.data.unclear import as_numbers
from partialpool.errors import InputError, shown
from partialpool.expressions.evaluate import Evaluator, State
from partialpool.formula import Factor, Terms
from partialpool.formula.check import expression_factor, tree_factor
from partialpool.formula.tree import Binary, Name

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
    stored : dict
        By role: how new rows get it too (a column, a number, an expression), or None.
    notes : tuple of Note
        What to say of how the columns with a role were read.
    """

    columns: dict[str, Column]
    roles: dict[str, Array]
    rows: Ints
    dropped: Ints
    n_zero_weight: int
    stored: dict[str, Any]
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, eq=False)
class Expression:
    """A role that a formula gives, such as ``offset(log(e))``.

    Parameters
    ----------
    factor : Factor
        What is computed.
    state : dict or None
        What it needs to know of the fitted rows; None when these are at hand.
    added : list, array or Series, optional
        What is given beside it, one value a row of the table.
    """

    factor: Factor
    state: State | None = None
    added: Any = None


def join_roles(terms: Terms, given: Mapping[str, Any]) -> dict[str, Any]:
    """Put the roles that a formula gives beside those that are given as options.

    Raises
    ------
    InputError
        If both give the same; only offsets add up.

    Examples
    --------
    >>> from partialpool.formula import parse_formula
    >>> joined = join_roles(parse_formula("y ~ x + offset(log(e))"), {"offset": "z", "se": None})
    >>> joined["offset"].factor.label, joined["se"]
    ('z + log(e)', None)
    """
    joined = dict(given)
    for role, own in terms.roles.items():
        other = joined.get(role)
        if not isinstance(own, Factor):
            own_value: Any = own
        elif other is None:
            own_value = Expression(own)
        elif role == "offset" and isinstance(other, str):
            tree = Binary("+", Name(other, sure=True), own.tree)
            both = tree_factor(tree, "in an offset")
            own_value, other = Expression(both), None
        elif role == "offset":
            own_value, other = Expression(own, added=other), None
        else:
            own_value = None
        if other is not None:
            raise InputError(
                f"`{role}` is given in the formula and as an option", remedy="give it once"
            )
        joined[role] = own_value
    return joined


def role_columns(value: Any) -> tuple[str, ...]:
    """Return the columns of the table that a role is taken from."""
    if isinstance(value, Expression):
        return value.factor.columns
    return (value,) if isinstance(value, str) else ()


def role_column(role: str, value: Any, table: Table, index: Any = None) -> Column:
    """Return a role as a column: one of the table, one number for all rows, one a row, computed.

    Parameters
    ----------
    role : str
        Such as ``"weights"``.
    value : str, number, array or Expression
        What it is taken from.
    table : Table
        With the columns that are needed.
    index : object, optional
        The index of the table's rows, which a Series must have too.

    Examples
    --------
    >>> table = Table({}, 2, "the table")
    >>> role_column("se", 0.5, table).values.tolist()
    [0.5, 0.5]
    """
    if isinstance(value, str):
        return table.take([value]).columns[value]
    if isinstance(value, Expression):
        return _computed(role, value, table, index)
    if isinstance(value, (bool, np.bool_)):
        raise InputError(f"`{role}` is {value}", remedy="give a number, or one a row")
    if isinstance(value, numbers.Real):
        return from_any(role, np.full(table.n_rows, _number(role, value)))
    return from_any(role, aligned(role, value, index, table.n_rows, table.source))


def read_role(stored: Any) -> Any:
    """Return a role as it was stored for new rows."""
    if isinstance(stored, Mapping):
        factor = expression_factor(stored["expression"], "in a saved fit")
        return Expression(factor, dict(stored["state"]))
    return stored


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
    named = [name for value in given.values() for name in role_columns(value)]
    taken = source.take((*names, *named), labels)
    roles = {}
    for role, value in given.items():
        if value is None:
            continue
        column = role_column(role, value, taken, source.index)
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
    stored = {role: _stored(value, columns, values.get(role)) for role, value in given.items()}
    check_values(values, rows)
    notes = tuple(note for column in roles.values() for note in column.notes)
    left = taken.n_rows - len(rows) - len(dropped)
    return Complete(columns, values, rows, dropped, left, stored, notes)


def _computed(role: str, value: Expression, table: Table, index: Any) -> Column:
    """Compute a role where nothing that it uses is missing."""
    factor = value.factor
    used = {name: table.columns[name] for name in factor.columns}
    present = np.ones(table.n_rows, dtype=bool)
    for column in used.values():
        present &= ~column.missing
    own = {name: column.rows(present) for name, column in used.items()}
    numbers_ = Evaluator(own, int(present.sum()), value.state).numbers(factor.tree)
    bad = ~np.isfinite(numbers_)
    if bad.any():
        raise InputError(
            f"`{role}({factor.label})` is not a finite number in {counted(int(bad.sum()))}",
            where=f"the first is row {np.flatnonzero(present)[int(np.argmax(bad))] + 1}",
            remedy="correct or drop those rows",
        )
    values = np.full(table.n_rows, np.nan)
    values[present] = numbers_
    if value.added is not None:
        other = role_column(role, value.added, table, index)
        if len(other) != table.n_rows:
            return other  # of which the caller says that it has the wrong length
        other = numeric_role(role, other, np.arange(table.n_rows))
        values = values + np.where(other.missing, np.nan, other.values.astype(np.float64))
    return from_any(role, values)


def _stored(value: Any, columns: Mapping[str, Column], values: Array | None) -> Any:
    """Return how new rows get a role: a column, a number for all, an expression; else None."""
    if isinstance(value, numbers.Real):
        number = float(value)
        return int(number) if number.is_integer() else number
    if isinstance(value, Expression) and value.added is None and values is not None:
        evaluator = Evaluator(columns, len(values))
        evaluator.numbers(value.factor.tree)
        return {"expression": f"{value.factor.code}", "state": evaluator.learned}
    return str(value) if isinstance(value, str) else None


def _number(role: str, value: Any) -> float:
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    whole = role != "trials" or number.is_integer()
    positive = role == "offset" or number > 0
    if not (math.isfinite(number) and whole and positive):
        kind = "a positive whole number" if role == "trials" else "a positive number"
        remedy = "give a finite number" if role == "offset" else f"give {kind}"
        raise InputError(f"`{role}` is {shown(value)}", remedy=remedy)
    return number


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


def _weighted(column: Column, keep: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the rows with a positive weight; a negative one in a complete row is an error."""
    weights = np.where(keep, column.values.astype(np.float64), 0.0)
    _refuse("weights", "negative", weights < 0, weights, "give 0 to rows that should not count")
    if not weights.any():
        raise InputError(
            "`weights` is 0 in every complete row", remedy="give some rows a positive weight"
        )
    return np.asarray(weights > 0)


_LARGEST = 1e60
_LARGEST_COUNT = 2.0**53  # beyond it, floats are no longer counts
_POSITIVE = {
    "se": "give positive standard errors",
    "exposure": "give positive exposures, or drop those rows",
}


def check_values(values: Mapping[str, Array], rows: Ints) -> None:
    """Refuse errors and exposures that are not positive, and trials that are no counts.

    And errors and weights whose squares no float holds.
    """
    if "offset" in values:
        own = values["offset"]
        what = "too large to be computed with"
        _refuse("offset", what, np.abs(own) > _LARGEST, own, "correct those rows", rows)
    for role in ("se", "weights", "exposure"):
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
    values: Array,
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
