"""A formula's text → Terms: the response, the population part and the group terms."""

from __future__ import annotations

from dataclasses import dataclass

from partialpool.errors import InputError

from .algebra import expand_tokens
from .groups import GroupTerm, cut_groups
from .tokens import Token, join, tokenize


@dataclass(frozen=True)
class Terms:
    """A formula, taken apart.

    Parameters
    ----------
    formula : str
        The normalised text.
    response : str
        The text left of ``~``; empty for a further predictor.
    population : str
        The right-hand side without the group terms; ``"1"`` when nothing is left.
    groups : tuple of GroupTerm
        The group terms in order, nested ones (``a/b``) written out.
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
    tokens, at = _tokens(text, "y ~ x + (x | id)", "write `response ~ terms`")
    return _terms(tokens, at, _response(tokens[:at], tokens[at]))


def parse_predictor(text: str) -> Terms:
    """Take apart the formula of a further parameter, such as that of sigma: it has no response.

    Parameters
    ----------
    text : str
        For example ``"~ x + (1 | id)"``.

    Returns
    -------
    Terms
        As from ``parse_formula``, with an empty response.

    Raises
    ------
    InputError
        When the formula has no meaning or a response.

    Examples
    --------
    >>> t = parse_predictor("~ x + (1 | id)")
    >>> t.response, t.population, t.groups[0].factor
    ('', 'x', 'id')
    """
    shown = f"write `~ {text.strip()[:60]}`" if isinstance(text, str) else ""
    tokens, at = _tokens(text, "~ x", shown)
    if at > 0:
        raise InputError(
            f"`{join(tokens[:at])}` stands left of `~`, where this formula has nothing",
            where=tokens[0].place,
            remedy=f"write `~ {join(tokens[at + 1 :]) or 'x'}`",
        )
    return _terms(tokens, at, "")


def _tokens(text: str, example: str, no_tilde: str) -> tuple[list[Token], int]:
    """Return the tokens and where their one ``~`` is."""
    if not isinstance(text, str):
        short = example.partition(" + ")[0]
        raise InputError(
            f"the formula is a {type(text).__name__}", remedy=f'write it as text, "{short}"'
        )
    if not text.strip():
        raise InputError("the formula is empty", remedy=f"write one such as `{example}`")
    tokens = tokenize(text)
    tildes = [i for i, token in enumerate(tokens) if token.kind == "tilde"]
    if not tildes:
        raise InputError("the formula has no `~`", remedy=no_tilde)
    if len(tildes) > 1:
        raise InputError("the formula has a second `~`", where=tokens[tildes[1]].place)
    _check_brackets(tokens)
    return tokens, tildes[0]


def _terms(tokens: list[Token], at: int, response: str) -> Terms:
    right = tokens[at + 1 :]
    if not right:
        raise InputError("nothing stands right of `~`", remedy="write `1` for an intercept only")
    rest, groups = cut_groups(right)
    expand_tokens(rest or tokenize("1"))
    return Terms(
        formula=join(tokens),
        response=response,
        population=join(rest) or "1",
        groups=groups,
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
