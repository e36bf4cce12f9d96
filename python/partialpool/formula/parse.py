"""A formula's text → Terms: the response, the population part and the group terms."""

from __future__ import annotations

from dataclasses import dataclass

from partialpool.errors import InputError, NotYetError

from .algebra import expand_tokens
from .tokens import Token, join, tokenize


@dataclass(frozen=True)
class GroupTerm:
    """One group term, ``(terms | factor)``.

    Parameters
    ----------
    terms : str
        The text left of the bar.
    factor : str
        The name of the grouping column.
    correlated : bool
        True for ``|``, False for ``||``.
    text : str
        The whole term, normalised.
    """

    terms: str
    factor: str
    correlated: bool
    text: str


@dataclass(frozen=True)
class Terms:
    """A formula, taken apart.

    Parameters
    ----------
    formula : str
        The normalised text.
    response : str
        The text left of ``~``.
    population : str
        The right-hand side without the group terms; ``"1"`` when nothing is left.
    groups : tuple of GroupTerm
        The group terms in order.
    columns : tuple of str
        Every column that is used, in order of first use.
    """

    formula: str
    response: str
    population: str
    groups: tuple[GroupTerm, ...]
    columns: tuple[str, ...]


def parse_formula(text: str) -> Terms:
    """Take a formula apart.

    Parameters
    ----------
    text : str
        For example ``"y ~ x + (x | id)"``.

    Returns
    -------
    Terms
        Its parts, checked: whatever is evaluated later is on the list of what formulas may do.

    Raises
    ------
    InputError
        When the formula has no meaning; the message points at the character.

    Examples
    --------
    >>> t = parse_formula("log_radon ~ floor + (floor | county)")
    >>> t.response, t.population, t.groups[0].factor
    ('log_radon', 'floor', 'county')
    """
    if not isinstance(text, str):
        raise InputError(
            f"the formula is a {type(text).__name__}", remedy='write it as text, "y ~ x"'
        )
    if not text.strip():
        raise InputError("the formula is empty", remedy="write one such as `y ~ x + (x | id)`")
    tokens = tokenize(text)
    tildes = [i for i, token in enumerate(tokens) if token.kind == "tilde"]
    if not tildes:
        raise InputError("the formula has no `~`", remedy="write `response ~ terms`")
    if len(tildes) > 1:
        raise InputError("the formula has a second `~`", where=tokens[tildes[1]].place)
    _check_brackets(tokens)
    left, right = tokens[: tildes[0]], tokens[tildes[0] + 1 :]
    response = _response(left, tokens[tildes[0]])
    if not right:
        raise InputError("nothing stands right of `~`", remedy="write `1` for an intercept only")
    rest, groups = _cut(right)
    expand_tokens(rest or tokenize("1"))
    _check_groups(groups)
    return Terms(
        formula=join(tokens),
        response=response,
        population=join(rest) or "1",
        groups=tuple(group for group, _ in groups),
        columns=tuple(dict.fromkeys(c for t in tokens if t.factor for c in t.factor.columns)),
    )


def _check_brackets(tokens: list[Token]) -> None:
    stack: list[Token] = []
    for token in tokens:
        if token.kind == "open":
            stack.append(token)
        elif token.kind == "close":
            if not stack:
                raise InputError("a bracket closes that was never opened", where=token.place)
            stack.pop()
        elif token.kind == "tilde" and stack:
            raise InputError("`~` stands inside brackets", where=token.place)
    if stack:
        raise InputError("a bracket is not closed", where=stack[-1].place, remedy="add `)`")


def _response(tokens: list[Token], tilde: Token) -> str:
    if not tokens:
        raise InputError(
            "the response is missing", where=tilde.place, remedy="write it left of `~`"
        )
    bars = [token for token in tokens if token.kind == "bar"]
    if bars:
        raise InputError("a group term stands left of `~`", where=bars[0].place)
    if len(tokens) > 1 or tokens[0].kind != "factor":
        place = tokens[min(1, len(tokens) - 1)].place
        raise InputError(
            "the response is not one column or one expression",
            where=place,
            remedy=f"put an expression in braces: `{{{join(tokens)}}} ~ …`",
        )
    return tokens[0].text


def _cut(tokens: list[Token]) -> tuple[list[Token], list[tuple[GroupTerm, list[Token]]]]:
    """Separate the group terms from the rest of the right-hand side."""
    rest: list[Token] = []
    groups: list[tuple[GroupTerm, list[Token]]] = []
    for piece in _pieces(tokens):
        bar = next((t for t in piece if t.kind == "bar"), None)
        if bar is None:
            rest += piece
        else:
            groups.append(_group(piece, bar))
    if rest and rest[0].text == "+" and len(rest) > 1:
        rest = rest[1:]
    return rest, groups


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


def _group(piece: list[Token], bar: Token) -> tuple[GroupTerm, list[Token]]:
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
    second = next((t for t in right if t.kind == "bar"), None)
    if second is not None:
        raise InputError("a group term has a second bar", where=second.place)
    if not left:
        raise InputError(
            "nothing stands left of the bar", where=bar.place, remedy="write `(1 | id)`"
        )
    if not right:
        raise InputError(
            "nothing stands right of the bar", where=bar.place, remedy="name the grouping column"
        )
    terms = expand_tokens(left)
    if not terms:
        raise InputError("the group term is empty", where=left[0].place, remedy="write `(1 | id)`")
    group = GroupTerm(join(left), _factor_name(right), bar.text == "|", join(body))
    return group, left


def _bare_bar(bar: Token) -> InputError:
    return InputError("a bar stands outside brackets", where=bar.place, remedy="write `(x | id)`")


def _factor_name(tokens: list[Token]) -> str:
    first = tokens[0]
    if len(tokens) == 1 and first.factor is not None and first.factor.bare:
        return first.factor.label
    operators = [t for t in tokens if t.kind == "op"]
    if operators and any(t.factor and t.factor.bare for t in tokens):
        raise NotYetError(
            f"grouping by `{join(tokens)}` is not supported yet",
            where=operators[0].place,
            remedy="name one column; combine several into one beforehand",
        )
    if len(tokens) > 1 and not operators:
        raise InputError("an operator is missing after the grouping column", where=tokens[1].place)
    raise InputError(
        f"`{join(tokens)}` is not a grouping column", where=first.place, remedy="name one column"
    )


def _check_groups(groups: list[tuple[GroupTerm, list[Token]]]) -> None:
    factors = list(dict.fromkeys(group.factor for group, _ in groups))
    if len(factors) > 1:
        raise NotYetError(
            f"more than one grouping factor ({', '.join(factors)}) is not supported yet",
            remedy="keep the group terms of one of them",
        )
    seen: dict[frozenset[str], str] = {}
    for group, tokens in groups:
        for term in expand_tokens(tokens):
            key = frozenset(f.code for f in term)
            if key in seen:
                shown = ":".join(f.label for f in term) or "the intercept"
                raise InputError(
                    f"{shown} is in both `{seen[key]}` and `{group.text}`",
                    remedy="put each into one group term; `0 +` leaves the intercept out, as in "
                    f"`(1 | {group.factor}) + (0 + x | {group.factor})`",
                )
            seen[key] = group.text
