"""A formula's text → Terms: the response, the population part and the group terms."""

from __future__ import annotations

from functools import lru_cache, reduce

from msgspec import Struct
from msgspec.structs import replace

from partialpool.errors import InputError, NotYetError, short
from partialpool.formula.algebra import Quotient, find_quotients
from partialpool.formula.check import Factor, tree_factor
from partialpool.formula.groups import GroupTerm, bracketed, cut_groups, cut_offsets
from partialpool.formula.left import Left, Role, parse_left
from partialpool.formula.text import check_length, plain, split_sides
from partialpool.formula.tokens import Token, join, tokenize
from partialpool.formula.tree import Binary


class Terms(Struct, frozen=True):
    """A formula, taken apart.

    Parameters
    ----------
    formula : str
        The normalised text.
    left : Left or None
        What stands left of ``~``; None for a further predictor.
    population : str
        The right-hand side without group terms and offsets; ``"1"`` when nothing is left.
    groups : tuple of GroupTerm
        The group terms in order, nested ones (``a/b``) written out.
    offset : Factor or None
        The sum of the offsets on the right-hand side.
    quotients : tuple of Quotient
        Where ``/`` stands between terms; between numbers it would not be what it says.
    columns : tuple of str
        Every column that is used, in order of first use.
    constants : tuple of str
        Names that stand for a number, such as ``pi``, and could also be columns.
    """

    formula: str
    left: Left | None
    population: str
    groups: tuple[GroupTerm, ...]
    columns: tuple[str, ...]
    offset: Factor | None = None
    quotients: tuple[Quotient, ...] = ()
    constants: tuple[str, ...] = ()

    @property
    def response(self) -> str:
        """The text left of ``~``; empty for a further predictor."""
        return "" if self.left is None else self.left.text

    def without_roles(self) -> Terms:
        """Return the terms for rows whose roles are at hand already."""
        left = None if self.left is None else replace(self.left, roles={})
        return replace(self, left=left, offset=None)

    @property
    def roles(self) -> dict[str, Role]:
        """What the formula says of trials, standard errors, weights, exposure and offset."""
        given = {} if self.left is None else dict(self.left.roles)
        return given if self.offset is None else {**given, "offset": self.offset}


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
    left, right, at = _sides(text, "y ~ x + (x | id)", "write `response ~ terms`")
    if not left.strip():
        raise InputError(
            "the response is missing",
            where=f"at character {at + 1}, `~`",
            remedy="write it left of `~`",
        )
    return _terms(left, right, at)


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
    shown = f"write `~ {short(text.strip())}`" if isinstance(text, str) else ""
    left, right, at = _sides(text, "~ x", shown)
    if left.strip():
        raise InputError(
            f"`{short(left.strip())}` stands left of `~`, where this formula has nothing",
            where="at character 1",
            remedy=f"write `~ {short(right.strip()) or 'x'}`",
        )
    terms = _terms(None, right, at)
    if terms.offset is not None:
        raise NotYetError(
            f"`offset({terms.offset.label})` stands in the formula of a further parameter, where "
            "this version takes none"
        )
    return terms


def _sides(text: str, example: str, no_tilde: str) -> tuple[str, str, int]:
    """Return both sides of a formula, and where its one ``~`` is."""
    if not isinstance(text, str):
        shown = example.partition(" + ")[0]
        raise InputError(
            f"the formula is a {type(text).__name__}", remedy=f'write it as text, "{shown}"'
        )
    if not text.strip():
        raise InputError("the formula is empty", remedy=f"write one such as `{example}`")
    return _split(text, no_tilde)


@lru_cache(maxsize=64)  # the design, its plan and other fits ask for the same formula
def _split(text: str, no_tilde: str) -> tuple[str, str, int]:
    check_length(text)
    return split_sides(plain(text), no_tilde)


@lru_cache(maxsize=64)
def _terms(response: str | None, right: str, at: int) -> Terms:
    left = None if response is None else parse_left(response)
    tokens = bracketed(tokenize(right, at + 2))
    second = next((token for token in tokens if token.kind == "tilde"), None)
    if second is not None:
        raise InputError("the formula has a second `~`", where=second.place)
    _check_brackets(tokens)
    if not tokens:
        raise InputError("nothing stands right of `~`", remedy="write `1` for an intercept only")
    rest, offsets = cut_offsets(tokens)
    rest, groups = cut_groups(rest)
    population = join(rest) or "1"
    quotients = find_quotients(rest or tokenize("1"))
    offset = _sum(offsets)
    roles = [] if left is None else [r for r in left.roles.values() if isinstance(r, Factor)]
    factors = [
        *([] if left is None else [left.factor, *roles]),
        *(token.factor for token in tokens if token.factor),
    ]
    return Terms(
        formula=f"{'' if left is None else left.text} ~ {join(tokens)}".strip(),
        left=left,
        population=population,
        groups=groups,
        columns=tuple(dict.fromkeys(c for factor in factors for c in factor.columns)),
        offset=offset,
        quotients=(*quotients, *(q for group in groups for q in group.quotients)),
        constants=tuple(dict.fromkeys(c for factor in factors for c in factor.constants)),
    )


def _sum(offsets: list[Factor]) -> Factor | None:
    """Add several offsets, as R does."""
    if not offsets:
        return None
    trees = [factor.tree for factor in offsets]
    total = reduce(lambda a, b: Binary("+", a, b), trees)
    summed = tree_factor(total, "in an offset")
    return replace(summed, label=" + ".join(factor.label for factor in offsets))


def _check_brackets(tokens: list[Token]) -> None:
    stack: list[Token] = []
    for token in tokens:
        if token.kind == "open":
            stack.append(token)
        elif token.kind == "close":
            if not stack:
                raise InputError("a bracket closes that was never opened", where=token.place)
            stack.pop()
    if stack:
        raise InputError("a bracket is not closed", where=stack[-1].place, remedy="add `)`")
