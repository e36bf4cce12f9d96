"""A table written part by part: Parquet, Feather or text, by the ending; whole or not at all."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from partialpool.errors import InputError
from partialpool.writing import replacing

ENDINGS = (".parquet", ".feather", ".arrow", ".csv", ".tsv", ".csv.gz", ".tsv.gz")
TEXT = (".csv", ".tsv", ".csv.gz", ".tsv.gz")


def ending(path: Path) -> str:
    """Return how the name of a file ends, as one of those that can be written.

    Raises
    ------
    InputError
        If it ends otherwise.

    Examples
    --------
    >>> ending(Path("a.CSV.gz"))
    '.csv.gz'
    """
    name = path.name.lower()
    found = [one for one in ENDINGS if name.endswith(one)]
    if not found:
        raise InputError(
            f"`{path.name}` does not say how to write it",
            remedy=f"let it end with {', '.join(f'`{one}`' for one in ENDINGS[:-2])}",
        )
    return found[0]


@contextmanager
def sink(path: Path, schema: Any) -> Iterator[Callable[[Any], None]]:
    """Give a function that writes the next rows, an Arrow table of this schema.

    Raises
    ------
    InputError
        If the file cannot be written, or cannot hold a column.
    """
    kind = ending(path)
    if kind in TEXT:
        _check_flat(schema)
    makers = {".parquet": _parquet, ".feather": _feather, ".arrow": _feather}
    maker = makers.get(kind, _text(kind))
    with replacing(path) as temporary, maker(temporary, schema) as write:
        yield write


@contextmanager
def _parquet(path: Path, schema: Any) -> Iterator[Callable[[Any], None]]:
    import pyarrow.parquet as pq

    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        yield writer.write_table


@contextmanager
def _feather(path: Path, schema: Any) -> Iterator[Callable[[Any], None]]:
    import pyarrow as pa

    options = pa.ipc.IpcWriteOptions(compression="lz4", unify_dictionaries=True)
    with pa.ipc.new_file(str(path), schema, options=options) as writer:
        yield writer.write_table


def _text(kind: str) -> Callable[[Path, Any], Any]:
    delimiter = "\t" if kind.startswith(".tsv") else ","

    @contextmanager
    def opened(path: Path, schema: Any) -> Iterator[Callable[[Any], None]]:
        import io

        import pyarrow as pa
        import pyarrow.csv

        plain = pa.schema([(field.name, _plain_type(field.type)) for field in schema])
        header = io.StringIO()
        csv.writer(header, delimiter=delimiter, lineterminator="\n").writerow(schema.names)
        options = pa.csv.WriteOptions(include_header=False, delimiter=delimiter)
        compression = "gzip" if kind.endswith(".gz") else None
        with pa.output_stream(str(path), compression=compression) as file:
            file.write(header.getvalue().encode("utf-8", "surrogatepass"))
            with pa.csv.CSVWriter(file, plain, write_options=options) as writer:
                yield lambda table: writer.write_table(_without_nan(table.cast(plain)))

    return opened


def _plain_type(kind: Any) -> Any:
    """What a column is written as in text: the values themselves of dictionaries."""
    import pyarrow as pa

    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return pa.float32() if pa.types.is_float16(kind) else kind


def _without_nan(table: Any) -> Any:
    """Numbers that are none are empty fields."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for k, field in enumerate(table.schema):
        if pa.types.is_floating(field.type):
            column = table.column(k)
            bare = pc.if_else(pc.is_nan(column), pa.scalar(None, field.type), column)
            table = table.set_column(k, field, bare)
    return table


def _check_flat(schema: Any) -> None:
    import pyarrow as pa

    for field in schema:
        if pa.types.is_nested(field.type) or pa.types.is_binary(field.type):
            raise InputError(
                f"the column `{field.name}` holds {field.type}, which no text file does",
                remedy="write Parquet or Feather",
            )
