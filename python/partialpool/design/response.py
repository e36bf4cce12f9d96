"""The left-hand side → y: numbers, 0 and 1, or the codes of ordered categories."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from partialpool import limits
from partialpool.arrays import Array, Ints, nearly_whole
from partialpool.data import Column
from partialpool.data import label as label_of
from partialpool.errors import InputError
from partialpool.expressions.categories import categorize
from partialpool.expressions.coding import code_factor
from partialpool.expressions.evaluate import Evaluator
from partialpool.expressions.unclear import as_numbers
from partialpool.formula import Factor
from partialpool.formula.names import quoted
from partialpool.formula.tree import Call

from .grouping import factorize
from .matrix import first_of, rows

RESPONSES = ("number", "binary", "ordered")


def build_response(
    factor: Factor, columns: Mapping[str, Column], positions: Ints, kind: str
) -> tuple[Array, tuple[Any, ...]]:
    """Return y, and the labels of its categories where it is ordered.

    Parameters
    ----------
    factor : Factor
        The left-hand side of the formula.
    columns : mapping of str to Column
        Without missing values.
    positions : numpy.ndarray
        Their rows in the table, for messages.
    kind : {"number", "binary", "ordered"}
        What the response should be.

    Examples
    --------
    >>> from partialpool.formula.check import column_factor
    >>> y = Column("y", "number", np.array([2, 1, 3]), np.zeros(3, dtype=bool))
    >>> codes, categories = build_response(column_factor("y"), {"y": y}, np.arange(3), "ordered")
    >>> codes.tolist(), categories
    ([1.0, 0.0, 2.0], (1, 2, 3))
    """
    label = factor.label
    column = columns[factor.columns[0]] if factor.bare else None
    if column is not None:
        column = as_numbers(column, positions, "response")
    found = "number" if column is None else column.kind
    truth = found == "boolean" or factor.condition
    if factor.categorical and kind == "ordered" and _says_order(factor):
        own = categorize(factor.tree, Evaluator(columns, len(positions)))
        return _several(label, own.codes.astype(np.float64), own.levels)
    if truth and kind == "number":
        raise InputError(
            f"the response `{label}` is true or false",
            remedy=f"to treat it as the numbers 0 and 1 write `{{1 * ({label})}}`",
        )
    if column is not None and found in ("string", "categorical"):
        if kind == "binary":
            raise InputError(
                f"the response `{label}` is neither a number nor true or false",
                remedy=f"say what counts as 1, as in `{_condition(column)} ~ …`",
            )
        if kind == "ordered":
            return _ordered_categories(column)
    if found not in ("number", "boolean") or factor.categorical:
        raise InputError(f"the response `{label}` is not a number", remedy="name a numeric column")
    values = _computed(factor, columns, len(positions)) if column is None else column.values
    if kind != "ordered":
        return values.astype(np.float64), ()
    return _ordered_numbers(label, values.astype(bool) if truth else values, positions)


def count_shares(label: str, y: Array, trials: Array, positions: Ints) -> Array:
    """Return the successes that shares of trials tell.

    Parameters
    ----------
    label : str
        The response, for messages.
    y, trials : numpy.ndarray
        Shares, and numbers of trials.
    positions : numpy.ndarray
        Their rows in the table, for messages.

    Raises
    ------
    InputError
        If a share is none, or its count is not whole.

    Examples
    --------
    >>> count_shares("k / n", np.array([0.7, 1 / 3]), np.array([10.0, 3.0]), np.arange(2)).tolist()
    [7.0, 1.0]
    """
    outside = (y < 0) | (y > 1)
    if outside.any():
        raise InputError(
            f"the response `{label}` is no share of trials in {rows(int(outside.sum()))}",
            where=first_of(outside, y, positions),
            remedy="give counts of successes with `trials=`, or shares with `weights=`",
        )
    counts = y * trials
    whole = np.round(counts)
    off = np.abs(counts - whole) > 1e-3  # what R tolerates
    if off.any():
        raise InputError(
            f"the response `{label}` times its trials is no whole number in {rows(int(off.sum()))}",
            where=first_of(off, counts, positions),
            remedy="give counts of successes with `trials=`",
        )
    return np.asarray(whole)


def check_varies(
    label: str, y: Array, kind: str, *, trials: Array | None = None, known: bool = False
) -> None:
    """Refuse a response that leaves nothing to explain.

    Parameters
    ----------
    label : str
        The response, for messages.
    y : numpy.ndarray
        Its values.
    kind : str
        As in ``build_response``.
    trials : numpy.ndarray, optional
        The numbers of trials of a response that counts successes.
    known : bool
        True where equal numbers tell something: errors that are known, an offset or exposure that
        varies.
    """
    if trials is not None:  # no success at all, or no failure, is a result
        return
    if np.ptp(y) > 0 or (known and kind == "number"):
        return
    raise InputError(
        f"the response `{label}` is {y[0]:g} in every row",
        remedy="there is nothing to explain; check the column",
    )


def _computed(factor: Factor, columns: Mapping[str, Column], n: int) -> Array:
    label = factor.label
    coded = code_factor(factor, Evaluator(columns, n))
    if coded.width != 1:
        raise InputError(f"the response `{label}` has {coded.width} columns", remedy="name one")
    y = np.ascontiguousarray(coded.columns(False)[1][:, 0])
    infinite, undefined = int(np.isinf(y).sum()), int(np.isnan(y).sum())
    if infinite or undefined:
        parts = [f"infinite in {rows(infinite)}"] * bool(infinite)
        parts += [f"undefined in {rows(undefined)}"] * bool(undefined)
        raise InputError(
            f"the response `{label}` is {' and '.join(parts)}",
            remedy="correct or drop those rows, or use another transform",
        )
    return y


def _says_order(factor: Factor) -> bool:
    """Tell whether a formula lists the categories in order, as ``ordered(y, levels=…)``."""
    tree = factor.tree
    return isinstance(tree, Call) and "levels" in dict(tree.named)


def _condition(column: Column) -> str:
    """Return a condition that holds for the last value of a column, as a formula writes it."""
    value = factorize(column)[0][-1]
    shown = json.dumps(value, ensure_ascii=False) if isinstance(value, str) else f"{value!r}"
    return f"{{{quoted(column.name)} == {shown}}}"


def _ordered_categories(column: Column) -> tuple[Array, tuple[Any, ...]]:
    if not column.ordered or column.categories is None:
        text = "is text" if column.kind == "string" else "has categories"
        raise InputError(
            f"the response `{column.name}` {text} without an order",
            remedy="give ordered categories (pandas: `ordered=True`, polars: `Enum`), or whole "
            "numbers such as 1, 2, 3, or name the order in the formula, as in "
            f'`ordered({quoted(column.name)}, levels = c("low", "high"))`',
        )
    levels, codes = factorize(column)
    return _several(column.name, codes.astype(np.float64), tuple(levels.tolist()))


def _ordered_numbers(label: str, values: Any, positions: Ints) -> tuple[Array, tuple[Any, ...]]:
    if values.dtype.kind == "f":
        values = nearly_whole(values)
        fractions = values != np.floor(values)
        if fractions.any():
            raise InputError(
                f"the ordered response `{label}` is not a whole number in "
                f"{rows(int(fractions.sum()))}",
                where=first_of(fractions, values, positions),
                remedy="number the categories 1, 2, 3, …",
            )
    levels, codes = np.unique(values, return_inverse=True)
    categories = tuple(level if levels.dtype == bool else int(level) for level in levels.tolist())
    return _several(label, codes.reshape(-1).astype(np.float64), categories)


def unused_categories(column: Column | None, categories: tuple[Any, ...]) -> list[str]:
    """Name the categories of an ordered response that no row has; of numbers, those between others.

    Numbers in equal steps, such as 0, 10, 20, leave none out.

    Examples
    --------
    >>> unused_categories(None, (0, 1, 2, 5)), unused_categories(None, (0, 10, 20))
    (['3', '4'], [])
    """
    if column is not None and column.categories is not None:
        return [label_of(c) for c in column.categories if c not in categories]
    if any(isinstance(c, (bool, str)) for c in categories):
        return []
    if not categories:
        return []
    steps = [b - a for a, b in pairwise(categories)]
    if len(set(steps)) == 1:
        return []
    gaps = [(a, b) for a, b in pairwise(categories) if b > a + 1]
    few = [str(k) for a, b in gaps for k in range(a + 1, min(b, a + 4))]
    return few if sum(b - a - 1 for a, b in gaps) == len(few) else [*few, "…"]


def _several(
    label: str, codes: Array, categories: tuple[Any, ...]
) -> tuple[Array, tuple[Any, ...]]:
    if len(categories) > limits.CATEGORIES:
        raise InputError(
            f"the ordered response `{label}` has {len(categories):,} categories, and at most "
            f"{limits.CATEGORIES} have thresholds that can be estimated",
            remedy='join categories, or take it for a number (family="gaussian")',
        )
    if len(categories) == 1:
        raise InputError(
            f"the response `{label}` is {categories[0]} in every row",
            remedy="there is nothing to explain; check the column",
        )
    return codes, categories
