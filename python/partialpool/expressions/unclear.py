"""Text that can serve neither as numbers nor as categories: what is wrong with it, and where."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NoReturn

import numpy as np

from partialpool.arrays import Ints
from partialpool.data.conventions import (
    CONVENTIONS,
    ONE_MARK,
    PLAIN,
    Convention,
    is_evident,
    is_number,
    is_plain,
    possible,
)
from partialpool.data.labels import distinct
from partialpool.data.reading import USUAL
from partialpool.data.table import Array, Column
from partialpool.errors import InputError

# So much of a column may be stray text among numbers; with more of it, it is labels.
STRAY = 0.1
# Texts with numbers in them, or whole numbers that are said to be text, are labels up to so many.
MANY = 20

_SAY_WHICH = 'say which is the decimal mark: `pp.read(…, decimal=".")` or `pp.read(…, decimal=",")`'
_DAY = re.compile(r"[0-9]{1,4}([-/.])[0-9]{1,2}\1[0-9]{1,4}(?:[ T].*)?")
_TIME = re.compile(r"[0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?(?: ?[AaPp][Mm])?")
# A number with a unit, a currency or a sign of comparison.
_ADORNED = re.compile(r"[^0-9A-Za-z]{0,3}[0-9][0-9.,]*(?:[^0-9].{0,9})?")


def as_numbers(column: Column, positions: Ints, role: str) -> Column:
    """Return a column that must be numbers as numbers, where its text is whole numbers.

    Parameters
    ----------
    column : Column
        Of any kind; other kinds than text are returned as they are.
    positions : numpy.ndarray
        The rows of the table that the column has, for messages.
    role : str
        What the column is, for messages.

    Raises
    ------
    InputError
        If it is nearly numbers.
    """
    if column.kind != "string":
        return column
    refuse_unclear(column, positions, role=role, number=True)
    values = column.values[~column.missing]
    if not len(values):
        return column
    found, codes = distinct(values)
    if not all(map(is_plain, map(str.strip, found))):
        return column
    numbers = np.full(len(column), np.nan)
    numbers[~column.missing] = np.array([PLAIN.number(t.strip()) for t in found])[codes]
    return Column(
        column.name, "number", numbers, column.missing, texts=column.values, notes=column.notes
    )


def refuse_unclear(
    column: Column, positions: Ints, *, role: str = "column", number: bool = False
) -> None:
    """Refuse text that looks like numbers or dates but is not read as such.

    Parameters
    ----------
    column : Column
        Without missing values where it matters.
    positions : numpy.ndarray
        The rows of the table that the column has, for messages.
    role : str
        What the column is, for messages.
    number : bool
        Whether it must be numbers; whole numbers that are said to be text can then be taken.

    Examples
    --------
    >>> text = np.array(["1.5", "2,5", "3"], dtype=object)
    >>> refuse_unclear(Column("x", "string", text, np.zeros(3, dtype=bool)), np.arange(3))
    Traceback (most recent call last):
    ...
    partialpool.errors.InputError: the column `x` has numbers with decimal points and others with \
decimal commas (`1.5`, `2,5`): write them all in one way.
    """
    if column.kind != "string" or (column.said == "user" and not number):
        return
    values, codes = distinct(column.values[~column.missing])
    rows = positions[~column.missing]
    bare = [value.strip() for value in values]
    there = [k for k, text in enumerate(bare) if not USUAL.is_mark(text)]
    if not there:
        return
    texts = [bare[k] for k in there]
    what = f"the {role} `{column.name}`"
    if all(map(is_plain, texts)) and len(there) == len(bare):
        _refuse_plain(column, texts, what, number)
        return
    fitting = possible(texts)
    if fitting:
        _refuse_several(fitting, texts, what)
    numeric = np.zeros(len(values), dtype=bool)
    for k in there:
        numeric[k] = is_number(bare[k])
    marks = np.ones(len(values), dtype=bool)
    marks[there] = False
    counts = np.bincount(codes, minlength=len(values))
    stray = ~numeric & ~marks
    few = stray.sum() <= STRAY * (~marks).sum() or (
        counts[stray].sum() <= STRAY * counts[~marks].sum()
    )
    if numeric.any() and few:
        if not stray.any():
            _refuse_mixture(texts, what)
        _refuse_stray(bare, stray, codes, rows, what)
    if number:
        return
    for pattern, thing in ((_DAY, "dates"), (_TIME, "times")):
        if all(map(pattern.fullmatch, texts)):
            raise InputError(
                f"{what} holds {thing} (`{texts[0]}`)",
                remedy=f"write `C({column.name})` for categories, or turn them into numbers",
            )
    if len(texts) > MANY and sum(map(_is_adorned, texts)) >= (1 - STRAY) * len(texts):
        shown = next(text for text in texts if not is_number(text))
        raise InputError(
            f"{what} has numbers with something beside them (`{shown}`), {len(texts)} different "
            "ones",
            remedy=f"leave the numbers alone, or write `C({column.name})` for categories",
        )


def _refuse_plain(column: Column, texts: Sequence[str], what: str, number: bool) -> None:
    """Plain numbers that were not taken as such: in doubt about points, or said to be text."""
    if column.said == "nobody":
        points = [text for text in texts if "." in text]
        if all(map(ONE_MARK.fullmatch, points)):
            raise InputError(
                f"{what} holds numbers such as `{points[0]}`, whose point may be a decimal mark or "
                "stand between thousands",
                remedy=_SAY_WHICH,
            )
        _refuse_other_mark(points[0], "points", what)
    if not number and len(texts) > MANY:
        raise InputError(
            f"{what} is text, but holds numbers, {len(texts)} different ones",
            remedy=f"turn it into numbers, or write `C({column.name})` for categories",
        )


def _refuse_several(fitting: Sequence[Convention], texts: Sequence[str], what: str) -> NoReturn:
    """All texts are numbers, but not under one convention alone, or not under the one asked for."""
    first = fitting[0]
    if is_evident(first, texts) and len({c.decimal for c in fitting}) == 1:
        shown = next(text for text in texts if not is_plain(text))
        _refuse_other_mark(shown, "commas" if first.decimal == "," else "points", what)
    shown = max(texts, key=lambda text: len(_readings(text)))
    values = " or ".join(f"{value:.15g}" for value in _readings(shown))
    raise InputError(
        f"{what} can be read in more than one way: `{shown}` may be {values}, as its point or "
        "comma is a decimal mark or stands between thousands",
        remedy=_SAY_WHICH,
    )


def _refuse_other_mark(shown: str, marks: str, what: str) -> NoReturn:
    raise InputError(
        f"{what} has decimal {marks} (`{shown}`), and `decimal` says otherwise",
        remedy="leave `decimal` out, so that each column tells its own",
    )


def _readings(text: str) -> dict[float, None]:
    return {c.number(text): None for c in CONVENTIONS if c.pattern.fullmatch(text)}


def _refuse_mixture(texts: Sequence[str], what: str) -> NoReturn:
    """Every text is a number under some convention, but there is none for all."""
    first = next(text for text in texts if not text.isdigit())
    own = _words(first)
    other = next((t for t in texts if not t.isdigit() and _words(t) != own), first)
    raise InputError(
        f"{what} has numbers with {own} and others with {_words(other)} (`{first}`, `{other}`)",
        remedy="write them all in one way",
    )


def _words(text: str) -> str:
    convention = next((c for c in CONVENTIONS if c.pattern.fullmatch(text)), PLAIN)
    return "decimal points" if convention == PLAIN else convention.words


def _refuse_stray(
    bare: Sequence[str], stray: Array, codes: Ints, rows: Ints, what: str
) -> NoReturn:
    at = np.flatnonzero(stray[codes])
    shown = ", ".join(f"`{bare[k]}`" for k in np.flatnonzero(stray)[:3].tolist())
    shown += ", …" if stray.sum() > 3 else ""
    places = ", ".join(str(int(rows[i]) + 1) for i in at[:3])
    where = f"{'row' if len(at) == 1 else 'rows'} {places}{', …' if len(at) > 3 else ''}"
    raise InputError(
        f"{what} has text among its numbers ({shown})",
        where=f"{where}, counted from 1",
        remedy="correct it; if it stands for missing values, say so: `pp.read(…, na=[…])`; if all "
        "are labels, `pp.read(…, text=[…])`",
    )


def _is_adorned(text: str) -> bool:
    return is_number(text) or _ADORNED.fullmatch(text) is not None
