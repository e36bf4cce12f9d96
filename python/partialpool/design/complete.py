"""Any table → the rows that are complete, with columns and roles."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from partialpool.arrays import Array, Flags, Ints
from partialpool.data import Column, Note, Table, open_table
from partialpool.errors import InputError

from .matrix import rows as counted
from .roles import (
    Expression,
    Source,
    check_values,
    learn_source,
    numeric_role,
    refuse,
    role_column,
    role_columns,
)


class Complete(Struct, frozen=True, eq=False):
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
    sources : dict of str to Source or None
        By role that is given: what new rows get it from, or None if it is one value a row.
    notes : tuple of Note
        What to say of how the columns with a role were read.
    """

    columns: dict[str, Column]
    roles: dict[str, Array]
    rows: Ints
    dropped: Ints
    n_zero_weight: int
    sources: dict[str, Source | None]
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
    given = {role: value for role, value in given.items() if value is not None}
    named = [name for value in given.values() for name in role_columns(value)]
    taken = source.take((*names, *named), labels)
    roles = {role: role_column(role, own, taken, source.index) for role, own in given.items()}
    columns = named_columns(names, taken, labels)
    keep = present((*columns.values(), *roles.values()))
    if not keep.any():
        empty = [c.name for c in (*columns.values(), *roles.values()) if c.missing.all()]
        raise no_complete_row(empty)
    every = np.arange(taken.n_rows)
    roles = {role: numeric_role(role, column, every) for role, column in roles.items()}
    dropped = np.flatnonzero(~keep)
    if "weights" in roles:
        keep &= weighted(roles["weights"], keep, every)
        if not keep.any():
            raise no_weight()
    rows = np.flatnonzero(keep)
    if len(rows) < taken.n_rows:
        columns = {name: column.rows(keep) for name, column in columns.items()}
    sources = {role: learn_source(value, columns, len(rows)) for role, value in given.items()}
    for role, own in sources.items():
        # What it needs to know of the rows that are fitted, such as a mean, is theirs alone.
        if isinstance(own, Expression) and own.state and len(rows) < taken.n_rows:
            again = role_column(role, own, taken, source.index)
            roles[role] = numeric_role(role, again, every)
    if len(rows) < taken.n_rows:
        roles = {role: column.rows(keep) for role, column in roles.items()}
    values = checked_values(columns, roles, rows)
    notes = tuple(note for column in roles.values() for note in column.notes)
    left = taken.n_rows - len(rows) - len(dropped)
    for role, own in sources.items():
        if isinstance(own, Expression) and own.added is not None:  # in part one value a row
            sources[role] = None
    return Complete(columns, values, rows, dropped, left, sources, notes)


def named_columns(names: Iterable[str], table: Table, labels: Iterable[str]) -> dict[str, Column]:
    """Return columns of a table; texts are kept of those that name things."""
    named_by = frozenset(labels)
    return {
        name: own if name in named_by else replace(own, texts=None)
        for name, own in ((name, table.columns[name]) for name in names)
    }


def present(columns: Iterable[Column]) -> Flags:
    """Return the rows in which no column lacks a value."""
    first, *others = columns
    keep: Flags = ~first.missing
    for column in others:
        keep &= ~column.missing
    return keep


def no_complete_row(empty: Sequence[str]) -> InputError:
    """Say that no row has all values, where some columns have none at all."""
    what = f"`{empty[0]}` is missing" if empty else "some value is missing"
    return InputError(f"no complete row is left: {what} in every row")


def weighted(column: Column, keep: Flags, positions: Ints) -> Flags:
    """Return the rows with a positive weight; a negative one in a complete row is an error."""
    weights = np.where(keep, column.values.astype(np.float64), 0.0)
    negative = weights < 0
    refuse(
        "weights", "negative", negative, weights, "give 0 to rows that should not count", positions
    )
    return np.asarray(weights > 0)


def no_weight() -> InputError:
    """Say that no row counts."""
    return InputError(
        "`weights` is 0 in every complete row", remedy="give some rows a positive weight"
    )


def checked_values(
    columns: Mapping[str, Column], roles: Mapping[str, Column], positions: Ints
) -> dict[str, Array]:
    """Return roles of complete rows as numbers; refuse what cannot be computed with."""
    for column in columns.values():
        if column.texts is None:  # what only names things may be any number
            check_finite(column)
    for column in roles.values():
        check_finite(column)
    values = {role: column.values.astype(np.float64) for role, column in roles.items()}
    check_values(values, positions)
    return values


def check_finite(column: Column) -> None:
    """Refuse a numeric column with infinite values."""
    if column.values.dtype.kind == "f":
        count = int(np.isinf(column.values[~column.missing]).sum())
        if count:
            raise InputError(
                f"the column `{column.name}` is infinite in {counted(count)}",
                remedy="correct or drop those rows",
            )
