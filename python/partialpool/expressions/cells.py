"""Which combination of categories rows have in a term, numbered by the categories' names.

The numbers do not depend on how a formula codes the categories, nor on their order in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from partialpool.arrays import Array, Ints
from partialpool.data import Column
from partialpool.formula import Factor, Term


def category_columns(term: Term, columns: Mapping[str, Column]) -> list[str]:
    """Names of the columns whose values are categories in a term."""
    return [name for one in term if (name := _category(one, columns)) is not None]


def _category(factor: Factor, columns: Mapping[str, Column]) -> str | None:
    name = factor.columns[0]
    bare = factor.bare and columns[name].kind not in ("number", "boolean")
    return name if bare or factor.code.startswith("C(") else None


def texts_of(column: Column) -> NDArray[np.str_]:
    """Texts of the values that occur in a column, in order."""
    return np.unique(column.values.astype(str))


def cells_of(
    term: Term,
    columns: Mapping[str, Column],
    texts: Mapping[str, NDArray[np.str_]] | None = None,
) -> Ints | None:
    """Number the combinations of categories that rows have in a term; None where it has none.

    Parameters
    ----------
    term : Term
        Of a formula.
    columns : mapping of str to Column
        Those of the rows.
    texts : mapping of str to array, optional
        What `texts_of` says of the columns of all rows, where these are a part of them.

    Examples
    --------
    >>> from partialpool.formula import expand
    >>> f = Column("f", "string", np.array(["b", "a", "b"], dtype=object), np.zeros(3, dtype=bool))
    >>> cells_of(expand("f")[1], {"f": f})
    array([1, 0, 1])
    """
    names = category_columns(term, columns)
    if not names:
        return None
    rows = np.zeros(len(columns[names[0]]), dtype=np.int64)
    for name in names:
        known = None if texts is None else texts[name]
        values = columns[name].values.astype(str)
        if known is None:
            known, codes = np.unique(values, return_inverse=True)
        else:
            codes = np.searchsorted(known, values)
        rows = rows * len(known) + codes.reshape(-1)
    return rows


def falling(cells: Ints) -> Array:
    """Weights that fall from each combination to the next."""
    return np.asarray(1.0 / (1.0 + cells))


def several_columns(terms: Sequence[Term]) -> list[Term]:
    """Terms, given column by column, that have several columns."""
    return [term for term in dict.fromkeys(terms) if terms.count(term) > 1]
