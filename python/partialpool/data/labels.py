"""What values are called, whatever type carries them, and how new ones meet known ones."""

from __future__ import annotations

import datetime
import decimal
import numbers
import re
from collections.abc import Hashable, Iterable, Sequence
from itertools import count
from typing import Any

import numpy as np

from partialpool.arrays import Ints
from partialpool.data.table import Array, Column
from partialpool.errors import InputError, did_you_mean

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")
_TRUTH = {"true": True, "false": False}
_WRITTEN_OUT = 40  # digits of a Decimal; longer ones keep their exponent


def label(value: Any) -> str:
    """Return what a value is called: 5, 5.0 and "5" are all called 5.

    Examples
    --------
    >>> label(5), label(5.0), label("5"), label("05"), label(0.5), label(True)
    ('5', '5', '5', '05', '0.5', 'True')
    """
    if isinstance(value, str):
        return str(value)
    if isinstance(value, (bool, np.bool_)):
        return str(bool(value))
    if isinstance(value, numbers.Integral):
        return str(int(value))
    if isinstance(value, decimal.Decimal):
        if not value.is_finite() or abs(value.adjusted()) > _WRITTEN_OUT:
            return str(value)
        text = f"{value:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    if isinstance(value, numbers.Real):
        x = float(value)
        # Beyond 2⁶³ floats have no digits to spare: they are written as they are.
        return str(int(x)) if x.is_integer() and abs(x) < 2.0**63 else repr(x)
    if isinstance(value, np.datetime64):
        return date_labels(np.array([value]))[0]
    if isinstance(value, datetime.datetime):
        return value.isoformat() if value.time() != datetime.time() else value.date().isoformat()
    return str(value)


def date_labels(dates: Array) -> list[str]:
    """Return dates as text, without the time of day where that is midnight in all.

    Examples
    --------
    >>> date_labels(np.array(["2020-01-31T00:00"], dtype="datetime64[us]"))
    ['2020-01-31']
    """
    present = dates[~np.isnat(dates)]
    days = present.astype("datetime64[D]")
    whole = bool((days == present).all())
    return [str(text) for text in np.datetime_as_string(dates.astype("M8[D]") if whole else dates)]


def as_given(values: Array) -> list[Any]:
    """Return an array's values as Python's own, but dates as numpy's, whose units say more.

    Examples
    --------
    >>> as_given(np.array([1, 2])), as_given(np.array(["2020-01-31"], dtype="datetime64[D]"))
    ([1, 2], [np.datetime64('2020-01-31')])
    """
    return list(values) if values.dtype.kind == "M" else values.tolist()


def distinct(values: Array) -> tuple[list[Any], Ints]:
    """Return the values that occur, in no particular order, and each row's index into them.

    Examples
    --------
    >>> found, codes = distinct(np.array(["b", "a", "b"], dtype=object))
    >>> found, codes.tolist()
    (['b', 'a'], [0, 1, 0])
    """
    if values.dtype != object:
        found, codes = np.unique(values, return_inverse=True)
        return as_given(found), codes.astype(np.int64, copy=False).reshape(-1)
    given = values.tolist()
    place = dict(zip(dict.fromkeys(given), count(), strict=False))
    codes = np.fromiter(map(place.__getitem__, given), dtype=np.int64, count=len(given))
    return list(place), codes


def in_order(column: Column, present: Iterable[Any]) -> list[Any]:
    """Return values that occur in the order that they have as levels or categories.

    That of the categories, or that of numbers, or that of the alphabet.

    Examples
    --------
    >>> from partialpool.data import Column
    >>> texts = np.array(["10", "9", "09"], dtype=object)
    >>> number = Column("g", "number", np.array([10, 9, 9]), np.zeros(3, dtype=bool), texts=texts)
    >>> in_order(number, ["10", "9", "09"])
    ['09', '9', '10']
    """
    present = dict.fromkeys(present)
    if column.categories is not None:
        return [c for c in column.categories if c in present]
    if column.kind == "number" and column.texts is not None:
        size = dict(zip(column.texts.tolist(), column.values.tolist(), strict=True))
        return sorted(present, key=lambda text: (size[text], text))
    return sorted(present)


def match_labels(values: Sequence[Any], known: Sequence[Any], what: str) -> list[int]:
    """Return for each distinct value the position of the known one with its label, or −1.

    A value that is no text, and a text where the known values are none, also meets the one that is
    the same number: a table may hold the level ``01`` as 1, and 5 as ``5.0``.

    Parameters
    ----------
    values, known : sequence
        Distinct values of any type.
    what : str
        What they belong to, for messages.

    Raises
    ------
    InputError
        If a value could be two of the known ones, or two values one of them.

    Examples
    --------
    >>> match_labels([5.0, "20", "x", 1], [5, 20, "01"], "`g`")
    [0, 1, -1, 2]
    >>> match_labels(["1", "01", 1], ["01", "1"], "`g`")
    [1, 0, 1]
    """
    if {*map(type, known), *map(type, values)} == {str}:
        place = dict(zip(known, count(), strict=False))
        return [place.get(value, -1) for value in values]
    exact: dict[tuple[bool | None, str], int] = {}
    for k, level in enumerate(known):
        name = label(level)
        exact.setdefault((isinstance(level, str), name), k)
        exact.setdefault((None, name), k)
    found = []
    for value in values:
        name = label(value)
        found.append(exact.get((isinstance(value, str), name), exact.get((None, name), -1)))
    lost = [i for i, k in enumerate(found) if k < 0]
    if not lost:
        return found
    meanings: dict[Hashable, list[int]] = {}
    for k, level in enumerate(known):
        for meaning in _meanings(level):
            meanings.setdefault(meaning, []).append(k)
    owner = {k: i for i, k in enumerate(found) if k >= 0}
    for i in lost:
        value, text = values[i], isinstance(values[i], str)
        near = {k: None for one in _meanings(value) for k in meanings.get(one, ())}
        matches = [k for k in near if not (text and isinstance(known[k], str))]
        if not matches:
            continue
        if len(matches) > 1:
            one, other = (label(known[k]) for k in matches[:2])
            raise InputError(
                f"the value {label(value)} of {what} could be `{one}` or `{other}`",
                remedy="write it as it stood in the data that were fitted",
            )
        found[i] = matches[0]
        first = owner.setdefault(matches[0], i)
        if first != i and isinstance(values[first], str) == text:
            raise InputError(
                f"`{label(values[first])}` and `{label(value)}` of {what} would both be "
                f"`{label(known[matches[0]])}`",
                remedy="write them as they stood in the data that were fitted",
            )
    return found


def find_levels(asked: Sequence[Any], known: Sequence[Any], factor: str) -> list[int]:
    """Return the positions of the levels of a factor that were asked for by their labels.

    Raises
    ------
    InputError
        If there is no such level, or what was asked for could be two of them.

    Examples
    --------
    >>> find_levels(["b", "a"], ["a", "b", "c"], "g")
    [1, 0]
    """
    found = match_labels(asked, known, f"`{factor}`")
    if -1 in found:
        unknown = label(asked[found.index(-1)])
        raise InputError(
            f"`{unknown}` is no level of `{factor}`",
            remedy=did_you_mean(unknown, [label(level) for level in known]),
        )
    return found


def _meanings(value: Any) -> list[Hashable]:
    """Return what a value may mean beside its label: a number, a truth value, a date."""
    if isinstance(value, str):
        text = value.strip()
        if text.lower() in _TRUTH:
            return [("truth", _TRUTH[text.lower()])]
        if _NUMBER.fullmatch(text):
            return [("number", decimal.Decimal(text))]
        return _dates(text)
    if isinstance(value, (bool, np.bool_)):
        return [("truth", bool(value)), ("number", decimal.Decimal(int(value)))]
    if isinstance(value, numbers.Integral):
        return [("number", decimal.Decimal(int(value)))]
    if isinstance(value, decimal.Decimal):
        return [("number", value)] if value.is_finite() else []
    if isinstance(value, numbers.Real):
        # The decimal number that a float is written as, which is what texts hold.
        x = float(value)
        return [("number", decimal.Decimal(repr(x)))] if np.isfinite(x) else []
    if isinstance(value, (np.datetime64, datetime.date)):
        return _dates(value)
    return []


def _dates(value: Any) -> list[Hashable]:
    if isinstance(value, str) and not re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        return []
    try:
        return [("date", str(np.datetime64(value, "us")))]
    except ValueError:
        return []
