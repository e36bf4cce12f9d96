"""Files → columns: CSV, Parquet and DuckDB tables through DuckDB, Feather through pyarrow."""

from __future__ import annotations

import contextlib
import csv
import gzip
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from partialpool.errors import InputError, did_you_mean

from .convert import from_array
from .frames import FrameSource
from .table import Column, Table, check_known, check_names, check_rows

_NULLS = ["", "NA", "NaN"]
_CSV = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz")
_ARROW = (".feather", ".arrow", ".ipc")
_KNOWN = "`.csv`, `.tsv`, `.txt` (also with `.gz`), `.parquet`, `.feather`, `.arrow`, `.ipc`"


def open_file(text: str) -> DuckSource | FrameSource:
    """Open a file by its extension, or ``file.duckdb::table``; columns are read when taken.

    Examples
    --------
    >>> open_file("nowhere.csv")
    Traceback (most recent call last):
    ...
    partialpool.errors.InputError: there is no file `nowhere.csv`: check the path.
    """
    if "::" in text:
        path, table = text.rsplit("::", 1)
        return _duckdb_table(_existing(path), table)
    path_ = _existing(text)
    name = path_.name.lower()
    if name.endswith((".duckdb", ".db", ".ddb")):
        raise InputError(
            f"`{path_.name}` is a database, not a table", remedy=f"write `{text}::table`"
        )
    if not name.endswith((*_CSV, ".parquet", *_ARROW)):
        raise InputError(
            f"`{path_.name}` has an extension that is not known", remedy=f"use one of {_KNOWN}"
        )
    if path_.stat().st_size == 0:
        raise InputError(f"`{path_.name}` is empty", remedy="give a file with data")
    if name.endswith(_CSV):
        return _csv(path_)
    if name.endswith(".parquet"):
        return _parquet(path_)
    return _feather(path_)


class DuckSource:
    """A DuckDB relation whose columns are reached by position, since DuckDB ignores case."""

    def __init__(
        self, relation: Any, names: Sequence[Any], source: str, *, untyped: bool = False
    ) -> None:
        self.names = check_names(names, source)
        self.source = source
        self._relation = relation
        self._positions = {name: i for i, name in enumerate(self.names)}
        self._n_rows: int | None = None
        self._untyped = untyped  # a CSV file, whose types are guessed

    @property
    def n_rows(self) -> int:
        """The number of rows; counted only when no column has been read yet."""
        if self._n_rows is None:
            count = self._relation.aggregate("count(*)")
            self._n_rows = int(_run(self.source, lambda: count.fetchall())[0][0])
        return self._n_rows

    def take(self, names: Iterable[str]) -> Table:
        """Read these columns."""
        names = list(dict.fromkeys(names))
        check_known(names, self.names, self.source)
        if not names:
            return Table({}, self.n_rows, self.source)
        inner, types = self._relation.columns, self._relation.types
        wanted = [(name, inner[i], types[i]) for name in names for i in [self._positions[name]]]
        select = ", ".join(f"{_cast(q, t, n)} AS c{k}" for k, (n, q, t) in enumerate(wanted))
        data = _run(self.source, lambda: self._relation.project(select).fetchnumpy())
        columns = {n: _column(n, data[f"c{k}"], t) for k, (n, _, t) in enumerate(wanted)}
        if self._untyped:
            columns = {
                n: _numbers(column) if column.kind == "string" else column
                for n, column in columns.items()
            }
        self._n_rows = len(data["c0"])
        check_rows(self._n_rows, self.source)
        return Table(columns, self._n_rows, self.source)


def _column(name: str, values: Any, kind: Any) -> Column:
    column = from_array(name, values)
    if kind.id == "enum":
        # Not `ordered`: DuckDB makes enumerations of unordered categories too (from pandas).
        categories = tuple(dict(kind.children)["values"])
        return Column(name, "categorical", column.values, column.missing, categories)
    return column


def _numbers(column: Column) -> Column:
    """Take text that is numbers throughout as numbers: DuckDB leaves a column with `inf` as one."""
    texts = column.values[~column.missing].tolist()
    if any("_" in text for text in texts):  # Python's digit separator, nobody else's
        return column
    values = np.full(len(column), np.nan)
    try:
        values[~column.missing] = [float(text) for text in texts]
    except ValueError:
        return column
    return from_array(column.name, values)


def _cast(quoted: str, kind: Any, name: str) -> str:
    column = _quote(quoted)
    if kind.id in {"enum", "uuid"}:
        return f"CAST({column} AS VARCHAR)"
    if kind.id in {"decimal", "hugeint", "uhugeint"}:
        return f"CAST({column} AS DOUBLE)"
    if kind.id in {"list", "struct", "map", "array", "union", "blob", "interval", "bit"} or (
        str(kind).startswith("TIME") and not str(kind).startswith("TIMESTAMP")
    ):
        raise InputError(
            f"the column `{name}` holds values of type {kind}, which cannot be used",
            remedy="make it numbers, booleans, strings or dates",
        )
    return column


def _csv(path: Path) -> DuckSource:
    opener: Any = gzip.open if path.name.lower().endswith(".gz") else open
    try:
        with opener(path, "rt", encoding="utf-8-sig", newline="") as file:
            start = file.readline()
            delimiter = _delimiter(path, start)
            file.seek(0)
            header = next(csv.reader(file, delimiter=delimiter), [])
            body = bool(file.readline().strip() or file.read(4096).strip())
    except UnicodeDecodeError:
        raise InputError(f"`{path.name}` is not UTF-8 text", remedy="save it as UTF-8") from None
    except (OSError, EOFError, csv.Error) as error:
        raise _unreadable(path.name, error) from None
    if not any(cell.strip() for cell in header):
        raise InputError(
            f"`{path.name}` has no header", remedy="put the column names in the first line"
        )
    names = check_names([h or f"column{i}" for i, h in enumerate(header)], path.name)
    check_rows(int(body), path.name)
    import duckdb

    # DuckDB would silently rename names that differ only in case, so it gets names of ours.
    options: dict[str, Any] = {
        "header": True,
        "names": [f"c{i}" for i in range(len(names))],
        "delimiter": delimiter,
        "quotechar": '"',
        "escapechar": '"',
        "na_values": _NULLS,
        "sample_size": -1,
        "skiprows": 0,
        "comment": "",
    }
    connection = duckdb.connect()
    try:
        relation = connection.read_csv(_literal(path), **options)
    except duckdb.Error as error:
        with contextlib.suppress(OSError, EOFError, csv.Error):
            _check_fields(path, opener, delimiter, len(names))
        raise _unreadable(path.name, error) from None
    if len(relation.columns) != len(names):
        _check_fields(path, opener, delimiter, len(names))
    return DuckSource(relation, names, path.name, untyped=True)


def _check_fields(path: Path, opener: Any, delimiter: str, expected: int) -> None:
    """Raise an error that points at the first line with too few or too many fields."""
    with opener(path, "rt", encoding="utf-8-sig", errors="replace", newline="") as file:
        reader = csv.reader(file, delimiter=delimiter)
        for row in reader:
            if len(row) not in (0, expected):
                raise InputError(
                    f"`{path.name}` has {len(row)} fields in line {reader.line_num} "
                    f"and {expected} in its header",
                    remedy="repair that line or the header",
                )


def _delimiter(path: Path, line: str) -> str:
    bare = re.sub(r'"[^"]*"', "", line)
    best = max([",", "\t", ";", "|"], key=bare.count)
    if bare.count(best):
        return best
    return "\t" if ".tsv" in path.name.lower() else ","


def _parquet(path: Path) -> DuckSource:
    import duckdb

    connection = duckdb.connect()
    query = "SELECT name, num_children FROM parquet_schema(?)"
    rows = _run(path.name, lambda: connection.execute(query, [_literal(path)]).fetchall())
    relation = _run(path.name, lambda: connection.read_parquet(_literal(path)))
    names, skip = [], 0
    for name, children in rows[1:]:  # the schema is a tree, listed depth first after its root
        if not skip:
            names.append(name)
        else:
            skip -= 1
        skip += children or 0
    return DuckSource(relation, names, path.name)


def _duckdb_table(path: Path, table: str) -> DuckSource:
    import duckdb

    connection = _run(path.name, lambda: duckdb.connect(str(path), read_only=True))
    tables = [row[0] for row in connection.execute("SHOW TABLES").fetchall()]
    if table not in tables:
        remedy = did_you_mean(table, tables) if tables else "it holds no tables"
        raise InputError(f"there is no table `{table}` in `{path.name}`", remedy=remedy)
    relation = _run(path.name, lambda: connection.sql(f"FROM {_quote(table)}"))
    return DuckSource(relation, relation.columns, f"{path.name}::{table}")


def _feather(path: Path) -> FrameSource:
    def read() -> Any:
        import pyarrow as pa
        import pyarrow.feather

        try:
            return pa.feather.read_table(str(path), memory_map=False)
        except pa.ArrowInvalid:
            with pa.ipc.open_stream(str(path)) as stream:  # `.arrow` may also be a stream
                return stream.read_all()

    return FrameSource(_run(path.name, read), path.name)


def _existing(text: str) -> Path:
    path = Path(text).expanduser()
    if path.is_dir():
        raise InputError(f"`{text}` is a folder", remedy="give a file in it")
    if path.is_file():
        return path
    folder = path.parent
    close = [p.name for p in folder.iterdir() if p.is_file()] if folder.is_dir() else []
    remedy = did_you_mean(path.name, close) if close else ""
    # Listing a whole folder would not help: say so only where one name is close.
    raise InputError(
        f"there is no file `{text}`",
        remedy=remedy if remedy.startswith("did you mean") else "check the path",
    )


def _run(source: str, action: Any) -> Any:
    """Run a reader; whatever it raises becomes one clear line."""
    try:
        return action()
    except InputError:
        raise
    except Exception as error:
        raise _unreadable(source, error) from None


def _unreadable(source: str, error: Exception) -> InputError:
    text = str(error).strip()
    line = re.search(r"CSV Error on Line: (\d+)", text)
    detail = re.search(r"(Expected Number of Columns: \d+ Found: \d+)", text)
    if line:
        reason = f"line {line[1]}" + (
            f" has an unexpected number of fields ({detail[1]})".lower()
            if detail
            else f": {_first_line(text, 2)}"
        )
        return InputError(f"`{source}` cannot be read: {reason}", remedy="repair that line")
    return InputError(
        f"`{source}` cannot be read ({_first_line(text, 1) or type(error).__name__})",
        remedy="check that the file is complete and that its extension is right",
    )


def _first_line(text: str, count: int) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " ".join(lines[:count])[:200]


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(path: Path) -> str:
    """Return the path with the characters that DuckDB would expand as a pattern made literal."""
    return re.sub(r"([*?\[])", r"[\1]", str(path))


def from_relation(relation: Any) -> DuckSource:
    """Wrap a DuckDB relation.

    Examples
    --------
    >>> import duckdb
    >>> from_relation(duckdb.sql("SELECT 1 AS x")).take(["x"]).columns["x"].values
    array([1])
    """
    return DuckSource(relation, relation.columns, "the relation")
