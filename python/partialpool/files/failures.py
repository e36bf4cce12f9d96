"""What readers of files raise → one clear line."""

from __future__ import annotations

import errno
import os
import re
import tempfile
from collections.abc import Callable
from typing import TypeVar

from partialpool.errors import InputError

T = TypeVar("T")

_FULL = {getattr(errno, name, None) for name in ("ENOSPC", "EDQUOT", "EFBIG")} - {None}


def attempt(source: str, action: Callable[[], T]) -> T:
    """Run a reader; whatever it raises becomes one clear line.

    Examples
    --------
    >>> attempt("d.csv", lambda: 1 / 0)
    Traceback (most recent call last):
    ...
    partialpool.errors.InputError: `d.csv` cannot be read (division by zero): check that the file \
is complete and that its extension is right.
    """
    try:
        return action()
    except InputError:
        raise
    except Exception as error:
        raise unreadable(source, error) from None


def unreadable(source: str, error: Exception) -> InputError:
    """Say that a table cannot be read, and why.

    Raises
    ------
    KeyboardInterrupt
        If it is because somebody pressed Ctrl-C, which DuckDB tells as an error of its own.
    """
    text = str(error).strip()
    if text == "Query interrupted":  # its InterruptException has other causes
        raise KeyboardInterrupt from None
    if isinstance(error, OSError) and error.errno and error.errno in _FULL:
        return InputError(
            f"`{source}` cannot be unpacked ({os.strerror(error.errno)})",
            remedy=f"make room in {tempfile.gettempdir()}, or set TMPDIR to another folder",
        )
    if isinstance(error, OSError) and error.errno:
        return InputError(
            f"`{source}` cannot be read ({os.strerror(error.errno)})",
            remedy="see whether you may read it",
        )
    if isinstance(error, UnicodeError):
        return InputError(
            f"`{source}` is not {getattr(error, 'encoding', 'that')} text",
            remedy='say what it is, as in `pp.read(…, encoding="cp1252")`',
        )
    if isinstance(error, MemoryError) or "out of memory" in text.lower():
        return InputError(
            f"`{source}` does not fit into memory",
            remedy="give fewer rows, or a Parquet file, of which only the columns used are read",
        )
    if "Permission Error" in text:
        return InputError(
            f"`{source}` is a view of other files, which are not read on its word",
            remedy="make it a table",
        )
    if re.search(r"not utf-?8 encoded|invalid unicode|invalid utf", text, re.IGNORECASE):
        return not_utf8(source)
    line = re.search(r"CSV Error on Line: (\d+)", text)
    detail = re.search(r"(Expected Number of Columns: \d+ Found: \d+)", text)
    if line:
        reason = f"line {line[1]}" + (
            f" has an unexpected number of fields ({detail[1]})".lower()
            if detail
            else f": {_first_lines(text, 2)}"
        )
        return InputError(f"`{source}` cannot be read: {reason}", remedy="repair that line")
    return InputError(
        f"`{source}` cannot be read ({_first_lines(text, 1) or type(error).__name__})",
        remedy="check that the file is complete and that its extension is right",
    )


def not_utf8(source: str) -> InputError:
    """Say that a text file has another encoding than UTF-8."""
    return InputError(
        f"`{source}` is not UTF-8 text",
        remedy='say what it is, often `pp.read(…, encoding="cp1252")`, or save it as UTF-8',
    )


def _first_lines(text: str, count: int) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " ".join(lines[:count])[:200]
