"""Terms + a table → the design."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from partialpool.arrays import Array
from partialpool.checks import check_choice
from partialpool.data import Column, Table, open_table
from partialpool.errors import InputError, short
from partialpool.formula import Factor, Terms
from partialpool.formula.algebra import Quotient

from .design import Design, Part
from .interaction import Coded
from .notes import notes_of
from .predictor import build_part
from .response import (
    RESPONSES,
    build_response,
    check_varies,
    count_shares,
    unused_categories,
)
from .roles import Expression, complete_rows, role_columns
from .sizes import check_sizes
from .uses import uses_of

VERSION = 3


def build_design(
    terms: Terms,
    table: Any,
    *,
    weights: Any = None,
    offset: Any = None,
    se: Any = None,
    trials: Any = None,
    exposure: Any = None,
    sigma: Terms | None = None,
    response: str = "number",
    shares: bool = False,
) -> Design:
    """Build the arrays that a model of these terms is made of.

    Parameters
    ----------
    terms : Terms
        From ``parse_formula``.
    table : object
        Anything that ``open_table`` opens.
    weights, offset, se, trials, exposure : str, number, array or Expression, optional
        The name of a column, one number for all rows, one value a row of the table, or what a
        formula says. Rows with weight 0 are left out.
    sigma : Terms, optional
        From ``parse_predictor``: a second linear predictor.
    response : {"number", "binary", "ordered"}
        Numbers; numbers, or true and false as 1 and 0; ordered categories as codes from 0, and
        then the population part has no intercept column, since thresholds take its place.
    shares : bool
        True where the response tells shares of the trials, not counts.

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
    if weights is not None and se is not None:
        raise InputError("both `weights` and `se` are given", remedy="give one of them")
    given = {
        "weights": weights,
        "offset": offset,
        "se": se,
        "trials": trials,
        "exposure": exposure,
    }
    check_names(terms, table)
    names = terms.columns if sigma is None else (*terms.columns, *sigma.columns)
    computed = [value for value in given.values() if isinstance(value, Expression)]
    names = (*names, *(name for value in computed for name in role_columns(value)))
    assert terms.left is not None  # parse_formula saw to it
    left = terms.left.factor
    uses = uses_of([terms] if sigma is None else [terms, sigma], left)
    complete = complete_rows(names, table, uses.labels, **given)
    columns, roles, n = complete.columns, complete.roles, len(complete.rows)
    check_quotients((*terms.quotients, *(sigma.quotients if sigma else ())), columns)
    y, categories = build_response(left, columns, complete.rows, response)
    if shares:
        y = count_shares(left.label, y, roles["trials"], complete.rows)
    unused = unused_categories(columns[left.columns[0]] if left.bare else None, categories)
    known = "se" in roles or any(_differ(roles.get(role)) for role in ("offset", "exposure"))
    check_varies(left.label, y, response, trials=roles.get("trials"), known=known)
    coded: dict[str, Coded] = {}
    main, recipe = build_part(
        terms, columns, complete.rows, response=left, coded=coded, thresholds=response == "ordered"
    )
    second: Part | None = None
    stored = None
    if sigma is not None:
        try:
            second, stored = build_part(sigma, columns, complete.rows, response=left, coded=coded)
        except InputError as error:
            where = f"{error.where}, in `sigma`" if error.where else "in `sigma`"
            raise InputError(error.what, where=where, remedy=error.remedy) from None
        stored["formula"] = sigma.formula
    check_sizes(left.label, y, _columns(main, second))
    return Design(
        terms=terms,
        response=left.label,
        y=y,
        X=main.X,
        columns=main.columns,
        column_terms=main.column_terms,
        aliased=main.aliased,
        factors=main.factors,
        sigma=second,
        categories=categories,
        **{role: roles.get(role) for role in given},
        n_rows=n,
        n_dropped=len(complete.dropped),
        dropped=complete.dropped,
        n_zero_weight=complete.n_zero_weight,
        rows=complete.rows,
        table=Table(columns, n, "the rows that were fitted"),
        notes=complete.notes + notes_of(uses, columns, coded),
        unused=tuple(unused),
        recipe={
            "version": VERSION,
            "formula": terms.formula,
            "shares": shares,
            **complete.stored,
            **{f"needs_{role}": value is not None for role, value in given.items()},
            **recipe,
            "sigma": stored,
            "booleans": [name for name, column in columns.items() if column.kind == "boolean"],
        },
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


def _columns(*parts: Part | None) -> list[tuple[str, Array]]:
    """Return all columns of predictors by name."""
    return [
        (name, matrix[:, k])
        for part in parts
        if part is not None
        for names, matrix in [(part.columns, part.X), *((f.terms, f.Z) for f in part.factors)]
        for k, name in enumerate(names)
    ]


def _differ(values: Array | None) -> bool:
    return values is not None and bool(np.ptp(values) > 0)
