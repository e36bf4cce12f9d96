"""Terms + columns → one matrix with named columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from partialpool import limits
from partialpool.arrays import Array, Ints
from partialpool.data import Column
from partialpool.errors import InputError, short
from partialpool.expressions.categories import Categories
from partialpool.expressions.coding import code_factor, product, scopes, spelled
from partialpool.expressions.evaluate import Evaluator, State
from partialpool.formula import GroupTerm, Term
from partialpool.formula.names import quoted


class Matrix(NamedTuple):
    """Columns made of terms.

    Attributes
    ----------
    names, values, terms
        Of each column: its name, its values, and the term that it belongs to.
    state : dict
        What makes the same columns from other rows.
    coded : dict
        By the code of a factor that has categories: these.
    """

    names: tuple[str, ...]
    values: Array
    terms: tuple[Term, ...]
    state: State
    coded: dict[str, Categories]

    def some(self, places: Sequence[int]) -> Matrix:
        """Return some of the columns."""
        whole = len(places) == len(self.names)
        values = self.values if whole else self.values[:, list(places)]
        return self._replace(
            names=tuple(self.names[j] for j in places),
            values=np.ascontiguousarray(values),
            terms=tuple(self.terms[j] for j in places),
        )


def build_matrix(
    terms: Sequence[Term],
    columns: Mapping[str, Column],
    n_rows: int,
    state: State | None = None,
    *,
    group: GroupTerm | None = None,
) -> Matrix:
    """Return the columns of terms, and the state that makes the same columns from other rows.

    Parameters
    ----------
    terms : sequence of Term
        In the order of the columns.
    columns : mapping of str to Column
        Without missing values.
    n_rows : int
        The number of rows.
    state : dict, optional
        What the terms need to know of the rows that were fitted; learned from these by default.
    group : GroupTerm, optional
        Where the columns are those of a group term: it takes fewer.

    Examples
    --------
    >>> from partialpool.formula import expand
    >>> x = Column("x", "number", np.array([1.0, 2.0]), np.array([False, False]))
    >>> built = build_matrix(expand("x"), {"x": x}, 2)
    >>> built.names, built.values.tolist()
    (('Intercept', 'x'), [[1.0, 1.0], [1.0, 2.0]])
    """
    evaluator = Evaluator(columns, n_rows, state)
    factors = {factor.code: factor for term in terms for factor in term}
    coded = {code: code_factor(factor, evaluator) for code, factor in factors.items()}
    made = scopes(terms, {code: one.categories is not None for code, one in coded.items()})
    widths = [
        sum(int(np.prod([coded[code].count(full) for code, full in scope])) for scope in scoped)
        for scoped in made
    ]
    if group is None:
        _check_width(terms, widths, n_rows)
    else:
        _check_group_width(group, sum(widths))
    names: list[str] = []
    owners: list[Term] = []
    X = np.empty((n_rows, sum(widths)))
    for term, scoped in zip(terms, made, strict=True):
        for scope in scoped:
            parts = [coded[code].columns(bool(full)) for code, full in scope]
            own, values = product(parts, n_rows)
            X[:, len(names) : len(names) + len(own)] = values
            names += own
            owners += [term] * len(own)
    check_matrix(names, X)
    categories = {code: one.found for code, one in coded.items() if one.found is not None}
    return Matrix(tuple(names), X, tuple(owners), evaluator.learned, categories)


def _check_group_width(group: GroupTerm, total: int) -> None:
    """Refuse more coefficients a level than their sds and correlations can be estimated for."""
    most = limits.CORRELATED if group.correlated else limits.INDEPENDENT
    if total <= most:
        return
    name = ":".join(map(quoted, group.columns))
    pairs = f" with {total * (total - 1) // 2:,} correlations" if group.correlated else ""
    raise InputError(
        f"`{group.text}` has {total:,} coefficients a level{pairs}, and at most {most} can be "
        "estimated",
        remedy=f"write `(1 | {name})`; for many categories of f within its levels, "
        f"`(1 | {name}/f)`",
    )


def _check_width(terms: Sequence[Term], widths: Sequence[int], n_rows: int) -> None:
    """Refuse more columns than can be computed with, before they are made."""
    total, most = sum(widths), limits.COLUMNS
    if total <= most and total * n_rows <= limits.CELLS:
        return
    widest = max(range(len(widths)), key=widths.__getitem__)
    term, width = terms[widest], widths[widest]
    if width < 0.1 * total:
        raise InputError(
            f"{len(terms):,} terms have {total:,} columns in all, and at most {most:,} can be "
            "computed with",
            remedy="leave out interactions of many predictors",
        )
    shown = short(spelled(term))
    columns = dict.fromkeys(column for factor in term for column in factor.columns)
    name = ":".join(map(quoted, columns))
    raise InputError(
        f"the term `{shown}` has {width:,} columns, of {total:,} in all, and at most {most:,} can "
        "be computed with"
        if total > most
        else f"{total:,} columns in {n_rows:,} rows do not fit into memory",
        where=None if total > most else f"{width:,} of them belong to `{shown}`",
        remedy=f"for many categories write a group term, `(1 | {name})`",
    )


def check_matrix(names: Sequence[str], X: Array) -> None:
    """Refuse names that occur twice and values that are not finite."""
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise InputError(
            f"two columns of the model would be called `{twice[0]}`",
            remedy="rename the column of the table",
        )
    if np.isfinite(X).all():
        return
    bad = (~np.isfinite(X)).sum(axis=0)
    j = int(np.argmax(bad > 0))
    raise InputError(
        f"`{names[j]}` is not a finite number in {rows(int(bad[j]))}",
        remedy="check the values that it is computed from",
    )


def rows(count: int) -> str:
    """Return the count with its noun.

    Examples
    --------
    >>> rows(1), rows(2)
    ('1 row', '2 rows')
    """
    return f"{count} row{'s' * (count != 1)}"


def first_of(bad: NDArray[np.bool_], values: NDArray[Any], positions: Ints) -> str:
    """Tell the first value that is bad, and its row, for messages.

    Examples
    --------
    >>> first_of(np.array([False, True]), np.array([1.0, 2.5]), np.array([0, 7]))
    'the first is 2.5 in row 8, counted from 1'
    """
    first = int(np.argmax(bad))
    return f"the first is {values[first]:.15g} in row {positions[first] + 1}, counted from 1"
