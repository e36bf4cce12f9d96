"""Levels of grouping columns, numbered as they come in batch after batch, and put in order at last.

What identifies a value is a whole number: an integer itself, the bits of a float or a date, the
place of a text among those of its column. So the core finds its number in a table, and no row meets
a loop of Python.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from partialpool import _core
from partialpool.arrays import Ints
from partialpool.data import Column
from partialpool.data.labels import distinct
from partialpool.design.grouping import factorize
from partialpool.design.interaction import Coded

from .wanted import WholeNeeded


class Levels:
    """The values of a column, by the numbers that they get as they come.

    Parameters
    ----------
    distinct : Column, optional
        The different texts of a column of text, whose places are its numbers.
    threads : int
        How many look for values side by side.
    """

    def __init__(self, distinct: Column | None = None, threads: int = 1) -> None:
        self._distinct, self._threads = distinct, threads
        self._index = _core.KeyIndex()
        self._objects: dict[Any, int] = {}
        self._like: Column | None = None
        self._unsigned = False

    def number(self, column: Column, places: Ints | None) -> Ints:
        """Return the number of each row's value; `places` are those of its text."""
        self._like = column if self._like is None else self._like
        if self._distinct is not None and places is not None:
            return self._add(places)
        values = column.labels
        if values.dtype == object:
            found, codes = distinct(values)
            known = [self._objects.setdefault(one, len(self._objects)) for one in found]
            return np.array(known, dtype=np.int64)[codes]
        self._unsigned |= values.dtype.kind == "u"
        return self._add(_keys(values))

    def _add(self, keys: Ints) -> Ints:
        return np.asarray(self._index.add(np.ascontiguousarray(keys), self._threads))

    @property
    def keys(self) -> Ints:
        """What identifies each value, by its number."""
        if self._objects:
            raise WholeNeeded("values of a column are told apart by more than whole numbers")
        return np.asarray(self._index.keys())

    def take(self, keys: Ints, like: Column) -> Ints:
        """Return the numbers of values that were identified elsewhere, in a column like this."""
        self._like = like if self._like is None else self._like
        self._unsigned |= like.labels.dtype.kind == "u"
        return self._add(keys)

    def column(self) -> Column:
        """Return the values that occurred, in the order of their numbers."""
        assert self._like is not None
        like, keys = self._like, np.asarray(self._index.keys())
        if self._objects:
            values = np.empty(len(self._objects), dtype=object)
            values[:] = list(self._objects)
            return _column(like, values)
        if self._distinct is not None:
            return self._distinct.rows(keys)
        kind = like.labels.dtype.kind
        if kind == "b":
            return _column(like, keys.astype(bool))
        if kind in "iu":
            return _column(like, keys.view(np.uint64) if self._unsigned else keys)
        return _column(like, keys.view(like.labels.dtype))

    def coded(self) -> Coded:
        """Return the values in order, as levels, and the place of each by its number."""
        return factorize(self.column())


class Tuples:
    """Combinations of numbers, which get numbers of their own as they come."""

    def __init__(self, width: int, threads: int = 1) -> None:
        self._threads = threads
        self._indices = [_core.KeyIndex() for _ in range(width - 1)]

    def number(self, parts: Sequence[Ints]) -> Ints:
        """Return the number of each row's combination."""
        codes = parts[0]
        for index, own in zip(self._indices, parts[1:], strict=True):
            codes = np.asarray(index.add((codes << 32) | own, self._threads))
        return codes

    def members(self, count: int) -> Ints:
        """Return the (width, combinations) numbers of those that occurred; `count` without any."""
        parts: list[Ints] = []
        codes = np.arange(count) if not self._indices else None
        for index in reversed(self._indices):
            keys = np.asarray(index.keys())
            keys = keys if codes is None else keys[codes]
            parts.insert(0, keys & 0xFFFFFFFF)
            codes = keys >> 32
        assert codes is not None
        return np.array([codes, *parts])


def _keys(values: NDArray[Any]) -> Ints:
    """Return whole numbers that tell values apart."""
    kind = values.dtype.kind
    if kind == "f":
        values = np.asarray(values, dtype=np.float64) + 0.0  # −0 is 0
    if kind in "fMu":
        return np.ascontiguousarray(values).view(np.int64)
    return np.ascontiguousarray(values, dtype=np.int64)


def _column(like: Column, labels: NDArray[Any]) -> Column:
    none = np.zeros(len(labels), dtype=bool)
    return replace(like, values=labels, missing=none, texts=None)
