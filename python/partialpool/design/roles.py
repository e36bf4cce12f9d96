"""Roles: what a column does beside the formula, such as weights, an offset, standard errors."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from partialpool.arrays import Array, Flags, Ints, nearly_whole
from partialpool.data import Column, Table
from partialpool.data.index import aligned
from partialpool.data.mapping import from_any
from partialpool.errors import InputError, shown
from partialpool.expressions.evaluate import Evaluator, State
from partialpool.expressions.unclear import as_numbers
from partialpool.formula import Factor, Terms
from partialpool.formula.check import expression_factor, tree_factor
from partialpool.formula.tree import Binary, Name

from .matrix import first_of
from .matrix import rows as counted

_LARGEST = 1e60
_LARGEST_COUNT = 2.0**53  # beyond it, floats are no longer counts


class Role(Struct, frozen=True):
    """What a role is.

    Parameters
    ----------
    name : str
        As users write it.
    enters : {"predictor", "mean", "spread"}
        Where it enters: what predictions of less do not need.
    kind : {"shift", "scale", "count"}
        Any numbers, positive ones, or positive whole ones.
    positive : str
        What to do about rows in which it is 0 or negative; nothing where 0 leaves a row out.
    """

    name: str
    enters: Literal["predictor", "mean", "spread"]
    kind: Literal["shift", "scale", "count"]
    positive: str = ""


ROLES = {
    role.name: role
    for role in (
        Role("weights", "spread", "scale"),
        Role("offset", "predictor", "shift"),
        Role("se", "spread", "scale", "give positive standard errors"),
        Role("trials", "mean", "count", "give each row its number of trials"),
        Role("exposure", "predictor", "scale", "give positive exposures, or drop those rows"),
    )
}


class Expression(Struct, frozen=True, eq=False):
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


Source = str | int | float | Expression
"""What new rows get a role from: a column, a number for all, or what a formula says."""


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
    column = from_any(role, aligned(role, value, index, table.n_rows, table.source))
    if len(column) != table.n_rows:
        raise InputError(
            f"`{role}` has {len(column)} values for {table.n_rows} rows",
            remedy="give one value a row",
        )
    return column


def take_role(role: str, value: Any, table: Table, index: Any = None) -> Column:
    """Return a role as a column of numbers."""
    column = role_column(role, value, table, index)
    return numeric_role(role, column, np.arange(table.n_rows))


def learn_source(value: Any, columns: Mapping[str, Column], n: int) -> Source | None:
    """Return what new rows get a role from; None where it is given as one value a row.

    Parameters
    ----------
    value : str, number, array or Expression
        What it is taken from.
    columns : mapping of str to Column
        The rows that are fitted.
    n : int
        How many they are.
    """
    if isinstance(value, numbers.Real):
        number = float(value)
        return int(number) if number.is_integer() else number
    if isinstance(value, Expression):
        evaluator = Evaluator(columns, n)
        evaluator.numbers(value.factor.tree)
        return replace(value, state=evaluator.learned)
    return str(value) if isinstance(value, str) else None


def write_source(source: Source | None) -> Any:
    """Return what JSON can hold of a source."""
    if isinstance(source, Expression):
        return {"expression": source.factor.code, "state": source.state}
    return source


def read_source(stored: Any) -> Source | None:
    """Return the source that `write_source` was given; what it computes is checked again."""
    if isinstance(stored, dict):
        if not isinstance(stored["state"], dict):
            raise ValueError("state")
        return Expression(
            expression_factor(stored["expression"], "in a saved fit"), stored["state"]
        )
    if stored is not None and type(stored) not in (str, int, float):
        raise ValueError(type(stored).__name__)
    return stored  # type: ignore[no-any-return]


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
    if ROLES[role].kind == "count" and column.values.dtype.kind == "f":
        column = replace(column, values=nearly_whole(column.values))
    return column


def check_values(values: Mapping[str, Array], rows: Ints) -> None:
    """Refuse what a role cannot be: errors and exposures that are not positive, and so on.

    And what is so large or so close to 0 that it, or its square, cannot be computed with.
    """
    for name, own in values.items():
        role = ROLES[name]
        if role.kind == "shift":
            what = "too large to be computed with"
            refuse(name, what, np.abs(own) > _LARGEST, own, "correct those rows", rows)
        elif role.kind == "scale":
            far = (own != 0) & ((np.abs(own) < 1 / _LARGEST) | (np.abs(own) > _LARGEST))
            what = "too close to 0 or too large to be computed with"
            refuse(name, what, far, own, "give it in another unit", rows)
            if role.positive:
                refuse(name, "zero or negative", own <= 0, own, role.positive, rows)
        else:
            bad = (own <= 0) | (own != np.floor(own)) | (own > _LARGEST_COUNT)
            refuse(name, "not a positive whole number", bad, own, role.positive, rows)


def total_offset(roles: Mapping[str, Array]) -> Array | None:
    """Return the offset plus the log of the exposure; None where there is neither."""
    offset, exposure = roles.get("offset"), roles.get("exposure")
    if exposure is None:
        return offset
    own = np.log(exposure)
    return own if offset is None else own + offset


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
        other = take_role(role, value.added, table, index)
        values = values + np.where(other.missing, np.nan, other.values.astype(np.float64))
    return from_any(role, values)


def _number(role: str, value: Any) -> float:
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    kind = ROLES[role].kind
    whole = kind != "count" or number.is_integer()
    positive = kind == "shift" or number > 0
    if not (math.isfinite(number) and whole and positive):
        remedy = {
            "shift": "give a finite number",
            "scale": "give a positive number",
            "count": "give a positive whole number",
        }[kind]
        raise InputError(f"`{role}` is {shown(value)}", remedy=remedy)
    return number


def refuse(
    role: str,
    what: str,
    bad: Flags,
    values: Array,
    remedy: str,
    rows: Ints | None = None,
) -> None:
    """Refuse rows in which a role is something bad; say which is the first."""
    if bad.any():
        raise InputError(
            f"`{role}` is {what} in {counted(int(bad.sum()))}",
            where=first_of(bad, values, np.arange(len(bad)) if rows is None else rows),
            remedy=remedy,
        )
