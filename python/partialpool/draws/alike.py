"""Rows of which a model says the same, found and taken once."""

from __future__ import annotations

import numpy as np
from msgspec.structs import replace

from partialpool.arrays import Array, Ints
from partialpool.design.rows import Rows

_MIX = np.uint64(0x9E3779B97F4A7C15)


def contents(rows: Rows) -> Array:
    """Everything that enters the expectation of rows, a column each."""
    columns = [np.zeros((len(rows), 1)), rows.X, *(member.Z for member in rows.members)]
    columns += [x[:, None] for x in (rows.offset, *rows.roles.values()) if x is not None]
    columns += [x for x in (rows.sigma_X,) if x is not None]
    columns += [member.codes[:, None].astype(np.float64) for member in rows.members]
    return np.ascontiguousarray(np.hstack(columns))


def take(rows: Rows, at: Ints) -> Rows:
    """Take some of the rows."""
    return Rows(
        rows.X[at],
        None if rows.offset is None else rows.offset[at],
        None if rows.sigma_X is None else rows.sigma_X[at],
        tuple(replace(m, Z=m.Z[at], codes=m.codes[at]) for m in rows.members),
        {role: values[at] for role, values in rows.roles.items()},
    )


def distinct_rows(table: Array) -> tuple[Ints, Ints]:
    """Find the rows of a table of numbers that are alike.

    Returns
    -------
    first : (kind,) array
        The first row of each kind.
    kind : (row,) array
        The kind of every row.

    Examples
    --------
    >>> distinct_rows(np.array([[1.0, 2.0], [3.0, 4.0], [1.0, 2.0]]))[1].tolist() in (
    ...     [0, 1, 0], [1, 0, 1])
    True
    """
    # Sorted by one number made of all of them, which takes a tenth of the time.
    mixed = np.zeros(len(table), dtype=np.uint64)
    for column in table.T:
        mixed ^= np.ascontiguousarray(column + 0.0).view(np.uint64)
        mixed *= _MIX
        mixed ^= mixed >> np.uint64(29)
    _, first, kind = np.unique(mixed, return_index=True, return_inverse=True)
    kind = kind.ravel()
    if any((column != column[first][kind]).any() for column in table.T):  # by chance
        _, first, kind = np.unique(table, axis=0, return_index=True, return_inverse=True)
    return first, kind.ravel()
