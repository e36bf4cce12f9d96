"""Spark data frames → columns; and work done on their rows where they are, by Spark's workers.

What workers hand on are Arrow tables as bytes under a key, in one schema whatever the work: so
Spark moves few rows, and does so in every version and over Spark Connect. A sentence that a worker
has for the user travels as a row too: an error raised there would be tried again, and come back as
a stack of Java.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any, TypeVar

import numpy as np
from msgspec import Struct

from partialpool.arrays import Ints
from partialpool.cluster.spread import Join, Work
from partialpool.data.convert import unusable
from partialpool.data.framed import ROWS, TextKind
from partialpool.data.frames import FrameReader
from partialpool.data.reading import USUAL, Reading
from partialpool.data.table import Column, check_names, check_rows
from partialpool.errors import InputError, short

T = TypeVar("T")

_SCHEMA = "key bigint, part int, data binary, what string, place string, remedy string"

# As Spark calls the types whose values can be used.
_USABLE = {
    *("boolean", "byte", "short", "integer", "long", "float", "double", "decimal"),
    *("string", "char", "varchar", "date", "timestamp", "timestamp_ntz", "void"),
}
_TEXT = {"string", "char", "varchar"}
Make = Callable[[Any, int], list[Any]]
"""Rows as a pyarrow table, and the place of the first → arrays of numbers beside them."""
_PIECE = 8 << 20  # bytes of a row at most, far below what Spark Connect lets through


def is_spark(data: Any) -> bool:
    """Whether this is a Spark data frame; nothing of Spark is imported to see it."""
    module = type(data).__module__
    return module.startswith(("pyspark.sql.", "pyspark.pandas.")) and hasattr(type(data), "columns")


class SparkReader:
    """A Spark data frame, classic or of Spark Connect, of which only what is used is computed.

    Parameters
    ----------
    frame : pyspark.sql.DataFrame or pyspark.pandas.DataFrame
        The table.
    how : Reading
        What is said about it.
    """

    index = None
    source = "the Spark data frame"

    def __init__(self, frame: Any, how: Reading = USUAL) -> None:
        # Asked of the type: to a frame itself, any name may be that of a column.
        frame = frame.to_spark() if hasattr(type(frame), "to_spark") else frame
        self.names = check_names(frame.columns, self.source)
        kinds = (field.dataType for field in _attempt(lambda: frame.schema))
        self._kinds = dict(zip(self.names, kinds, strict=True))
        # Names that Spark would take apart (`a.b`) or hold to be one (`x`, `X`) are no matter.
        self._frame = frame.toDF(*(f"c{k}" for k in range(len(self.names))))
        self._how = how
        self._n_rows: int | None = None

    @property
    def n_rows(self) -> int:
        """The number of rows, counted once."""
        if self._n_rows is None:
            self._n_rows = int(_attempt(self._frame.count))
            check_rows(self._n_rows, self.source)
        return self._n_rows

    def read(self, names: Iterable[str], labels: Iterable[str]) -> dict[str, Column]:
        """Bring these columns here."""
        names = tuple(names)
        table = _arrow(self._select(names)).rename_columns(list(names))
        return FrameReader(table, self.source, self._how).read(names, labels)

    def texts(self, names: Iterable[str], labels: Iterable[str]) -> dict[str, TextKind] | None:
        """Say which columns are text; None where only the whole of them tells what they are."""
        found, labels = {}, frozenset(labels)
        for name in names:
            kind = self._kinds[name]
            text = kind.typeName() in _TEXT
            if text:
                found[name] = TextKind()
            elif name in self._how.text or (name in labels and _is_wide(kind)):
                return None
        return found

    def count(self, name: str) -> tuple[list[str], Ints]:
        """Count the rows that have each text of a column."""
        counts = self._select([name]).dropna().groupBy("c0").count()
        texts, rows = _arrow(counts).columns
        return texts.to_pylist(), rows.to_numpy().astype(np.int64)

    def reduce(self, names: Iterable[str], work: Work, join: Join) -> list[tuple[int, Any]]:
        """Let workers do this with the rows that each has, and join what has the same key.

        Raises
        ------
        InputError
            If a worker says so, or Spark could not finish.
        """
        names = tuple(names)
        chosen = self._select(names, narrow=True)
        shares = chosen.mapInArrow(_Share(names, work), _SCHEMA)
        joined = shares.repartition("key").mapInArrow(_Joined(join), _SCHEMA)
        rows = _attempt(joined.collect)
        for row in rows:
            if row["what"] is not None:
                raise InputError(row["what"], where=row["place"], remedy=row["remedy"])
        # Pieces of one table come from one worker, in their order.
        ordered = sorted(rows, key=lambda row: int(row["key"]))
        return [(int(row["key"]), _from_bytes(row["data"])) for row in ordered]

    def check_usable(self, names: Iterable[str]) -> None:
        """Refuse columns of these names whose values cannot be used."""
        self._select(names)

    def some(self, names: Iterable[str], rows: int) -> list[Any]:
        """Bring so many rows of some columns here, as a pyarrow table, if there are any."""
        names = tuple(names)
        if self._frame.isStreaming or not names:
            return []
        table = _arrow(self._select(names).limit(rows)).rename_columns(list(names))
        return [table] if len(table) else []

    def widened(self, make: Make, new_names: Mapping[str, str], made: Iterable[str]) -> Any:
        """Return the frame with numbers beside its columns, which workers make of all of them."""
        from pyspark.sql.types import DoubleType, StructField, StructType

        fields = [
            StructField(new_names.get(name, name), kind) for name, kind in self._kinds.items()
        ]
        fields += [StructField(name, DoubleType()) for name in made]
        names = tuple(field.name for field in fields)
        return self._frame.mapInArrow(_Widened(self.names, names, make), StructType(fields))

    def _select(self, names: Iterable[str], *, narrow: bool = False) -> Any:
        """Return the Spark frame with only these columns, called ``c0``, ``c1`` and so on.

        Decimal numbers become `narrow` ones, which hold what `texts` has let pass.
        """
        columns = []
        for k, name in enumerate(names):
            kind, own = self._kinds[name], f"c{self.names.index(name)}"
            if kind.typeName() not in _USABLE:
                raise unusable(name, kind.simpleString())
            if narrow and kind.typeName() == "decimal":
                own = (
                    f"CAST({own} AS {'DOUBLE' if kind.scale or kind.precision > 18 else 'BIGINT'})"
                )
            if kind.typeName() == "void":
                own = f"CAST({own} AS DOUBLE)"
            columns.append(f"{own} AS c{k}")
        return self._frame.selectExpr(*columns)


def _is_wide(kind: Any) -> bool:
    """Whether a type holds numbers that neither floats nor 64 bits tell apart."""
    return bool(kind.typeName() == "decimal" and kind.precision > (15 if kind.scale else 18))


def _arrow(frame: Any) -> Any:
    """Bring a Spark frame here as an Arrow table."""
    import pyarrow as pa

    if hasattr(type(frame), "toArrow"):
        return _attempt(frame.toArrow)
    from pyspark.sql.pandas.types import to_arrow_schema

    pieces = _attempt(frame.mapInArrow(_packed, "data binary").collect)  # Spark 3.5
    nothing = to_arrow_schema(frame.schema).empty_table()
    return pa.concat_tables([_from_bytes(row["data"]) for row in pieces] or [nothing])


def _packed(batches: Iterator[Any]) -> Iterator[Any]:
    import pyarrow as pa

    for batch in batches:
        data = _to_bytes(pa.Table.from_batches([batch]))
        yield pa.RecordBatch.from_arrays([pa.array([data], pa.binary())], ["data"])


class _Share(Struct, frozen=True):
    """What a worker does with its share of the rows."""

    names: tuple[str, ...]
    work: Work

    def __call__(self, batches: Iterator[Any]) -> Iterator[Any]:
        from pyspark import TaskContext

        part = TaskContext.get().partitionId()
        try:
            for key, table in self.work(_frames(batches, list(self.names))):
                yield from _rows(key, part, table)
        except InputError as error:
            yield _sentence(error)


class _Widened(Struct, frozen=True):
    """What a worker does with rows that get more columns.

    Rows have places as `monotonically_increasing_id` counts them: from 0 in the first partition.
    """

    names: tuple[str, ...]
    wider: tuple[str, ...]
    make: Make

    def __call__(self, batches: Iterator[Any]) -> Iterator[Any]:
        import pyarrow as pa
        from pyspark import TaskContext

        first = TaskContext.get().partitionId() << 33
        for table in _frames(batches, list(self.names)):
            columns = [*table.columns, *self.make(table, first)]
            yield from pa.table(columns, names=list(self.wider)).to_batches()
            first += len(table)


def _frames(batches: Iterator[Any], names: list[str]) -> Iterator[Any]:
    """Put the batches of Spark, which are small, together."""
    import pyarrow as pa

    some: list[Any] = []
    for batch in batches:
        some.append(batch)
        if sum(one.num_rows for one in some) >= ROWS:
            yield pa.Table.from_batches(some).rename_columns(names)
            some = []
    if some and any(one.num_rows for one in some):
        yield pa.Table.from_batches(some).rename_columns(names)


class _Joined(Struct, frozen=True):
    """What a worker does with the tables of the keys that it was dealt."""

    join: Join

    def __call__(self, batches: Iterator[Any]) -> Iterator[Any]:
        rows = [row for batch in batches for row in batch.to_pylist()]
        wrong = [row for row in rows if row["what"] is not None]
        if wrong:
            yield _batch([wrong[0]])
            return
        try:
            # Always in the same order, whichever worker was done first.
            rows.sort(key=lambda row: (row["key"], row["part"]))
            for key, own in groupby(rows, key=lambda row: int(row["key"])):
                for table in self.join(key, [_from_bytes(row["data"]) for row in own]):
                    yield from _rows(key, 0, table)
        except InputError as error:
            yield _sentence(error)


def _rows(key: int, part: int, table: Any) -> Iterator[Any]:
    """A table as rows none of which is too large to be sent."""
    count = max(1, table.num_rows * _PIECE // max(table.nbytes, 1))
    for start in range(0, max(table.num_rows, 1), count):
        data = _to_bytes(table.slice(start, count))
        yield _batch([{"key": key, "part": part, "data": data}])


def _sentence(error: InputError) -> Any:
    return _batch([{"key": 0, "what": error.what, "place": error.where, "remedy": error.remedy}])


def _batch(rows: list[dict[str, Any]]) -> Any:
    import pyarrow as pa

    kinds = [pa.int64(), pa.int32(), pa.binary(), pa.string(), pa.string(), pa.string()]
    names = ["key", "part", "data", "what", "place", "remedy"]
    return pa.RecordBatch.from_pylist(rows, pa.schema(list(zip(names, kinds, strict=True))))


def _to_bytes(table: Any) -> bytes:
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


def _from_bytes(data: bytes) -> Any:
    import pyarrow as pa

    with pa.ipc.open_stream(pa.py_buffer(data)) as stream:
        return stream.read_all()


def _attempt(action: Callable[[], T]) -> T:
    """Let Spark do something; whatever it raises becomes one sentence."""
    try:
        return action()
    except InputError:
        raise
    except Exception as error:
        raise _failed(str(error)) from None


def _failed(text: str) -> InputError:
    """Say why Spark could not finish.

    Examples
    --------
    >>> print(_failed("Job aborted ... Python worker exited unexpectedly (crashed) ..."))
    Spark could not finish, as a Python worker ended without a word, which mostly means that it \
had no more memory: give the workers more (`spark.executor.memoryOverhead`), or smaller \
partitions.
    """
    lost = re.search(r"No module named '([\w.]+)'", text)
    if lost:
        return InputError(
            f"Spark's workers have no `{lost[1]}`",
            remedy="install partialpool in the Python that they run (`PYSPARK_PYTHON`)",
        )
    if re.search(r"worker exited unexpectedly|worker failed to connect back", text):
        return InputError(
            "Spark could not finish, as a Python worker ended without a word, which mostly means "
            "that it had no more memory",
            remedy="give the workers more (`spark.executor.memoryOverhead`), or smaller partitions",
        )
    # The first cause is the last that is named.
    causes = re.findall(r"^(?:Caused by: )?[\w.]*(?:Error|Exception): (.+)$", text, re.MULTILINE)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    reason = causes[-1] if causes else (lines or ["no reason is given"])[0]
    return InputError(
        f"Spark could not finish ({short(reason, 200)})",
        remedy="see whether `.count()` of the data frame works",
    )
