"""What gives its rows in batches → columns: lazy frames, Arrow data sets, scanners and streams."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

from msgspec import Struct

from partialpool.data.framed import ROWS, Frames, TextKind
from partialpool.data.frames import FrameReader, collected
from partialpool.data.reading import USUAL, Reading
from partialpool.data.table import Column, check_names
from partialpool.files.failures import attempt

# Types whose columns only the whole of them tells; see `convert` in frames.py.
_WHOLE = {"Object", "Unknown", "Int128", "UInt128", "Categorical"}


class Stream(Struct, frozen=True):
    """Rows that can be asked for.

    Attributes
    ----------
    types : list of (str, str)
        Names of columns, and what narwhals calls their types.
    batches : callable
        Names of columns and the number of rows of a batch → frames.
    whole : callable
        Names of columns → one frame.
    once : bool
        Whether rows can be asked for only once.
    count : callable, optional
        Gives the number of rows.
    """

    types: list[tuple[str, str]]
    batches: Callable[[Sequence[str], int], Iterator[Any]]
    whole: Callable[[Sequence[str]], Any]
    once: bool
    count: Callable[[], int] | None = None


def open_stream(data: Any, source: str) -> Stream | None:
    """Return the rows of what gives them in batches; None of anything else.

    Examples
    --------
    >>> open_stream([1, 2], "the list") is None
    True
    """
    library, name = type(data).__module__.split(".")[0], type(data).__name__
    if library == "polars" and name == "LazyFrame":
        return attempt(source, lambda: _of_polars(data, source))
    if library == "pyarrow" and hasattr(data, "count_rows") and hasattr(data, "scanner"):
        return attempt(source, lambda: _of_dataset(data))
    if library == "pyarrow" and name == "Scanner":
        return attempt(source, lambda: _of_reader(data.to_reader()))
    if library == "pyarrow" and hasattr(data, "read_next_batch"):
        return attempt(source, lambda: _of_reader(data))
    return None


def open_exported(data: Any, source: str) -> Stream | None:
    """Return the rows of what has the Arrow interface of streams (``__arrow_c_stream__``)."""
    if not hasattr(data, "__arrow_c_stream__"):
        return None
    import pyarrow as pa

    return attempt(source, lambda: _of_reader(pa.RecordBatchReader.from_stream(data)))


class StreamReader:
    """A table that comes in batches. What can be read only once is kept when it is read whole."""

    index = None

    def __init__(self, stream: Stream, source: str, how: Reading = USUAL) -> None:
        self.given, self._how, self.source = stream, how, source
        self.names = check_names([name for name, _ in stream.types], source)
        self._types = dict(stream.types)
        self._whole: FrameReader | None = None
        # Rows of what can be read only once that were read to see whether there are many.
        self._held: list[Any] = []
        self._rest: Iterator[Any] | None = None
        self.is_spent = False

    @property
    def n_rows(self) -> int:
        """The number of rows."""
        count = self.given.count
        return self._kept().n_rows if count is None else int(attempt(self.source, count))

    def read(self, names: Iterable[str], labels: Iterable[str]) -> dict[str, Column]:
        """Convert these columns."""
        names = list(names)
        if self.given.once:
            return self._kept().read(names, labels)
        frame = attempt(self.source, lambda: self.given.whole(names))
        return FrameReader(frame, self.source, self._how).read(names, labels)

    def frames(self, names: Iterable[str], labels: Iterable[str]) -> Frames | None:
        """Give these columns in frames, if their types say what they are in any of them."""
        texts, labels = {}, frozenset(labels)
        for name in names:
            kind = self._types[name]
            text = kind == "String"
            if kind in _WHOLE or (kind == "Decimal" and name in labels):
                return None
            if name in self._how.text and not text:
                return None
            if text:
                texts[name] = TextKind()
        if self._whole is not None:
            return None
        return Frames(self._batches, texts, once=self.given.once)

    def has_more_than(self, rows: int) -> bool:
        """Whether there are more rows than so many."""
        if not self.given.once or self._whole is not None:
            return self.n_rows > rows
        if self._rest is None:
            self._rest = attempt(self.source, lambda: self.given.batches(self.names, ROWS))
        while sum(map(len, self._held)) <= rows:
            frame = attempt(self.source, lambda: next(self._rest or iter(()), None))
            if frame is None:
                return False
            self._held.append(frame)
        return True

    def _batches(self, names: Sequence[str], rows: int) -> Iterator[Any]:
        self.is_spent = self.given.once
        if self._rest is None:
            return self.given.batches(names, rows)
        held, self._held = self._held, []
        return (frame.select(list(names)) for frame in chain(held, self._rest))

    def _kept(self) -> FrameReader:
        """Give all columns, which are kept."""
        if self._whole is None:
            frame = attempt(self.source, self._all)
            self._whole = FrameReader(frame, self.source, self._how)
        return self._whole

    def _all(self) -> Any:
        if self._rest is None:
            return self.given.whole(self.names)
        import pyarrow as pa

        return pa.concat_tables([*self._held, *self._rest])


def _types(frame: Any) -> list[tuple[str, str]]:
    import narwhals as nw

    schema = nw.from_native(frame).collect_schema()
    return [(name, type(kind).__name__) for name, kind in schema.items()]


def _of_polars(frame: Any, source: str) -> Stream:
    import narwhals as nw
    import polars as pl

    def whole(names: Sequence[str]) -> Any:
        return collected(nw.from_native(frame.select(names)), source).to_native()

    def batches(names: Sequence[str], rows: int) -> Iterator[Any]:
        chosen = frame.select(names)
        if hasattr(chosen, "collect_batches"):
            return iter(chosen.collect_batches(chunk_size=rows, maintain_order=True))
        return iter([whole(names)])  # of a version that has them not yet

    def count() -> int:
        return int(frame.select(pl.len()).collect().item())

    return Stream(_types(frame), batches, whole, False, count)


def _of_dataset(data: Any) -> Stream:
    import pyarrow as pa

    def batches(names: Sequence[str], rows: int) -> Iterator[Any]:
        found = data.scanner(columns=list(names), batch_size=rows).to_batches()
        return (pa.Table.from_batches([batch]) for batch in found)

    def whole(names: Sequence[str]) -> Any:
        return data.to_table(columns=list(names))

    return Stream(_types(data.schema.empty_table()), batches, whole, False, data.count_rows)


def _of_reader(reader: Any) -> Stream:
    import pyarrow as pa

    def batches(names: Sequence[str], rows: int) -> Iterator[Any]:
        for batch in reader:
            table = pa.Table.from_batches([batch]).select(list(names))
            for first in range(0, len(table), rows):
                yield table.slice(first, rows)

    def whole(names: Sequence[str]) -> Any:
        return reader.read_all().select(list(names))

    return Stream(_types(reader.schema.empty_table()), batches, whole, True)
