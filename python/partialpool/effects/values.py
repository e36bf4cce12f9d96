"""The values that rows get in turn, and rows that all have one of them."""

from __future__ import annotations

import math
import numbers
from typing import Any

import numpy as np
from msgspec.structs import replace

from partialpool.arrays import Array
from partialpool.data import Column, label
from partialpool.data.labels import distinct, match_labels
from partialpool.data.mapping import from_any
from partialpool.design.gather import Gathered
from partialpool.design.grouping import factorize
from partialpool.errors import InputError, shown
from partialpool.model import Model

KINDS = {"i": "number", "u": "number", "f": "number", "b": "boolean", "M": "date"}
FEW = 5  # as many distinct numbers are taken one by one


def is_numeric(model: Model, column: Column) -> bool:
    """Whether the model takes a column as numbers, of which there are others in between."""
    categories = model.plan.coded | model.plan.categories
    return column.kind == "number" and column.name not in categories


def values_of(column: Column, numeric: bool, given: Any, weights: Array) -> list[Any]:
    """Values that the rows get in turn."""
    if given is not None:
        if isinstance(given, (str, bytes)) or not hasattr(given, "__len__"):
            given = [given]
        values = list(given)
        if not values:
            raise InputError(f"`at` lists no value of `{column.name}`", remedy="give some")
        return [v.item() if isinstance(v, np.generic) else v for v in values]
    if column.categories is not None:
        return list(factorize(column)[0].tolist())
    if numeric:
        found = np.unique(column.values)
        if len(found) > FEW:
            found = np.unique(_quartiles(column.values.astype(np.float64), weights))
        return [float(v) for v in found]
    return list(factorize(column)[0]) if column.kind == "date" else factorize(column)[0].tolist()


def _quartiles(x: Array, weights: Array) -> Array:
    """Quartiles, with the ends, of rows that count as many as their weights say.

    Examples
    --------
    >>> x = np.array([5.0, 1.0, 3.0])
    >>> _quartiles(x, np.array([1.0, 2.0, 3.0])), np.quantile([1, 1, 3, 3, 3, 5], [0.25, 0.5, 0.75])
    (array([1. , 1.5, 3. , 3. , 5. ]), array([1.5, 3. , 3. ]))
    """
    order = np.argsort(x, kind="stable")
    ends = np.cumsum(weights[order])
    at = np.array([0, 0.25, 0.5, 0.75, 1]) * max(ends[-1] - 1, 0.0)
    low = np.floor(at)
    below, above = (
        x[order][np.minimum(np.searchsorted(ends, place, side="right"), len(x) - 1)]
        for place in (low, low + 1)
    )
    return np.asarray(below + (at - low) * (above - below))


def with_value(gathered: Gathered, name: str, value: Any) -> Gathered:
    """Give all rows one value of a column, by its label."""
    column = gathered.table.columns[name]
    if not isinstance(value, (str, bytes)) and hasattr(value, "__len__"):
        raise InputError(
            f"`at` gives `{name}` several values", remedy="give one; only `by` takes several"
        )
    what = f"`{name}` in `at`"
    number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if column.kind == "number" and column.texts is None and number:
        # It is what it is called: the rows need not be looked through for it.
        own, text = _other_value(column, value, what), None
    else:
        own, text = _found_value(column, value, what)
    dtype = column.values.dtype
    if dtype.kind in "iu" and not (float(own).is_integer() and abs(own) < 2**53):
        dtype = np.dtype(np.float64)
    values = np.empty(len(column), dtype=dtype)
    values[:] = own
    texts = None
    if column.texts is not None:
        texts = np.full(len(column), text, dtype=object)
    return with_column(gathered, replace(column, values=values, texts=texts))


def _found_value(column: Column, value: Any, what: str) -> tuple[Any, Any]:
    """Return a value as the first row that has it holds it, and its text; or another value."""
    known, codes = distinct(column.labels)
    place = match_labels([value], known, what)[0]
    if place < 0:
        return _other_value(column, value, what), label(value)
    row = int(np.argmax(codes == place))
    return column.values[row], None if column.texts is None else column.texts[row]


def with_level(gathered: Gathered, name: str, level: Any) -> Gathered:
    """Give all rows one level of a grouping column, which the table may lack."""
    n, dtype = gathered.table.n_rows, getattr(level, "dtype", np.dtype(object))
    kind = KINDS.get(dtype.kind, "string")
    values = np.empty(n, dtype=dtype)
    values[:] = level
    return with_column(gathered, Column(name, kind, values, np.zeros(n, dtype=bool)))


def _other_value(column: Column, value: Any, what: str) -> Any:
    """Return a value that no row has as the column holds such."""
    fits, kind = False, f"a {column.kind} value"
    if column.kind == "number":
        fits = isinstance(value, numbers.Real) and not isinstance(value, bool)
        fits, kind = fits and math.isfinite(value), "a finite number"
    elif column.kind == "boolean":
        kind = "true or false"
        place = match_labels([value], [False, True], what)[0]
        fits, value = place >= 0, place == 1
    elif column.kind == "date":
        one = from_any(column.name, [value])
        fits = one.kind == "date" and not bool(one.missing[0])
        value = one.values[0] if fits else value
    else:
        categories = column.categories or ()
        place = match_labels([value], categories, what)[0]
        fits = place >= 0 or isinstance(value, (str, numbers.Real))
        value = categories[place] if place >= 0 else value
    if not fits:
        raise InputError(
            f"`at` gives `{column.name}` the value {shown(value)}", remedy=f"give {kind}"
        )
    return value


def with_column(gathered: Gathered, column: Column) -> Gathered:
    """Put a column in the place of that of its name."""
    columns = gathered.table.columns | {column.name: column}
    return replace(gathered, table=replace(gathered.table, columns=columns))
