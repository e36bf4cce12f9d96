"""A path → the reader of its kind of file."""

from __future__ import annotations

from pathlib import Path

from partialpool.data.arrow import open_arrow
from partialpool.data.databases import open_database
from partialpool.data.delimited import open_delimited
from partialpool.data.excel import open_excel
from partialpool.data.parquet import find_parquet, open_parquet
from partialpool.data.reading import USUAL, Reading
from partialpool.data.table import Reader
from partialpool.errors import InputError
from partialpool.files.failures import attempt
from partialpool.paths import STANDARD_INPUT, as_path, existing_file, kind_of, shown

_TEXT = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz")
_ARROW = (".feather", ".arrow", ".ipc")
_DATABASES = (".duckdb", ".ddb", ".db", ".sqlite", ".sqlite3")
_EXCEL = (".xlsx", ".xlsm")
_OTHER_SHEETS = (".xls", ".xlsb", ".ods", ".numbers")
_KNOWN = "`.csv`, `.tsv`, `.txt` (also with `.gz`), `.parquet`, `.feather`, `.arrow`, `.xlsx`"


def path_to_stream(text: str) -> Path | None:
    """Return the path of an Arrow file, which can be read in parts; None for what is none."""
    path = as_path(text)
    found = path.name.lower().endswith(_ARROW) and kind_of(path) == "file"
    return path if found and path.stat().st_size else None


def open_file(text: str, how: Reading = USUAL, *, in_parts: bool = False) -> Reader:
    """Open a file by its extension; columns are read when taken.

    Parameters
    ----------
    text : str
        A path; ``file.duckdb::table``, ``file.sqlite::table`` or ``file.xlsx::sheet``; a folder or
        a pattern of Parquet files; or ``"-"``, standard input.
    how : Reading
        What users say about it.
    in_parts : bool
        Whether it is to be read in parts, so that text files are split by DuckDB, however small.

    Examples
    --------
    >>> open_file("nowhere.csv")
    Traceback (most recent call last):
    ...
    partialpool.errors.InputError: there is no file `nowhere.csv`: check the path.
    """
    if text == STANDARD_INPUT:
        return open_delimited(text, how, lines=not in_parts)
    path = as_path(text)
    kind = kind_of(path)
    if kind == "nothing" and "::" in text:
        name, part = text.rsplit("::", 1)
        return _part(existing_file(as_path(name)), part, how)
    if kind == "folder" or (kind == "nothing" and set(path.name) & set("*?[")):
        return _several(path, text, how, in_parts)
    return _single(existing_file(path), how, in_parts)


def _single(path: Path, how: Reading, in_parts: bool) -> Reader:
    name = path.name.lower()
    if name.endswith(_DATABASES):
        raise InputError(
            f"`{path.name}` is a database, not a table", remedy=f"write `{shown(path)}::table`"
        )
    if name.endswith(_OTHER_SHEETS):
        raise InputError(
            f"`{path.name}` is a spreadsheet of a kind that is not read",
            remedy="save it as `.xlsx` or CSV",
        )
    if not name.endswith((*_TEXT, ".parquet", *_ARROW, *_EXCEL)):
        raise InputError(
            f"`{path.name}` has an extension that is not known", remedy=f"use one of {_KNOWN}"
        )
    if kind_of(path) == "file" and path.stat().st_size == 0:
        raise InputError(f"`{path.name}` is empty", remedy="give a file with data")
    if name.endswith(_TEXT):
        return open_delimited(str(path), how, lines=not in_parts)
    if how.encoding is not None:
        raise InputError(
            f"`encoding` is given, but `{path.name}` is no text file", remedy="leave it out"
        )
    if name.endswith(".parquet"):
        return open_parquet([path], path.name, how)
    if name.endswith(_EXCEL):
        return open_excel(path, None, how)
    return open_arrow(path, how)


def _part(path: Path, part: str, how: Reading) -> Reader:
    if how.encoding is not None:
        raise InputError(
            f"`encoding` is given, but `{path.name}` is no text file", remedy="leave it out"
        )
    if path.name.lower().endswith(_EXCEL):
        return open_excel(path, part, how)
    return open_database(path, part, how)


def _several(path: Path, text: str, how: Reading, in_parts: bool) -> Reader:
    """Open a folder or a pattern of Parquet files."""
    paths = attempt(shown(path), lambda: find_parquet(path))
    folder = path.is_dir()
    if not paths:
        raise InputError(
            f"`{shown(path)}` is a folder without Parquet files"
            if folder
            else f"no file is called like `{shown(path)}`",
            remedy="give a file in it" if folder else "check the path",
        )
    other = next((p for p in paths if p.suffix.lower() != ".parquet"), None)
    if other is not None:
        if len(paths) == 1:
            return _single(other, how, in_parts)
        raise InputError(
            f"`{text}` names several files, and `{other.name}` is no Parquet file",
            remedy="give one file, or several of Parquet",
        )
    return open_parquet(paths, shown(path), how)
