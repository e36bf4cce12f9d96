"""What columns of text say, which all of a table tells, for the parts in which it is predicted."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from msgspec import Struct

from partialpool.batches.texts import Texts
from partialpool.data import Column, Source, Table
from partialpool.data.framed import TextKind
from partialpool.data.frames import FrameReader
from partialpool.data.reading import USUAL, Reading
from partialpool.errors import InputError
from partialpool.expressions.unclear import refuse_unclear


class Meanings(Struct, frozen=True):
    """How parts of a table are read, as pyarrow tables of some rows.

    Attributes
    ----------
    source : str
        A few words for messages.
    used : sequence of str
        The columns that matter.
    texts : mapping of str to Texts
        What those of text say, where numbers are wanted: `1,234` is one thing among `1,5`, and
        another among `1,234.5`.
    """

    source: str
    used: Sequence[str]
    how: Reading = USUAL
    texts: Mapping[str, Texts] = {}

    def columns(self, part: Any) -> Source | Table:
        """Return some rows as anything that `opened` opens."""
        reader = FrameReader(part, self.source, self.how)
        if not self.texts:
            return Source(reader, self.how)
        found = reader.read([name for name in self.used if name not in self.texts], ())
        found |= {name: own.rows(part.column(name))[0] for name, own in self.texts.items()}
        return Table({name: found[name] for name in self.used}, len(part), self.source)


def of_text(schema: Any, names: Collection[str]) -> list[str]:
    """Name the columns of text among these."""
    import pyarrow as pa

    kinds = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return [own.name for own in schema if own.name in names and any(is_(own.type) for is_ in kinds)]


def survey(
    batches: Iterable[Any] | None, names: Sequence[str], how: Reading, source: str
) -> dict[str, Texts]:
    """Look through all texts of some columns.

    Raises
    ------
    InputError
        If the rows come only once.
    """
    if not names:
        return {}
    if batches is None:
        raise InputError(
            f"`{names[0]}` is text in {source}, of which all texts tell what numbers they are, and "
            "the rows come only once",
            remedy="give it as numbers, or the rows as a file or a table in memory",
        )
    found = {name: Texts(TextKind()) for name in names}
    for batch in batches:
        for name, own in found.items():
            own.look(batch.column(name))
    for name, own in found.items():
        own.settle(name, how)
        check_clear(own.column)
    return found


def check_clear(column: Column) -> None:
    """Refuse different texts that look like numbers, but can be read in no one way.

    Raises
    ------
    InputError
        If they are such.
    """
    try:
        refuse_unclear(column, np.arange(len(column)))
    except InputError as error:
        raise InputError(error.what, remedy=error.remedy) from None


def late(opened: Any) -> Iterator[Any]:
    """Open what gives batches when the first is asked for."""
    yield from opened()
