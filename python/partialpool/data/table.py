"""The columns that the rest of the pipeline works on, whatever table they came from."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from partialpool.errors import InputError, did_you_mean

Array = np.ndarray[Any, np.dtype[Any]]


class Note(NamedTuple):
    """Something to say about data that were read: the core of a finding."""

    code: str
    message: str
    remedy: str = ""


class Column(Struct, frozen=True):
    """One column: its values, where they are missing, and what kind of values they are.

    Parameters
    ----------
    name : str
        The column's name.
    kind : {"number", "boolean", "string", "categorical", "date"}
        What the values are.
    values : numpy.ndarray
        float64, int64 or uint64 for numbers, bool, objects of ``str`` for strings, the categories
        themselves for categorical columns, datetime64 for dates. Rows that are missing hold any
        placeholder.
    missing : numpy.ndarray
        True in the rows without a value.
    categories : tuple, optional
        The categories in their order, for categorical columns.
    ordered : bool
        True where the table says that this order has a meaning.
    texts : numpy.ndarray, optional
        The values as they stood in the table, where they do not follow from `values`: ``1E1`` and
        ``10`` are one number and two labels.
    notes : tuple of Note
        What to say of how the column was read.
    said : {"nobody", "table", "user"}
        Who says that text is text: nobody of what a CSV file holds.
    """

    name: str
    kind: str
    values: Array
    missing: Array
    categories: tuple[Any, ...] | None = None
    ordered: bool = False
    texts: Array | None = None
    notes: tuple[Note, ...] = ()
    said: Literal["nobody", "table", "user"] = "table"

    def __post_init__(self) -> None:
        self.missing.flags.writeable = False

    def __len__(self) -> int:
        return len(self.values)

    def rows(self, keep: Array | slice) -> Column:
        """Return the column with only the rows that ``keep`` (a mask, indices, a slice) selects.

        Examples
        --------
        >>> c = Column("x", "number", np.array([1.0, 2.0]), np.array([False, False]))
        >>> c.rows(np.array([False, True])).values
        array([2.])
        """
        texts = None if self.texts is None else self.texts[keep]
        return replace(self, values=self.values[keep], missing=self.missing[keep], texts=texts)

    @property
    def labels(self) -> Array:
        """What its values are called where they name things: as they stood in the table."""
        return self.values if self.texts is None else self.texts


class Table(Struct, frozen=True):
    """Columns of equal length, and a few words that say where they came from."""

    columns: dict[str, Column]
    n_rows: int
    source: str

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(self.columns)

    @property
    def index(self) -> None:
        """The rows have no names of their own."""
        return None

    def take(self, names: Iterable[str], labels: Iterable[str] = ()) -> Table:
        """Return a table with only these columns; an unknown name is an error.

        Examples
        --------
        >>> x = Column("x", "number", np.array([1.0]), np.array([False]))
        >>> Table({"x": x}, 1, "the table").take(["x"]).names
        ('x',)
        """
        names = list(dict.fromkeys(names))
        check_known(names, self.names, self.source)
        return Table({name: self.columns[name] for name in names}, self.n_rows, self.source)

    def rows(self, keep: Array) -> Table:
        """Return the table with only the rows that ``keep`` (indices) selects."""
        columns = {name: column.rows(keep) for name, column in self.columns.items()}
        return Table(columns, len(keep), self.source)

    def __repr__(self) -> str:
        shown = ", ".join(f"{c.name} ({c.kind})" for c in self.columns.values())
        return f"Table from {self.source}: {self.n_rows} rows, {shown}"


class Reader(Protocol):
    """What reads a kind of table; `Source` wraps it."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all columns."""
        ...

    @property
    def n_rows(self) -> int:
        """The number of rows."""
        ...

    @property
    def source(self) -> str:
        """A few words for messages."""
        ...

    @property
    def index(self) -> Any:
        """What pandas calls the rows; None where they have no names of their own."""
        ...

    def read(self, names: Iterable[str], labels: Iterable[str]) -> dict[str, Column]:
        """Convert these columns; of those in `labels` also the texts that name things."""
        ...


def check_known(names: Iterable[str], known: Iterable[str], source: str) -> None:
    """Raise an error for the first name that is not among the known ones."""
    known = tuple(known)
    present = set(known)
    for name in names:
        if name not in present:
            raise InputError(
                f"there is no column `{name}` in {source}", remedy=did_you_mean(name, known)
            )


def check_names(names: Iterable[Any], source: str) -> tuple[str, ...]:
    """Return the names as text; a name that occurs twice is an error.

    Examples
    --------
    >>> check_names(["x", 3], "the table")
    ('x', '3')
    """
    texts = tuple(str(name) for name in names)
    seen: set[str] = set()
    for text in texts:
        if text in seen:
            raise InputError(
                f"the column name `{text}` occurs more than once in {source}",
                remedy="give every column a name of its own",
            )
        seen.add(text)
    return texts


def check_rows(n_rows: int, source: str) -> None:
    """Raise an error for a table without rows."""
    if n_rows == 0:
        raise InputError(f"{source} has no rows", remedy="give at least one row of data")
