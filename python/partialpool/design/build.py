"""Terms + a table → the design."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np

from partialpool.checks import check_choice
from partialpool.data import Table
from partialpool.errors import InputError
from partialpool.formula import Terms

from .design import Design, Floats, Part
from .interaction import Coded
from .notes import notes_of
from .predictor import build_part
from .response import RESPONSES, build_response, check_varies, unused_categories
from .roles import complete_rows
from .uses import response_factor, uses_of

VERSION = 2


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
) -> Design:
    """Build the arrays that a model of these terms is made of.

    Parameters
    ----------
    terms : Terms
        From ``parse_formula``.
    table : object
        Anything that ``open_table`` opens.
    weights, offset, se, trials, exposure : str or array, optional
        The name of a column, or one value a row of the table. Rows with weight 0 are left out;
        `trials` may be one whole number for all rows.
    sigma : Terms, optional
        From ``parse_predictor``: a second linear predictor.
    response : {"number", "binary", "ordered"}
        Numbers; numbers, or true and false as 1 and 0; ordered categories as codes from 0, and
        then the population part has no intercept column, since thresholds take its place.

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
    names = terms.columns if sigma is None else (*terms.columns, *sigma.columns)
    left = response_factor(terms)
    uses = uses_of([terms] if sigma is None else [terms, sigma], left)
    complete = complete_rows(names, table, uses.labels, **given)
    columns, roles, n = complete.columns, complete.roles, len(complete.rows)
    y, categories = build_response(left, columns, complete.rows, response)
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
    return Design(
        terms=terms,
        response=left.label,
        y=y,
        X=main.X,
        columns=main.columns,
        column_terms=main.column_terms,
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
            **{role: _stored(value) for role, value in given.items()},
            **{f"needs_{role}": value is not None for role, value in given.items()},
            **recipe,
            "sigma": stored,
            "booleans": [name for name, column in columns.items() if column.kind == "boolean"],
        },
    )


def _stored(value: Any) -> str | float | None:
    """Return what new data may use again: the name of a column, or one number for all rows."""
    if isinstance(value, numbers.Real):
        return int(float(value)) if float(value).is_integer() else float(value)
    return str(value) if isinstance(value, str) else None


def _differ(values: Floats | None) -> bool:
    return values is not None and bool(np.ptp(values) > 0)
