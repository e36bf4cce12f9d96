"""Feather and Arrow files → a table in memory, checked to the last byte before anything uses it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from partialpool.data.frames import FrameReader
from partialpool.data.reading import Reading
from partialpool.files.failures import attempt


def open_arrow(path: Path, how: Reading) -> FrameReader:
    """Open a Feather or Arrow file, in whichever of the two forms."""
    return FrameReader(attempt(path.name, lambda: _read(path)), path.name, how)


def arrow_schema(path: Path) -> tuple[Any, int | None] | None:
    """Schema and, where it is known, the number of rows of a file that can be read in parts.

    None where it cannot: Feather's first version.
    """
    import pyarrow as pa

    with pa.memory_map(str(path)) as file:
        try:
            reader = pa.ipc.open_file(file)
        except pa.ArrowInvalid:
            file.seek(0)
            try:
                return pa.ipc.open_stream(file).schema, None
            except pa.ArrowInvalid:
                return None
        batches = map(reader.get_batch, range(reader.num_record_batches))
        return reader.schema, sum(batch.num_rows for batch in batches)


def arrow_batches(path: Path) -> Iterator[Any]:
    """Record batches of a file, each validated before anything uses it."""
    import pyarrow as pa

    with pa.OSFile(str(path)) as file:
        try:
            reader = pa.ipc.open_file(file)
        except pa.ArrowInvalid:
            file.seek(0)
            batches = iter(pa.ipc.open_stream(file))
        else:
            batches = map(reader.get_batch, range(reader.num_record_batches))
        for batch in batches:
            batch.validate(full=True)
            yield batch


def _read(path: Path) -> Any:
    import pyarrow as pa
    import pyarrow.feather

    with pa.OSFile(str(path)) as file:
        try:
            table = pa.feather.read_table(file, memory_map=False)
        except pa.ArrowInvalid:
            file.seek(0)
            with pa.ipc.open_stream(file) as stream:  # `.arrow` may also be a stream
                table = stream.read_all()
    # Offsets that lead out of the buffers would be followed without a question.
    table.validate(full=True)
    return table
