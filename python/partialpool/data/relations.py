"""DuckDB relations, whose columns have types → columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from partialpool.data.convert import from_array, from_objects, unusable
from partialpool.data.framed import Frames, TextKind
from partialpool.data.reading import USUAL, Reading
from partialpool.data.table import Column, check_names
from partialpool.files.failures import attempt

# A file that is read must not make DuckDB read others, load code, or look into our variables.
CLOSED: dict[str, Any] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "python_enable_replacements": "false",
}
_NESTED = {"list", "struct", "map", "array", "union", "blob", "interval", "bit", "variant"}
_WIDE = {"decimal", "hugeint", "uhugeint"}


def connect(path: str = ":memory:", *, alone: bool = False) -> Any:
    """Open a database that reads nothing but what it is told to.

    Parameters
    ----------
    path : str
        A database file, which is only read, or the memory.
    alone : bool
        Whether no other file may be read at all.
    """
    import duckdb

    config = CLOSED | ({"enable_external_access": "false"} if alone else {})
    connection = duckdb.connect(path, read_only=path != ":memory:", config=config)
    connection.execute("SET enable_progress_bar = false")  # a library does not print
    return connection


class RelationReader:
    """A DuckDB relation whose columns are reached by position, since DuckDB ignores case.

    `files`: the Parquet files that it is, one after the other.
    """

    index = None

    def __init__(
        self,
        relation: Any,
        source: str,
        how: Reading = USUAL,
        names: Sequence[Any] | None = None,
        run: Callable[[Callable[[], Any]], Any] | None = None,
        files: Sequence[Path] = (),
    ) -> None:
        self.names = check_names(relation.columns if names is None else names, source)
        self.source, self.files = source, tuple(files)
        self._relation, self._how = relation, how
        self._run = run or partial(attempt, source)
        self._positions = {name: i for i, name in enumerate(self.names)}
        self._n_rows: int | None = None

    @property
    def n_rows(self) -> int:
        """The number of rows; counted only when no column has been read yet."""
        if self._n_rows is None:
            count = self._run(lambda: self._relation.aggregate("count(*)").fetchall())
            self._n_rows = int(count[0][0])
        return self._n_rows

    def read(self, names: Iterable[str], labels: Iterable[str]) -> dict[str, Column]:
        """Read these columns."""
        inner, types = self._relation.columns, self._relation.types
        wanted = [(name, inner[i], types[i]) for name in names for i in [self._positions[name]]]
        select = ", ".join(f"{_cast(q, t, n)} AS c{k}" for k, (n, q, t) in enumerate(wanted))
        data = self._run(lambda: self._relation.project(select).fetchnumpy())
        self._n_rows = len(data["c0"])
        return {n: self._column(n, data[f"c{k}"], t) for k, (n, _, t) in enumerate(wanted)}

    def stream(self, rows: int) -> Any:
        """All columns as Arrow's batches of some rows: a pyarrow.RecordBatchReader."""
        return self._run(lambda: record_batches(self._relation, rows))

    def frames(self, names: Iterable[str], labels: Iterable[str]) -> Frames | None:
        """Give these columns in frames, if their types say what they are in any of them."""
        types, texts = self._relation.types, {}
        for name in names:
            kind = types[self._positions[name]]
            text = kind.id in ("varchar", "uuid", "enum")
            if (kind.id in _WIDE and name in labels) or (not text and name in self._how.text):
                return None
            if kind.id == "enum":
                categories = tuple(dict(kind.children)["values"])
                texts[name] = TextKind(categories=categories)
            elif text:
                texts[name] = TextKind()
        return Frames(self._open, texts)

    def _open(self, names: Sequence[str], rows: int) -> Iterator[Any]:
        from concurrent.futures import ThreadPoolExecutor

        import pyarrow as pa

        inner, types = self._relation.columns, self._relation.types
        places = [self._positions[name] for name in names]
        casts = [_cast(inner[i], types[i], name) for name, i in zip(names, places, strict=True)]
        # Wider numbers are floats, and days are moments, as DuckDB gives them to numpy.
        as_numpy = {"date": "TIMESTAMP"} | dict.fromkeys(_WIDE, "DOUBLE")
        for k, kind in enumerate(types[i].id for i in places):
            if kind in as_numpy:
                casts[k] = f"CAST({casts[k]} AS {as_numpy[kind]})"
        select = ", ".join(f"{cast} AS c{k}" for k, cast in enumerate(casts))
        data = self._run(lambda: record_batches(self._relation.project(select), rows))
        # DuckDB reads in the thread that asks: the next batch while this one is looked at.
        with data as reader, ThreadPoolExecutor(1) as ahead:
            coming = ahead.submit(next, reader, None)
            while (batch := self._run(coming.result)) is not None:
                coming = ahead.submit(next, reader, None)
                yield pa.Table.from_batches([batch]).rename_columns(list(names))

    def _column(self, name: str, values: Any, kind: Any) -> Column:
        if kind.id in _WIDE:
            return _wide(name, values)
        if kind.id != "enum":
            return from_array(name, values, how=self._how)
        # Not `ordered`: DuckDB makes enumerations of unordered categories too (from pandas).
        categories = tuple(dict(kind.children)["values"])
        missing = np.ma.getmaskarray(values).copy()
        own = np.array(np.ma.getdata(values), dtype=object)
        return Column(name, "categorical", own, missing, categories)


def _wide(name: str, values: Any) -> Column:
    """Numbers that came as text, because no other type holds them all."""
    import decimal

    objects = np.array(np.ma.getdata(values), dtype=object)
    missing = np.ma.getmaskarray(values)
    objects[missing] = None
    objects[~missing] = [decimal.Decimal(text) for text in objects[~missing]]
    return from_objects(name, objects)


def _cast(quoted: str, kind: Any, name: str) -> str:
    column = quote(quoted)
    if kind.id in {"enum", "uuid"} | _WIDE:
        return f"CAST({column} AS VARCHAR)"
    if kind.id in _NESTED or (
        str(kind).startswith("TIME") and not str(kind).startswith("TIMESTAMP")
    ):
        raise unusable(name, str(kind))
    return column


def record_batches(relation: Any, rows: int) -> Any:
    """Return a reader of Arrow's batches of so many rows; versions of DuckDB call it otherwise."""
    made = getattr(relation, "to_arrow_reader", None) or relation.fetch_record_batch
    return made(rows)


def quote(name: str) -> str:
    """Return a name as SQL takes it."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return a text as SQL takes it."""
    return "'" + text.replace("'", "''") + "'"
