"""The algebra of terms: ``a * b`` is ``a + b + a:b``, and so on.

A term is a tuple of factors; the empty tuple is the intercept. Order and grouping are those of
Wilkinson formulas as formulaic reads them: lower degrees first, otherwise in order of mention.
"""

from __future__ import annotations

from functools import lru_cache

from msgspec import Struct

from partialpool.errors import InputError, short
from partialpool.formula.check import Factor
from partialpool.formula.tokens import Token, join, tokenize

Term = tuple[Factor, ...]
# Keyed by the set of factors, since a:b and b:a are the same term; the first mention is kept.
_Terms = dict[frozenset[str], Term]

MAX_TERMS = 5_000
MAX_DEPTH = 50
_INTERCEPT: frozenset[str] = frozenset()


@lru_cache(maxsize=256)  # all stages ask for the terms of the same few texts
def expand(text: str) -> tuple[Term, ...]:
    """Return the terms of a formula's right-hand side (without group terms).

    Examples
    --------
    >>> [":".join(f.label for f in term) or "1" for term in expand("a * b - 1")]
    ['a', 'b', 'a:b']
    """
    return expand_tokens(tokenize(text))


def expand_tokens(tokens: list[Token]) -> tuple[Term, ...]:
    """Return the terms of a list of tokens, in the order of the design's columns."""
    return _parsed(tokens)[0]


class Quotient(Struct, frozen=True):
    """Two sides of a ``/`` between terms, and how it is written.

    ``a / b`` is ``a + a:b``. Between numbers nobody means that, so the design asks what they are.
    """

    left: tuple[Factor, ...]
    right: tuple[Factor, ...]
    text: str


def find_quotients(tokens: list[Token]) -> tuple[Quotient, ...]:
    """Return where ``/`` stands between terms.

    Examples
    --------
    >>> [quotient.text for quotient in find_quotients(tokenize("x + a / b"))]
    ['a / b']
    """
    return tuple(_parsed(tokens)[1])


def _parsed(tokens: list[Token]) -> tuple[tuple[Term, ...], list[Quotient]]:
    parser = _Parser(tokens)
    terms = parser.sum({_INTERCEPT: ()}, top=True)
    if parser.i < len(tokens):
        raise parser.unexpected()
    return tuple(sorted(terms.values(), key=len)), parser.quotients


class _Parser:
    """Recursive descent, one method a level of precedence."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.i = 0
        self.depth = 0
        self.quotients: list[Quotient] = []

    def peek(self) -> str:
        """Return the text of the next operator, or nothing."""
        if self.i < len(self.tokens) and self.tokens[self.i].kind == "op":
            return self.tokens[self.i].text
        return ""

    def sum(self, terms: _Terms, top: bool = False) -> _Terms:
        first = True
        while first or self.peek() in ("+", "-"):
            sign, at = 1, self.i
            while self.peek() in ("+", "-"):
                sign *= -1 if self.peek() == "-" else 1
                self.i += 1
            start = self.i
            number = self.tokens[start] if start < len(self.tokens) else None
            new = self.product()
            if number is not None and self.i == start + 1 and number.text == "0":
                sign, new = -sign, {_INTERCEPT: ()}
            if sign < 0 and not top:
                raise InputError(
                    "terms cannot be taken away inside brackets",
                    where=self.tokens[min(at, len(self.tokens) - 1)].place,
                    remedy="write `0 +` or `- x` outside the brackets",
                )
            if sign > 0:
                terms = _union(terms, new)
            else:
                self.check_there(terms, new, at, start)
                terms = _without(terms, new)
            first = False
        return terms

    def check_there(self, terms: _Terms, away: _Terms, at: int, start: int) -> None:
        """Refuse to take away a term that is not there: a difference may be meant."""
        lost = next((term for key, term in away.items() if term and key not in terms), None)
        if lost is None:
            return
        shown = short(join(self.tokens[start : self.i]))
        before = short(join(self.tokens[max(at - 1, 0) : at])) if at else ""
        difference = f"{before} - {shown}" if before else f"-1 * {shown}"
        raise InputError(
            f"`- {shown}` takes away a term that is not there",
            where=self.tokens[at].place,
            remedy=f"leave it out; for arithmetic write `I({difference})`",
        )

    def product(self) -> _Terms:
        first = self.i
        left = self.interaction()
        while self.peek() in ("*", "/"):
            operator = self.peek()
            self.i += 1
            right = self.interaction()
            self.check_operands(left, right, first)
            if operator == "*":
                left = _union(_union(left, right), _pairs(left, right))
            else:
                text = join(self.tokens[first : self.i])
                common: Term = tuple(f for term in left.values() for f in term)
                others: Term = tuple(f for term in right.values() for f in term)
                self.quotients.append(Quotient(common, others, text))
                left = _union(left, _pairs(_one(common), right))
        return left

    def interaction(self) -> _Terms:
        first = self.i
        left = self.power()
        while self.peek() == ":":
            self.i += 1
            right = self.power()
            self.check_operands(left, right, first)
            left = _pairs(left, right)
        return left

    def check_operands(self, left: _Terms, right: _Terms, first: int) -> None:
        """Refuse products that would be something else than they look like."""
        shown = short(join(self.tokens[first : self.i]))
        place = self.tokens[first].place
        if left.keys() == {_INTERCEPT} or right.keys() == {_INTERCEPT}:
            raise _arithmetic(shown, place)
        if len(left) == 1 and left.keys() == right.keys():
            label = ":".join(f.label for f in next(iter(left.values())))
            raise InputError(
                f"`{shown}` is just `{short(label)}` in a formula",
                where=place,
                remedy=f"for the square write `I({short(label)}^2)` or `{{{short(label)}**2}}`",
            )

    def power(self) -> _Terms:
        base = self.atom()
        if self.peek() != "**":
            return base
        place = self.tokens[self.i].place
        self.i += 1
        token = self.tokens[self.i] if self.i < len(self.tokens) else None
        whole = token is not None and token.kind == "number" and token.text.isdecimal()
        label = short(":".join(f.label for f in next(iter(base.values()))) or "1")
        if len(base) == 1 and label != "1":
            end = len(self.tokens) if token is None else self.i + 1
            if token is not None and token.text in ("-", "("):
                end = self.operand_end(self.i)
            power = join(self.tokens[self.i : end])
            shown, mark = f"{label}^{power}", " is just" if whole else " is no"
            what = f"`{label}` in a formula" if whole else "power of terms"
            raise InputError(
                f"`{shown}`{mark} {what}",
                where=place,
                remedy=f"for the power of the variable write `I({shown})` or "
                f"`{{{label}**{power}}}`",
            )
        if token is None or not whole or not 1 <= int(token.text[:3]) <= 20:
            raise InputError(
                "the power of terms is not a whole number from 1 to 20",
                where=place,
                remedy="for the power of a variable write `I(x^2)` or `{x**2}`",
            )
        self.i += 1
        out = base
        for _ in range(int(token.text) - 1):
            out = _pairs(out, base)
        return out

    def atom(self) -> _Terms:
        if self.i >= len(self.tokens):
            where = self.tokens[-1].place if self.tokens else None
            raise InputError("a term is missing at the end", where=where, remedy="add the term")
        token = self.tokens[self.i]
        if token.kind == "factor" and token.factor is not None:
            self.i += 1
            return _checked(_one((token.factor,)), self)
        if token.kind == "number":
            return self.number(token)
        if token.kind == "open":
            self.i += 1
            self.depth += 1
            if self.depth > MAX_DEPTH:
                raise InputError("the brackets are nested too deeply", where=token.place)
            inner = self.sum({})
            if self.i >= len(self.tokens):
                raise InputError("a bracket is not closed", where=token.place, remedy="add `)`")
            if self.tokens[self.i].kind != "close":
                raise self.unexpected()
            self.i += 1
            self.depth -= 1
            return _checked(inner, self)
        raise InputError("a term is missing here", where=token.place, remedy="add the term before")

    def number(self, token: Token) -> _Terms:
        end = self.operand_end(self.i)
        before = self.tokens[self.i - 1].text if self.i else ""
        after = self.tokens[self.i + 1].text if self.i + 1 < len(self.tokens) else ""
        operators = ("*", "/", ":", "**")
        if after in operators or before in operators:
            first = self.i
            while first >= 2 and self.tokens[first - 1].text in operators:
                first -= 2
            last = self.operand_end(self.i + 2) if after in operators else end
            raise _arithmetic(short(join(self.tokens[first:last])), token.place)
        if token.text not in ("0", "1"):
            raise InputError(
                f"`{short(token.text)}` is not a term",
                where=token.place,
                remedy="only 0 and 1 are, for the intercept; for arithmetic with a column write "
                "`I(x + 2)` or `{x + 2}`",
            )
        self.i += 1
        return _checked({_INTERCEPT: ()}, self)

    def operand_end(self, at: int) -> int:
        """Return where an operand ends that starts at a token."""
        if at < len(self.tokens) and self.tokens[at].text in ("+", "-"):
            at += 1
        depth = 0
        for i in range(at, len(self.tokens)):
            depth += {"open": 1, "close": -1}.get(self.tokens[i].kind, 0)
            if depth == 0:
                return i + 1
        return len(self.tokens)

    def unexpected(self) -> InputError:
        token = self.tokens[self.i]
        if token.kind == "close":
            return InputError("a bracket closes that was never opened", where=token.place)
        before = self.tokens[self.i - 1].text if self.i else ""
        return InputError(
            f"an operator is missing between `{short(before)}` and `{short(token.text)}`",
            where=token.place,
            remedy="join terms by `+`, `:` or `*`",
        )


def _arithmetic(shown: str, place: str) -> InputError:
    """Say that operators between terms do not compute."""
    return InputError(
        f"`{shown}` is no arithmetic in a formula, where `*`, `/` and `:` join terms",
        where=place,
        remedy=f"to compute with a column write `I({shown})` or `{{{shown}}}`",
    )


def _checked(terms: _Terms, parser: _Parser) -> _Terms:
    """After a complete operand, only an operator or a closing bracket can follow."""
    if parser.i < len(parser.tokens) and parser.tokens[parser.i].kind not in ("op", "close"):
        raise parser.unexpected()
    return terms


def _one(term: Term) -> _Terms:
    unique = tuple({f.code: f for f in term}.values())
    return {frozenset(f.code for f in unique): unique}


def _limited(terms: _Terms) -> _Terms:
    if len(terms) > MAX_TERMS:
        raise InputError(f"the formula has more than {MAX_TERMS} terms")
    return terms


def _union(left: _Terms, right: _Terms) -> _Terms:
    return _limited({**left, **{k: v for k, v in right.items() if k not in left}})


def _without(left: _Terms, right: _Terms) -> _Terms:
    return {k: v for k, v in left.items() if k not in right}


def _pairs(left: _Terms, right: _Terms) -> _Terms:
    out: _Terms = {}
    for a in left.values():
        for b in right.values():
            for key, term in _one((*a, *b)).items():
                out.setdefault(key, term)
        _limited(out)
    return out
