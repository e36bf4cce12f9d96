"""A table as frames in memory, one after the other: what readers give that can."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from msgspec import Struct, field

from partialpool.data.table import Note

ROWS = 131_072
"""Rows of a batch: a column of them fits into a core's cache."""


class TextKind(Struct, frozen=True):
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


class Frames(Struct, frozen=True):
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
