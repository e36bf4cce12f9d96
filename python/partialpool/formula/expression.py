"""An expression inside a formula, such as ``log(x + 1)``: its text → a tree.

What R writes and what Python writes are read alike (``x^2``, ``x**2``; ``TRUE``, ``True``;
``!a & b``, ``not a and b``), with R's order of operators.
"""

from __future__ import annotations

import ast
import re
from typing import NoReturn

from msgspec import Struct

from partialpool.errors import InputError, short
from partialpool.formula.tree import (
    BINDING,
    COMPARISONS,
    CONSTANTS,
    NOT,
    PYTHON,
    SIGN,
    Binary,
    Call,
    Constant,
    Items,
    Name,
    Node,
    Unary,
    show,
)

MAX_DEPTH = 60
MAX_OPERATORS = 200


_TOKEN = re.compile(
    r"""(?P<space>\s+)
    |(?P<string>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')
    |`(?P<quoted>[^`]*)`
    |(?P<word>(?:[^\W\d]|\.(?=[^\W\d]))[\w.]*(?:::[^\W\d][\w.]*)?)
    |(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?L?)
    |(?P<op>%\w+%|%/%|%%|\*\*|//|&&|\|\||==|!=|<=|>=|[-+*/^:<>=!~&|%()\[\]{},])""",
    re.VERBOSE | re.DOTALL,
)


class Token(Struct, frozen=True):
    """A part of an expression: a number, a string, a name, a word or an operator.

    The kinds are ``number``, ``string``, ``quoted`` (a name, whatever it is made of), ``word``,
    ``op`` and ``end``; `start` is the first character, counted from 1.
    """

    kind: str
    text: str
    start: int


def parse_expression(text: str, start: int = 1) -> Node:
    """Read an expression.

    Parameters
    ----------
    text : str
        The expression alone.
    start : int
        Where its first character stands in the formula, for messages.

    Raises
    ------
    InputError
        When the text is no expression; the message points at the character.

    Examples
    --------
    >>> show(parse_expression("log(`my x`+1)^2"))
    'log(`my x` + 1)^2'
    >>> show(parse_expression("not b"), canonical=True)
    '~b'
    """
    return parse_tokens(_tokens(text, start), start + len(text))


def parse_tokens(tokens: list[Token], end: int) -> Node:
    """Read an expression whose names were found already, by other rules than those of formulas.

    Parameters
    ----------
    tokens : list of Token
        At least one.
    end : int
        Where the text ends, for messages.

    Raises
    ------
    InputError
        When they are no expression; the message points at the character.

    Examples
    --------
    >>> parse_tokens([Token("op", "-", 1), Token("quoted", "b[x]", 2)], 6)
    Unary(operator='-', operand=Name(name='b[x]', sure=True), written='-')
    """
    return _Parser(tokens, end).whole()


def _tokens(text: str, start: int) -> list[Token]:
    tokens: list[Token] = []
    i = 0
    while i < len(text):
        match = _TOKEN.match(text, i)
        if match is None:
            raise _stray(text[i], start + i)
        kind = str(match.lastgroup)
        if kind != "space":
            shown = match["quoted"] if kind == "quoted" else match[0]
            tokens.append(Token(kind, shown, start + i))
        i = match.end()
    return tokens


def _stray(char: str, at: int) -> InputError:
    remedy = None
    if char in "'\"`":
        return InputError(
            f"a {'backtick' if char == '`' else 'quote'} is not closed", where=f"at character {at}"
        )
    if char == "$":
        remedy = "name the column alone, without the table"
    elif char in "“”‘’„":
        remedy = "use straight quotes"
    return InputError(
        f"`{char}` has no meaning in a formula", where=f"at character {at}", remedy=remedy
    )


class _Parser:
    """Precedence climbing: one method for operators, one for operands."""

    def __init__(self, tokens: list[Token], end: int) -> None:
        self.tokens, self.end, self.i, self.depth = tokens, end, 0, 0
        if sum(token.kind == "op" and token.text in BINDING for token in tokens) > MAX_OPERATORS:
            raise InputError(
                f"an expression has more than {MAX_OPERATORS} operators",
                where=f"at character {tokens[0].start}",
                remedy="compute the column before",
            )

    def whole(self) -> Node:
        node = self.expression(0)
        if self.i < len(self.tokens):
            self.unexpected()
        return node

    def peek(self, ahead: int = 0) -> Token:
        at = self.i + ahead
        return self.tokens[at] if at < len(self.tokens) else Token("end", "", self.end)

    def operator(self) -> tuple[str, int]:
        """Return the operator that comes next, and how many tokens it takes."""
        token = self.peek()
        if token.kind == "word" and token.text == "not" and self.peek(1).text == "in":
            return "not in", 2
        known = token.kind == "op" or (token.kind == "word" and token.text in ("and", "or", "in"))
        return (token.text, 1) if known and token.text in BINDING else ("", 0)

    def expression(self, least: int) -> Node:
        """Read operands joined by operators that bind at least so tightly."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise InputError("the expression is nested too deeply", where=self.place())
        left = self.prefixed()
        while True:
            operator, count = self.operator()
            binding = BINDING.get(operator, -1)
            if binding < least or not operator:
                break
            compared = isinstance(left, Binary) and left.operator in COMPARISONS
            if binding == 4 and compared and self.tokens[self.i - 1].text != ")":
                raise InputError(
                    f"`{short(show(left))} {operator} …` compares twice",
                    where=self.place(),
                    remedy="write `(a < x) & (x < b)` for `a < x < b`",
                )
            self.i += count
            # Powers group to the right, and their exponent may have a sign.
            right = self.expression(binding if binding == 10 else binding + 1)
            left = Binary(PYTHON.get(operator, operator), left, right, operator)
        self.depth -= 1
        return left

    def prefixed(self) -> Node:
        token = self.peek()
        if token.kind == "op" and token.text in "+-":
            self.i += 1
            return Unary(token.text, self.expression(SIGN), token.text)
        if token.text in ("!", "~") or (token.kind, token.text) == ("word", "not"):
            self.i += 1
            return Unary("!", self.expression(NOT), token.text)
        return self.operand()

    def operand(self) -> Node:
        token = self.peek()
        self.i += 1
        if token.kind == "number":
            return _number(token)
        if token.kind == "string":
            return Constant(_text(token), token.text)
        if token.kind == "quoted":
            if not token.text:
                raise InputError(
                    "a name in backticks is empty", where=f"at character {token.start}"
                )
            return self.followed(Name(token.text, sure=True))
        if token.kind == "word":
            return self.word(token)
        if token.text in ("(", "{"):
            inside = self.expression(0)
            self.close(token)
            return self.followed(inside)
        if token.text == "[":
            items = Items(tuple(value for _, value in self.arguments(token)), "[")
            return self.followed(items)
        self.i -= 1
        self.unexpected()

    def word(self, token: Token) -> Node:
        if self.peek().text == "(":
            opening = self.peek()
            self.i += 1
            given = self.arguments(opening)
            name = token.text.rpartition("::")[2]
            plain = tuple(value for key, value in given if not key)
            if name == "c" and len(plain) == len(given):
                return self.followed(Items(plain, "c("))
            named = tuple((key, value) for key, value in given if key)
            return self.followed(Call(name, plain, named))
        if token.text in CONSTANTS:
            return Constant(CONSTANTS[token.text], token.text)
        return self.followed(Name(token.text))

    def arguments(self, opening: Token) -> list[tuple[str, Node]]:
        """Read arguments up to the closing bracket; those without a name have an empty one."""
        given: list[tuple[str, Node]] = []
        closing = {"(": ")", "[": "]"}[opening.text]
        while self.peek().text != closing or self.peek().kind != "op":
            key = ""
            if self.peek().kind in ("word", "quoted") and self.peek(1).text == "=":
                key = self.peek().text
                self.i += 2
            given.append((key, self.expression(0)))
            if self.peek().text == ",":
                self.i += 1
            elif self.peek().text != closing:
                break
        self.close(opening)
        return given

    def close(self, opening: Token) -> None:
        token = self.peek()
        if token.kind == "end":
            raise InputError(
                f"the bracket `{opening.text}` is not closed",
                where=f"at character {opening.start}",
                remedy=f"add `{_CLOSES[opening.text]}`",
            )
        if token.text != _CLOSES[opening.text]:
            self.unexpected()
        self.i += 1

    def followed(self, node: Node) -> Node:
        """Refuse what would be a call or an index in other languages."""
        token = self.peek()
        before = self.tokens[self.i - 1]
        if token.text == "[":
            remedy = "a formula takes whole columns, by their names"
            one = self.peek(1)
            if one.kind in ("string", "word") and self.peek(2).text == "]":
                value = one.text if one.kind == "string" else repr(one.text)
                remedy = f"for one category write `{{{short(show(node))} == {value}}}`"
            raise InputError(
                f"`{short(show(node))}[…]` is not allowed in a formula",
                where=self.place(),
                remedy=remedy,
            )
        if token.text == "(" and (before.kind == "quoted" or before.text == ")"):
            raise InputError(
                f"`{short(show(node))}(…)` is not a function that formulas know",
                where=self.place(),
            )
        return node

    def place(self) -> str:
        token = self.peek()
        shown = f", `{short(token.text)}`" if token.text else ""
        return f"at character {token.start}{shown}"

    def unexpected(self) -> NoReturn:
        token = self.peek()
        if token.kind == "end":
            raise InputError(
                "an expression is not complete", where=self.place(), remedy="add what is missing"
            )
        before = self.peek(-1) if self.i else None
        ends = before is not None and (before.kind != "op" or before.text in ")]}")
        if token.text == "=":
            raise InputError("`=` stands in an expression", where=self.place(), remedy="write `==`")
        if token.text in ")]}":
            what = "the brackets do not match" if ends else "something is missing before a bracket"
            raise InputError(what, where=self.place())
        if ends and before is not None and token.kind != "op":
            raise InputError(
                f"an operator is missing between `{short(before.text)}` and `{short(token.text)}`",
                where=self.place(),
            )
        raise InputError(
            f"`{short(token.text)}` cannot stand here",
            where=self.place(),
            remedy="check the spelling",
        )


_CLOSES = {"(": ")", "[": "]", "{": "}"}


def _number(token: Token) -> Constant:
    text = token.text.removesuffix("L")
    value: float = int(text) if text.isdecimal() and len(text) < 16 else float(text)
    return Constant(value, token.text)


def _text(token: Token) -> str:
    try:
        value = ast.literal_eval(token.text.replace("\n", "\\n").replace("\r", "\\r"))
    except (SyntaxError, ValueError):
        raise InputError(
            "a string has an escape that is none", where=f"at character {token.start}"
        ) from None
    return str(value)
