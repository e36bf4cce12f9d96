"""A grouping column → levels and codes; Z's columns → their twins in the population."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count, repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from partialpool.arrays import Array, Ints
from partialpool.data import Column
from partialpool.data.labels import as_given, distinct, in_order, match_labels
from partialpool.errors import InputError
from partialpool.formula import GroupTerm, Terms, expand

from .matrix import first_of, rows

# Beyond this, floats no longer tell whole numbers apart.
_EXACT = 2.0**53


def check_levels(column: Column, positions: Ints) -> None:
    """Refuse fractions as levels, and floats too large to tell whole numbers apart.

    `positions` are the rows of the table that the column has.
    """
    values = column.values
    if column.kind != "number" or values.dtype.kind != "f":
        return
    fractions = values != np.floor(values)
    if fractions.any():
        raise InputError(
            f"the grouping column `{column.name}` holds fractions in {rows(int(fractions.sum()))}",
            where=first_of(fractions, values, positions),
            remedy="group by whole numbers, strings or categories (`pp.read(…, text=[…])` takes "
            "a column as text); a measurement belongs left of the bar",
        )
    _check_exact(column)


def _check_exact(column: Column) -> None:
    floats = column.texts is None and column.values.dtype.kind == "f"
    if floats and (np.abs(column.values[~column.missing]) > _EXACT).any():
        raise InputError(
            f"the grouping column `{column.name}` holds whole numbers beyond 2⁵³ as floats, which "
            "round them",
            remedy="give whole numbers or text or, where values are missing, a type that can lack "
            "them",
        )


def factorize(column: Column) -> tuple[NDArray[Any], Ints]:
    """Return the levels that occur, in order, and each row's index into them.

    Examples
    --------
    >>> levels, codes = factorize(
    ...     Column("g", "string", np.array(["b", "a", "b"], dtype=object), np.zeros(3, dtype=bool))
    ... )
    >>> levels.tolist(), codes.tolist()
    (['a', 'b'], [1, 0, 1])
    """
    values = column.labels
    if values.dtype != object:
        if values.dtype.kind == "f" and column.kind == "number":
            whole = values == np.floor(values)
            # Ids that are floats because some are missing are whole numbers all the same.
            if whole.all() and (np.abs(values) <= _EXACT).all():
                values = values.astype(np.int64)
        levels, codes = np.unique(values, return_inverse=True)
        return levels, codes.astype(np.int64, copy=False).reshape(-1)
    # A dictionary finds the levels of a million strings far quicker than sorting the rows would.
    given = values.tolist()
    ordered = in_order(column, given)
    index = dict(zip(ordered, count(), strict=False))
    codes = np.fromiter(map(index.__getitem__, given), dtype=np.int64, count=len(given))
    return _objects(ordered), codes


def match_levels(column: Column, levels: NDArray[Any]) -> Ints:
    """Return each row's index into known levels; −1 for a level not among them, or missing.

    Examples
    --------
    >>> new = Column("g", "number", np.array([2, 5]), np.zeros(2, dtype=bool))
    >>> match_levels(new, np.array([1, 2])).tolist()
    [1, -1]
    """
    codes = np.full(len(column), -1, dtype=np.int64)
    there = ~column.missing
    if there.any():
        if column.kind == "number":
            _check_exact(column)
        given = column.labels[there]
        if given.dtype == levels.dtype and given.dtype.kind == "i":
            codes[there] = _sorted_places(given, levels)
            return codes
        known = as_given(levels)
        if given.dtype == object and {*map(type, known), *map(type, given)} == {str}:
            index = dict(zip(known, count(), strict=False))
            places = map(index.get, given.tolist(), repeat(-1))
            codes[there] = np.fromiter(places, dtype=np.int64, count=len(given))
            return codes
        found, own = distinct(given)
        what = f"the grouping column `{column.name}`"
        codes[there] = np.array(match_labels(found, known, what), dtype=np.int64)[own]
    return codes


def _sorted_places(values: NDArray[Any], levels: NDArray[Any]) -> Ints:
    at = np.minimum(np.searchsorted(levels, values), len(levels) - 1)
    return np.where(levels[at] == values, at, -1)


def encode_levels(levels: NDArray[Any]) -> dict[str, Any]:
    """Return levels as something that survives JSON."""
    if levels.dtype.kind == "M":
        return {"dtype": str(levels.dtype), "values": levels.astype(np.int64).tolist()}
    return {"dtype": str(levels.dtype), "values": levels.tolist()}


def decode_levels(stored: dict[str, Any]) -> NDArray[Any]:
    """Return the levels that ``encode_levels`` was given.

    Examples
    --------
    >>> decode_levels(encode_levels(np.array([2, 3])))
    array([2, 3])
    """
    if stored["dtype"] == "object":
        return _objects(stored["values"])
    if stored["dtype"].startswith("datetime64"):
        return np.array(stored["values"], dtype=np.int64).astype(stored["dtype"])
    return np.array(stored["values"], dtype=stored["dtype"])


def _objects(values: Sequence[Any]) -> NDArray[Any]:
    out = np.empty(len(values), dtype=object)
    out[:] = values
    return out


def ordered_groups(terms: Terms, factor: str) -> list[GroupTerm]:
    """Return a factor's group terms, the one with the intercept first."""
    own = [group for group in terms.groups if group.factor == factor]
    return sorted(own, key=lambda group: () not in expand(group.terms))


def make_blocks(parts: Sequence[tuple[int, bool]]) -> tuple[tuple[int, int, bool], ...]:
    """Return (start, stop, correlated) of parts given by width; uncorrelated neighbours merge.

    Examples
    --------
    >>> make_blocks([(1, True), (1, True)])
    ((0, 2, False),)
    """
    blocks: list[tuple[int, int, bool]] = []
    start = 0
    for width, correlated in parts:
        block = (start, start + width, correlated and width > 1)
        start += width
        if blocks and not block[2] and not blocks[-1][2]:
            block = (blocks.pop()[0], block[1], False)
        blocks.append(block)
    return tuple(blocks)


def twins(Z: Array, terms: Sequence[str], X: Array, columns: Sequence[str]) -> Array:
    """Return T with ``Z @ T == X`` for the columns of X that lie in Z's span, 0 for the others.

    Examples
    --------
    >>> Z = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    >>> X = np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 1.0]])
    >>> twins(Z, ["f[a]", "f[b]"], X, ["Intercept", "f[T.b]"]).tolist()
    [[1.0, 0.0], [1.0, 1.0]]
    """
    T = np.zeros((len(terms), len(columns)))
    position = {name: k for k, name in enumerate(terms)}
    free = list(range(len(terms)))
    left = []
    for j, name in enumerate(columns):
        k = position.get(name)
        if k is not None and np.array_equal(Z[:, k], X[:, j]):
            T[k, j] = 1.0
            free.remove(k)
        else:
            left.append(j)
    if not free:  # every group column has its twin, and X has no dependent columns
        return T
    unequal = []
    for j in left:
        same = [k for k in free if np.array_equal(Z[:, k], X[:, j])]
        if same:
            T[same[0], j] = 1.0
        else:
            unequal.append(j)
    for subset in (free, list(range(len(terms)))):
        if not unequal:
            break
        weights, made = _combinations(Z[:, subset], X[:, unequal])
        for place, j in enumerate(unequal):
            if made[place]:
                T[subset, j] = weights[:, place]
        unequal = [j for place, j in enumerate(unequal) if not made[place]]
    return T


def _combinations(Z: Array, X: Array) -> tuple[Array, NDArray[np.bool_]]:
    """Return the weights with which Z's columns come nearest to X's, and where they make them."""
    scale = np.abs(Z).max(axis=0)
    scale[scale == 0] = 1.0
    weights = np.linalg.lstsq(Z / scale, X, rcond=None)[0] / scale[:, None]
    size = 1e-9 * np.maximum(np.abs(X).max(axis=0), 1e-300)
    # Contrasts are mostly simple numbers: say them exactly.
    with np.errstate(over="ignore", invalid="ignore"):  # columns beyond 10^290
        rounded = np.round(weights, 9)
        simple = np.abs(Z @ rounded - X).max(axis=0) <= size
    made = simple | (np.abs(Z @ weights - X).max(axis=0) <= size)
    return np.where(simple, rounded, weights), made
