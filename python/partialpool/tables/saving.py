"""Where a table of fits is written to, and what its ending says that it is."""

from __future__ import annotations

import os
from pathlib import Path

from partialpool.errors import InputError
from partialpool.paths import as_path, kind_of

ENDINGS = (".md", ".tex", ".html", ".csv", ".docx")


def check_target(path: str | os.PathLike[str], name: str = "path") -> Path:
    """Take the path of a file that may be written.

    Raises
    ------
    InputError
        If something else is there.
    """
    found = as_path(path, name)
    if kind_of(found) not in ("file", "nothing"):
        raise InputError(f"`{found}` is not an ordinary file", remedy="choose another path")
    return found


def check_ending(path: str | os.PathLike[str], name: str = "path") -> Path:
    """Take the path of a file whose ending says what to write.

    Raises
    ------
    InputError
        If there is no such kind of file, or something else is there.

    Examples
    --------
    >>> check_ending("table.docx").name
    'table.docx'
    """
    found = as_path(path, name)
    if found.suffix.lower() not in ENDINGS:
        *first, last = ENDINGS
        raise InputError(
            f"`{found.name}` is no table", remedy=f"let it end in {', '.join(first)} or {last}"
        )
    return check_target(found, name)
