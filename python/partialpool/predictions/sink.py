"""A table written part by part: Parquet, Feather or text, by the ending; whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from partialpool.errors import InputError
from partialpool.writing import replacing

TEXT = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz")
ENDINGS = (".parquet", ".feather", ".arrow", *TEXT)


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
            remedy=f"let it end with {', '.join(f'`{one}`' for one in ENDINGS)}",
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
    import pyarrow as pa
    import pyarrow.parquet as pq

    # A dictionary of numbers that differ from row to row takes five times as long.
    repeated = [field.name for field in schema if not pa.types.is_floating(field.type)]
    with pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=repeated) as writer:
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
        import pyarrow as pa

        head = pa.table({str(k): pa.array([name]) for k, name in enumerate(schema.names)})
        compression = "gzip" if kind.endswith(".gz") else None
        with pa.output_stream(str(path), compression=compression) as file:
            file.write(_lines(head, delimiter))
            yield lambda table: file.write(_lines(table, delimiter))

    return opened


def _lines(table: Any, delimiter: str) -> Any:
    """Rows as text, a line each: quotes only where they are needed, nothing for what is missing."""
    import pyarrow.compute as pc

    if not len(table):
        return b""
    columns = [_as_text(column.combine_chunks(), delimiter) for column in table.columns]
    lines = pc.binary_join_element_wise(
        *columns, _large(delimiter), null_handling="replace", null_replacement=""
    )
    lines = pc.binary_join_element_wise(lines, _large("\n"), _large(""))
    # One after the other, they stand in the array's buffer.
    return lines.buffers()[2].slice(0, pc.sum(pc.binary_length(lines)).as_py())


def _as_text(column: Any, delimiter: str) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    if isinstance(column, pa.ChunkedArray):
        column = pa.concat_arrays(column.chunks)
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_float16(column.type):
        column = column.cast(pa.float32())
    if pa.types.is_floating(column.type):  # numbers that are none are nothing
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    words = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
    column = column.cast(pa.large_string())
    if not words:
        return column
    odd = pc.match_substring_regex(column, f'[{delimiter}"\r\n]|^$|^ | $')
    if not pc.any(odd).as_py():
        return column
    inside = pc.replace_substring(column, '"', '""')
    quoted = pc.binary_join_element_wise(_large('"'), inside, _large('"'), _large(""))
    return pc.if_else(odd, quoted, column)


def _large(text: str) -> Any:
    import pyarrow as pa

    return pa.scalar(text, pa.large_string())


def _check_flat(schema: Any) -> None:
    import pyarrow as pa

    for field in schema:
        if pa.types.is_nested(field.type) or pa.types.is_binary(field.type):
            raise InputError(
                f"the column `{field.name}` holds {field.type}, which no text file does",
                remedy="write Parquet or Feather",
            )
