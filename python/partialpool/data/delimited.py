"""CSV and its like → columns. DuckDB splits the lines; what their text says is decided here.

One pass counts for every column how many texts are whole numbers as a program writes them, numbers,
or marks of missing values; another takes the columns of which all texts are so as numbers. Other
columns are taken as text, and `values.py` says what it is.
"""

from __future__ import annotations

import contextlib
import csv
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple, TypeVar

import numpy as np

from partialpool.data.convert import from_array
from partialpool.data.framed import Frames, TextKind
from partialpool.data.lines import LineReader, split_lines
from partialpool.data.reading import SIGNS, SILENT, WORDS, Reading
from partialpool.data.relations import connect, literal, record_batches
from partialpool.data.table import Array, Column, Note, check_names, check_rows
from partialpool.data.values import LEADING_ZEROS, leading_zeros, mark_notes, read_texts
from partialpool.errors import InputError
from partialpool.files.failures import attempt, not_utf8, unreadable
from partialpool.files.unchanged import Unchanged
from partialpool.files.unpack import TextFile, as_utf8
from partialpool.paths import STANDARD_INPUT

T = TypeVar("T")

# What a text can be: classes as SQL counts them.
_INTEGER, _NUMBER, _SILENT, _MARK, _TEXT = range(5)

_FIRST = 2000
_EXACT = 2.0**53  # beyond this, floats do not tell whole numbers apart


class _Counts(NamedTuple):
    """How many texts of a column are what."""

    integers: int
    numbers: int
    silent: int
    marks: int
    texts: int
    zeros: int
    """Those that start with a 0 and another digit."""
    thousands: int
    """Those with one point that may stand between thousands."""
    points: int
    """Those with other points."""


def open_delimited(path: str, how: Reading, *, lines: bool = True) -> DelimitedReader | LineReader:
    """Open a text file with a line a row, or standard input.

    Parameters
    ----------
    path : str
        A path, which exists, or ``"-"``.
    how : Reading
        What users say about it.
    lines : bool
        Whether small files are read without DuckDB.
    """
    source = "standard input" if path == STANDARD_INPUT else Path(path).name
    try:
        text = attempt(source, lambda: as_utf8(path, how.encoding))
        with open(text.path, encoding="utf-8-sig", newline="") as file:
            head = _Head(file, source, tab=".tsv" in path.lower())
        width = len(head.names)
        columns = split_lines(text.path, head.delimiter, width, head.skip) if lines else None
    except UnicodeError:
        raise not_utf8(source) from None
    except (OSError, csv.Error) as error:
        raise unreadable(source, error) from None
    if columns:
        return LineReader(head.names, columns, source, how, doubtful=head.delimiter == ";")
    return DelimitedReader(text, source, head, how)


class _Head:
    """The first lines of a file: how its fields are divided, and what they are called."""

    def __init__(self, file: IO[str], source: str, *, tab: bool) -> None:
        first = file.readline()
        if not first:
            raise InputError(f"`{source}` is empty", remedy="give a file with data")
        said = re.fullmatch(r"sep=(.)\r?\n?", first)  # Excel's way to say it
        self.skip = 1 if said else 0
        self.delimiter = said[1] if said else _delimiter(first, tab)
        if not said:
            file.seek(0)
        header = next(csv.reader(file, delimiter=self.delimiter), [])
        body = bool(file.readline().strip() or file.read(4096).strip())
        if not any(cell.strip() for cell in header):
            raise InputError(
                f"`{source}` has no header", remedy="put the column names in the first line"
            )
        self.names = check_names([h or f"column{i}" for i, h in enumerate(header)], source)
        check_rows(int(body), source)


class DelimitedReader:
    """A text file whose columns are reached by position, since DuckDB ignores case."""

    index = None

    def __init__(self, text: TextFile, source: str, head: _Head, how: Reading) -> None:
        self.names, self.source = head.names, source
        self._text, self._head, self._how = text, head, how
        self._unchanged = Unchanged.of([Path(text.path)] if text.copy is None else [])
        self._connection = connect()
        self._positions = {name: i for i, name in enumerate(self.names)}
        self._n_rows: int | None = None
        self._marks = (WORDS | SIGNS if how.na is None else frozenset(how.na)) | {""}
        # Numbers may stand for missing values if users say so.
        self._numeric_marks = any(re.search("[0-9]", mark) for mark in how.na or ())
        self._relation = self._open()

    @property
    def n_rows(self) -> int:
        """The number of rows; counted only when no column has been read yet."""
        if self._n_rows is None:
            count = self._run(lambda: self._relation.aggregate("count(*)").fetchall())
            self._n_rows = int(count[0][0])
        return self._n_rows

    @property
    def size(self) -> int:
        """Bytes of the file."""
        self._unchanged.check()
        return Path(self._text.path).stat().st_size

    def read(self, names: Iterable[str], labels: Iterable[str]) -> dict[str, Column]:
        """Read these columns."""
        names = list(names)
        counts = self._counted(names)
        kinds = {name: self._kind(own) for name, own in counts.items()}
        select = []
        for name in names:
            c, kind = f"c{self._positions[name]}", kinds.get(name)
            if kind is not None:
                select.append(f"{self._cast(c, kind)} AS {c}")
            if kind is None or (kind == "DOUBLE" and name in labels):
                select.append(f"{c} AS t{c}")  # numbers that name things, as they are written
        data = self._run(lambda: self._relation.project(", ".join(select)).fetchnumpy())
        columns = {}
        for name in names:
            c = f"c{self._positions[name]}"
            texts = data.get(f"t{c}")
            if kinds.get(name) is None:
                own, absent = _unmasked(texts)
                doubtful = name in counts and self._is_doubtful(counts[name])
                columns[name] = read_texts(
                    name, own, absent, self._how, explicit=False, doubtful=doubtful
                )
                continue
            column = from_array(name, data[c])
            if texts is not None:
                texts, _ = _unmasked(texts)
                texts[column.missing] = ""
            notes = self._notes(name, counts[name])
            columns[name] = Column(
                name, "number", column.values, column.missing, texts=texts, notes=notes
            )
        self._n_rows = len(next(iter(columns.values())))
        return columns

    def meanings(self, names: Sequence[str]) -> dict[str, str | tuple[Array, Column]]:
        """Find what columns are taken for.

        Returns
        -------
        dict
            ``"BIGINT"`` or ``"DOUBLE"`` for plain numbers; else all texts that occur, and what each
            of them is: a column in which a row without text comes last.
        """
        counts = self._counted(names)
        found: dict[str, str | tuple[Array, Column]] = {}
        for name in names:
            kind = self._kind(counts[name]) if name in counts else None
            if kind is not None:
                found[name] = kind
                continue
            c = f"c{self._positions[name]}"
            query = self._relation.filter(f"{c} IS NOT NULL").project(c).distinct()
            own = _unmasked(self._run(query.fetchnumpy)[c])[0]
            texts = np.append(own, "")
            doubtful = name in counts and self._is_doubtful(counts[name])
            absent = np.append(np.zeros(len(own), dtype=bool), True)
            column = read_texts(name, texts, absent, self._how, explicit=False, doubtful=doubtful)
            found[name] = own, column
        return found

    def plain_numbers(self, names: Sequence[str]) -> dict[str, str]:
        """Find the columns that lose nothing as numbers: ``"BIGINT"`` or ``"DOUBLE"`` by name."""
        counts = self._counted(names)
        kinds = {name: self._kind(own) for name, own in counts.items() if not own.zeros}
        found = {name: kind for name, kind in kinds.items() if kind is not None}
        floats = [name for name, kind in found.items() if kind == "DOUBLE"]
        if floats:
            casts = [self._cast(f"c{self._positions[name]}", "DOUBLE") for name in floats]
            query = ", ".join(f"max(abs({cast})) FILTER (abs({cast}) < 1e300)" for cast in casts)
            largest = self._run(self._relation.aggregate(query).fetchall)[0]
            for name, size in zip(floats, largest, strict=True):
                if size is not None and size > _EXACT:
                    del found[name]
        return found

    def stream(self, kinds: Mapping[str, str], rows: int) -> Iterator[Any]:
        """Read Arrow batches of some rows: all columns as they stand, ``t0`` …, and numbers.

        These are called ``c0`` …, by the position of their column.
        """
        every = [f"c{k} AS t{k}" for k in range(len(self.names))]
        for name, kind in kinds.items():
            c = f"c{self._positions[name]}"
            every.append(f"{self._cast(c, kind)} AS {c}")
        relation = self._relation.project(", ".join(every))
        reader = self._run(lambda: record_batches(relation, rows))
        while True:
            batch = self._run(lambda: next(reader, None))
            if batch is None:
                return
            yield batch

    def frames(self, names: Iterable[str], labels: Iterable[str]) -> Frames:
        """Give these columns in frames: as numbers where all of their texts are, else as text."""
        import pyarrow as pa

        counts = self._counted(list(names))
        kinds = {name: self._kind(own) for name, own in counts.items()}
        texts = {
            name: TextKind(
                explicit=False, doubtful=name in counts and self._is_doubtful(counts[name])
            )
            for name in names
            # Numbers that name things are texts, as they are written.
            if kinds.get(name) is None or (kinds[name] == "DOUBLE" and name in labels)
        }

        def batches(wanted: Sequence[str], rows: int) -> Iterator[Any]:
            casts = {name: f"c{self._positions[name]}" for name in wanted}
            casts |= {
                name: self._cast(c, str(kinds[name]))
                for name, c in casts.items()
                if name not in texts
            }
            select = ", ".join(f"{cast} AS x{k}" for k, cast in enumerate(casts.values()))
            with self._run(lambda: record_batches(self._relation.project(select), rows)) as data:
                while (batch := self._run(lambda: next(data, None))) is not None:
                    yield pa.Table.from_batches([batch]).rename_columns(list(wanted))

        notes = {name: self._notes(name, counts[name]) for name in names if name not in texts}
        return Frames(batches, texts, notes)

    def _counted(self, names: Sequence[str]) -> dict[str, _Counts]:
        """Count what the texts are of columns that may be numbers."""
        # A column whose first rows are text is text, and need not be looked through for that.
        first = self._count([name for name in names if name not in self._how.text], _FIRST)
        return self._count([name for name, own in first.items() if not own.texts])

    def _open(self) -> Any:
        """Let DuckDB split the lines: all is text, and only an empty field has no value."""
        # DuckDB would silently rename names that differ only in case, so it gets names of ours.
        options: dict[str, Any] = {
            "header": True,
            "names": [f"c{i}" for i in range(len(self.names))],
            "delimiter": self._head.delimiter,
            "quotechar": '"',
            "escapechar": '"',
            "na_values": [""],
            "skiprows": self._head.skip,
            "comment": "",
            "all_varchar": True,
        }
        relation = self._run(
            lambda: self._connection.read_csv(_literal(self._text.path), **options)
        )
        if len(relation.columns) != len(self.names):
            self._check_fields()
        return relation

    def _count(self, names: list[str], rows: int | None = None) -> dict[str, _Counts]:
        """Count by column what its texts are, in all rows or the first ones."""
        if not names:
            return {}
        kinds, parts = [], []
        for name in names:
            c = f"c{self._positions[name]}"
            # Where commas are not what divides the fields, they may be decimal marks.
            doubt = _doubt(c) if self._head.delimiter == ";" else "0"
            zeros = f"{c} >= '00' AND {c} < '0:'"
            kinds.append(f"{self._class(c)} AS {c}, {doubt} AS d{c}, {zeros} AS z{c}")
            parts += [f"count(*) FILTER ({c} = {k})" for k in range(5)]
            parts += [f"count(*) FILTER (z{c})"]
            parts += [f"count(*) FILTER (d{c} = {k})" for k in (1, 2)]
        parts.append("count(*)")

        def query() -> Any:
            table = self._relation if rows is None else self._relation.limit(rows)
            return table.project(", ".join(kinds)).aggregate(", ".join(parts)).fetchall()

        row = self._run(query)[0]
        if rows is None:
            self._n_rows = row[-1]
        width = len(_Counts._fields)
        return {name: _Counts(*row[k * width : (k + 1) * width]) for k, name in enumerate(names)}

    def _kind(self, counts: _Counts) -> str | None:
        """What DuckDB is to make of a column; None where it is left as text."""
        if counts.texts or not counts.integers + counts.numbers:
            return None
        if not counts.numbers:
            return "BIGINT"
        return None if self._is_doubtful(counts) or self._how.decimal == "," else "DOUBLE"

    def _is_doubtful(self, counts: _Counts) -> bool:
        return self._how.decimal is None and counts.thousands > 0 and not counts.points

    def _class(self, c: str) -> str:
        """SQL: what a text is. An integer is one only if it would be written again as it is."""
        mark = f"trim({c}) IN ({_listed(self._marks)})"
        silent = f"trim({c}) IN ({_listed(SILENT if self._how.na is None else self._marks)})"
        # DuckDB also takes 1_000 for a number, and nan, which is above all others.
        number = f"NOT contains({c}, '_') AND try_cast({c} AS DOUBLE) <= 'inf'::DOUBLE"
        return (
            f"CASE WHEN {c} IS NULL THEN -1 "
            + f"WHEN {mark} THEN {_SILENT} " * self._numeric_marks
            + f"WHEN try_cast({c} AS BIGINT)::VARCHAR = {c} THEN {_INTEGER} "
            f"WHEN {number} THEN {_NUMBER} "
            f"WHEN {silent} THEN {_SILENT} WHEN {mark} THEN {_MARK} ELSE {_TEXT} END"
        )

    def _cast(self, c: str, kind: str) -> str:
        number = f"{c} IS NOT NULL"
        if self._numeric_marks:
            number = f"{self._class(c)} IN ({_INTEGER}, {_NUMBER})"
        # A bare cast would be left to the reader of the file, where it is no try but an error.
        return f"CASE WHEN {number} THEN try_cast({c} AS {kind}) END"

    def _notes(self, name: str, counts: _Counts) -> tuple[Note, ...]:
        """Say what a column of numbers has that is not plain."""
        c = f"c{self._positions[name]}"
        notes: tuple[Note, ...] = ()
        if counts.marks:
            marks = f"{self._class(c)} = {_MARK}"
            counted = self._run(
                lambda: (
                    self._relation.filter(marks)
                    .aggregate(f"trim({c}), count(*)")
                    .order("2 DESC, 1")
                    .fetchall()
                )
            )
            notes += mark_notes(name, dict(counted))
        if counts.zeros:
            zeros = f"regexp_full_match({c}, '{LEADING_ZEROS}')"
            shown = self._run(lambda: self._relation.filter(zeros).project(c).limit(1).fetchall())
            notes += leading_zeros(name, shown[0][0]) if shown else ()
        return notes

    def _run(self, action: Callable[[], T]) -> T:
        """Run a query; a line with too few or too many fields is pointed at."""
        import duckdb

        try:
            found = action()
        except (duckdb.Error, RuntimeError) as error:
            self._unchanged.check()
            with contextlib.suppress(OSError, csv.Error):
                self._check_fields()
            raise unreadable(self.source, error) from None
        self._unchanged.check()
        return found

    def _check_fields(self) -> None:
        """Raise an error that points at the first line with too few or too many fields."""
        expected = len(self.names)
        with open(self._text.path, encoding="utf-8-sig", errors="replace", newline="") as file:
            for _ in range(self._head.skip):
                file.readline()
            reader = csv.reader(file, delimiter=self._head.delimiter)
            for row in reader:
                if len(row) not in (0, expected):
                    raise InputError(
                        f"`{self.source}` has {len(row)} fields in line "
                        f"{reader.line_num + self._head.skip} and {expected} in its header",
                        remedy="repair that line or the header",
                    )


def _delimiter(line: str, tab: bool) -> str:
    bare = re.sub(r'"[^"]*"', "", line)
    best = max([",", "\t", ";", "|"], key=bare.count)
    if bare.count(best):
        return best
    return "\t" if tab else ","


def _doubt(c: str) -> str:
    """SQL: 1 where a text has a point that may stand between thousands, 2 where it cannot."""
    return (
        f"CASE WHEN NOT contains({c}, '.') THEN 0 "
        f"WHEN regexp_full_match({c}, '[+-]?[1-9][0-9]{{0,2}}[.][0-9]{{3}}') THEN 1 ELSE 2 END"
    )


def _listed(texts: Iterable[str]) -> str:
    return ", ".join(literal(text) for text in sorted(texts)) or "NULL"


def _unmasked(values: Array) -> tuple[Array, Array]:
    """Texts of a column and where it has none."""
    absent = np.ma.getmaskarray(values).copy()
    texts = np.array(np.ma.getdata(values), dtype=object)
    texts[absent] = ""
    return texts, absent


def _literal(path: str) -> str:
    """Return the path with the characters that DuckDB would expand as a pattern made literal."""
    return re.sub(r"([*?\[])", r"[\1]", path)
