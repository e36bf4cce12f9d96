"""A hypothesis's text → comparisons of expressions; nothing of it is ever run.

The text is cut into tokens by the names that the fit has, then at ``and``, then at the signs of
comparison; what is left between these is read as formulas read their expressions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import Struct

from partialpool import called
from partialpool.errors import InputError, NotYetError, did_you_mean, short, shown
from partialpool.formula.expression import Token, parse_tokens
from partialpool.formula.tree import Node
from partialpool.hypotheses.arithmetic import FUNCTIONS, check_arithmetic
from partialpool.hypotheses.names import Found, Names

MAX_LENGTH = 2_000
MAX_TOKENS = 200

_NUMBER = re.compile(r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?L?(?![\w.])")
_OPERATOR = re.compile(r"\*\*|<=|>=|==|&&|[-+*/^<>=&(),≤≥−]")
_WORD = re.compile(r"[^\W\d][\w.]*")
_SAME = {"≤": "<=", "≥": ">=", "−": "-", "==": "=", "&&": "&", "and": "&"}
COMPARED = ("<", "<=", ">", ">=", "=")
DIRECTION = {"<": -1, "<=": -1, ">": 1, ">=": 1, "=": 0}
EXAMPLE = '"b[x] > 0"'


class Comparison(Struct, frozen=True):
    """Two expressions and the sign between them: ``<``, ``<=``, ``>``, ``>=`` or ``=``."""

    left: Node
    sign: str
    right: Node


class Statement(Struct, frozen=True):
    """What a text asks.

    Parameters
    ----------
    text : str
        As it was written, with the full names of the parameters.
    comparisons : tuple of Comparison
        All of which are to hold; empty where an expression stands alone.
    value : Node or None
        The expression that stands alone.
    parameters : dict of Found
        The parameters in it, by their full names.
    """

    text: str
    comparisons: tuple[Comparison, ...]
    value: Node | None
    parameters: dict[str, Found]

    @property
    def joined(self) -> bool:
        """Whether several comparisons are to hold at once, so that there is no one difference."""
        return len(self.comparisons) > 1

    @property
    def equality(self) -> bool:
        """Whether it asks for two expressions to be equal."""
        return len(self.comparisons) == 1 and self.comparisons[0].sign == "="


def read_statement(text: str, names: Names) -> Statement:
    """Read a hypothesis.

    Parameters
    ----------
    text : str
        Such as ``"b[x] - b[z] > 0.5"``.
    names : Names
        The parameters that there are.

    Raises
    ------
    InputError
        When the text has no meaning; the message points at the character.
    """
    if not isinstance(text, str):
        raise InputError(f"a hypothesis is {shown(text)}", remedy=f"write it as text: {EXAMPLE}")
    if not text.strip():
        raise InputError(
            "a hypothesis is empty", where="at character 1", remedy=f"write one such as {EXAMPLE}"
        )
    if len(text) > MAX_LENGTH:
        raise InputError(
            f"a hypothesis has more than {MAX_LENGTH} characters",
            where=f"at character {MAX_LENGTH + 1}",
            remedy="ask for less at a time",
        )
    tokens, found = _tokens(text, names)
    comparisons: list[Comparison] = []
    value: Node | None = None
    parts = list(_conjuncts(tokens))
    for part in parts:
        compared, value = _chain(part, len(text) + 1)
        comparisons += compared
        if value is not None and len(parts) > 1:
            raise InputError(
                "what is joined by `and` compares nothing",
                where=_at(part[0]),
                remedy="compare each part, as in `b[x] > 0 and b[z] > 0`",
            )
    if len(comparisons) > 1 and any(one.sign == "=" for one in comparisons):
        equal = next(token for token in tokens if token.text == "=" and token.kind == "op")
        raise InputError(
            "`=` stands beside other comparisons",
            where=_at(equal),
            remedy="no single value has a probability of its own: ask for `=` by itself",
        )
    if not found:
        raise InputError(
            f"`{short(text)}` names no parameter",
            where="at character 1",
            remedy=did_you_mean("", names.labels),
        )
    parameters = {one.name: one for one in found.values()}
    return Statement(_spelled(text, found), tuple(comparisons), value, parameters)


def _tokens(text: str, names: Names) -> tuple[list[Token], dict[int, Found]]:
    """Cut a text into tokens; the parameters among them by where they start."""
    tokens: list[Token] = []
    parameters: dict[int, Found] = {}
    i = 0
    while i < len(text):
        if text[i].isspace():
            i += 1
            continue
        token, end, found = _next(text, i, names)
        if found is not None:
            parameters[i] = found
        tokens.append(token)
        if len(tokens) > MAX_TOKENS:
            raise InputError(
                f"a hypothesis has more than {MAX_TOKENS} parts",
                where=_at(token),
                remedy="ask for less at a time",
            )
        i = end
    _check_calls(tokens)
    return tokens, parameters


def _next(text: str, i: int, names: Names) -> tuple[Token, int, Found | None]:
    if text[i] == "`":
        end = text.find("`", i + 1)
        if end < 0:
            raise InputError("a backtick is not closed", where=f"at character {i + 1}")
        found = names.named(text[i + 1 : end], i, end + 1)
        if found is None:
            raise InputError(
                f"no parameter `{short(text[i + 1 : end])}`",
                where=f"at character {i + 1}",
                remedy=did_you_mean(text[i + 1 : end], names.labels),
            )
        return Token("quoted", found.name, i + 1), end + 1, found
    operator = _OPERATOR.match(text, i)
    if operator:
        sign = _SAME.get(operator[0], operator[0])
        if sign == "=" and text[i + 1 : i + 2] in ("<", ">"):
            remedy = "write `<=` or `>=`"
            raise InputError("a sign is turned", where=f"at character {i + 1}", remedy=remedy)
        return Token("op", sign, i + 1), operator.end(), None
    number = _NUMBER.match(text, i)
    if number:
        return Token("number", number[0], i + 1), number.end(), None
    word = _WORD.match(text, i)
    if word is None:
        raise _stray(text, i)
    if _calls(text, word.end()):
        return _function(text, word, names), word.end(), None
    if word[0] == "and":
        return Token("op", "&", i + 1), word.end(), None
    found = names.find(text, i)
    if found is not None:
        return Token("quoted", found.name, i + 1), found.end, found
    if word[0] in ("or", "not"):
        raise _joined(word[0], i)
    raise names.unknown(text, i)


def _calls(text: str, end: int) -> bool:
    return text[end:].lstrip(" \t").startswith("(")


def _function(text: str, word: re.Match[str], names: Names) -> Token:
    """Take a word before a bracket as the name of a function."""
    i, name = word.start(), word[0].rpartition("::")[2]
    calls = [n for n in names.labels if "(" in called.place_of(n)]
    own = [n for n in calls if text.startswith(called.place_of(n), i)]
    if own:  # a column such as `log(x)`
        raise InputError(
            f"`{short(called.place_of(own[0]))}` is the name of a column, and may be arithmetic",
            where=f"at character {i + 1}",
            remedy=f"write `{short(own[0])}` for its coefficient",
        )
    if name in ("and", "or", "not"):
        if name == "and":
            return Token("op", "&", i + 1)
        raise _joined(name, i)
    if name not in FUNCTIONS:
        raise InputError(
            f"there is no function `{short(name)}`",
            where=f"at character {i + 1}",
            remedy=did_you_mean(name, FUNCTIONS),
        )
    return Token("word", name, i + 1)


def _joined(word: str, i: int) -> InputError:
    return NotYetError(
        f"`{word}` joins or turns comparisons, which this version cannot do",
        where=f"at character {i + 1}",
        remedy="ask for each by itself, or join them by `and`",
    )


def _stray(text: str, i: int) -> InputError:
    where = f"at character {i + 1}, `{text[i]}`"
    if text[i] == "|":
        return _joined("|", i)
    if text[i : i + 2] in ("!=", "<>") or text[i] == "≠":
        return InputError(
            "that two numbers differ is always true of draws",
            where=where,
            remedy="ask which is larger, or for `= 0` with `rope=`",
        )
    if text[i] in "[]{}":
        remedy = "round brackets are for arithmetic, square ones belong to names such as `b[x]`"
        return InputError(f"`{text[i]}` cannot stand here", where=where, remedy=remedy)
    if text[i].isdigit() or text[i] == ".":
        return InputError("this is no number", where=where, remedy="write it like 0.5 or 1e-3")
    if text[i] in "'\"“”‘’":
        remedy = "write the names of parameters without quotes"
        return InputError("a string is no parameter", where=where, remedy=remedy)
    return InputError(
        f"`{text[i]}` has no meaning in a hypothesis",
        where=where,
        remedy="use the names of parameters, numbers, + - * / ^ ( ) and < > <= >= =",
    )


def _check_calls(tokens: list[Token]) -> None:
    """Refuse functions of too few or too many numbers, and calls of what is no function."""
    for k, token in enumerate(tokens[:-1]):
        ends = token.kind in ("number", "quoted") or token.text == ")"
        if ends and tokens[k + 1].text == "(" and tokens[k + 1].kind == "op":
            raise InputError(
                f"an operator is missing between `{short(token.text)}` and `(`",
                where=_at(tokens[k + 1]),
                remedy="write `*` to multiply",
            )
        if token.kind != "word":
            continue
        given, depth = 1, 0
        for j, inner in enumerate(tokens[k + 1 :], k + 1):
            depth += (inner.text == "(") - (inner.text == ")")
            given += inner.text == "," and depth == 1
            if depth == 0:
                given -= j == k + 2
                break
        check_arithmetic(token.text, given, _at(token))


def _conjuncts(tokens: list[Token]) -> Iterator[list[Token]]:
    """Cut at ``and``, also inside brackets around several comparisons."""
    tokens = _unwrapped(tokens)
    cuts = [k for k, depth in _depths(tokens) if tokens[k].text == "&" and depth == 0]
    if not cuts:
        for k, depth in _depths(tokens):
            if depth and tokens[k].kind == "op" and tokens[k].text in ("&", *COMPARED):
                raise InputError(
                    f"`{tokens[k].text}` stands inside brackets that are part of arithmetic",
                    where=_at(tokens[k]),
                    remedy="compare and join outside of them",
                )
        yield tokens
        return
    for first, last in zip([-1, *cuts], [*cuts, len(tokens)], strict=True):
        if last == first + 1:
            missing = tokens[min(last, len(tokens) - 1)]
            raise InputError("something is missing beside `and`", where=_at(missing))
        yield from _conjuncts(tokens[first + 1 : last])


def _unwrapped(tokens: list[Token]) -> list[Token]:
    """Take off brackets around all of it that hold a comparison."""
    while len(tokens) > 2 and tokens[0].text == "(" and tokens[-1].text == ")":
        inner = tokens[1:-1]
        compares = any(t.kind == "op" and t.text in ("&", *COMPARED) for t in inner)
        if not compares or min(depth for _, depth in _depths(inner)) < 0:
            break
        tokens = inner
    return tokens


def _depths(tokens: list[Token]) -> list[tuple[int, int]]:
    """Each token's position, and how many brackets it stands in."""
    found, depth = [], 0
    for k, token in enumerate(tokens):
        operator = token.kind == "op"
        depth -= operator and token.text == ")"
        found.append((k, depth))
        depth += operator and token.text == "("
    return found


def _chain(tokens: list[Token], end: int) -> tuple[list[Comparison], Node | None]:
    """Read ``a < b < c`` as comparisons, or an expression alone."""
    cuts = [k for k, token in enumerate(tokens) if token.kind == "op" and token.text in COMPARED]
    sides: list[Node] = []
    for first, last in zip([-1, *cuts], [*cuts, len(tokens)], strict=True):
        side = tokens[first + 1 : last]
        if not side:
            sign = tokens[first if first >= 0 else last]
            word = "after" if first >= 0 else "before"
            raise InputError(f"something is missing {word} `{sign.text}`", where=_at(sign))
        after = tokens[last].start if last < len(tokens) else end
        sides.append(parse_tokens(side, after))
    if not cuts:
        return [], sides[0]
    signs = [tokens[k].text for k in cuts]
    if len({DIRECTION[sign] for sign in signs}) > 1:
        raise InputError(
            "the signs of a chain point in different directions",
            where=_at(tokens[cuts[1]]),
            remedy="write two comparisons with `and` between",
        )
    parts = zip(sides[:-1], signs, sides[1:], strict=True)
    return [Comparison(left, sign, right) for left, sign, right in parts], None


def _at(token: Token) -> str:
    return f"at character {token.start}, `{short(token.text)}`"


def _spelled(text: str, found: dict[int, Found]) -> str:
    """Write a text with the full names of its parameters, and single blanks."""
    parts, i = [], 0
    for start, one in sorted(found.items()):
        parts += [" ".join(text[i:start].split(" ")), one.name]
        i = one.end
    parts.append(text[i:])
    between = [re.sub(r"\s+", " ", part) if k % 2 == 0 else part for k, part in enumerate(parts)]
    return "".join(between).strip()
