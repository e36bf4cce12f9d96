"""Aliases: how column names and strings travel through code that gets evaluated.

A factor such as ``log(x)`` is evaluated as Python, so no text that a user wrote may reach it. Every
column name and every string is replaced by an identifier that spells it in hexadecimal, and put
back only when a column of the design is named. Names can then hold anything, and none can shadow
a function.
"""

from __future__ import annotations

import keyword
import re

# How a column is used decides what it is converted to when the factor is evaluated.
NUMBER = "n"  # numbers and booleans as floats
CODED = "c"  # as it is, to be treated as categories
BOOLEAN = "b"  # as it is, and it must be boolean
BARE = "l"  # a term of its own
TEXT = "t"  # not a column: a string

_ALIAS = re.compile(r"ppcol_([nclbt])_((?:[0-9a-f]{2})*)_")


def alias(name: str, use: str = NUMBER) -> str:
    """Return the identifier that stands for a column or string.

    Examples
    --------
    >>> alias("x"), split_alias(alias("my col", CODED))
    ('ppcol_n_78_', ('my col', 'c'))
    """
    return f"ppcol_{use}_{name.encode().hex()}_"


def split_alias(text: str) -> tuple[str, str] | None:
    """Return the name and the use that an identifier stands for, or None."""
    match = _ALIAS.fullmatch(text)
    return (bytes.fromhex(match[2]).decode(), match[1]) if match else None


def aliases_in(code: str) -> list[tuple[str, str]]:
    """Return every (name, use) in a piece of code, in order."""
    return [(bytes.fromhex(m[2]).decode(), m[1]) for m in _ALIAS.finditer(code)]


def readable(code: str) -> str:
    """Put the names and strings back.

    Examples
    --------
    >>> readable(f"log({alias('my col')})")
    'log(`my col`)'
    """

    def back(match: re.Match[str]) -> str:
        text = bytes.fromhex(match[2]).decode()
        if match[1] == TEXT:
            return repr(text)
        return text if match[1] == BARE else quoted(text)

    return _ALIAS.sub(back, code)


def quoted(name: str) -> str:
    """Return a name as it is written in a formula: in backticks unless it is a plain word.

    Examples
    --------
    >>> quoted("x"), quoted("my col")
    ('x', '`my col`')
    """
    plain = name.isidentifier() and not keyword.iskeyword(name) and "__" not in name
    return name if plain and not _ALIAS.search(name) else f"`{name}`"
