"""Terms + a table → the design."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from partialpool.arrays import Array, Ints
from partialpool.checks import check_choice
from partialpool.data import Column, Table, open_table
from partialpool.errors import InputError, short
from partialpool.formula import Factor, GroupTerm, Terms
from partialpool.formula.algebra import Quotient
from partialpool.formula.uses import uses_of

from .complete import Complete, complete_rows
from .design import Design, GroupFactor, Part
from .grouping import make_blocks, ordered_groups, twins
from .interaction import Coded
from .learn import learn_part
from .matrix import Matrix
from .notes import notes_of
from .plan import Plan, PlannedGrouping, PlannedPart
from .response import (
    RESPONSES,
    build_response,
    check_varies,
    count_shares,
    unused_categories,
)
from .roles import ROLES, Expression, role_columns
from .rows import FactorRows, PartRows, apply_plan
from .sizes import check_sizes


def build_design(
    terms: Terms,
    table: Any,
    *,
    sigma: Terms | None = None,
    response: str = "number",
    shares: bool = False,
    **given: Any,
) -> Design:
    """Build the arrays that a model of these terms is made of.

    Parameters
    ----------
    terms : Terms
        From ``parse_formula``.
    table : object
        Anything that ``open_table`` opens.
    sigma : Terms, optional
        From ``parse_predictor``: a second linear predictor.
    response : {"number", "binary", "ordered"}
        Numbers; numbers, or true and false as 1 and 0; ordered categories as codes from 0, and
        then the population part has no intercept column, since thresholds take its place.
    shares : bool
        True where the response tells shares of the trials, not counts.
    **given : str, number, array or Expression, optional
        By role (see `ROLES`): the name of a column, one number for all rows, one value a row of
        the table, or what a formula says. Rows with weight 0 are left out.

    Returns
    -------
    Design
        Rows with a missing value in anything used are dropped once, for all arrays.

    Examples
    --------
    >>> from partialpool.formula import parse_formula
    >>> data = {"y": [1.0, 2.0, 4.0], "x": [1, 2, 3], "g": ["a", "b", "a"]}
    >>> build_design(parse_formula("y ~ x + (1 | g)"), data)
    3 rows, 2 population columns, g: 2 levels × 1 column
    """
    check_choice("response", response, RESPONSES)
    given = {role: given.pop(role, None) for role in ROLES} | given
    if given["weights"] is not None and given["se"] is not None:
        raise InputError("both `weights` and `se` are given", remedy="give one of them")
    check_names(terms, table)
    names = terms.columns if sigma is None else (*terms.columns, *sigma.columns)
    computed = [value for value in given.values() if isinstance(value, Expression)]
    names = (*names, *(name for value in computed for name in role_columns(value)))
    assert terms.left is not None  # parse_formula saw to it
    left = terms.left.factor
    uses = uses_of([terms] if sigma is None else [terms, sigma], left)
    complete = complete_rows(names, table, uses.labels, **given)
    columns, roles = complete.columns, complete.roles
    check_quotients((*terms.quotients, *(sigma.quotients if sigma else ())), columns)
    y, categories = take_response(left, complete, response, shares=shares)
    known = "se" in roles or any(_differ(roles.get(role)) for role in ("offset", "exposure"))
    check_varies(left.label, y, response, trials=roles.get("trials"), known=known)
    plan, codes = _learn(terms, sigma, complete, thresholds=response == "ordered", shares=shares)
    design = make_design(plan, complete, y, categories, codes)
    check_sizes(left.label, y, _columns(design))
    return design


def _learn(
    terms: Terms, sigma: Terms | None, complete: Complete, *, thresholds: bool, shares: bool
) -> tuple[Plan, dict[str, Ints]]:
    """Learn the plan from the rows that are fitted, and their levels' codes by column."""
    assert terms.left is not None  # parse_formula saw to it
    columns, positions, left = complete.columns, complete.rows, terms.left.factor
    coded: dict[str, Coded] = {}
    learn = partial(learn_part, columns=columns, positions=positions, response=left, coded=coded)
    parts = [learn("mu", terms, thresholds=thresholds)]
    if sigma is not None:
        try:
            parts.append(learn("sigma", sigma))
        except InputError as error:
            where = f"{error.where}, in `sigma`" if error.where else "in `sigma`"
            raise InputError(error.what, where=where, remedy=error.remedy) from None
    booleans = tuple(name for name, column in columns.items() if column.kind == "boolean")
    codes = {name: own for name, (_, own) in coded.items()}
    return Plan(tuple(parts), complete.sources, shares, booleans), codes


def take_response(
    left: Factor, complete: Complete, response: str, *, shares: bool
) -> tuple[Array, tuple[Any, ...]]:
    """Compute the response of rows that are fitted, and the categories of an ordered one."""
    y, categories = build_response(left, complete.columns, complete.rows, response)
    if shares:
        y = count_shares(left.label, y, complete.roles["trials"], complete.rows)
    return y, categories


def make_design(
    plan: Plan,
    complete: Complete,
    y: Array,
    categories: tuple[Any, ...],
    codes: Mapping[str, Ints] | None = None,
) -> Design:
    """Make the design of the rows that a plan was learned from, now or when a file was written.

    `codes` are those of grouping columns where they are at hand.
    """
    columns, n = complete.columns, len(complete.rows)
    applied = apply_plan(plan, columns, n, fitted=True, codes=codes)
    main, *others = (
        _part(planned, made) for planned, made in zip(plan.parts, applied, strict=True)
    )
    assert main.terms.left is not None  # parse_formula saw to it
    left = main.terms.left.factor
    uses = uses_of([part.terms for part in plan.parts], left)
    response = columns[left.columns[0]] if left.bare else None
    return Design(
        terms=main.terms,
        response=left.label,
        y=y,
        X=main.X,
        columns=main.columns,
        column_terms=main.column_terms,
        aliased=main.aliased,
        factors=main.factors,
        sigma=others[0] if others else None,
        categories=categories,
        roles=complete.roles,
        n_rows=n,
        n_dropped=len(complete.dropped),
        dropped=complete.dropped,
        n_zero_weight=complete.n_zero_weight,
        rows=complete.rows,
        table=Table(columns, n, "the rows that were fitted"),
        plan=plan,
        notes=complete.notes + notes_of(uses, columns, plan.levels),
        unused=tuple(unused_categories(response, categories)),
    )


def _part(planned: PlannedPart, made: PartRows) -> Part:
    """Give the columns of fitted rows what a model needs to know of them."""
    X = made.X
    return Part(
        planned.terms,
        X.values,
        X.names,
        X.terms,
        tuple(
            _factor(grouping, ordered_groups(planned.terms, grouping.name), own, X)
            for grouping, own in zip(planned.groupings, made.factors, strict=True)
        ),
        planned.population.aliased,
    )


def _factor(
    planned: PlannedGrouping, groups: Sequence[GroupTerm], made: FactorRows, X: Matrix
) -> GroupFactor:
    names, Z, levels = planned.terms, made.values, planned.joined
    widths = [(len(part.kept), g.correlated) for part, g in zip(planned.parts, groups, strict=True)]
    return GroupFactor(
        name=planned.name,
        columns=planned.columns,
        terms=names,
        column_terms=tuple(term for part in made.Z for term in part.terms),
        blocks=make_blocks(widths),
        Z=Z,
        codes=made.codes,
        levels=levels,
        counts=np.bincount(made.codes, minlength=len(levels)),
        T=twins(Z, names, X.values, X.names),
        aliased=tuple(one for part in planned.parts for one in part.aliased),
    )


def check_names(terms: Terms, table: Any) -> None:
    """Refuse a name that is a number of its own, such as pi, and a column of the table."""
    for name in terms.constants:
        if name in open_table(table).names:
            raise InputError(
                f"`{name}` is a column of the table and a number",
                remedy=f"write `` `{name}` `` for the column, or `np.{name}` for the number",
            )


def check_quotients(quotients: Sequence[Quotient], columns: Mapping[str, Column]) -> None:
    """Refuse ``a / b`` of numbers: as terms it is ``a + a:b``, and a ratio is meant.

    Examples
    --------
    >>> from partialpool.formula import parse_formula
    >>> numbers = {n: Column(n, "number", np.zeros(1), np.zeros(1, dtype=bool)) for n in "ab"}
    >>> check_quotients(parse_formula("y ~ a / b").quotients, numbers)
    Traceback (most recent call last):
    ...
    partialpool.errors.InputError: `a / b` means `a + a:b` in a formula, and both sides are \
numbers: write `I(a / b)` for the ratio, or the terms themselves.
    """
    for quotient in quotients:
        sides = (*quotient.left, *quotient.right)
        if sides and all(_is_numeric(factor, columns) for factor in sides):
            left, right = (
                " + ".join(f.label for f in side) for side in (quotient.left, quotient.right)
            )
            together = ":".join(f.label for f in sides)
            meant = f"{left} + {together}" if "+" not in right else "a product"
            raise InputError(
                f"`{short(quotient.text)}` means `{short(meant)}` in a formula, and both sides are "
                "numbers",
                remedy=f"write `I({short(quotient.text)})` for the ratio, or the terms themselves",
            )


def _is_numeric(factor: Factor, columns: Mapping[str, Column]) -> bool:
    if factor.bare:
        return columns[factor.columns[0]].kind == "number"
    return not (factor.condition or factor.categorical)


def _columns(design: Design) -> list[tuple[str, Array]]:
    """Return all columns of predictors by name."""
    return [
        (name, matrix[:, k])
        for part in (design, design.sigma)
        if part is not None
        for names, matrix in [(part.columns, part.X), *((f.terms, f.Z) for f in part.factors)]
        for k, name in enumerate(names)
    ]


def _differ(values: Array | None) -> bool:
    return values is not None and bool(np.ptp(values) > 0)
