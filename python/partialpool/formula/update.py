"""Formulas that change others, as R users write them: ``. ~ . + x``."""

from __future__ import annotations

from partialpool.errors import InputError, did_you_mean, short
from partialpool.formula.algebra import expand
from partialpool.formula.groups import bracketed
from partialpool.formula.parse import parse_formula, parse_predictor
from partialpool.formula.text import check_length, plain, top_level
from partialpool.formula.tokens import join, tokenize

Summand = tuple[str, str]
"""A sign, and what it adds or takes away."""


def updated(change: str, old: str) -> str:
    """Return the formula that a change makes of another; a whole formula stays as it is.

    A dot stands for what the other has on that side; nothing left of ``~`` too. Group terms and
    offsets that are taken away have to be there as they are written.

    Parameters
    ----------
    change : str
        Such as ``". ~ . + x"``, ``"~ . - (1 | id)"``, ``"log(y) ~ ."``.
    old : str
        With a response, or, for a further predictor, without.

    Raises
    ------
    InputError
        If a dot stands where it is not clear what it means, or what is taken away is not there.

    Examples
    --------
    >>> updated(". ~ . + z - (1 | g)", "y ~ x + (1 | g)")
    'y ~ x + z'
    >>> updated("log(y) ~ . - x", "y ~ x + (1 | g)"), updated("~ .", "~ x")
    ('log(y) ~ (1 | g)', '~ x')
    >>> updated("y ~ . - a:b", "y ~ a * b")
    'y ~ a * b - a:b'
    """
    if not isinstance(change, str):
        return change  # whoever reads formulas says what is wrong
    check_length(change)
    written = plain(change)
    tildes = top_level(written, "~")
    if len(tildes) != 1:
        return change
    left, right = written[: tildes[0]].strip(), written[tildes[0] + 1 :]
    whole = parse_formula(old) if _has_response(old) else parse_predictor(old)
    if left and left != "." and _dots(left):
        raise _unclear(_dots(left)[0], change)
    response = whole.response if left in ("", ".") else left
    if not _dots(right):
        return change if left not in ("", ".") else f"{response} ~ {right.strip()}".strip()
    base = summands(whole.formula.rpartition(" ~ ")[2].removeprefix("~").strip())
    out: list[Summand] = []
    for sign, piece in summands(right):
        if piece == "." and sign == "+" and len(_dots(right)) == 1:
            out += base
        elif _dots(piece):
            raise _unclear(tildes[0] + 1 + _dots(right)[0], change)
        elif sign == "-":
            out = _without(out, piece, response)
        else:
            out.append((sign, piece))
    return f"{response} ~ {_rendered(out)}".strip()


def summands(text: str) -> list[Summand]:
    """Cut the right-hand side of a formula at its signs.

    Examples
    --------
    >>> summands("x + (x - 1 | g) - 1")
    [('+', 'x'), ('+', '(x - 1 | g)'), ('-', '1')]
    """
    found: list[Summand] = []
    sign, start = "+", 0
    cuts = sorted((*top_level(text, "+"), *top_level(text, "-")))
    for cut in cuts:
        piece = text[start:cut].strip()
        if piece:
            found.append((sign, piece))
            sign = "+"
        sign = "-" if (sign == "-") != (text[cut] == "-") else "+"
        start = cut + 1
    return [*found, (sign, text[start:].strip())]


def _without(out: list[Summand], piece: str, response: str) -> list[Summand]:
    """Take a summand away, by leaving it out where that is all that it does."""
    name = join(bracketed(tokenize(piece)))
    place = next((k for k, one in enumerate(out) if one == ("+", name)), None)
    rest = out if place is None else [*out[:place], *out[place + 1 :]]
    if top_level(name, "|", within=True) or name.startswith("offset("):
        if place is None:
            known = [text for _, text in out if text.startswith(("(", "offset("))]
            raise InputError(
                f"`{short(name)}` is taken away and is not in the formula",
                remedy=did_you_mean(name, known) if known else "leave it out",
            )
        return rest
    taken: list[Summand] = [*out, ("-", piece)]
    if place is not None and _terms(rest, response) == _terms(taken, response):
        return rest
    return taken


def _terms(out: list[Summand], response: str) -> object:
    """Give the population terms of what is left, in the order of their columns."""
    text = f"{response} ~ {_rendered(out)}"
    whole = parse_formula(text) if response else parse_predictor(text)
    return [[factor.code for factor in term] for term in expand(whole.population)]


def _rendered(out: list[Summand]) -> str:
    text = " ".join(f"{sign} {piece}" for sign, piece in out)
    return text.removeprefix("+ ") or "1"


def _has_response(formula: str) -> bool:
    return not formula.lstrip().startswith("~")


def _dots(text: str) -> list[int]:
    """Positions of dots that stand alone."""
    padded = f" {text} "
    return [
        at
        for at in top_level(text, ".", within=True)
        if not any(one.isalnum() or one in "_." for one in (padded[at], padded[at + 2]))
    ]


def _unclear(at: int, change: str) -> InputError:
    return InputError(
        f"in `{short(change)}` a dot is part of something else",
        where=f"at character {at + 1}",
        remedy="let it stand alone, as in `. ~ . + x`, or write the whole formula",
    )
