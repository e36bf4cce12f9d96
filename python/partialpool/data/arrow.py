"""Feather and Arrow files → a table in memory, checked to the last byte before anything uses it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from partialpool.data.failures import attempt
from partialpool.data.frames import FrameReader
from partialpool.data.reading import Reading


def open_arrow(path: Path, how: Reading) -> FrameReader:
    """Open a Feather or Arrow file, in whichever of the two forms."""
    return FrameReader(attempt(path.name, lambda: _read(path)), path.name, how)


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
