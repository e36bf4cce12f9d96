"""Values of any kind → one Column, which does not follow later changes of what it was made from."""

from __future__ import annotations

import datetime
import decimal
import numbers
from typing import Any

import numpy as np

from partialpool.data.labels import label
from partialpool.data.reading import USUAL, Reading
from partialpool.data.table import Array, Column
from partialpool.data.values import read_texts
from partialpool.errors import InputError

# Types whose every value means "missing"; pandas' are recognised by name to spare its import.
_ABSENT = {"NoneType", "NAType", "NaTType"}
_EXACT = 2**53
"""Beyond this, floats no longer tell whole numbers apart."""


def from_array(
    name: str, values: Array, missing: Array | None = None, how: Reading = USUAL
) -> Column:
    """Make a column from a one-dimensional numpy array (masked arrays too).

    Examples
    --------
    >>> from_array("x", np.array([1.0, np.nan])).missing
    array([False,  True])
    """
    # numpy.ma takes long to import, and nothing else than its arrays needs it.
    if type(values) is not np.ndarray and isinstance(values, np.ma.MaskedArray):
        mask = np.ma.getmaskarray(values)
        missing = mask if missing is None else missing | mask
        values = values.data
    if values.ndim != 1:
        raise InputError(
            f"the column `{name}` has {values.ndim} dimensions",
            remedy="give one value a row" if values.ndim == 0 else "give each column by itself",
        )
    absent = np.zeros(len(values), dtype=bool) if missing is None else np.array(missing, dtype=bool)
    kind = values.dtype.kind
    if kind == "b":
        return Column(name, "boolean", values.copy(), absent)
    if kind == "i":
        return Column(name, "number", values.astype(np.int64), absent)
    if kind == "u":
        # Only what int64 cannot hold stays unsigned.
        fits = values.dtype.itemsize < 8 or not np.any(values > np.iinfo(np.int64).max)
        return Column(name, "number", values.astype(np.int64 if fits else np.uint64), absent)
    if kind == "f":
        floats = _as_floats(values)
        return Column(name, "number", floats, absent | np.isnan(floats))
    if kind == "M":
        return Column(name, "date", values.copy(), absent | np.isnat(values))
    if kind in "UT":
        return from_objects(name, values.astype(object), absent, how)
    if kind == "O":
        return from_objects(name, values, absent, how)
    raise unusable(name, str(values.dtype))


def from_objects(
    name: str, values: Array, missing: Array | None = None, how: Reading = USUAL
) -> Column:
    """Make a column from Python objects: numbers, booleans, dates if all are, else what text says.

    Examples
    --------
    >>> from_objects("x", np.array([1, None, 2.5], dtype=object)).kind
    'number'
    >>> from_objects("x", np.array([1, "a"], dtype=object)).values.tolist()
    ['1', 'a']
    """
    absent = np.zeros(len(values), dtype=bool) if missing is None else missing.copy()
    types = set(map(type, values))
    if types == {str}:
        return read_texts(name, values.copy(), absent, how)
    if any(t.__name__ in _ABSENT or issubclass(t, numbers.Number | np.generic) for t in types):
        absent |= np.fromiter(map(_is_absent, values), dtype=bool, count=len(values))
    present = values[~absent]
    types = set(map(type, present))
    if types and all(issubclass(t, str) for t in types):
        return read_texts(name, values.copy(), absent, how)
    nested = next((t for t in types if _is_nested(t)), None)
    if nested is not None:
        raise unusable(name, nested.__name__)
    if not types:  # nothing but missing values: a number column keeps later messages simple
        return Column(name, "number", np.full(len(values), np.nan), absent)
    if all(issubclass(t, (bool, np.bool_)) for t in types):
        return Column(name, "boolean", _filled(present.astype(bool), absent, False), absent)
    if all(issubclass(t, (numbers.Real, np.bool_, decimal.Decimal)) for t in types):
        return _numbers(name, present, absent, types)
    if all(issubclass(t, (datetime.date, np.datetime64)) for t in types):
        dates = _dates(name, present)
        return Column(name, "date", _filled(dates, absent, np.datetime64("NaT")), absent)
    texts = np.empty(len(values), dtype=object)
    texts[~absent] = [_label(name, v) for v in present]
    texts[absent] = ""
    return read_texts(name, texts, absent, how)


def from_categories(
    name: str, codes: Array, categories: tuple[Any, ...], *, ordered: bool = False
) -> Column:
    """Make a categorical column from codes (−1 is missing) and the categories in their order.

    Examples
    --------
    >>> from_categories("f", np.array([1, 0, -1]), ("b", "a")).values.tolist()
    ['a', 'b', 'b']
    """
    lookup = np.empty(max(len(categories), 1), dtype=object)
    lookup[: len(categories)] = categories
    absent = codes < 0
    values = lookup[np.where(absent, 0, codes)]
    return Column(name, "categorical", values, absent, categories, ordered)


def unusable(name: str, what: str) -> InputError:
    """Say that a column holds values of a type that is of no use."""
    return InputError(
        f"the column `{name}` holds values of type {what}, which cannot be used",
        remedy="make it numbers, booleans, strings or dates",
    )


def _is_nested(t: type) -> bool:
    plain = (str, numbers.Number, decimal.Decimal, datetime.date, datetime.time, np.generic)
    # Objects that hold others, and bytes, which no text is: enumerations, UUIDs … have a name.
    return issubclass(t, bytes | bytearray | complex | np.complexfloating) or (
        not issubclass(t, plain) and (hasattr(t, "__len__") or hasattr(t, "__iter__"))
    )


def _is_absent(value: Any) -> bool:
    if type(value).__name__ in _ABSENT:
        return True
    if isinstance(value, decimal.Decimal):
        return value.is_nan()  # a signalling one refuses to be compared
    return isinstance(value, (numbers.Number, np.datetime64)) and bool(value != value)


def _label(name: str, value: Any) -> str:
    try:
        return label(value)
    except Exception:  # whatever the text form of somebody's objects does
        raise unusable(name, type(value).__name__) from None


def _filled(present: Array, absent: Array, fill: Any) -> Array:
    out = np.full(len(absent), fill, dtype=present.dtype)
    out[~absent] = present
    return out


def _as_floats(values: Array) -> Array:
    with np.errstate(over="ignore"):  # wider floats become infinite, and are refused as such
        return values.astype(np.float64)


def _numbers(name: str, present: Array, absent: Array, types: set[type]) -> Column:
    if all(issubclass(t, (numbers.Integral, np.bool_)) for t in types):
        for dtype in (np.int64, np.uint64):
            try:
                return Column(name, "number", _filled(present.astype(dtype), absent, 0), absent)
            except OverflowError:
                continue
    floats = np.array([_float(value) for value in present], dtype=np.float64)
    texts = None
    exact = [not isinstance(value, (float, np.floating)) for value in present]
    if (np.array(exact) & (np.abs(floats) > _EXACT)).any():
        texts = np.full(len(absent), "", dtype=object)
        texts[~absent] = [_label(name, value) for value in present]
    return Column(name, "number", _filled(floats, absent, np.nan), absent, texts=texts)


def _float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def _dates(name: str, present: Array) -> Array:
    aware = [getattr(v, "tzinfo", None) is not None for v in present]
    if any(aware):
        if not all(aware):
            raise InputError(
                f"the column `{name}` has dates with a time zone and others without",
                remedy="give all of them one, or none",
            )
        present = np.array(
            [v.astimezone(datetime.UTC).replace(tzinfo=None) for v in present], dtype=object
        )
    return present.astype("datetime64[us]")
