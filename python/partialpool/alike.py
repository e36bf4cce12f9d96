"""Which rows of several columns are equal: found by a hash, then held against each other."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from partialpool.arrays import Array, Ints

# The finaliser of SplitMix64 (Steele, Lea & Flood 2014).
_STEP = np.uint64(0x9E3779B97F4A7C15)
_FACTORS = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
_SHIFTS = (np.uint64(30), np.uint64(27), np.uint64(31))


class Kinds(Struct, frozen=True, eq=False, dict=True):
    """Rows sorted into kinds: rows of a kind are equal.

    Attributes
    ----------
    of : (n,) array of int
        The kind of every row, counted in the order in which kinds first occur.
    first : (k,) array of int
        The first row of every kind.
    """

    of: Ints
    first: Ints

    def __len__(self) -> int:
        return len(self.first)

    @cached_property
    def counts(self) -> Array:
        """How many rows are of each kind."""
        return np.bincount(self.of, minlength=len(self)).astype(np.float64)

    def add(self, values: Array) -> Array:
        """Sums of the rows of each kind."""
        return np.bincount(self.of, values, len(self)).astype(np.float64)

    def most(self, values: Array) -> Array:
        """Give the largest of each kind."""
        found = np.full(len(self), -np.inf)
        np.maximum.at(found, self.of, values)
        return found


def kinds_of(columns: Sequence[NDArray[Any]], n_rows: int) -> Kinds:
    """Sort rows into kinds by all of their columns, numbers of 8 bytes.

    Examples
    --------
    >>> found = kinds_of([np.array([0.5, 0.5, 2.0, -0.0, 0.0]), np.array([1, 1, 1, 3, 3])], 5)
    >>> found.of, found.first
    (array([0, 0, 1, 2, 2]), array([0, 2, 3]))
    """
    for attempt in range(1, 100):
        found = _sorted_by(_hashes(columns, n_rows, np.uint64(attempt)))
        if all(np.array_equal(column[found.first][found.of], column) for column in columns):
            return found
    raise AssertionError("a hundred hashes in which different rows are the same")


def _hashes(columns: Sequence[NDArray[Any]], n_rows: int, seed: np.uint64) -> NDArray[np.uint64]:
    """One number for each row: equal rows have equal ones, others hardly ever."""
    hashes = np.full(n_rows, seed)
    mixed = np.empty_like(hashes)
    for column in columns:
        # −0 is 0.
        values = column + 0.0 if column.dtype.kind == "f" else np.ascontiguousarray(column)
        hashes ^= values.view(np.uint64)
        hashes += _STEP
        for shift, factor in zip(_SHIFTS, (*_FACTORS, None), strict=True):
            np.right_shift(hashes, shift, out=mixed)
            hashes ^= mixed
            if factor is not None:
                hashes *= factor
    return hashes


def _sorted_by(hashes: NDArray[np.uint64]) -> Kinds:
    """Sort rows by hashes, in a table that has room for the first row of every kind."""
    n = len(hashes)
    rows = np.arange(n)
    earliest = np.empty(n, dtype=np.int64)
    bits = max(8, int(n).bit_length())
    table = np.empty(1 << bits, dtype=np.int64)
    left, turn = rows, 0
    while len(left):
        # The table is keyed by other bits whenever kinds had to share a place.
        own = hashes[left]
        place = (_rotated(own, turn) >> np.uint64(64 - bits)).astype(np.int64)
        table[place[::-1]] = left[::-1]  # the last that is written stays: the earliest row
        found = table[place]
        same = hashes[found] == own
        earliest[left[same]] = found[same]
        left, turn = left[~same], turn + 11
    first = np.flatnonzero(earliest == rows)
    rank = np.empty(n, dtype=np.int64)
    rank[first] = np.arange(len(first))
    return Kinds(rank[earliest], first)


def _rotated(values: NDArray[np.uint64], bits: int) -> NDArray[np.uint64]:
    by = np.uint64(bits % 64)
    return values if by == 0 else (values << by) | (values >> (np.uint64(64) - by))
