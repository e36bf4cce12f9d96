"""A table in batches of rows, whose columns mean what they mean in the whole table.

Numbers and dates say by their type what they are. What a column of text says, all of its texts tell
together: they are looked through once, beforehand, and each batch then says what they say.
"""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct, field

from partialpool.arrays import Ints
from partialpool.data import Source
from partialpool.data.framed import ROWS, Frames
from partialpool.data.frames import convert
from partialpool.data.reading import USUAL, Reading
from partialpool.data.table import Note, Table, check_rows
from partialpool.data.values import as_said
from partialpool.files.failures import attempt

from .texts import Texts


def in_batches(source: Source, names: Iterable[str], labels: Iterable[str] = ()) -> Batches:
    """Give columns of a table in batches of rows; those in `labels` are to name things."""
    names = list(dict.fromkeys(names))
    frames = source.frames(names, labels)
    given = source.take(names, labels) if frames is None else frames
    return Batches(names, given, source.source, source.how)


class Batch(Struct, frozen=True):
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
