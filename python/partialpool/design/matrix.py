"""Terms + columns → one matrix with named columns.

Terms of plain numeric columns are multiplied here, which spares the import of formulaic (two
seconds on some machines). All others go through formulaic. Both give the same columns, names and
order; a property test compares them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from partialpool.data import Column, label
from partialpool.data.conventions import is_plain
from partialpool.data.labels import distinct
from partialpool.data.unclear import as_numbers
from partialpool.errors import InputError
from partialpool.formula import Term

from .design import Floats, Ints

State = dict[str, Any]


class Matrix(NamedTuple):
    """Columns made of terms: their names, their values, the term of each, and the state."""

    names: tuple[str, ...]
    values: Floats
    terms: tuple[Term, ...]
    state: State


def build_matrix(
    terms: Sequence[Term], columns: Mapping[str, Column], n_rows: int, state: State | None = None
) -> Matrix:
    """Return the columns of terms, and the state that makes the same columns from new data.

    Parameters
    ----------
    terms : sequence of Term
        In the order of the columns.
    columns : mapping of str to Column
        Without missing values.
    n_rows : int
        The number of rows.
    state : dict, optional
        What an earlier call returned.

    Examples
    --------
    >>> from partialpool.formula import expand
    >>> x = Column("x", "number", np.array([1.0, 2.0]), np.array([False, False]))
    >>> built = build_matrix(expand("x"), {"x": x}, 2)
    >>> built.names, built.values.tolist()
    (('Intercept', 'x'), [[1.0, 1.0], [1.0, 2.0]])
    """
    # A state that is empty tells that the fit went the light way.
    if all(is_light(term, columns) for term in terms) if state is None else not state:
        built = _light(terms, columns, n_rows)
    else:
        from .coding import code_terms

        built = code_terms(terms, columns, n_rows, state)
    check_matrix(built.names, built.values)
    return built


def is_light(term: Term, columns: Mapping[str, Column]) -> bool:
    """Return True for a product of numeric or boolean columns."""
    return all(f.bare and columns[f.columns[0]].kind in ("number", "boolean") for f in term)


def as_floats(column: Column) -> Floats:
    """Return the values of a column that was numbers or true and false in the fit as float64.

    Numbers by another type are numbers too: text, or categories. Others are an error.

    Examples
    --------
    >>> text = np.array(["1", "20"], dtype=object)
    >>> as_floats(Column("x", "string", text, np.zeros(2, dtype=bool))).tolist()
    [1.0, 20.0]
    """
    if column.kind == "categorical":
        found, codes = distinct(column.values)
        if all(is_plain(label(value).strip()) for value in found):
            return np.array([float(value) for value in found])[codes]
    column = as_numbers(column, np.arange(len(column)), "column")
    if column.kind not in ("number", "boolean"):
        raise InputError(
            f"the column `{column.name}` is now of kind {column.kind}",
            remedy="give numbers, as in the data that were fitted",
        )
    return column.values.astype(np.float64)


def _light(terms: Sequence[Term], columns: Mapping[str, Column], n_rows: int) -> Matrix:
    X = np.ones((n_rows, len(terms)))
    for j, term in enumerate(terms):
        if term:
            X[:, j] = reduce(np.multiply, (as_floats(columns[f.columns[0]]) for f in term))
    names = tuple(":".join(f.label for f in term) or "Intercept" for term in terms)
    return Matrix(names, X, tuple(terms), {})


def check_matrix(names: Sequence[str], X: Floats) -> None:
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
