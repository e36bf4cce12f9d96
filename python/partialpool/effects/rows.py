"""Rows of a design that are merged where they are alike, and paired at two values."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from partialpool.arrays import Array, Ints
from partialpool.design.rows import Rows


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


def averaged(rows: Rows, weights: Array) -> Rows:
    """One row with the average of all, for what is linear in their columns and knows no levels.

    Averages are those of differences from the first row: far from zero, these are exact.

    Examples
    --------
    >>> X = np.array([[1.0, 1e15], [1.0, 1e15 + 2.0]])
    >>> averaged(Rows(X, None, None, (), {}), np.array([1.0, 1.0])).X - X[0]
    array([[0., 1.]])
    """
    share = weights / weights.sum()

    def average(values: Array) -> Array:
        return np.asarray(values[:1] + share @ (values - values[:1]))

    row = take(rows, np.zeros(1, dtype=np.int64))
    offset = None if rows.offset is None else average(rows.offset)
    return replace(row, X=average(rows.X), offset=offset)


def interleaved(low: Rows, high: Rows) -> Rows:
    """Rows in pairs, so that both are computed in the same way and errors cancel."""

    def pairs(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
        return np.stack([a, b], axis=1).reshape(2 * len(a), *a.shape[1:])

    def some(a: Array | None, b: Array | None) -> Array | None:
        return None if a is None or b is None else pairs(a, b)

    members = zip(low.members, high.members, strict=True)
    return Rows(
        pairs(low.X, high.X),
        some(low.offset, high.offset),
        some(low.sigma_X, high.sigma_X),
        tuple(replace(m, Z=pairs(m.Z, n.Z), codes=pairs(m.codes, n.codes)) for m, n in members),
        {role: pairs(values, high.roles[role]) for role, values in low.roles.items()},
    )


def without_common(low: Rows, high: Rows) -> tuple[Rows, Rows]:
    """Without columns that are alike at both ends: they cancel in differences of what is linear.

    Far from zero, rounding would leave more of them than the difference is.
    """

    def change(a: Array, b: Array) -> tuple[Array, Array]:
        alike = (a == b).all(axis=0)
        return np.where(alike, 0.0, a), np.where(alike, 0.0, b)

    X = change(low.X, high.X)
    Z = [change(m.Z, n.Z) for m, n in zip(low.members, high.members, strict=True)]

    def end(rows: Rows, side: int) -> Rows:
        members = zip(rows.members, Z, strict=True)
        own = tuple(replace(member, Z=pair[side]) for member, pair in members)
        return replace(rows, X=X[side], offset=None, members=own)

    return end(low, 0), end(high, 1)
