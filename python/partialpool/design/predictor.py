"""Terms + complete columns → one linear predictor: X, its grouping factors, and their recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from partialpool.arrays import Array, Ints
from partialpool.data import Column
from partialpool.data.unclear import refuse_unclear
from partialpool.design.design import Aliased, GroupFactor, Part
from partialpool.errors import InputError
from partialpool.formula import Factor, Term, Terms, expand

from .aliased import leave_out, leave_out_zeros, store_matrix
from .grouping import check_levels, encode_levels, factorize, make_blocks, ordered_groups, twins
from .interaction import Coded, combine
from .matrix import Matrix, build_matrix


def build_part(
    terms: Terms,
    columns: Mapping[str, Column],
    positions: Ints,
    *,
    response: Factor,
    coded: dict[str, Coded],
    thresholds: bool = False,
) -> tuple[Part, dict[str, Any]]:
    """Build one linear predictor, and what rebuilds it for new data.

    Parameters
    ----------
    terms : Terms
        The formula.
    columns : mapping of str to Column
        Without missing values.
    positions : numpy.ndarray
        Their rows in the table, for messages.
    response : Factor
        The left-hand side of the main formula, which cannot be a predictor.
    coded : dict
        Levels and codes of grouping columns, filled as they are needed.
    thresholds : bool
        True where thresholds take the place of the intercept: contrasts are coded as beside an
        intercept, and then its column is left out.

    Examples
    --------
    >>> from partialpool.formula import parse_formula
    >>> from partialpool.formula.check import column_factor
    >>> x = Column("x", "number", np.array([1.0, 2.0]), np.zeros(2, dtype=bool))
    >>> y = column_factor("y")
    >>> rows = np.arange(2)
    >>> part, _ = build_part(parse_formula("y ~ x"), {"x": x}, rows, response=y, coded={})
    >>> part.columns
    ('Intercept', 'x')
    """
    population = expand(terms.population)
    n_rows = len(positions)
    for name in dict.fromkeys(f.columns[0] for term in population for f in term if f.bare):
        refuse_unclear(columns[name], positions)
    if any(len(term) == 1 and term[0].code == response.code for term in population):
        raise InputError(
            f"`{response.label}` is the response and a predictor", remedy="take it out on the right"
        )
    if thresholds and () not in population:
        # Dropping it in silence would not be the same: `0 + f` asks for a column a category.
        raise InputError(
            "an ordered response has thresholds in place of an intercept, so there is none to "
            "leave out",
            remedy="write the terms without `0 +` and `- 1`",
        )
    made = build_matrix(population, columns, n_rows)
    kept, aliased = leave_out(made.names, made.values, made.terms, made.coded)
    names, of_terms, X = _some(made, kept)
    recipe: dict[str, Any] = {
        "population": store_matrix(made, names, aliased),
        "thresholds": thresholds,
        "groups": [],
    }
    if thresholds:
        names, of_terms = names[1:], of_terms[1:]
        X = np.ascontiguousarray(X[:, 1:])
    for name in dict.fromkeys(c for group in terms.groups for c in group.columns):
        check_levels(columns[name], positions)
    factors = []
    for name in dict.fromkeys(group.factor for group in terms.groups):
        factor, stored = _group_factor(terms, name, columns, n_rows, X, names, coded)
        factors.append(factor)
        recipe["groups"].append(stored)
    return Part(terms, X, names, of_terms, tuple(factors), aliased), recipe


def _some(made: Matrix, kept: Sequence[int]) -> tuple[tuple[str, ...], tuple[Term, ...], Array]:
    """Return names, terms and values of some columns."""
    X = made.values if len(kept) == len(made.names) else made.values[:, list(kept)]
    return (
        tuple(made.names[j] for j in kept),
        tuple(made.terms[j] for j in kept),
        np.ascontiguousarray(X),
    )


def _group_factor(
    terms: Terms,
    name: str,
    columns: Mapping[str, Column],
    n: int,
    X: Array,
    names: tuple[str, ...],
    coded: dict[str, Coded],
) -> tuple[GroupFactor, dict[str, Any]]:
    groups = ordered_groups(terms, name)
    grouping = groups[0].columns
    for column in grouping:
        if column not in coded:
            coded[column] = factorize(columns[column])
    single = [coded[column] for column in grouping]
    members = None
    if len(grouping) == 1:
        levels, codes = single[0]
    else:
        levels, codes, members = combine(single, grouping)
    parts, matrices, widths = [], [], []
    z_names: tuple[str, ...] = ()
    z_terms: tuple[Term, ...] = ()
    aliased: tuple[Aliased, ...] = ()
    for group in groups:
        made = build_matrix(expand(group.terms), columns, n, group=group)
        kept, gone = leave_out_zeros(made.names, made.values, made.terms, made.coded)
        own, of_terms, Z = _some(made, kept)
        aliased += gone
        twice = set(own) & set(z_names)
        if twice:
            raise InputError(f"`{twice.pop()}` occurs in two group terms of `{name}`")
        z_names += own
        z_terms += of_terms
        matrices.append(Z)
        widths.append((Z.shape[1], group.correlated))
        parts.append(store_matrix(made, own, gone))
    Z = np.ascontiguousarray(np.hstack(matrices))
    factor = GroupFactor(
        name=name,
        columns=grouping,
        terms=z_names,
        column_terms=z_terms,
        blocks=make_blocks(widths),
        Z=Z,
        codes=codes,
        levels=levels,
        counts=np.bincount(codes, minlength=len(levels)),
        T=twins(Z, z_names, X, names),
        aliased=aliased,
    )
    return factor, {
        "name": name,
        "columns": list(grouping),
        "levels": [encode_levels(own) for own, _ in single],
        "members": None if members is None else members.tolist(),
        "parts": parts,
    }
