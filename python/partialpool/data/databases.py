"""Tables of database files: DuckDB and SQLite. A file that is read must not make us read others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote as quote_uri

import numpy as np

from partialpool.data.convert import from_objects
from partialpool.data.reading import Reading
from partialpool.data.relations import RelationReader, connect, quote
from partialpool.data.table import Column, check_names
from partialpool.errors import InputError, did_you_mean
from partialpool.files.failures import attempt
from partialpool.files.unchanged import Unchanged

_SQLITE = b"SQLite format 3\0"


def is_sqlite(path: Path) -> bool:
    """Whether a file says that it is a database of SQLite."""
    with open(path, "rb") as file:
        return file.read(len(_SQLITE)) == _SQLITE


def open_database(path: Path, table: str, how: Reading) -> RelationReader | SqliteReader:
    """Open a table of a database file, whichever of the two it is."""
    if attempt(path.name, lambda: is_sqlite(path)):
        return SqliteReader(path, table, how)
    connection = attempt(path.name, lambda: connect(str(path), alone=True))
    tables = attempt(path.name, lambda: connection.execute("SHOW TABLES").fetchall())
    _check_table(table, [row[0] for row in tables], path)
    relation = attempt(path.name, lambda: connection.sql(f"FROM {quote(table)}"))
    return RelationReader(relation, f"{path.name}::{table}", how)


class SqliteReader:
    """A table of a SQLite file, whose values have types of their own, whatever their column's."""

    index = None

    def __init__(self, path: Path, table: str, how: Reading) -> None:
        self._path, self._table, self._how = path, quote(table), how
        self._unchanged = Unchanged.of([path])
        self.source = f"{path.name}::{table}"
        found = self._fetch("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")[0]
        _check_table(table, [row[0] for row in found], path)
        _, names = self._fetch(f"SELECT * FROM {self._table} LIMIT 0")
        self.names = check_names(names, self.source)
        self._inner = dict(zip(self.names, names, strict=True))

    @property
    def n_rows(self) -> int:
        """The number of rows."""
        return int(self._fetch(f"SELECT count(*) FROM {self._table}")[0][0][0])

    def read(self, names: Iterable[str], labels: Iterable[str]) -> dict[str, Column]:
        """Read these columns."""
        names = list(names)
        select = ", ".join(quote(self._inner[name]) for name in names)
        rows, _ = self._fetch(f"SELECT {select} FROM {self._table}")
        columns = {}
        for k, name in enumerate(names):
            values = np.empty(len(rows), dtype=object)
            values[:] = [row[k] for row in rows]
            columns[name] = from_objects(name, values, how=self._how)
        return columns

    def _fetch(self, query: str) -> tuple[list[Any], list[str]]:
        """Rows of a query and the names of their columns."""
        uri = f"file:{quote_uri(str(self._path.resolve()))}?mode=ro"

        def run() -> tuple[list[Any], list[str]]:
            import sqlite3

            with closing(sqlite3.connect(uri, uri=True)) as connection:
                connection.execute("PRAGMA trusted_schema = OFF")
                cursor = connection.execute(query)
                return cursor.fetchall(), [column[0] for column in cursor.description]

        self._unchanged.check()
        return attempt(self._path.name, run)


def _check_table(table: str, tables: Sequence[str], path: Path) -> None:
    if table not in tables:
        remedy = did_you_mean(table, tables) if tables else "it holds no tables"
        raise InputError(f"there is no table `{table}` in `{path.name}`", remedy=remedy)
