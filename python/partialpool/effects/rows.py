"""Rows of a design that are merged, averaged, or paired at two values."""

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


def averaged(rows: Rows, weights: Array) -> tuple[Rows, Array, Array]:
    """Rows of the same levels as one, with the averages of their columns.

    For what is linear in the columns.

    Returns
    -------
    rows : Rows
        One for each combination of levels.
    counts, weights : (row,) arrays
        How many rows each was, and their weight.
    """
    codes = np.stack([np.zeros(len(rows), dtype=np.int64), *(m.codes for m in rows.members)])
    _, first, kind = np.unique(codes, axis=1, return_index=True, return_inverse=True)
    kind = kind.ravel()
    total = np.bincount(kind, weights).astype(np.float64)

    def mean(columns: Array) -> Array:
        start = columns[first]  # far from zero, sums of differences are exact
        change = (columns - start[kind]) * weights[:, None]
        sums = [np.bincount(kind, own, len(first)) for own in change.T]
        return start + np.reshape(sums, (columns.shape[1], len(first))).T / total[:, None]

    found = Rows(
        mean(rows.X),
        None if rows.offset is None else mean(rows.offset[:, None])[:, 0],
        None,
        tuple(replace(m, Z=mean(m.Z), codes=m.codes[first]) for m in rows.members),
        {},
    )
    return found, np.bincount(kind).astype(np.float64), total


def derived(low: Rows, high: Rows, steps: Array) -> Rows:
    """The slopes of columns between two ends: for what is linear in the columns."""
    members = zip(low.members, high.members, strict=True)
    width = steps[:, None]
    return Rows(
        (high.X - low.X) / width,
        None,
        None,
        tuple(replace(m, Z=(n.Z - m.Z) / width) for m, n in members),
        {},
    )
