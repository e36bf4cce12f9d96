"""Terms + the rows that are fitted → the plan of one linear predictor."""

from __future__ import annotations

from collections.abc import Mapping

from partialpool.arrays import Ints
from partialpool.data import Column
from partialpool.errors import InputError
from partialpool.expressions.unclear import refuse_unclear
from partialpool.formula import Factor, Term, Terms, expand

from .aliased import leave_out, leave_out_zeros
from .grouping import check_levels, factorize, ordered_groups
from .interaction import Coded, combine
from .matrix import build_matrix
from .plan import PlannedColumns, PlannedGrouping, PlannedPart


def learn_part(
    name: str,
    terms: Terms,
    columns: Mapping[str, Column],
    positions: Ints,
    *,
    response: Factor,
    coded: dict[str, Coded],
    thresholds: bool = False,
) -> PlannedPart:
    """Learn what makes the columns of one linear predictor.

    Parameters
    ----------
    name : {"mu", "sigma"}
        What it predicts.
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
    >>> import numpy as np
    >>> from partialpool.formula import parse_formula
    >>> from partialpool.formula.check import column_factor
    >>> x = Column("x", "number", np.array([1.0, 2.0]), np.zeros(2, dtype=bool))
    >>> y = column_factor("y")
    >>> rows = np.arange(2)
    >>> learn_part("mu", parse_formula("y ~ x"), {"x": x}, rows, response=y, coded={}).columns
    ('Intercept', 'x')
    """
    population = expand(terms.population)
    for column in dict.fromkeys(f.columns[0] for term in population for f in term if f.bare):
        refuse_unclear(columns[column], positions)
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
    planned = _population(population, columns, len(positions))
    for column in dict.fromkeys(c for group in terms.groups for c in group.columns):
        check_levels(columns[column], positions)
    groupings = tuple(
        _grouping(terms, factor, columns, len(positions), coded)
        for factor in dict.fromkeys(group.factor for group in terms.groups)
    )
    return PlannedPart(name, terms.formula, planned, groupings, thresholds)


def _population(terms: tuple[Term, ...], columns: Mapping[str, Column], n: int) -> PlannedColumns:
    made = build_matrix(terms, columns, n)
    kept, aliased = leave_out(made.names, made.values, made.terms, made.coded)
    return PlannedColumns(tuple(made.names[j] for j in kept), made.names, aliased, made.state)


def _grouping(
    terms: Terms, name: str, columns: Mapping[str, Column], n: int, coded: dict[str, Coded]
) -> PlannedGrouping:
    groups = ordered_groups(terms, name)
    grouping = groups[0].columns
    for column in grouping:
        if column not in coded:
            coded[column] = factorize(columns[column])
    single = [coded[column] for column in grouping]
    members = None if len(grouping) == 1 else combine(single, grouping)
    parts: list[PlannedColumns] = []
    for group in groups:
        made = build_matrix(expand(group.terms), columns, n, group=group)
        kept, gone = leave_out_zeros(made.names, made.values, made.terms, made.coded)
        names = tuple(made.names[j] for j in kept)
        twice = set(names) & {known for part in parts for known in part.kept}
        if twice:
            raise InputError(f"`{twice.pop()}` occurs in two group terms of `{name}`")
        parts.append(PlannedColumns(names, made.names, gone, made.state))
    levels = tuple(own for own, _ in single)
    return PlannedGrouping(name, grouping, levels, members, tuple(parts))
