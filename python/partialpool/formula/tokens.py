"""The right-hand side of a formula: its text → tokens that know where they stand."""

from __future__ import annotations

import re

from msgspec import Struct

from partialpool.errors import InputError, NotYetError, short
from partialpool.formula.allowed import CALLED, FUNCTIONS, NOT_YET_COVARIANCES, REWRITTEN
from partialpool.formula.check import Factor, column_factor, expression_factor
from partialpool.formula.names import quoted
from partialpool.formula.text import check_length, closing, top_level

# Functions around a group term: lme4 2.0 and glmmTMB write its covariance so, MixedModels.jl too.
_COVARIANCES = {"us": "|", "diag": "||", "zerocorr": "||"}


class Token(Struct, frozen=True):
    """One token: its kind, its normalised text, and its first character (counted from 1).

    The kinds are ``factor``, ``offset``, ``number``, ``op``, ``open``, ``close``, ``bar`` and
    ``tilde``.
    """

    kind: str
    text: str
    start: int
    factor: Factor | None = None

    @property
    def place(self) -> str:
        """Where the token stands, for messages."""
        return f"at character {self.start}, `{short(self.text)}`"


_WORD = re.compile(r"(?:[^\W\d]|\.(?=[^\W\d]))[\w.]*(?:::[^\W\d][\w.]*)?")
_NUMBER = re.compile(r"[0-9]+\.?[0-9]*(?:[eE][+-]?[0-9]+)?L?|\.[0-9]+")
_OPERATOR = re.compile(r"\*\*|%in%|[-+*:/^]")
_SAME = {"^": "**", "%in%": ":"}  # in R, `b %in% a` is the combinations of both


def tokenize(text: str, start: int = 1) -> list[Token]:
    """Split terms into tokens; anything that no token can hold is an error.

    Parameters
    ----------
    text : str
        The terms.
    start : int
        Where the first character stands in the formula.

    Examples
    --------
    >>> [t.text for t in tokenize("log( x )+(1|g)")]
    ['log(x)', '+', '(', '1', '|', 'g', ')']
    """
    check_length(text)
    tokens: list[Token] = []
    i = 0
    while i < len(text):
        if text[i].isspace():
            i += 1
            continue
        found, i = _next(text, i, start + i)
        tokens += found
    return tokens


def _next(text: str, i: int, start: int) -> tuple[list[Token], int]:
    char = text[i]
    if char == "`":
        end = text.find("`", i + 1)
        if end < 0:
            raise InputError("a backtick is not closed", where=f"at character {start}")
        name = text[i + 1 : end]
        if not name:
            raise InputError("a name in backticks is empty", where=f"at character {start}")
        return [Token("factor", quoted(name), start, column_factor(name))], end + 1
    if char == "{":
        end = closing(text, i, start - i)
        place = f"at character {start}, `{short(text[i : end + 1])}`"
        factor = expression_factor(text[i + 1 : end], place, start + 1)
        shown = quoted(factor.label) if factor.bare else f"{{{factor.label}}}"
        return [Token("factor", shown, start, factor)], end + 1
    word = _WORD.match(text, i)
    if word:
        return _word(text, word, start)
    number = _NUMBER.match(text, i)
    if number:
        after = text[number.end() : number.end() + 1]
        if after and (after.isalnum() or after in "_."):
            raise InputError(
                "a name cannot start with a digit",
                where=f"at character {start}, `{short(number[0] + after)}`",
                remedy="put the name in backticks",
            )
        return [Token("number", number[0], start)], number.end()
    operator = _OPERATOR.match(text, i)
    if operator:
        return [Token("op", _SAME.get(operator[0], operator[0]), start)], operator.end()
    if char == "|":
        bar = "||" if text[i : i + 2] == "||" else "|"
        return [Token("bar", bar, start)], i + len(bar)
    if char in "()~":
        return [Token({"(": "open", ")": "close", "~": "tilde"}[char], char, start)], i + 1
    raise _stray(text, i, start)


def _word(text: str, word: re.Match[str], start: int) -> tuple[list[Token], int]:
    name, end = word[0], word.end()
    opening = len(text) - len(text[end:].lstrip(" \t"))
    if text[opening : opening + 1] == "(" and (opening == end or _calls(name)):
        close = closing(text, opening, start - word.start())
        return _call(text, name, word.start(), opening, close, start), close + 1
    if "__" in name:
        raise InputError(
            f"`{short(name)}` is not allowed in a formula",
            where=f"at character {start}",
            remedy="if it is a column, put it in backticks",
        )
    return [Token("factor", quoted(name), start, column_factor(name))], end


def _call(text: str, name: str, first: int, opening: int, close: int, start: int) -> list[Token]:
    code, inside = text[first : close + 1], text[opening + 1 : close]
    place = f"at character {start}, `{short(code)}`"
    at = start + opening + 1 - first
    if name == "offset":
        factor = expression_factor(inside, place, at)
        return [Token("offset", f"offset({factor.label})", start, factor)]
    if name == "gr":  # brms: a grouping factor and what else is said of it
        factor = expression_factor(inside.partition(",")[0], place, at)
        if "," in inside or not factor.bare:
            raise NotYetError(
                f"`{short(code)}` says more of its levels than this version can take",
                where=place,
                remedy=f"name the grouping column alone, `{quoted(factor.columns[0])}`",
            )
        return [Token("factor", quoted(factor.label), start, factor)]
    bar = top_level(inside, "|")
    if bar and name in NOT_YET_COVARIANCES:
        raise NotYetError(
            f"`{short(code)}` gives its coefficients a covariance that this version does not have",
            where=place,
            remedy=f"write `({short(inside.strip())})`, or `||` in it for no correlations",
        )
    if bar and name in _COVARIANCES and top_level(inside, ","):
        raise NotYetError(
            f"`{short(code)}` says more of a covariance than this version can take",
            where=place,
            remedy=f"write `({short(inside[: top_level(inside, ',')[0]].strip())})`, or `||` in "
            "it for no correlations",
        )
    if bar and name in _COVARIANCES:
        group = tokenize(f"({inside})", at - 1)
        return [
            Token("bar", _COVARIANCES[name], token.start) if token.kind == "bar" else token
            for token in group
        ]
    factor = expression_factor(code, place, start)
    return [Token("factor", quoted(factor.label) if factor.bare else factor.label, start, factor)]


def _calls(name: str) -> bool:
    """Tell whether a word before a blank and a bracket is a function: `x (1 | g)` is no call."""
    return name in ("offset", "gr", *_COVARIANCES, *CALLED, *FUNCTIONS, *REWRITTEN)


def _stray(text: str, i: int, start: int) -> InputError:
    where = f"at character {start}, `{text[i]}`"
    if text[i] == ".":
        return NotYetError(
            "`.` for all other columns is not supported", where=where, remedy="name the columns"
        )
    if text[i] in "'\"“”‘’":
        return InputError(
            "a string is not a term", where=where, remedy="put column names in backticks"
        )
    if text[i] in "<>=!@%":
        return InputError(
            "a comparison needs braces", where=where, remedy="write it as `{x > 0}` or `I(x > 0)`"
        )
    if text[i] == "&":
        return InputError(
            "`&` joins conditions", where=where, remedy="for an interaction write `a:b`"
        )
    if text[i] == "$":
        return InputError(
            "`$` takes a column out of a table", where=where, remedy="name the column alone"
        )
    if text[i] in "]}":
        return InputError("a bracket closes that was never opened", where=where)
    if text[i] == "[":
        return InputError(
            "`[` has no meaning in a formula", where=where, remedy="a formula takes whole columns"
        )
    return InputError(f"`{text[i]}` has no meaning in a formula", where=where)


def join(tokens: list[Token]) -> str:
    """Return tokens as normalised text: one space around ``+ - * / | ~``, none elsewhere.

    Examples
    --------
    >>> join(tokenize("x:z+( 1|g )-1"))
    'x:z + (1 | g) - 1'
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
