"""Paths as users write them → files that are there, or one sentence about why not."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Any

from partialpool.errors import InputError, did_you_mean

STANDARD_INPUT = "-"


def as_path(path: str | os.PathLike[str], what: str = "path") -> Path:
    """Give what users give as a path, with ``~`` written out.

    Raises
    ------
    InputError
        If it is none.

    Examples
    --------
    >>> as_path("a/b.csv").name
    'b.csv'
    >>> as_path(None)
    Traceback (most recent call last):
    ...
    partialpool.errors.InputError: `path` is None: give the path of a file, as text.
    """
    text: Any = path
    if isinstance(path, os.PathLike):
        text = os.fspath(path)
    if not isinstance(text, str) or "\0" in text or not _is_encodable(text) or not text:
        shown = repr(text)[:80] if text is None or isinstance(text, str) else type(text).__name__
        raise InputError(f"`{what}` is {shown}", remedy="give the path of a file, as text")
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise InputError(
            f"there is no user `{text.split('/')[0]}`", remedy="write the path out"
        ) from None


def kind_of(path: Path) -> str:
    """Tell what is at a path: ``"file"``, ``"folder"``, ``"other"`` or ``"nothing"``.

    Raises
    ------
    InputError
        If that cannot be told: the name is too long, links lead in a circle, or a folder may not be
        searched.
    """
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return "nothing"
    except OSError as error:
        raise unreachable(path, error) from None
    return "folder" if stat.S_ISDIR(mode) else "file" if stat.S_ISREG(mode) else "other"


def existing_file(
    path: Path, *, remedy: str = "check the path", inside: str = "give a file in it"
) -> Path:
    """Return the path of a file that is there.

    Raises
    ------
    InputError
        If there is none: it names one with nearly that name where there is one.
    """
    kind = kind_of(path)
    if kind == "folder":
        raise InputError(f"`{shown(path)}` is a folder", remedy=inside)
    if kind == "nothing":
        near = did_you_mean(path.name, _names_beside(path))
        # Listing a whole folder would not help: say so only where one name is close.
        raise InputError(
            f"there is no file `{shown(path)}`",
            remedy=near if near.startswith("did you mean") else remedy,
        )
    return path


def resolved(path: Path) -> Path:
    """Return a path without links.

    Raises
    ------
    InputError
        If they lead in a circle.
    """
    try:
        return path.resolve()
    except (OSError, RuntimeError) as error:
        reason = OSError(errno.ELOOP, "") if isinstance(error, RuntimeError) else error
        raise unreachable(path, reason) from None


def unreachable(path: Path, error: OSError, what: str = "reached") -> InputError:
    """Say that a path leads nowhere, or to what may not be read, and why."""
    reason = os.strerror(error.errno) if error.errno else str(error)
    remedy = "check the path" if what == "reached" else "see whether you may read it"
    return InputError(f"`{shown(path)}` cannot be {what} ({reason})", remedy=remedy)


def shown(path: Path | str) -> str:
    """Return a path for messages, which it must not fill.

    Examples
    --------
    >>> shown("a" * 300)[:4], len(shown("a" * 300))
    ('aaaa', 81)
    """
    text = str(path)
    return text if len(text) <= 200 else f"{text[:40]}…{text[-40:]}"


def _names_beside(path: Path) -> list[str]:
    try:
        return [name.name for name in path.parent.iterdir() if name.is_file()]
    except OSError:
        return []


def _is_encodable(text: str) -> bool:
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        return False
    return True
