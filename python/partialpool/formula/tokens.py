"""A formula's text → tokens that know where they stand."""

from __future__ import annotations

import re
from dataclasses import dataclass

from partialpool.errors import InputError, NotYetError

from .check import Factor, column_factor, python_factor
from .names import quoted

MAX_LENGTH = 20_000


@dataclass(frozen=True)
class Token:
    """One token: its kind, its normalised text, and its first character (counted from 1).

    The kinds are ``factor``, ``number``, ``op``, ``open``, ``close``, ``bar`` and ``tilde``.
    """

    kind: str
    text: str
    start: int
    factor: Factor | None = None

    @property
    def place(self) -> str:
        """Where the token stands, for messages."""
        return f"at character {self.start}, `{self.text}`"


_WORD = re.compile(r"(?:[^\W\d]|\.(?=[^\W\d]))[\w.]*")
_NUMBER = re.compile(r"\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+")
_OPERATOR = re.compile(r"\*\*|[-+*:/^]")
_CLOSERS = {"(": ")", "[": "]", "{": "}"}


def tokenize(text: str) -> list[Token]:
    """Split a formula into tokens; anything that no token can hold is an error.

    Examples
    --------
    >>> [t.text for t in tokenize("y ~ log( x )+(1|g)")]
    ['y', '~', 'log(x)', '+', '(', '1', '|', 'g', ')']
    """
    if len(text) > MAX_LENGTH:
        raise InputError(f"the formula has more than {MAX_LENGTH} characters")
    tokens: list[Token] = []
    i = 0
    while i < len(text):
        if text[i].isspace():
            i += 1
            continue
        token, i = _next(text, i)
        tokens.append(token)
    return tokens


def _next(text: str, i: int) -> tuple[Token, int]:
    char, start = text[i], i + 1
    if char == "`":
        end = text.find("`", i + 1)
        if end < 0:
            raise InputError("a backtick is not closed", where=f"at character {start}")
        name = text[i + 1 : end]
        if not name:
            raise InputError("a name in backticks is empty", where=f"at character {start}")
        return Token("factor", quoted(name), start, column_factor(name)), end + 1
    if char == "{":
        end = _closing(text, i)
        code = text[i + 1 : end]
        factor = python_factor(code, f"at character {start}, `{text[i : end + 1]}`")
        shown = quoted(factor.label) if factor.bare else f"{{{factor.label}}}"
        return Token("factor", shown, start, factor), end + 1
    word = _WORD.match(text, i)
    if word:
        return _word(text, word)
    number = _NUMBER.match(text, i)
    if number:
        after = text[number.end() : number.end() + 1]
        if after and (after.isalnum() or after in "_."):
            raise InputError(
                "a name cannot start with a digit",
                where=f"at character {start}, `{number[0]}{after}`",
                remedy="put the name in backticks",
            )
        return Token("number", number[0], start), number.end()
    operator = _OPERATOR.match(text, i)
    if operator:
        return Token("op", operator[0].replace("^", "**"), start), operator.end()
    if char == "|":
        bar = "||" if text[i : i + 2] == "||" else "|"
        return Token("bar", bar, start), i + len(bar)
    if char in "()~":
        return Token({"(": "open", ")": "close", "~": "tilde"}[char], char, start), i + 1
    raise _stray(text, i)


def _word(text: str, word: re.Match[str]) -> tuple[Token, int]:
    name, start, end = word[0], word.start() + 1, word.end()
    if text[end : end + 1] == "(":
        close = _closing(text, end)
        code = text[word.start() : close + 1]
        factor = python_factor(code, f"at character {start}, `{code}`")
        shown = quoted(factor.label) if factor.bare else factor.label
        return Token("factor", shown, start, factor), close + 1
    if "__" in name:
        raise InputError(
            f"`{name}` is not allowed in a formula",
            where=f"at character {start}",
            remedy="if it is a column, put it in backticks",
        )
    factor = column_factor(name)
    return Token("factor", name if "." in name else quoted(name), start, factor), end


def _closing(text: str, opening: int) -> int:
    """Return where the bracket at ``opening`` closes, passing over strings and backticks."""
    stack: list[str] = []
    i = opening
    while i < len(text):
        char = text[i]
        if char in "'\"`":
            i = _string_end(text, i)
        elif char in _CLOSERS:
            stack.append(_CLOSERS[char])
        elif char in ")]}":
            if stack.pop() != char:
                raise InputError(
                    "the brackets do not match", where=f"at character {i + 1}, `{char}`"
                )
            if not stack:
                return i
        i += 1
    raise InputError(
        f"the bracket `{text[opening]}` is not closed",
        where=f"at character {opening + 1}",
        remedy=f"add `{_CLOSERS[text[opening]]}`",
    )


def _string_end(text: str, start: int) -> int:
    i = start + 1
    while i < len(text):
        if text[i] == text[start]:
            return i
        i += 2 if text[i] == "\\" and text[start] != "`" else 1
    what = "backtick" if text[start] == "`" else "quote"
    raise InputError(f"a {what} is not closed", where=f"at character {start + 1}")


def _stray(text: str, i: int) -> InputError:
    where = f"at character {i + 1}, `{text[i]}`"
    if text[i] == ".":
        return NotYetError(
            "`.` for all other columns is not supported", where=where, remedy="name the columns"
        )
    if text[i] in "'\"":
        return InputError(
            "a string is not a term", where=where, remedy="put column names in backticks"
        )
    if text[i] in "<>=!&@":
        return InputError("a comparison needs braces", where=where, remedy="write it as `{x > 0}`")
    if text[i] in "]}":
        return InputError("a bracket closes that was never opened", where=where)
    return InputError(f"`{text[i]}` has no meaning in a formula", where=where)


def join(tokens: list[Token]) -> str:
    """Return tokens as normalised text: one space around ``+ - * / | ~``, none elsewhere.

    Examples
    --------
    >>> join(tokenize("y~x:z+( 1|g )-1"))
    'y ~ x:z + (1 | g) - 1'
    """
    out: list[str] = []
    for i, token in enumerate(tokens):
        previous = tokens[i - 1] if i else None
        unary = token.kind == "op" and (
            previous is None or previous.kind in ("open", "tilde", "op", "bar")
        )
        if token.kind in ("bar", "tilde"):
            out.append(f" {token.text} ")
        elif token.kind != "op" or token.text in (":", "**"):
            out.append(token.text)
        else:
            out.append(token.text if unary else f" {token.text} ")
    return "".join(out).strip()
