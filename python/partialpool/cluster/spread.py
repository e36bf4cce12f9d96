"""Tables whose rows lie with the workers of a cluster: what they do there, and what comes back.

What a column of text says, all of its texts tell together; so they are counted first, and every
worker then reads its own rows as the table's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from typing import Any, Protocol, runtime_checkable

from msgspec import Struct

from partialpool.arrays import Ints
from partialpool.batches.batches import Batches
from partialpool.batches.texts import Texts
from partialpool.data.framed import Frames, TextKind
from partialpool.data.reading import Reading
from partialpool.data.table import Note
from partialpool.errors import InputError
from partialpool.version import __version__

Work = Callable[[Iterator[Any]], Iterable[tuple[int, Any]]]
"""Frames with some of the rows → pyarrow tables, each under a key."""
Join = Callable[[int, list[Any]], Iterable[Any]]
"""A key, and all tables under it → those that stand for them."""


@runtime_checkable
class Cluster(Protocol):
    """A reader whose rows lie with workers."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all columns."""
        ...

    @property
    def source(self) -> str:
        """A few words for messages."""
        ...

    def texts(self, names: Iterable[str], labels: Iterable[str]) -> dict[str, TextKind] | None:
        """Say which columns are text; None where only the whole of them tells what they are."""
        ...

    def count(self, name: str) -> tuple[list[str], Ints]:
        """Count the rows that have each text of a column."""
        ...

    def reduce(self, names: Iterable[str], work: Work, join: Join) -> list[tuple[int, Any]]:
        """Let workers do this with the rows that each has, and join what has the same key.

        `work` and `join` can be sent to workers. What is joined comes here, in the order of keys.
        """
        ...


class Spread:
    """Columns of a table that lies with the workers of a cluster.

    Parameters
    ----------
    reader : Cluster
        The table.
    names : sequence of str
        The columns that are wanted.
    kinds : mapping of str to TextKind
        Those that are text.
    how : Reading
        What users say about the table.

    Attributes
    ----------
    distinct : dict of str to Column
        The different texts of a column of text, and what they say.
    """

    def __init__(
        self, reader: Cluster, names: Iterable[str], kinds: Mapping[str, TextKind], how: Reading
    ) -> None:
        self.names, self.source = tuple(names), reader.source
        self._reader, self._how = reader, how
        self._texts = {}
        for name, kind in kinds.items():
            own = Texts(kind)
            if kind.categories is None:
                own.count(*reader.count(name))
            own.settle(name, how)
            self._texts[name] = own
        self.distinct = {name: own.column for name, own in self._texts.items()}

    def notes(self, name: str) -> tuple[Note, ...]:
        """What to say of how a column is read."""
        return self.distinct[name].notes if name in self.distinct else ()

    def reduce(
        self, work: Callable[[Batches], Iterable[tuple[int, Any]]], join: Join
    ) -> list[tuple[int, Any]]:
        """Let workers do this with batches of the rows that each has; see `Cluster.reduce`."""
        task = _Task(self.names, self._texts, self.source, self._how, work)
        return self._reader.reduce(self.names, task, join)


class _Task(Struct, frozen=True):
    """What a worker does with its rows."""

    names: tuple[str, ...]
    texts: Mapping[str, Texts]
    source: str
    how: Reading
    work: Callable[[Batches], Iterable[tuple[int, Any]]]
    version: str = __version__

    def __call__(self, frames: Iterator[Any]) -> Iterator[tuple[int, Any]]:
        with at_work(self.version):
            first = next(frames, None)
            if first is not None:
                given = Frames(lambda names, rows: chain([first], frames))
                batches = Batches(self.names, given, self.source, self.how, self.texts)
                yield from self.work(batches)


@contextmanager
def at_work(version: str) -> Iterator[None]:
    """What a worker does with some rows, sent by this version.

    Raises
    ------
    InputError
        If the worker has another one; and what is raised inside, which says where it was.
    """
    if version != __version__:
        raise InputError(
            f"the workers have partialpool {__version__}, and this is {version}",
            remedy="install the same version there",
        )
    try:
        yield
    except InputError as error:
        raise _somewhere(error) from None


def _somewhere(error: InputError) -> InputError:
    """An error that counts rows has counted those of one worker, in no order that users know.

    Examples
    --------
    >>> print(_somewhere(InputError("`x` is infinite in 2 rows", where="the first is row 7")))
    `x` is infinite in 2 rows (in one part of the table).
    """
    counted = re.search(r"\brows? \d|\brows\b", f"{error.what} {error.where or ''}")
    where = "in one part of the table" if counted else error.where
    return InputError(error.what, where=where, remedy=error.remedy)
