"""Dask data frames → columns; and work done on their partitions where these are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, groupby
from typing import Any, TypeVar

import numpy as np

from partialpool.arrays import Ints
from partialpool.cluster.spread import Join, Work
from partialpool.data.framed import ROWS, TextKind
from partialpool.data.frames import FrameReader
from partialpool.data.reading import USUAL, Reading
from partialpool.data.table import Column, check_names, check_rows
from partialpool.errors import InputError, PartialPoolError, short

T = TypeVar("T")

# Types whose columns only the whole of them tells.
_WHOLE = {"Object", "Unknown", "Int128", "UInt128"}
_PARTS = 16  # side by side in which keys are joined


def is_dask(data: Any) -> bool:
    """Whether this is a Dask data frame; nothing of Dask is imported to see it."""
    module = type(data).__module__
    return module.startswith(("dask.dataframe.", "dask_expr.")) and hasattr(data, "to_delayed")


class DaskReader:
    """A Dask data frame, of which only what is used is computed.

    Parameters
    ----------
    frame : dask.dataframe.DataFrame
        The table.
    how : Reading
        What is said about it.
    """

    index = None
    source = "the Dask data frame"

    def __init__(self, frame: Any, how: Reading = USUAL) -> None:
        import narwhals as nw

        self.names = check_names(frame.columns, self.source)
        self._keys = dict(zip(self.names, frame.columns, strict=True))
        self._frame, self._how = frame, how
        self._types = nw.from_native(frame._meta, eager_only=True).schema

    @property
    def n_rows(self) -> int:
        """The number of rows, which are counted."""
        count = int(_attempt(lambda: len(self._frame)))
        check_rows(count, self.source)
        return count

    def read(self, names: Iterable[str], labels: Iterable[str]) -> dict[str, Column]:
        """Bring these columns here."""
        names = tuple(names)
        frame = _attempt(self._select(names).compute)
        frame.columns = list(names)
        return FrameReader(frame, self.source, self._how).read(names, labels)

    def texts(self, names: Iterable[str], labels: Iterable[str]) -> dict[str, TextKind] | None:
        """Say which columns are text; None where only the whole of them tells what they are."""
        found, labels = {}, frozenset(labels)
        for name in names:
            kind = type(self._types[self._keys[name]]).__name__
            if kind == "String":
                found[name] = TextKind()
            elif kind in ("Categorical", "Enum"):
                own = self._frame[self._keys[name]].cat
                if not own.known or not all(isinstance(one, str) for one in own.categories):
                    return None
                categories = tuple(own.categories)
                found[name] = TextKind(categories=categories, ordered=bool(own.ordered))
            elif kind in _WHOLE or name in self._how.text or (kind == "Decimal" and name in labels):
                return None
        return found

    def count(self, name: str) -> tuple[list[str], Ints]:
        """Count the rows that have each text of a column."""
        found = _attempt(self._frame[self._keys[name]].dropna().value_counts().compute)
        return [str(text) for text in found.index], found.to_numpy().astype(np.int64)

    def reduce(self, names: Iterable[str], work: Work, join: Join) -> list[tuple[int, Any]]:
        """Let workers do this with the rows that each has, and join what has the same key.

        Raises
        ------
        InputError
            If a worker says so, or Dask could not finish.
        """
        import dask

        names = list(names)
        share, dealt, joined = (dask.delayed(own) for own in (_share, _dealt, _joined))
        partitions = _attempt(self._select(names).to_delayed)
        shares, parts = (
            [share(one, names, work) for one in partitions],
            min(len(partitions), _PARTS),
        )
        ends = [joined([dealt(own, part, parts) for own in shares], join) for part in range(parts)]
        found = chain.from_iterable(_attempt(lambda: dask.compute(*ends)))
        return sorted(found, key=lambda one: one[0])

    def _select(self, names: Iterable[str]) -> Any:
        return self._frame[[self._keys[name] for name in names]]


def _share(partition: Any, names: list[str], work: Work) -> list[tuple[int, Any]]:
    """What a worker does with a partition."""
    partition = partition.set_axis(names, axis=1)
    firsts = range(0, len(partition), ROWS)
    return list(work(partition.iloc[first : first + ROWS] for first in firsts))


def _dealt(share: list[tuple[int, Any]], part: int, parts: int) -> list[tuple[int, Any]]:
    return [one for one in share if one[0] % parts == part]


def _joined(shares: list[list[tuple[int, Any]]], join: Join) -> list[tuple[int, Any]]:
    """Join tables by key, those of earlier partitions first."""

    def by_key() -> Iterator[tuple[int, Any]]:
        ordered = sorted(chain.from_iterable(shares), key=lambda one: one[0])
        for key, own in groupby(ordered, key=lambda one: one[0]):
            for table in join(key, [table for _, table in own]):
                yield key, table

    return list(by_key())


def _attempt(action: Callable[[], T]) -> T:
    """Let Dask do something; whatever it raises becomes one sentence."""
    try:
        return action()
    except PartialPoolError:
        raise
    except Exception as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise InputError(
            f"Dask could not finish ({short((lines or [type(error).__name__])[0], 200)})",
            remedy="see whether `.compute()` of the columns works",
        ) from None
