"""Group terms and offsets: cut out of the rest, ``a/b`` written out, each factor named."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from partialpool.errors import InputError, NotYetError
from partialpool.formula.algebra import Quotient, expand_tokens, find_quotients
from partialpool.formula.check import Factor, column_factor
from partialpool.formula.names import quoted
from partialpool.formula.tokens import Token, join
from partialpool.formula.tree import Call, Name


class GroupTerm(Struct, frozen=True):
    """One group term, ``(terms | factor)``.

    Parameters
    ----------
    terms : str
        The text left of the bar.
    factor : str
        The name of the grouping factor: its columns joined by ``:``.
    columns : tuple of str
        The grouping columns; several group by their combination.
    correlated : bool
        True for ``|``, False for ``||``.
    text : str
        The whole term, normalised.
    name : str
        brms' name of the term, as p in ``(x |p| g)``; terms that share one would be correlated.
    quotients : tuple of Quotient
        Where ``/`` stands left of the bar.
    """

    terms: str
    factor: str
    columns: tuple[str, ...]
    correlated: bool
    text: str
    name: str = ""
    quotients: tuple[Quotient, ...] = ()


class _Written(Struct, frozen=True):
    """A group term, the tokens left of its bar, and the text that it was written as."""

    group: GroupTerm
    left: list[Token]
    text: str


def cut_offsets(tokens: list[Token]) -> tuple[list[Token], list[Factor]]:
    """Separate the offsets from the rest of a right-hand side.

    Examples
    --------
    >>> from partialpool.formula.tokens import tokenize
    >>> rest, offsets = cut_offsets(tokenize("x + offset(log(e)) + (1 | a)"))
    >>> join(rest), [factor.label for factor in offsets]
    ('x + (1 | a)', ['log(e)'])
    """
    rest: list[Token] = []
    offsets: list[Factor] = []
    for piece in _pieces(tokens):
        token = next((t for t in piece if t.kind == "offset"), None)
        if token is None or token.factor is None:
            rest += piece
            continue
        if len(piece) > 2 or (len(piece) == 2 and piece[0].text != "+"):
            raise InputError(
                "an offset can only be added",
                where=token.place,
                remedy=f"join it to the other terms by `+`: `… + {token.text}`",
            )
        offsets.append(token.factor)
    if rest and rest[0].text == "+" and len(rest) > 1:
        rest = rest[1:]
    return rest, offsets


def cut_groups(tokens: list[Token]) -> tuple[list[Token], tuple[GroupTerm, ...]]:
    """Separate the group terms from the rest of a right-hand side.

    Examples
    --------
    >>> from partialpool.formula.tokens import tokenize
    >>> rest, groups = cut_groups(tokenize("x + (1 | a/b)"))
    >>> join(rest), [group.text for group in groups]
    ('x', ['(1 | a)', '(1 | a:b)'])
    """
    rest: list[Token] = []
    written: list[_Written] = []
    for piece in _pieces(tokens):
        bar = next((t for t in piece if t.kind == "bar"), None)
        if bar is None:
            rest += piece
        else:
            written += _group(piece, bar)
    if rest and rest[0].text == "+" and len(rest) > 1:
        rest = rest[1:]
    written = _named(written)
    _check_terms(written)
    return rest, tuple(w.group for w in written)


def bracketed(tokens: list[Token]) -> list[Token]:
    """Put ``1 | g`` into brackets where it is the whole right-hand side, as lme4 takes it."""
    if [t.text for t in tokens[:2]] != ["1", "|"] or len(tokens) < 3:
        return tokens
    if any(t.text not in (":", "/") and t.kind != "factor" for t in tokens[2:]):
        return tokens
    ends = Token("open", "(", tokens[0].start), Token("close", ")", tokens[-1].start)
    return [ends[0], *tokens, ends[1]]


def _pieces(tokens: list[Token]) -> list[list[Token]]:
    """Split before every ``+`` and ``-`` that stands outside brackets."""
    pieces: list[list[Token]] = [[]]
    depth = 0
    for token in tokens:
        depth += {"open": 1, "close": -1}.get(token.kind, 0)
        # A sign after a sign or another operator belongs to what follows it.
        if depth == 0 and token.text in ("+", "-") and any(t.kind != "op" for t in pieces[-1]):
            pieces.append([])
        pieces[-1].append(token)
    return [piece for piece in pieces if piece]


def _group(piece: list[Token], bar: Token) -> list[_Written]:
    body = piece[1:] if piece[0].text == "+" else piece
    if body[0].kind != "open":
        if any(t.kind == "open" for t in body[: body.index(bar)]):
            raise InputError(
                "a group term can only be added",
                where=bar.place,
                remedy="join it to the others by `+`: `… + (x | id)`",
            )
        raise _bare_bar(bar)
    depth, closes = 0, 0
    for i, token in enumerate(body):
        depth += {"open": 1, "close": -1}.get(token.kind, 0)
        if depth == 0:
            closes = i
            break
    if bar not in body[:closes]:
        raise _bare_bar(bar)
    if closes != len(body) - 1:
        following = body[closes + 1]
        if following.kind == "op":
            what, remedy = "a group term can only be added", "join it by `+`"
        else:
            what, remedy = "an operator is missing after a bracket", "join terms by `+`"
        raise InputError(what, where=following.place, remedy=remedy)
    inner = body[1:-1]
    level = 0
    for token in inner:
        level += {"open": 1, "close": -1}.get(token.kind, 0)
        if token.kind == "bar" and level > 0:
            raise InputError(
                "a group term stands inside brackets",
                where=token.place,
                remedy="write it by itself: `… + (x | id)`",
            )
    at = inner.index(bar)
    left, right = inner[:at], inner[at + 1 :]
    if not left:
        raise InputError(
            "nothing stands left of the bar", where=bar.place, remedy="write `(1 | id)`"
        )
    if not right:
        raise InputError(
            "nothing stands right of the bar", where=bar.place, remedy="name the grouping column"
        )
    right, name = _without_name(right, bar)
    terms = expand_tokens(left)
    if not terms:
        raise InputError("the group term is empty", where=left[0].place, remedy="write `(1 | id)`")
    out = []
    quotients = find_quotients(left)
    for operands in _factors(left, bar, _columns(right)):
        columns = tuple(t.factor.columns[0] for t in operands if t.factor)
        bars = f"|{name}|" if name else bar.text
        text = f"({join(left)} {bars} {':'.join(t.text for t in operands)})"
        correlated = bar.text == "|"
        factor = ":".join(columns)
        group = GroupTerm(join(left), factor, columns, correlated, text, name, quotients)
        out.append(_Written(group, left, join(body)))
    return out


def _without_name(right: list[Token], bar: Token) -> tuple[list[Token], str]:
    """Take out brms' name of a term, as in ``(x |p| g)``: alone, it changes nothing."""
    bars = [i for i, t in enumerate(right) if t.kind == "bar"]
    if not bars:
        return right, ""
    if bars != [1] or len(right) < 3 or bar.text != "|" or right[1].text != "|":
        raise InputError("a group term has a second bar", where=right[bars[0]].place)
    return right[2:], right[0].text


def _columns(right: list[Token]) -> list[Token]:
    """Put columns in place of what says that they are categories: ``factor(a)`` is ``a``."""
    out: list[Token] = []
    for token in right:
        tree = None if token.factor is None else token.factor.tree
        plain = isinstance(tree, Call) and tree.name in (
            *("C", "ordered", "as.character", "interaction"),
        )
        if isinstance(tree, Call) and plain and all(isinstance(a, Name) for a in tree.arguments):
            names = [a.name for a in tree.arguments if isinstance(a, Name)]
            for k, name in enumerate(names):
                out += [Token("op", ":", token.start)] * bool(k)
                out.append(Token("factor", quoted(name), token.start, column_factor(name)))
        else:
            out.append(token)
    return out


def _bare_bar(bar: Token) -> InputError:
    return InputError("a bar stands outside brackets", where=bar.place, remedy="write `(x | id)`")


def _factors(left: list[Token], bar: Token, right: list[Token]) -> list[list[Token]]:
    """Return the columns of each factor right of the bar: ``a/b`` is two, ``a`` and ``a:b``."""
    for token in right:
        if token.kind == "number" or (token.factor is not None and not token.factor.bare):
            raise InputError(
                f"`{token.text}` is not a grouping column",
                where=token.place,
                remedy="name a column of the table",
            )
    other = next((t for t in right if t.kind != "factor" and t.text not in (":", "/")), None)
    if other is not None:
        # What other operators mean is clear, but a group term for each says it better.
        terms = [":".join(quoted(f.label) for f in t) for t in expand_tokens(right) if t]
        meant = " + ".join(f"({join(left)} {bar.text} {term})" for term in terms[:4] or ["a"])
        raise InputError(
            f"`{join(right)}` is not a grouping factor",
            where=other.place,
            remedy=f"write a group term for each, `{meant}{' + …' if len(terms) > 4 else ''}`",
        )
    factors: list[list[Token]] = []
    operands: list[Token] = []
    for i, token in enumerate(right):
        expected = "factor" if i % 2 == 0 else "op"
        if token.kind != expected:
            if expected == "op":
                what = "an operator is missing after the grouping column"
                raise InputError(what, where=token.place, remedy="write `a:b` or `a/b`")
            raise _column_missing(token)
        if token.kind == "factor":
            if token.factor is not None and any(token.factor == t.factor for t in operands):
                raise InputError(
                    f"the grouping column `{token.factor.columns[0]}` is combined with itself",
                    where=token.place,
                    remedy="name it once",
                )
            operands = [*operands, token]
        elif token.text == "/":
            factors.append(operands)
    if right[-1].kind == "op":
        raise _column_missing(right[-1])
    return [*factors, operands]


def _column_missing(token: Token) -> InputError:
    return InputError(
        "a grouping column is missing",
        where=token.place,
        remedy="write `a:b` for combinations, `a/b` for levels of b within those of a",
    )


def _named(written: Sequence[_Written]) -> list[_Written]:
    """Give one factor one name: ``b:a`` is ``a:b`` where that was written first."""
    first: dict[frozenset[str], tuple[str, ...]] = {}
    names: dict[str, tuple[str, ...]] = {}
    out = []
    for w in written:
        columns = first.setdefault(frozenset(w.group.columns), w.group.columns)
        name = ":".join(columns)
        if names.setdefault(name, columns) != columns:
            raise InputError(
                f"two grouping factors would be called `{name}`",
                remedy="rename the column that has `:` in its name",
            )
        out.append(replace(w, group=replace(w.group, factor=name, columns=columns)))
    return out


def check_names(groups: Sequence[GroupTerm]) -> None:
    """Refuse terms of one factor that share brms' name: they would be correlated."""
    named = [(group.name, group.factor) for group in groups if group.name]
    twice = next((one for one in named if named.count(one) > 1), None)
    if twice is not None:
        raise NotYetError(
            f"group terms of `{twice[1]}` are correlated by their name `{twice[0]}`, which this "
            "version does not have between terms",
            remedy="write one term, or leave the name out",
        )


def _check_terms(written: Sequence[_Written]) -> None:
    seen: dict[tuple[str, frozenset[str]], str] = {}
    check_names([w.group for w in written])
    for w in written:
        for term in expand_tokens(w.left):
            key = (w.group.factor, frozenset(f.code for f in term))
            if key in seen:
                shown = ":".join(f.label for f in term) or "the intercept"
                name = ":".join(map(quoted, w.group.columns))
                raise InputError(
                    f"{shown} is in both `{seen[key]}` and `{w.text}`",
                    remedy="put each into one group term; `0 +` leaves the intercept out, as in "
                    f"`(1 | {name}) + (0 + x | {name})`",
                )
            seen[key] = w.text
