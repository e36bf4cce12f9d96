"""The algebra of terms: ``a * b`` is ``a + b + a:b``, and so on.

A term is a tuple of factors; the empty tuple is the intercept. Order and grouping are those of
Wilkinson formulas as formulaic reads them: lower degrees first, otherwise in order of mention.
"""

from __future__ import annotations

from partialpool.errors import InputError

from .check import Factor
from .tokens import Token, tokenize

Term = tuple[Factor, ...]
# Keyed by the set of factors, since a:b and b:a are the same term; the first mention is kept.
_Terms = dict[frozenset[str], Term]

MAX_TERMS = 5_000
MAX_DEPTH = 50
_INTERCEPT: frozenset[str] = frozenset()


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
    parser = _Parser(tokens)
    terms = parser.sum({_INTERCEPT: ()}, top=True)
    if parser.i < len(tokens):
        raise parser.unexpected()
    return tuple(sorted(terms.values(), key=len))


class _Parser:
    """Recursive descent, one method a level of precedence."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.i = 0
        self.depth = 0

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
            terms = _union(terms, new) if sign > 0 else _without(terms, new)
            first = False
        return terms

    def product(self) -> _Terms:
        left = self.interaction()
        while self.peek() in ("*", "/"):
            operator = self.peek()
            self.i += 1
            right = self.interaction()
            if operator == "*":
                left = _union(_union(left, right), _pairs(left, right))
            else:
                common: Term = tuple(f for term in left.values() for f in term)
                left = _union(left, _pairs(_one(common), right))
        return left

    def interaction(self) -> _Terms:
        left = self.power()
        while self.peek() == ":":
            self.i += 1
            left = _pairs(left, self.power())
        return left

    def power(self) -> _Terms:
        base = self.atom()
        if self.peek() != "**":
            return base
        place = self.tokens[self.i].place
        self.i += 1
        token = self.tokens[self.i] if self.i < len(self.tokens) else None
        if token is None or not token.text.isdecimal() or not 1 <= int(token.text[:3]) <= 20:
            raise InputError(
                "the power of terms is not a whole number from 1 to 20",
                where=place,
                remedy="for the power of a variable write `{x**2}`",
            )
        if len(base) == 1:
            label = ":".join(f.label for f in next(iter(base.values()))) or "1"
            raise InputError(
                f"`{label}**{token.text}` is just `{label}` in a formula",
                where=place,
                remedy=f"for the power of the variable write `{{{label}**{token.text}}}`",
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
        if token.text not in ("0", "1"):
            raise InputError(
                f"`{token.text}` is not a term",
                where=token.place,
                remedy="only 0 and 1 are, for the intercept; to scale a column write `{2 * x}`",
            )
        alone = (self.i == 0 or self.tokens[self.i - 1].text in ("+", "-", "(")) and (
            self.i + 1 == len(self.tokens) or self.tokens[self.i + 1].text in ("+", "-", ")")
        )
        if token.text == "0" and not alone:
            raise InputError(
                "`0` stands in a product", where=token.place, remedy="write `0 +` before the terms"
            )
        self.i += 1
        return _checked({_INTERCEPT: ()}, self)

    def unexpected(self) -> InputError:
        token = self.tokens[self.i]
        if token.kind == "close":
            return InputError("a bracket closes that was never opened", where=token.place)
        before = self.tokens[self.i - 1].text if self.i else ""
        return InputError(
            f"an operator is missing between `{before}` and `{token.text}`",
            where=token.place,
            remedy="join terms by `+`, `:` or `*`",
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
