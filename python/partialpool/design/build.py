"""Terms + a table → the design."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from partialpool.data import Column, open_table
from partialpool.data.convert import from_any
from partialpool.errors import InputError
from partialpool.formula import Factor, Terms, expand
from partialpool.formula.tokens import tokenize

from .design import Design, Floats, GroupFactor
from .grouping import encode_levels, factorize, make_blocks, ordered_groups, twins
from .matrix import build_matrix, rows
from .rank import check_rank

VERSION = 1


def build_design(
    terms: Terms,
    table: Any,
    *,
    weights: Any = None,
    offset: Any = None,
    se: Any = None,
    binary: bool = False,
) -> Design:
    """Build the arrays that a model of these terms is made of.

    Parameters
    ----------
    terms : Terms
        From ``parse_formula``.
    table : object
        Anything that ``open_table`` opens.
    weights, offset, se : str or array, optional
        The name of a column, or one value a row of the table.
    binary : bool
        Take a response of true and false as 1 and 0.

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
    if weights is not None and se is not None:
        raise InputError("both `weights` and `se` are given", remedy="give one of them")
    columns, roles, keep = _complete(terms, table, weights=weights, offset=offset, se=se)
    n = int(keep.sum())
    response = tokenize(terms.response)[0].factor
    assert response is not None  # parse_formula saw to it
    y = _response(response, columns, n, binary)
    if se is None and np.ptp(y) == 0:
        raise InputError(
            f"the response `{response.label}` is {y[0]:g} in every row",
            remedy="there is nothing to explain; check the column",
        )
    population = expand(terms.population)
    for name in dict.fromkeys(c for term in population for f in term for c in f.columns):
        check_stray_text(columns[name])
    for name in response.columns:
        check_stray_text(columns[name])
    if any(len(term) == 1 and term[0].code == response.code for term in population):
        raise InputError(
            f"`{response.label}` is the response and a predictor", remedy="take it out on the right"
        )
    names, X, state = build_matrix(population, columns, n)
    check_rank(X, names)
    factors, recipes = [], []
    for name in dict.fromkeys(group.factor for group in terms.groups):
        factor, recipe = _group_factor(terms, name, columns, n, X, names)
        factors.append(factor)
        recipes.append(recipe)
    return Design(
        terms=terms,
        response=response.label,
        y=y,
        X=X,
        columns=names,
        factors=tuple(factors),
        weights=_positive(roles.get("weights"), "weights", "drop those rows"),
        offset=_role(roles.get("offset"), "offset"),
        se=_positive(roles.get("se"), "se", "give positive standard errors"),
        n_rows=n,
        n_dropped=int(len(keep) - n),
        dropped=np.flatnonzero(~keep),
        recipe={
            "version": VERSION,
            "formula": terms.formula,
            "offset": offset if isinstance(offset, str) else None,
            "needs_offset": offset is not None,
            "population": {"columns": list(names), "state": state},
            "groups": recipes,
        },
    )


def _complete(
    terms: Terms, table: Any, **given: Any
) -> tuple[dict[str, Column], dict[str, Column], Any]:
    """Return the columns and the roles without missing rows, and the mask of rows kept."""
    source = open_table(table)
    named = [value for value in given.values() if isinstance(value, str)]
    taken = source.take((*terms.columns, *named))
    roles = {}
    for role, value in given.items():
        if value is None:
            continue
        column = taken.columns[value] if isinstance(value, str) else from_any(role, value)
        if len(column) != taken.n_rows:
            raise InputError(
                f"`{role}` has {len(column)} values for {taken.n_rows} rows",
                remedy="give one value a row",
            )
        roles[role] = column
    used = {name: taken.columns[name] for name in terms.columns}
    keep = np.ones(taken.n_rows, dtype=bool)
    for column in (*used.values(), *roles.values()):
        keep &= ~column.missing
    if not keep.any():
        empty = [c.name for c in (*used.values(), *roles.values()) if c.missing.all()]
        what = f"`{empty[0]}` is missing" if empty else "some value is missing"
        raise InputError(f"no complete row is left: {what} in every row")
    if not keep.all():
        used = {name: column.rows(keep) for name, column in used.items()}
        roles = {role: column.rows(keep) for role, column in roles.items()}
    for column in (*used.values(), *roles.values()):
        check_finite(column)
    return used, roles, keep


def check_finite(column: Column) -> None:
    """Refuse a numeric column with infinite values."""
    if column.values.dtype.kind == "f":
        count = int(np.isinf(column.values[~column.missing]).sum())
        if count:
            raise InputError(
                f"the column `{column.name}` is infinite in {rows(count)}",
                remedy="correct or drop those rows",
            )


def check_stray_text(column: Column) -> None:
    """Refuse text in which nearly all values are numbers: one `?` would make it categories."""
    if column.kind != "string":
        return
    values = list(dict.fromkeys(column.values[~column.missing].tolist()))
    stray = [value for value in values if not _is_number(value)]
    if 0 < len(stray) <= 0.1 * len(values):
        raise InputError(
            f"the column `{column.name}` has text among its numbers (`{stray[0]}`)",
            remedy="leave missing values empty or write NA, and correct the others",
        )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _response(factor: Factor, columns: Mapping[str, Column], n: int, binary: bool) -> Floats:
    label = factor.label
    kind = columns[factor.columns[0]].kind if factor.bare else "number"
    if (kind == "boolean" or factor.condition) and not binary:
        raise InputError(
            f"the response `{label}` is true or false",
            remedy=f"to treat it as the numbers 0 and 1 write `{{1 * ({label})}}`",
        )
    if kind not in ("number", "boolean") or factor.code.startswith("C("):
        raise InputError(f"the response `{label}` is not a number", remedy="name a numeric column")
    if factor.bare:
        return columns[factor.columns[0]].values.astype(np.float64)
    from .coding import code_terms

    _, values, _ = code_terms([(factor,)], columns, n)
    if values.shape[1] != 1:
        raise InputError(f"the response `{label}` has {values.shape[1]} columns", remedy="name one")
    y = values[:, 0]
    infinite, undefined = int(np.isinf(y).sum()), int(np.isnan(y).sum())
    if infinite or undefined:
        parts = [f"infinite in {rows(infinite)}"] * bool(infinite)
        parts += [f"undefined in {rows(undefined)}"] * bool(undefined)
        raise InputError(
            f"the response `{label}` is {' and '.join(parts)}",
            remedy="correct or drop those rows, or use another transform",
        )
    return np.ascontiguousarray(y)


def _group_factor(
    terms: Terms,
    name: str,
    columns: Mapping[str, Column],
    n: int,
    X: Floats,
    names: tuple[str, ...],
) -> tuple[GroupFactor, dict[str, Any]]:
    levels, codes = factorize(columns[name])
    parts, matrices, widths = [], [], []
    z_names: tuple[str, ...] = ()
    for group in ordered_groups(terms, name):
        own, Z, state = build_matrix(expand(group.terms), columns, n)
        twice = set(own) & set(z_names)
        if twice:
            raise InputError(f"`{twice.pop()}` occurs in two group terms of `{name}`")
        z_names += own
        matrices.append(Z)
        widths.append((Z.shape[1], group.correlated))
        parts.append({"columns": list(own), "state": state})
    Z = np.ascontiguousarray(np.hstack(matrices))
    factor = GroupFactor(
        name=name,
        terms=z_names,
        blocks=make_blocks(widths),
        Z=Z,
        codes=codes,
        levels=levels,
        counts=np.bincount(codes, minlength=len(levels)),
        T=twins(Z, z_names, X, names),
    )
    return factor, {"name": name, "levels": encode_levels(levels), "parts": parts}


def _role(column: Column | None, role: str) -> Floats | None:
    if column is None:
        return None
    if column.kind != "number":
        raise InputError(f"`{role}` holds no numbers", remedy="give a numeric column")
    return column.values.astype(np.float64)


def _positive(column: Column | None, role: str, remedy: str) -> Floats | None:
    values = _role(column, role)
    if values is not None and (values <= 0).any():
        count = rows(int((values <= 0).sum()))
        raise InputError(f"`{role}` is zero or negative in {count}", remedy=remedy)
    return values
