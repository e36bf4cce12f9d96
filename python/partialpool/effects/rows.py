"""Rows of a design that are averaged, or paired at two values."""

from __future__ import annotations

from typing import Any

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from partialpool.arrays import Array
from partialpool.design.rows import Rows


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
