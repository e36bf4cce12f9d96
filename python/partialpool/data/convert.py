"""Values of any kind → one Column."""

from __future__ import annotations

import datetime
import decimal
import numbers
from typing import Any

import numpy as np

from partialpool.errors import InputError

from .table import Array, Column

# Types whose every value means "missing"; pandas' are recognised by name to spare its import.
_ABSENT = {"NoneType", "NAType", "NaTType"}


def from_array(name: str, values: Array, missing: Array | None = None) -> Column:
    """Make a column from a one-dimensional numpy array (masked arrays too).

    Examples
    --------
    >>> from_array("x", np.array([1.0, np.nan])).missing
    array([False,  True])
    """
    if isinstance(values, np.ma.MaskedArray):
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
        return Column(name, "boolean", values, absent)
    if kind == "i":
        return Column(name, "number", values.astype(np.int64, copy=False), absent)
    if kind == "u":
        # Only what int64 cannot hold stays unsigned.
        fits = values.dtype.itemsize < 8 or not np.any(values > np.iinfo(np.int64).max)
        return Column(name, "number", values.astype(np.int64 if fits else np.uint64), absent)
    if kind == "f":
        floats = values.astype(np.float64, copy=False)
        return Column(name, "number", floats, absent | np.isnan(floats))
    if kind == "M":
        return Column(name, "date", values, absent | np.isnat(values))
    if kind in "UT":
        return from_objects(name, values.astype(object), absent)
    if kind == "O":
        return from_objects(name, values, absent)
    raise _unusable(name, str(values.dtype))


def from_objects(name: str, values: Array, missing: Array | None = None) -> Column:
    """Make a column from Python objects: numbers, booleans or dates if all are, else strings.

    Examples
    --------
    >>> from_objects("x", np.array([1, None, 2.5], dtype=object)).kind
    'number'
    >>> from_objects("x", np.array([1, "a"], dtype=object)).values.tolist()
    ['1', 'a']
    """
    absent = np.zeros(len(values), dtype=bool) if missing is None else missing.copy()
    types = set(map(type, values))
    if types <= {str}:
        return Column(name, "string", values, absent)
    if any(t.__name__ in _ABSENT or issubclass(t, numbers.Number) for t in types):
        absent |= np.fromiter(map(_is_absent, values), dtype=bool, count=len(values))
    present = values[~absent]
    types = set(map(type, present))
    nested = next((t for t in types if issubclass(t, (list, tuple, dict, set, np.ndarray))), None)
    if nested is not None:
        raise _unusable(name, nested.__name__)
    if not types:  # nothing but missing values: a number column keeps later messages simple
        return Column(name, "number", np.full(len(values), np.nan), absent)
    if all(issubclass(t, (bool, np.bool_)) for t in types):
        return Column(name, "boolean", _filled(present.astype(bool), absent, False), absent)
    if all(issubclass(t, (numbers.Real, np.bool_, decimal.Decimal)) for t in types):
        return _numbers(name, present, absent, types)
    if all(issubclass(t, (datetime.date, np.datetime64)) for t in types):
        return Column(name, "date", _filled(_dates(present), absent, np.datetime64("NaT")), absent)
    texts = np.empty(len(values), dtype=object)
    texts[~absent] = [str(v) for v in present]
    texts[absent] = ""
    return Column(name, "string", texts, absent)


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


def from_any(name: str, values: Any) -> Column:
    """Make a column from a list, an array or a Series of any library.

    Examples
    --------
    >>> from_any("x", [1, None]).missing
    array([False,  True])
    """
    if isinstance(values, np.ndarray):
        return from_array(name, values)
    if isinstance(values, (str, bytes)) or not hasattr(values, "__len__"):
        raise InputError(
            f"the column `{name}` is a single value, not one value a row",
            remedy="give a list or an array",
        )
    if isinstance(values, (list, tuple, range)):
        array = np.empty(len(values), dtype=object)
        if any(isinstance(v, (list, tuple, np.ndarray)) for v in values):
            raise InputError(
                f"the column `{name}` has 2 dimensions", remedy="give each column by itself"
            )
        array[:] = list(values)
        return from_objects(name, array)
    from .frames import from_series

    return from_series(name, values)


def _is_absent(value: Any) -> bool:
    return type(value).__name__ in _ABSENT or (
        isinstance(value, (numbers.Number, np.datetime64)) and bool(value != value)
    )


def _filled(present: Array, absent: Array, fill: Any) -> Array:
    out = np.full(len(absent), fill, dtype=present.dtype)
    out[~absent] = present
    return out


def _numbers(name: str, present: Array, absent: Array, types: set[type]) -> Column:
    if all(issubclass(t, numbers.Integral) for t in types):
        for dtype in (np.int64, np.uint64):
            try:
                return Column(name, "number", _filled(present.astype(dtype), absent, 0), absent)
            except OverflowError:
                continue
    return Column(name, "number", _filled(present.astype(np.float64), absent, np.nan), absent)


def _dates(present: Array) -> Array:
    if any(getattr(v, "tzinfo", None) is not None for v in present):
        present = np.array(
            [v.astimezone(datetime.UTC).replace(tzinfo=None) for v in present], dtype=object
        )
    return present.astype("datetime64[us]")


def _unusable(name: str, what: str) -> InputError:
    return InputError(
        f"the column `{name}` holds values of type {what}, which cannot be used",
        remedy="make it numbers, booleans, strings or dates",
    )
