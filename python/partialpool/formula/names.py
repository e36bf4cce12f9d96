"""Names of columns as a formula writes them: in backticks unless they are plain words."""

from __future__ import annotations

import keyword
import re

_PLAIN = re.compile(r"(?:[^\W\d]|\.(?=[^\W\d]))[\w.]*")
# How saved fits of version 0.1.0 spell a column or a string, in hexadecimal.
_ALIAS = re.compile(r"ppcol_([nclbt])_((?:[0-9a-f]{2})*)_")


def quoted(name: str) -> str:
    """Return a name as it is written in a formula: in backticks unless it is a plain word.

    Examples
    --------
    >>> quoted("x"), quoted("a.b"), quoted("my col")
    ('x', 'a.b', '`my col`')
    """
    plain = _PLAIN.fullmatch(name) and not keyword.iskeyword(name) and "__" not in name
    return name if plain else f"`{name}`"


def readable(code: str) -> str:
    """Put names and strings back into code that a saved fit of version 0.1.0 holds.

    Examples
    --------
    >>> readable("log(ppcol_n_6d7920636f6c_)")
    'log(`my col`)'
    """

    def back(match: re.Match[str]) -> str:
        text = bytes.fromhex(match[2]).decode()
        return repr(text) if match[1] == "t" else quoted(text)

    return _ALIAS.sub(back, code)
