"""A table of any size, read some rows at a time: Arrow tables with the types of its columns.

Only what has to be whole is read at once: tables that are in memory already, and kinds of files
that cannot be read in parts.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from partialpool.data import Table, open_table
from partialpool.data.delimited import DelimitedReader, open_delimited
from partialpool.data.failures import attempt, unreadable
from partialpool.data.files import is_text, open_file
from partialpool.data.parquet import ParquetReader
from partialpool.data.reading import USUAL, Reading
from partialpool.data.relations import RelationReader
from partialpool.data.source import Source
from partialpool.data.table import check_names, check_rows
from partialpool.draws.new_rows import table_frame
from partialpool.errors import InputError

T = TypeVar("T")

ROWS = 131_072  # that are read at a time


class Batch(NamedTuple):
    """Some rows: as they are written again, and as anything that `open_table` opens."""

    table: Any
    data: Any


@dataclass(frozen=True, eq=False)
class Batches:
    """A table in parts.

    Attributes
    ----------
    schema : pyarrow.Schema
        Of the columns that are written again.
    n_rows : int or None
        Where it is known.
    parts : function
        Starts to read: batches of so many rows, but the last.
    """

    source: str
    schema: Any
    n_rows: int | None
    parts: Callable[[int], Iterator[Batch]]


def open_batches(data: Any, used: Sequence[str], labels: Sequence[str], *, texts: bool) -> Batches:
    """Open a table to be read in parts.

    Parameters
    ----------
    data : object
        What :func:`open_table` opens, and what Arrow reads in parts: datasets, scanners, and any
        object with ``__arrow_c_stream__``.
    used, labels : sequences of str
        The columns that matter, if they are there, and those among them that name things.
    texts : bool
        Whether text files are to be written again as they stand, not as what they are taken for.

    Raises
    ------
    InputError
        If there is no such table, or it cannot be read.
    """
    how = USUAL
    if isinstance(data, Source):
        data, how = data.reader, data.how
    if isinstance(data, (str, os.PathLike)):
        path = os.fspath(data)
        reader = open_delimited(path, how, lines=False) if is_text(path) else open_file(path, how)
        data = reader
    if isinstance(data, DelimitedReader):
        return _delimited(data, used, labels, texts)
    if isinstance(data, ParquetReader):
        return _parquet(data, how)
    if type(data).__module__.split(".")[0] in {"duckdb", "_duckdb"}:
        data = RelationReader(data, "the relation", how)
    if isinstance(data, RelationReader):
        return _arrow(data.source, attempt(data.source, lambda: data.stream(ROWS)), how)
    stream = _stream(data)
    if stream is not None:
        return _arrow("the table", stream, how)
    return _whole(data, how)


class _Stream(NamedTuple):
    """What Arrow reads in parts."""

    schema: Any
    batches: Iterable[Any]
    n_rows: int | None = None


def _stream(data: Any) -> _Stream | None:
    """Take what Arrow can read in parts; None if it is nothing of the kind."""
    library = type(data).__module__.split(".")[0]
    if library == "polars" and hasattr(data, "collect"):
        return _lazy(data)
    if library == "pyarrow" and hasattr(data, "to_batches") and hasattr(data, "count_rows"):
        schema = getattr(data, "projected_schema", data.schema)
        rows = attempt("the dataset", data.count_rows) if hasattr(data, "scanner") else None
        return _Stream(schema, data.to_batches(), rows)
    if library == "pandas" or not hasattr(data, "__arrow_c_stream__"):
        return None
    import pyarrow as pa

    reader = attempt("the table", lambda: pa.RecordBatchReader.from_stream(data))
    return _Stream(reader.schema, reader, len(data) if hasattr(data, "__len__") else None)


def _lazy(frame: Any) -> _Stream:
    """A LazyFrame of polars, whose plan gives batches where polars is new enough."""
    import itertools

    def batches() -> Iterator[Any]:
        if hasattr(frame, "collect_batches"):
            return iter(frame.collect_batches(chunk_size=ROWS, maintain_order=True))
        return iter([frame.collect()])

    started = attempt("the table", batches)
    first = attempt("the table", lambda: next(started, None))
    if first is None:
        first = attempt("the table", lambda: frame.head(0).collect())
    return _Stream(
        first.to_arrow().schema,
        (b for one in itertools.chain([first], started) for b in one.to_arrow().to_batches()),
    )


def _arrow(source: str, stream: _Stream, how: Reading) -> Batches:
    check_names(stream.schema.names, source)
    schema = stream.schema.remove_metadata()

    def parts(size: int) -> Iterator[Batch]:
        read = _read(source, stream.batches)
        for table in _cut(_alike(read, schema, source), schema, size):
            yield Batch(table, open_table(table, how))

    return Batches(source, schema, stream.n_rows, parts)


def _parquet(reader: ParquetReader, how: Reading) -> Batches:
    schema = reader.schema.remove_metadata()

    def parts(size: int) -> Iterator[Batch]:
        for table in _cut(reader.batches(size), schema, size):
            yield Batch(table, open_table(table, how))

    return Batches(reader.source, schema, reader.n_rows, parts)


def _delimited(
    reader: DelimitedReader, used: Sequence[str], labels: Sequence[str], texts: bool
) -> Batches:
    wanted = [name for name in reader.names if name in used]
    plan = reader.in_parts(wanted, frozenset(labels), texts=texts)

    def parts(size: int) -> Iterator[Batch]:
        for table in _cut(plan.batches(size), plan.read_schema, size):
            yield Batch(plan.shown(table), plan.columns(table))

    return Batches(reader.source, plan.schema, plan.n_rows, parts)


def _whole(data: Any, how: Reading) -> Batches:
    """A table that is in memory, or a file that is read at once."""
    import pyarrow as pa

    opened = data if isinstance(data, Table) else data
    if hasattr(data, "read") and hasattr(data, "names"):
        opened = Source(data, how)
    source = open_table(opened)
    check_rows(source.n_rows, source.source)
    frame = table_frame(opened)
    try:
        table = pa.Table.from_pandas(frame, preserve_index=False)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise InputError(
            f"{source.source} cannot be written ({' '.join(str(error).split())[:200]})",
            remedy="give the column one type",
        ) from None
    table = table.replace_schema_metadata(None)
    return Batches(
        source.source, table.schema, len(table), lambda size: iter([Batch(table, source)])
    )


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


def same_file(path: Path, data: Any) -> bool:
    """Whether a path is a file that a table is read from."""
    ...
