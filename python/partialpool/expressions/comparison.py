"""Comparisons in a formula: numbers by value, labels by what they are called."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from partialpool.arrays import Flags
from partialpool.data import Column, label
from partialpool.data.conventions import is_plain
from partialpool.data.labels import distinct, match_labels
from partialpool.errors import InputError, did_you_mean, short

_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    **{"==": operator.eq, "!=": operator.ne, "<": operator.lt},
    **{"<=": operator.le, ">": operator.gt, ">=": operator.ge},
}
_TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


def compare(symbol: str, left: Any, right: Any, *, seen: bool) -> Flags:
    """Compare two sides, each a column, numbers, a string, or (right of ``in``) a list.

    Parameters
    ----------
    symbol : str
        Such as ``"<"``, or ``"in"``.
    left, right
        The sides.
    seen : bool
        Whether these are the rows that are fitted, in which a label that is named must occur.

    Examples
    --------
    >>> f = Column("f", "string", np.array(["a", "b"], dtype=object), np.zeros(2, dtype=bool))
    >>> compare("==", f, "b", seen=True)
    array([False,  True])
    """
    if symbol == "in":
        return _member(left, right, seen)
    if not isinstance(left, Column) and isinstance(right, Column):
        return compare(_TURNED.get(symbol, symbol), right, left, seen=seen)
    if isinstance(left, Column):
        if isinstance(right, Column) and (_labelled(left) or _labelled(right)):
            return _columns(symbol, left, right)
        if isinstance(right, str) or _labelled(left):
            return _constant(symbol, left, right, seen)
        left = _numbers(left)
    if isinstance(right, Column):
        right = _numbers(right)
    if isinstance(left, str) or isinstance(right, str):
        raise InputError("a number is compared with text", remedy="compare numbers with numbers")
    return np.asarray(_COMPARE[symbol](left, right))


def _constant(symbol: str, column: Column, value: Any, seen: bool) -> Flags:
    """Compare a column with one value."""
    if not isinstance(value, (str, int, float, bool)):
        raise InputError(
            f"the column `{column.name}` holds {_kind(column)}, and it is compared with numbers",
            remedy="compare it with one of its values",
        )
    if column.kind == "date":
        return np.asarray(_COMPARE[symbol](column.values, _date(column, value)))
    if symbol in ("==", "!="):
        held = _is(column, value)
        if seen and not held.any():
            raise _never(column, value)
        return held if symbol == "==" else ~held
    if column.kind == "categorical" and column.ordered and column.categories is not None:
        place = {label(category): k for k, category in enumerate(column.categories)}
        if label(value) not in place:
            raise _never(column, value)
        own = np.array([place[label(v)] for v in column.values.tolist()], dtype=np.int64)
        return np.asarray(_COMPARE[symbol](own, place[label(value)]))
    raise InputError(
        f"the column `{column.name}` holds {_kind(column)}, of which none is more than another",
        remedy="compare by `==` or `!=`, or with several values by `%in% c(…)`",
    )


def _member(left: Any, values: list[Any], seen: bool) -> Flags:
    if not isinstance(left, Column):
        if any(isinstance(value, str) for value in values):
            raise InputError("numbers are compared with text", remedy="list numbers")
        return np.isin(left, values)
    held = np.zeros(len(left), dtype=bool)
    for value in values:
        if value is not None:
            held |= left.values == _date(left, value) if left.kind == "date" else _is(left, value)
    if seen and not held.any():
        raise _never(left, next(iter(values), ""))
    return held


def _is(column: Column, value: Any) -> Flags:
    """Tell where a column has a value, by what both are called."""
    if column.kind == "boolean":
        truth = {"true": True, "false": False, "1": True, "0": False}.get(label(value).lower())
        if truth is None:
            raise _never(column, value)
        return np.asarray(column.values == truth)
    if column.kind == "number" and not isinstance(value, str):
        return np.asarray(column.values == value)
    if column.kind == "number" and column.texts is None and not is_plain(value):
        raise InputError(
            f"the column `{column.name}` holds numbers, and it is compared with `{short(value)}`",
            remedy="compare it with a number",
        )
    found, codes = distinct(column.labels)
    if isinstance(value, str):  # a text is what it is: '01' is not '1'
        wanted = [k for k, one in enumerate(found) if label(one) == value]
    else:
        wanted = match_labels([value], found, f"the column `{column.name}`")
    return np.isin(codes, [k for k in wanted if k >= 0])


def _columns(symbol: str, left: Column, right: Column) -> Flags:
    if symbol not in ("==", "!="):
        raise InputError(
            f"the column `{left.name}` and `{right.name}` hold labels, of which none is more than "
            "another",
            remedy="compare by `==` or `!=`",
        )
    pairs = zip(left.labels.tolist(), right.labels.tolist(), strict=True)
    same = np.fromiter((label(a) == label(b) for a, b in pairs), dtype=bool, count=len(left))
    return same if symbol == "==" else ~same


def _numbers(column: Column) -> Any:
    return column.values.astype(np.float64)


def _labelled(column: Column) -> bool:
    return column.kind in ("string", "categorical", "date")


def _kind(column: Column) -> str:
    return {"date": "dates", "string": "text", "categorical": "categories"}.get(
        column.kind, f"{column.kind}s"
    )


def _date(column: Column, value: Any) -> np.datetime64:
    try:
        return np.datetime64(str(value))
    except ValueError:
        raise InputError(
            f"the column `{column.name}` holds dates, and it is compared with `{short(value)}`",
            remedy="write a date as '2020-01-31'",
        ) from None


def _never(column: Column, value: Any) -> InputError:
    known = [label(one) for one in distinct(column.labels)[0]]
    return InputError(
        f"no row has `{short(label(value))}` in the column `{column.name}`",
        remedy=did_you_mean(label(value), known),
    )
