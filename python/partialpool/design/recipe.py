"""The recipe of a design + new data → the same columns for the new data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from partialpool.data import Column, open_table
from partialpool.data.convert import from_any
from partialpool.errors import InputError
from partialpool.formula import Term, expand, parse_formula

from .build import VERSION, check_finite
from .design import Floats, Ints, freeze
from .grouping import decode_levels, match_levels, ordered_groups
from .matrix import build_matrix, rows


@dataclass(frozen=True, eq=False)
class Rebuilt:
    """The columns of a design for new data.

    Parameters
    ----------
    X : numpy.ndarray
        (n, p) the population columns.
    Z : tuple of numpy.ndarray
        (n, q) a grouping factor's columns, in the order of the design's factors.
    codes : tuple of numpy.ndarray
        (n,) index into the factor's levels; −1 for a level that the fit did not see.
    offset : numpy.ndarray or None
        (n,) the offset.
    """

    X: Floats
    Z: tuple[Floats, ...]
    codes: tuple[Ints, ...]
    offset: Floats | None

    def __post_init__(self) -> None:
        freeze(self.X, self.offset, *self.Z, *self.codes)


def rebuild(recipe: Mapping[str, Any], table: Any, *, offset: Any = None) -> Rebuilt:
    """Build the columns of a design for new data.

    Parameters
    ----------
    recipe : dict
        ``Design.recipe``, possibly after a round through JSON.
    table : object
        Anything that ``open_table`` opens. It needs no response; the grouping column may be left
        out when its level does not matter, and then every row has a level not seen.
    offset : str or array, optional
        As in ``build_design``; by default the column that the fit used.

    Returns
    -------
    Rebuilt
        In the order of the table's rows; missing values are an error.

    Examples
    --------
    >>> from partialpool.design import build_design
    >>> data = {"y": [1.0, 2.0, 4.0], "x": [1, 2, 3], "g": ["a", "b", "a"]}
    >>> design = build_design(parse_formula("y ~ x + (1 | g)"), data)
    >>> new = rebuild(design.recipe, {"x": [5], "g": ["c"]})
    >>> new.X.tolist(), new.codes[0].tolist()
    ([[1.0, 5.0]], [-1])
    """
    if recipe.get("version") != VERSION:
        raise InputError(
            f"the recipe has version {recipe.get('version')!r}, not {VERSION}",
            remedy="fit the model again with this version",
        )
    terms = parse_formula(recipe["formula"])  # stored text is checked like any other
    source = open_table(table)
    population = expand(terms.population)
    groups = [(g, ordered_groups(terms, g["name"])) for g in recipe["groups"]]
    needed = _columns(population)
    for _, group_terms in groups:
        for group in group_terms:
            needed |= _columns(expand(group.terms))
    needed |= {g["name"]: None for g, _ in groups if g["name"] in source.names}
    if offset is None:
        offset = recipe["offset"]
    if offset is None and recipe["needs_offset"]:
        raise InputError("the fit used an offset", remedy="give `offset` for the new data")
    if isinstance(offset, str):
        needed[offset] = None
    columns, n = source.take(needed).columns, source.n_rows
    predictors = _columns(population)
    for _, group_terms in groups:
        for group in group_terms:
            predictors |= _columns(expand(group.terms))
    for name in predictors:
        _check(columns[name])
    X = _part(population, recipe["population"], columns, n)
    Zs, codes = [], []
    for stored, group_terms in groups:
        parts = [
            _part(expand(group.terms), part, columns, n)
            for group, part in zip(group_terms, stored["parts"], strict=True)
        ]
        Zs.append(np.ascontiguousarray(np.hstack(parts)))
        column = columns.get(stored["name"])
        levels = decode_levels(stored["levels"])
        codes.append(np.full(n, -1) if column is None else match_levels(column, levels))
    return Rebuilt(X, tuple(Zs), tuple(codes), _offset(offset, columns, n))


def _columns(terms: Iterable[Term]) -> dict[str, None]:
    return dict.fromkeys(name for term in terms for f in term for name in f.columns)


def _check(column: Column) -> None:
    count = int(column.missing.sum())
    if count:
        raise InputError(
            f"the column `{column.name}` is missing in {rows(count)} of the new data",
            remedy="fill in or drop those rows",
        )
    check_finite(column)


def _part(
    terms: tuple[Term, ...], stored: Mapping[str, Any], columns: Mapping[str, Column], n: int
) -> Floats:
    names, matrix, _ = build_matrix(terms, columns, n, stored["state"])
    if list(names) != stored["columns"]:
        raise InputError(
            f"the new data give the columns {', '.join(names)}, not {', '.join(stored['columns'])}",
            remedy="give the columns the same kinds as in the data that were fitted",
        )
    return matrix


def _offset(offset: Any, columns: Mapping[str, Column], n: int) -> Floats | None:
    if offset is None:
        return None
    column = columns[offset] if isinstance(offset, str) else from_any("offset", offset)
    if column.kind != "number" or len(column) != n:
        raise InputError("`offset` is not one number a row", remedy="give a numeric column")
    _check(column)
    return column.values.astype(np.float64)
