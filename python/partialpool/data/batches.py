"""A table in batches of rows, whose columns mean what they mean in the whole table.

Numbers and dates say by their type what they are. What a column of text says, all of its texts tell
together: they are looked through once, beforehand, and each batch then says what they say.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np

from partialpool.arrays import Ints
from partialpool.data.failures import attempt
from partialpool.data.frames import convert
from partialpool.data.reading import USUAL, Reading
from partialpool.data.table import Array, Column, Note, Table, check_rows
from partialpool.data.values import as_said, read_texts

ROWS = 131_072
"""Rows of a batch: a column of them fits into a core's cache."""


@dataclass(frozen=True)
class TextKind:
    """How a column of text is to be read; see `read_texts`.

    Attributes
    ----------
    explicit, doubtful : bool
        As in `read_texts`.
    categories : tuple, optional
        Where these are categories: all that there are.
    ordered : bool
        Whether their order has a meaning.
    """

    explicit: bool = True
    doubtful: bool = False
    categories: tuple[str, ...] | None = None
    ordered: bool = False


@dataclass(frozen=True)
class Frames:
    """A table as frames in memory, one after the other.

    Attributes
    ----------
    open : callable
        Names of columns, and the number of rows of a frame → frames with these columns.
    texts : mapping of str to TextKind
        The columns that are text.
    notes : mapping of str to tuple of Note
        What to say of how other columns are read.
    once : bool
        Whether it can be read only once.
    """

    open: Callable[[Sequence[str], int], Iterator[Any]]
    texts: Mapping[str, TextKind] = field(default_factory=dict)
    notes: Mapping[str, tuple[Note, ...]] = field(default_factory=dict)
    once: bool = False


@runtime_checkable
class Framed(Protocol):
    """A reader that can give its table in frames."""

    def frames(self, names: Iterable[str], labels: Iterable[str]) -> Frames | None:
        """Give these columns; None where only the whole of them tells what they are."""
        ...


@dataclass(frozen=True)
class Batch:
    """Some rows of a table.

    Attributes
    ----------
    table : Table
        Their columns.
    first : int
        Rows before them.
    places : mapping of str to array
        By column of text: each row's place among its different texts, −1 where it has none.
    """

    table: Table
    first: int
    places: Mapping[str, Ints] = field(default_factory=dict)


class Batches:
    """A table in batches of rows, which can be asked for again and again.

    Parameters
    ----------
    names : sequence of str
        The columns that are wanted.
    given : Frames or Table
        What there is: frames, or all columns at once.
    source : str
        A few words for messages.
    how : Reading
        What users say about the table.
    texts : mapping of str to Texts, optional
        What columns of text say, where it is known.

    Attributes
    ----------
    distinct : dict of str to Column
        The different texts of a column of text, and what they say.
    """

    def __init__(
        self,
        names: Sequence[str],
        given: Frames | Table,
        source: str,
        how: Reading,
        texts: Mapping[str, Texts] | None = None,
    ) -> None:
        self.names, self.source = tuple(names), source
        self._given, self._how = given, how
        self._texts = dict(texts or {})
        if isinstance(given, Frames) and texts is None:
            self._texts = {name: Texts(own) for name, own in given.texts.items() if name in names}
            if not self.is_unsurveyed:
                self._survey(given)
        known = {} if self.is_unsurveyed else self._texts
        self.distinct = {name: own.column for name, own in known.items()}
        self._begun: tuple[Batch, Generator[Batch]] | None = None

    @property
    def once(self) -> bool:
        """Whether there is only one pass over the rows."""
        return isinstance(self._given, Frames) and self._given.once

    @property
    def is_unsurveyed(self) -> bool:
        """Whether there is text that would have to be looked through first, in the only pass."""
        return self.once and any(own.kind.categories is None for own in self._texts.values())

    @property
    def first(self) -> Batch:
        """The first batch, which the next pass begins with."""
        if self._begun is None:
            batches = self._pass()
            self._begun = next(batches), batches
        return self._begun[0]

    def __iter__(self) -> Iterator[Batch]:
        if self._begun is None:
            return self._pass()
        first, others = self._begun
        self._begun = None
        return itertools.chain([first], others)

    def close(self) -> None:
        """End a pass that was begun: a database has room for one at a time."""
        if self._begun is not None:
            self._begun[1].close()
            self._begun = None

    def _pass(self) -> Generator[Batch]:
        first = 0
        if isinstance(self._given, Table):
            table = self._given
            for first in range(0, table.n_rows, ROWS):
                rows = slice(first, min(first + ROWS, table.n_rows))
                some = {name: table.columns[name].rows(rows) for name in self.names}
                yield Batch(Table(some, rows.stop - first, self.source), first)
            return
        for frame in self._frames(self._given, self.names):
            columns, places = {}, {}
            for name in self.names:
                if name in self._texts:
                    columns[name], places[name] = self._texts[name].rows(frame[name].to_arrow())
                else:
                    own = convert(name, frame, name, self._how)
                    columns[name] = own if self._how is USUAL else as_said(own, self._how)
            yield Batch(Table(columns, len(frame), self.source), first, places)
            first += len(frame)
        check_rows(first, self.source)

    def notes(self, name: str) -> tuple[Note, ...]:
        """What to say of how a column is read."""
        if isinstance(self._given, Table):
            return self._given.columns[name].notes
        if name in self.distinct:
            return self.distinct[name].notes
        return self._given.notes.get(name, ())

    def _survey(self, given: Frames) -> None:
        """Look through all texts."""
        if any(own.kind.categories is None for own in self._texts.values()):
            for frame in self._frames(given, list(self._texts)):
                for name, own in self._texts.items():
                    own.look(frame[name].to_arrow())
        for name, own in self._texts.items():
            own.settle(name, self._how)

    def _frames(self, given: Frames, names: Sequence[str]) -> Iterator[Any]:
        import narwhals as nw

        frames = attempt(self.source, lambda: iter(given.open(names, ROWS)))
        while (frame := attempt(self.source, lambda: next(frames, None))) is not None:
            if len(frame):
                yield nw.from_native(frame, eager_only=True)


class Texts:
    """The different texts of a column, and what they say."""

    column: Column

    def __init__(self, kind: TextKind) -> None:
        self.kind = kind
        self._place: dict[str, int] = {text: k for k, text in enumerate(kind.categories or ())}
        self._counts = np.zeros(0, dtype=np.int64)

    def look(self, values: Any) -> None:
        """Take note of texts."""
        found, codes = encoded(values)
        self.count(found, np.bincount(codes[codes >= 0], minlength=len(found)))

    def count(self, found: Sequence[str], rows: Ints) -> None:
        """Take note of different texts, and of how many rows have each."""
        places = [self._place.setdefault(text, len(self._place)) for text in found]
        counts = np.zeros(len(self._place), dtype=np.int64)
        counts[: len(self._counts)] = self._counts
        counts[places] += rows
        self._counts = counts

    def settle(self, name: str, how: Reading) -> None:
        """Say what the texts are, once all are known."""
        texts = np.empty(len(self._place), dtype=object)
        texts[:] = list(self._place)
        none, kind = np.zeros(len(texts), dtype=bool), self.kind
        if kind.categories is not None:
            self.column = Column(
                name, "categorical", texts, none, kind.categories, ordered=kind.ordered
            )
        else:
            self.column = read_texts(
                name,
                texts,
                none,
                how,
                explicit=kind.explicit,
                doubtful=kind.doubtful,
                counts=self._counts,
            )
        if how is not USUAL:
            self.column = as_said(self.column, how)
        # The place −1 is that of rows without a value.
        self._values = _extended(self.column.values)
        self._missing = np.append(self.column.missing, True)
        self._labels = None if self.column.texts is None else _extended(self.column.texts)

    def rows(self, values: Any) -> tuple[Column, Ints]:
        """Return the column of some rows, and the place of each row's text."""
        found, codes = encoded(values)
        own = np.fromiter(map(self._place.__getitem__, found), dtype=np.int64, count=len(found))
        places = np.append(own, -1)[codes]
        base = self.column
        column = Column(
            base.name,
            base.kind,
            self._values[places],
            self._missing[places],
            base.categories,
            base.ordered,
            None if self._labels is None else self._labels[places],
            base.notes,
            base.said,
        )
        return column, places


def _extended(values: Array) -> Array:
    """Append any value."""
    fill = np.empty(1, dtype=values.dtype)
    fill[0] = "" if values.dtype == object else np.zeros(1, dtype=values.dtype)[0]
    return np.concatenate([values, fill])


def encoded(values: Any) -> tuple[list[str], Ints]:
    """Return the different texts of an Arrow array, and each row's index into them (−1: none).

    Examples
    --------
    >>> import pyarrow as pa
    >>> found, codes = encoded(pa.array(["b", None, "a", "b"]))
    >>> found, codes.tolist()
    (['b', 'a'], [0, -1, 1, 0])
    """
    import pyarrow as pa

    if isinstance(values, pa.ChunkedArray):
        values = values.unify_dictionaries().combine_chunks()
    if isinstance(values, pa.ChunkedArray):
        values = values.chunk(0) if values.num_chunks else pa.array([], pa.string())
    if not pa.types.is_dictionary(values.type):
        values = values.cast(pa.large_string()).dictionary_encode()
    codes = values.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    found = values.dictionary.to_pylist()
    if None in found:  # a dictionary may hold a null of its own
        gone = found.index(None)
        codes = np.where(codes == gone, -1, codes - (codes > gone))
        found = [text for text in found if text is not None]
    return found, codes
