"""Open any table: data frames, dicts of arrays, DuckDB relations and files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from partialpool.data.delimited import DelimitedReader
from partialpool.data.describe import describe
from partialpool.data.files import open_file
from partialpool.data.framed import Framed, Frames
from partialpool.data.frames import FrameReader
from partialpool.data.mapping import MappingReader
from partialpool.data.reading import USUAL, Reading, check_reading
from partialpool.data.relations import RelationReader
from partialpool.data.streams import StreamReader, open_exported, open_stream
from partialpool.data.table import Reader, Table, check_known, check_rows
from partialpool.data.values import as_said
from partialpool.errors import InputError, did_you_mean


class Source:
    """A table whose columns are converted only when they are taken.

    Attributes
    ----------
    names : tuple of str
        The names of all columns.
    source : str
        A few words for messages.
    reader : Reader
        What reads it.
    how : Reading
        What users say about it.
    """

    def __init__(self, reader: Reader, how: Reading = USUAL) -> None:
        self.reader, self.how = reader, how
        self.names, self.source = reader.names, reader.source
        for name in how.text:
            if name not in self.names:
                raise InputError(
                    f"`text` names `{name}`, which is no column of {self.source}",
                    remedy=did_you_mean(name, self.names),
                )

    @property
    def n_rows(self) -> int:
        """The number of rows."""
        return self.reader.n_rows

    def has_more_than(self, rows: int) -> bool:
        """Whether there are more rows than so many, without reading what can be read only once."""
        if isinstance(self.reader, StreamReader):
            return self.reader.has_more_than(rows)
        if isinstance(self.reader, DelimitedReader) and self.reader.size < 2 * rows:
            return False  # no line has less than two bytes
        return self.n_rows > rows

    @property
    def is_spent(self) -> bool:
        """Whether its rows could be read only once, and were."""
        return isinstance(self.reader, StreamReader) and self.reader.is_spent

    @property
    def index(self) -> Any:
        """What pandas calls the rows; None where they have no names of their own."""
        return self.reader.index

    def take(self, names: Iterable[str], labels: Iterable[str] = ()) -> Table:
        """Convert these columns; those in `labels` are to name things."""
        names = list(dict.fromkeys(names))
        check_known(names, self.names, self.source)
        columns = self.reader.read(names, frozenset(labels)) if names else {}
        n_rows = len(columns[names[0]]) if names else self.n_rows
        check_rows(n_rows, self.source)
        if self.how is not USUAL:
            columns = {name: as_said(column, self.how) for name, column in columns.items()}
        return Table(columns, n_rows, self.source)

    def frames(self, names: Iterable[str], labels: Iterable[str] = ()) -> Frames | None:
        """Give these columns in frames; None where only the whole of them tells what they are."""
        names = list(dict.fromkeys(names))
        check_known(names, self.names, self.source)
        if not isinstance(self.reader, Framed):
            return None
        return self.reader.frames(names, frozenset(labels))

    def __repr__(self) -> str:
        return describe(self)


def open_table(data: Any, how: Reading = USUAL) -> Source | Table:
    """Open a table; nothing is converted until its columns are taken.

    Parameters
    ----------
    data : object
        A data frame (pandas, polars eager or lazy, pyarrow), a DuckDB relation, a mapping of names
        to arrays or lists, a path (see `open_file`), or a table that is open already.
    how : Reading
        What is said about it.

    Returns
    -------
    Source or Table
        Its ``names``, ``n_rows``, and ``take(names)``.

    Examples
    --------
    >>> open_table({"x": [1, 2], "y": [1.5, None]}).take(["y"])
    Table from the table: 2 rows, y (number)
    """
    if isinstance(data, (Table, Source)):
        return data
    if how.encoding is not None and not isinstance(data, (str, os.PathLike)):
        raise _not_a_text_file()
    return Source(_reader(data, how), how)


def read(
    data: Any,
    *,
    na: str | Iterable[str] | None = None,
    decimal: str | None = None,
    text: str | Iterable[str] | None = None,
    encoding: str | None = None,
) -> Source:
    """Say how to read a table, where it does not speak for itself.

    What this returns is taken wherever data are. Print it to see what each column is taken for.

    Parameters
    ----------
    data : path, DataFrame or dict of arrays
        As in :func:`fit`.
    na : str or list of str, optional
        What stands for missing values, in all columns; empty cells always do. By default NA, NULL,
        NaN and the like do, and among numbers also ``-``, ``.``, ``?``.
    decimal : {".", ","}, optional
        The decimal mark; the other may then stand between thousands. By default each column says by
        itself how its numbers are written, or it is an error.
    text : str or list of str, optional
        Columns that hold labels, whatever they look like.
    encoding : str, optional
        Of a text file, such as ``"latin-1"``; by default UTF-8.

    Returns
    -------
    Source
        An open table. Its columns are read when they are needed.

    Raises
    ------
    InputError
        If there is no such table, or an option cannot be used.

    Examples
    --------
    >>> import partialpool as pp
    >>> pp.read({"id": ["1", "2", "9"], "x": ["1,5", "2,25", "-"]}, text="id")
    the table: 3 rows
      id  text: `1`, `2`, `9`
      x   numbers from 1.5 to 2.25, 1 missing
    In `x` these are taken as missing (rows): `-` (1). If one of them is a value, say which marks
    are not: `pp.read(…, na=[…])`.
    `x` is read with decimal commas: `1,5` is 1.5.
    """
    how = check_reading(na, decimal, text, encoding)
    if isinstance(data, (Table, Source)):
        raise InputError("the table is open already", remedy="give what it was opened from")
    opened = open_table(data, how)
    assert isinstance(opened, Source)
    return opened


def _reader(data: Any, how: Reading) -> Reader:
    if isinstance(data, (str, os.PathLike)):
        return open_file(os.fspath(data), how)
    if isinstance(data, Mapping):
        return MappingReader(data, how)
    if type(data).__module__.split(".")[0] in {"duckdb", "_duckdb"}:
        return RelationReader(data, "the relation", how)
    stream = open_stream(data, "the table")
    if stream is not None:
        return StreamReader(stream, "the table", how)
    try:
        return FrameReader(data, "the table", how)
    except TypeError:
        stream = open_exported(data, "the table")
        if stream is not None:
            return StreamReader(stream, "the table", how)
        raise InputError(
            f"a {type(data).__name__} is not a table that can be read",
            remedy="give a data frame, a dict of arrays, a DuckDB relation or a path",
        ) from None


def _not_a_text_file() -> InputError:
    return InputError("`encoding` is given, but the table is no text file", remedy="leave it out")
