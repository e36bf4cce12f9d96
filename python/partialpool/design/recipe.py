"""The recipe of a design + new data → the same columns for the new data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from partialpool.arrays import Array, Ints
from partialpool.data import Column, Table, open_table
from partialpool.data.labels import distinct, match_labels
from partialpool.data.unclear import as_numbers
from partialpool.design.design import freeze
from partialpool.errors import InputError
from partialpool.expressions.evaluate import as_floats
from partialpool.formula import Term, Terms, expand, parse_formula, parse_predictor

from .aliased import same_columns
from .build import VERSION
from .grouping import decode_levels, match_levels, ordered_groups
from .interaction import match_combinations
from .matrix import build_matrix, rows
from .roles import check_finite, read_role, role_column, role_columns
from .uses import all_factors, uses_of


@dataclass(frozen=True, eq=False)
class RebuiltPart:
    """The columns of one linear predictor for new data.

    Parameters
    ----------
    X : numpy.ndarray
        (n, p) the population columns.
    Z : tuple of numpy.ndarray
        (n, q) a grouping factor's columns, in the order of the design's factors.
    codes : tuple of numpy.ndarray
        (n,) index into the factor's levels; −1 for a level that the fit did not see.
    """

    X: Array
    Z: tuple[Array, ...]
    codes: tuple[Ints, ...]

    def __post_init__(self) -> None:
        freeze(self.X, *self.Z, *self.codes)


@dataclass(frozen=True, eq=False)
class Rebuilt(RebuiltPart):
    """The columns of a design for new data: those of the main predictor, and what goes with them.

    Parameters
    ----------
    X, Z, codes
        As in ``RebuiltPart``.
    offset : numpy.ndarray or None
        (n,) the offset plus the log of the exposure.
    sigma : RebuiltPart or None
        The second linear predictor.
    """

    offset: Array | None
    sigma: RebuiltPart | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        freeze(self.offset)


def rebuild(
    recipe: Mapping[str, Any], table: Any, *, offset: Any = None, exposure: Any = None
) -> Rebuilt:
    """Build the columns of a design for new data.

    Parameters
    ----------
    recipe : dict
        ``Design.recipe``, possibly after a round through JSON.
    table : object
        Anything that ``open_table`` opens. It needs no response; grouping columns may be left
        out when their levels do not matter, and then every row has a level not seen.
    offset, exposure : str or array, optional
        As in ``build_design``; by default the columns that the fit used.

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
    parts = _parts(recipe)
    source = open_table(table)
    predictors = _all_predictors(parts)
    grouping = {name for _, part in parts for g in part["groups"] for name in g["columns"]}
    roles = {"offset": offset, "exposure": exposure}
    for role in roles:
        if roles[role] is None:
            roles[role] = read_role(recipe[role])
        if roles[role] is None and recipe[f"needs_{role}"]:
            used = "an" if role[0] in "aeiou" else "a"
            raise InputError(
                f"the fit used {used} {role}", remedy=f"give `{role}` for the new data"
            )
    named = [name for value in roles.values() for name in role_columns(value)]
    present = [name for name in source.names if name in grouping]
    table = source.take((*predictors, *present, *named), recipe_labels(recipe))
    columns, n = dict(table.columns), source.n_rows
    for name in predictors:
        _check(columns[name])
        columns[name] = as_fitted(recipe, columns[name])
    main, *others = [_rebuild_part(terms, part, columns, n) for terms, part in parts]
    total = _role("offset", roles["offset"], table)
    exposed = _role("exposure", roles["exposure"], table)
    if exposed is not None:
        total = np.log(exposed) if total is None else total + np.log(exposed)
    return Rebuilt(main.X, main.Z, main.codes, total, others[0] if others else None)


def recipe_predictors(recipe: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the columns that new data must have, beside grouping columns and roles."""
    return tuple(_all_predictors(_parts(recipe)))


def fitted_categories(recipe: Mapping[str, Any]) -> set[str]:
    """Return the columns that were categories in the fit as terms by themselves."""
    parts = [recipe] if recipe["sigma"] is None else [recipe, recipe["sigma"]]
    states = [part["population"]["state"] for part in parts]
    states += [own["state"] for part in parts for g in part["groups"] for own in g["parts"]]
    bare = {f for terms, _ in _parts(recipe) for f in all_factors(terms) if f.bare}
    return {
        factor.columns[0]
        for factor in bare
        for state in states
        if f"levels of {factor.code}" in state and f"numbers of {factor.code}" not in state
    }


def as_fitted(recipe: Mapping[str, Any], column: Column) -> Column:
    """Return a column of new data as numbers, or true and false, if it was that in the fit.

    Whatever type carries it. Categories meet those of the fit where they are coded.

    Raises
    ------
    InputError
        If it is something else.
    """
    name = column.name
    if name in recipe.get("booleans", ()):
        return _as_boolean(column)
    if column.kind not in ("string", "categorical") or name in fitted_categories(recipe):
        return column
    uses = uses_of(terms for terms, _ in _parts(recipe))
    if name not in uses.predictors:
        return column
    return Column(name, "number", as_floats(column), column.missing)


def recipe_labels(recipe: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the columns whose values name things."""
    return tuple(uses_of(terms for terms, _ in _parts(recipe)).labels)


def _parts(recipe: Mapping[str, Any]) -> list[tuple[Terms, Mapping[str, Any]]]:
    """Return the terms of each linear predictor with their recipe."""
    # Stored text is checked like any other.
    parts = [(parse_formula(recipe["formula"]), recipe)]
    if recipe["sigma"] is not None:
        parts.append((parse_predictor(recipe["sigma"]["formula"]), recipe["sigma"]))
    return parts


def _all_predictors(parts: list[tuple[Terms, Mapping[str, Any]]]) -> dict[str, None]:
    return dict.fromkeys(name for terms, _ in parts for name in _predictors(terms))


def _rebuild_part(
    terms: Terms, recipe: Mapping[str, Any], columns: Mapping[str, Column], n: int
) -> RebuiltPart:
    X = _matrix(expand(terms.population), recipe["population"], columns, n)
    if recipe["thresholds"]:
        X = np.ascontiguousarray(X[:, 1:])
    Zs, codes = [], []
    for stored in recipe["groups"]:
        groups = ordered_groups(terms, stored["name"])
        matrices = [
            _matrix(expand(group.terms), part, columns, n)
            for group, part in zip(groups, stored["parts"], strict=True)
        ]
        Zs.append(np.ascontiguousarray(np.hstack(matrices)))
        codes.append(_codes(stored, columns, n))
    return RebuiltPart(X, tuple(Zs), tuple(codes))


def _codes(stored: Mapping[str, Any], columns: Mapping[str, Column], n: int) -> Ints:
    if any(name not in columns for name in stored["columns"]):
        return np.full(n, -1)
    own = [
        match_levels(columns[name], decode_levels(levels))
        for name, levels in zip(stored["columns"], stored["levels"], strict=True)
    ]
    if stored["members"] is None:
        return own[0]
    return match_combinations(own, np.array(stored["members"], dtype=np.int64))


def _predictors(terms: Terms) -> dict[str, None]:
    """Return the columns that population and group columns are computed from."""
    texts = [terms.population, *(group.terms for group in terms.groups)]
    return {
        name: None for text in texts for term in expand(text) for f in term for name in f.columns
    }


def _check(column: Column) -> None:
    count = int(column.missing.sum())
    if count:
        raise InputError(
            f"the column `{column.name}` is missing in {rows(count)} of the new data",
            remedy="fill in or drop those rows",
        )
    check_finite(column)


def _as_boolean(column: Column) -> Column:
    """Take what was true or false in the fit as that, in whatever way it is written."""
    if column.kind == "boolean":
        return column
    found, codes = distinct(column.labels[~column.missing])
    try:
        places = match_labels(found, [False, True], f"the column `{column.name}`")
    except InputError:
        places = [-1]
    if -1 in places:
        raise InputError(
            f"the column `{column.name}` was true or false in the fit and is not now",
            remedy="give true and false, or 1 and 0",
        )
    values = np.zeros(len(column), dtype=bool)
    values[~column.missing] = np.array(places, dtype=bool)[codes]
    return Column(column.name, "boolean", values, column.missing)


def _matrix(
    terms: tuple[Term, ...], stored: Mapping[str, Any], columns: Mapping[str, Column], n: int
) -> Array:
    return same_columns(stored, build_matrix(terms, columns, n, stored["state"]))


def _role(role: str, value: Any, table: Table) -> Array | None:
    if value is None:
        return None
    column = role_column(role, value, table)
    column = as_numbers(column, np.arange(len(column)), "column")
    if column.kind != "number" or len(column) != table.n_rows:
        raise InputError(f"`{role}` is not one number a row", remedy="give a numeric column")
    _check(column)
    values = column.values.astype(np.float64)
    if role == "exposure" and (values <= 0).any():
        count = rows(int((values <= 0).sum()))
        raise InputError(
            f"`exposure` is zero or negative in {count} of the new data",
            remedy="give positive exposures",
        )
    return values
