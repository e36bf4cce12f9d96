"""Open any table: data frames, dicts of arrays, DuckDB relations and files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from partialpool.errors import InputError

from .convert import from_any
from .files import DuckSource, from_relation, open_file
from .frames import FrameSource
from .table import Table, check_names, check_rows


class Source(Protocol):
    """A table whose columns are converted only when they are taken."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all columns."""
        ...

    @property
    def n_rows(self) -> int:
        """The number of rows."""
        ...

    @property
    def source(self) -> str:
        """A few words for messages."""
        ...

    def take(self, names: Iterable[str]) -> Table:
        """Convert these columns."""
        ...


def open_table(data: Any) -> Source:
    """Open a table; nothing is converted until its columns are taken.

    Parameters
    ----------
    data : object
        A data frame (pandas, polars eager or lazy, pyarrow), a DuckDB relation, a mapping of names
        to arrays or lists, a path (CSV, Parquet, Feather/Arrow, or ``file.duckdb::table``), or a
        table that is open already.

    Returns
    -------
    Source
        Its ``names``, ``n_rows``, and ``take(names)``.

    Examples
    --------
    >>> open_table({"x": [1, 2], "y": [1.5, None]}).take(["y"])
    Table from the table: 2 rows, y (number)
    """
    if isinstance(data, (Table, FrameSource, DuckSource)):
        return data
    if isinstance(data, (str, os.PathLike)):
        return open_file(os.fspath(data))
    if isinstance(data, Mapping):
        return _from_mapping(data)
    if type(data).__module__.split(".")[0] in {"duckdb", "_duckdb"}:
        return from_relation(data)
    try:
        return FrameSource(data, "the table")
    except TypeError:
        raise InputError(
            f"a {type(data).__name__} is not a table that can be read",
            remedy="give a data frame, a dict of arrays, a DuckDB relation or a path",
        ) from None


def _from_mapping(data: Mapping[Any, Any]) -> Table:
    names = check_names(data, "the table")
    columns = {name: from_any(name, v) for name, v in zip(names, data.values(), strict=True)}
    lengths = {name: len(c) for name, c in columns.items()}
    if not lengths:
        raise InputError("the table has no columns", remedy="give at least one")
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"`{n}` {k}" for n, k in list(lengths.items())[:12])
        raise InputError(
            f"the columns have unequal lengths ({shown})", remedy="give one value a row to each"
        )
    n_rows = next(iter(lengths.values()))
    check_rows(n_rows, "the table")
    return Table(columns, n_rows, "the table")
