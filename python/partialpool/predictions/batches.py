"""A table of any size, read some rows at a time: Arrow tables with the types of its columns.

Only what has to be whole is read at once: tables that are in memory already, and kinds of files
that cannot be read in parts.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from msgspec import Struct

from partialpool.data.arrow import arrow_batches, arrow_schema
from partialpool.data.delimited import DelimitedReader
from partialpool.data.files import open_file, path_to_stream
from partialpool.data.parquet import parquet_batches, parquet_schema
from partialpool.data.reading import USUAL, Reading
from partialpool.data.relations import RelationReader
from partialpool.data.source import Source
from partialpool.data.streams import Stream, StreamReader, open_exported, open_stream
from partialpool.data.table import check_names
from partialpool.errors import InputError
from partialpool.files.failures import attempt, unreadable
from partialpool.predictions.meanings import Meanings, late, of_text, survey
from partialpool.predictions.text_parts import text_in_parts

T = TypeVar("T")

ROWS = 131_072  # that are read at a time


class Batch(Struct, frozen=True):
    """Some rows: as they are written again, and as anything that `open_table` opens."""

    table: Any
    data: Any


class Batches(Struct, frozen=True, eq=False):
    """A table in parts.

    Attributes
    ----------
    schema : pyarrow.Schema
        Of the columns that are written again.
    n_rows : int or None
        Where it is known.
    files : tuple of Path
        From which it is read.
    parts : function
        Starts to read: batches of so many rows, but the last.
    """

    source: str
    schema: Any
    n_rows: int | None
    parts: Callable[[int], Iterator[Batch]]
    files: tuple[Path, ...] = ()


def open_batches(
    data: Any, used: Collection[str], named: Collection[str], *, as_texts: bool
) -> Batches | None:
    """Open a table to be read in parts; None for one that is in memory, or has to be.

    Parameters
    ----------
    data : object
        What :func:`open_table` opens, and what Arrow reads in parts: datasets, scanners, and any
        object with ``__arrow_c_stream__``.
    used : collection of str
        The columns that matter, if they are there.
    named : collection of str
        Those of them of which only what values are called is wanted.
    as_texts : bool
        Whether text files are to be written again as they stand, not as what they are taken for.

    Raises
    ------
    InputError
        If there is no such table, or it cannot be read.
    """
    how, wanted = (data.how if isinstance(data, Source) else USUAL), _Wanted(used, named)
    data = data.reader if isinstance(data, Source) else data
    files: tuple[Path, ...] = ()
    if isinstance(data, (str, os.PathLike)):
        text = os.fspath(data)
        files = tuple(path for path in [Path(text)] if path.is_file())
        path = path_to_stream(text)
        about = None if path is None else attempt(path.name, partial(arrow_schema, path))
        if path is not None and about is not None:
            again = partial(arrow_batches, path)
            stream = _Stream(about[0], again(), about[1], lambda names: again())
            return _arrow(path.name, stream, how, wanted, files)
        data = open_file(text, how, in_parts=True)
    if isinstance(data, DelimitedReader):
        return _delimited(data, used, files, as_texts=as_texts)
    if type(data).__module__.split(".")[0] in {"duckdb", "_duckdb"}:
        data = RelationReader(data, "the relation", how)
    if isinstance(data, RelationReader) and data.files:
        schema, rows = parquet_schema(data.files)
        again = partial(parquet_batches, data.files, schema, ROWS)
        stream = _Stream(schema, again(), rows, lambda names: again())
        return _arrow(data.source, stream, how, wanted, data.files)
    if isinstance(data, RelationReader):
        rows = data.n_rows  # before the stream, which another query would end
        schema = data.stream(ROWS).schema
        again = partial(data.stream, ROWS)
        stream = _Stream(schema, late(again), rows, lambda names: again())
        return _arrow(data.source, stream, how, wanted, files)
    found = _stream(data)
    return None if found is None else _arrow("the table", found, how, wanted)


class _Wanted(Struct, frozen=True):
    """The columns that matter, and those of them of which only names are wanted."""

    used: Collection[str]
    named: Collection[str]


class _Stream(Struct, frozen=True):
    """What Arrow reads in parts; `again` reads some columns from the beginning, where that can be.

    It is called before the first of `batches` is taken.
    """

    schema: Any
    batches: Iterable[Any]
    n_rows: int | None = None
    again: Callable[[Sequence[str]], Iterable[Any]] | None = None


def _stream(data: Any) -> _Stream | None:
    """Take what Arrow can read in parts; None if it is nothing of the kind."""
    library, name = type(data).__module__.split(".")[0], type(data).__name__
    if (library, name) == ("polars", "DataFrame"):
        data = _as_arrow(data)
    found = data.given if isinstance(data, StreamReader) else open_stream(data, "the table")
    if found is None and library != "pandas":
        found = open_exported(data, "the table")
    if found is None:
        return None
    names = [name for name, _ in found.types]
    again: Callable[[Sequence[str]], Iterable[Any]] | None = None
    if not found.once:
        again = partial(_again, found)
    elif (library, type(data).__name__) in {("polars", "DataFrame"), ("pyarrow", "Table")}:
        again = partial(_itself, data)
    frames = attempt("the table", lambda: map(_as_arrow, found.batches(names, ROWS)))
    first = attempt("the table", lambda: next(frames, None))
    if first is None:
        first = _as_arrow(attempt("the table", lambda: found.whole(names)))
    rows = len(data) if hasattr(data, "__len__") else None
    if found.count is not None:
        rows = attempt("the table", found.count)
    every = itertools.chain([first], frames)
    batches = (batch for one in every for batch in one.to_batches())
    return _Stream(first.schema, batches, rows, again)


def _again(found: Stream, names: Sequence[str]) -> Iterator[Any]:
    return map(_as_arrow, found.batches(names, ROWS))


def _itself(table: Any, names: Sequence[str]) -> list[Any]:
    return [table]


def _as_arrow(frame: Any) -> Any:
    """A frame as Arrow, with types that all who read it know."""
    if type(frame).__module__.split(".")[0] != "polars":
        return frame
    import polars as pl

    return frame.to_arrow(compat_level=pl.CompatLevel.oldest())


def _arrow(
    source: str, stream: _Stream, how: Reading, wanted: _Wanted, files: tuple[Path, ...] = ()
) -> Batches:
    check_names(stream.schema.names, source)
    schema = stream.schema.remove_metadata()
    used = [name for name in schema.names if name in wanted.used]
    telling = of_text(schema, {*used} - {*wanted.named, *how.text})
    again = None if stream.again is None else _read(source, stream.again(telling))
    meanings = Meanings(source, used, how, survey(again, telling, how, source))

    def parts(size: int) -> Iterator[Batch]:
        read = _read(source, stream.batches)
        for table in _cut(_alike(read, schema, source), schema, size):
            yield Batch(table, meanings.columns(table))

    return Batches(source, schema, stream.n_rows, parts, files)


def _delimited(
    reader: DelimitedReader, used: Collection[str], files: tuple[Path, ...], *, as_texts: bool
) -> Batches:
    own = text_in_parts(reader, [n for n in reader.names if n in used], as_texts=as_texts)

    def parts(size: int) -> Iterator[Batch]:
        for table in _cut(own.batches(size), own.read_schema, size):
            yield Batch(own.shown(table), own.columns(table))

    return Batches(reader.source, own.schema, reader.n_rows, parts, files)


def _read(source: str, batches: Iterable[T]) -> Iterator[T]:
    """Batches, in which whatever a reader raises becomes one clear line that says where."""
    done, taken = 0, iter(batches)
    while True:
        try:
            batch = next(taken)
        except StopIteration:
            return
        except InputError:
            raise
        except Exception as error:  # whatever a reader does with what it meets
            where = f"{source}, after row {done:,}" if done else source
            raise unreadable(where, error) from None
        yield batch
        done += getattr(batch, "num_rows", 0)


def _alike(batches: Iterable[Any], schema: Any, source: str) -> Iterator[Any]:
    """Refuse a batch with other columns or types than the first."""
    done = 0
    for batch in batches:
        if batch.schema.names != schema.names or batch.schema.types != schema.types:
            pairs = zip(batch.schema, schema, strict=False)
            other = next(((a, b) for a, b in pairs if (a.name, a.type) != (b.name, b.type)), None)
            what = "has other columns than those before"
            if other is not None:
                what = f"has `{other[0].name}` as {other[0].type}, which was {other[1].type} before"
            raise InputError(
                f"{source} {what}, from row {done + 1:,} on",
                remedy="give all parts the same columns and types",
            )
        yield batch
        done += batch.num_rows


def _cut(batches: Iterable[Any], schema: Any, size: int) -> Iterator[Any]:
    """Tables of `size` rows, but the last, from record batches of any size."""
    import pyarrow as pa

    held: list[Any] = []
    rows = 0
    for batch in batches:
        held.append(batch)
        rows += batch.num_rows
        while rows >= size:
            table = pa.Table.from_batches(held, schema)
            yield table.slice(0, size)
            held, rows = table.slice(size).to_batches(), rows - size
    if rows:
        yield pa.Table.from_batches(held, schema)
