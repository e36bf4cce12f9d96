"""Population columns that others determine: left out where the data are so, else an error.

In an interaction a combination of categories may have no row, and categories may be nested: then
some columns of the term say nothing that the others do not, and lme4 leaves them out. So do we, and
keep what the cells are called. A predictor that is a combination of others is a mistake instead.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from partialpool.arrays import Array
from partialpool.data import label
from partialpool.errors import InputError, UnknownRowsError, short
from partialpool.expressions.categories import Categories
from partialpool.expressions.coding import spelled
from partialpool.formula import Factor, Term
from partialpool.rank import Dependence, find_dependent

from .plan import Aliased

Coded = Mapping[str, Categories]
_SHOWN = 5


def leave_out(
    names: Sequence[str], X: Array, terms: Sequence[Term], coded: Coded
) -> tuple[list[int], tuple[Aliased, ...]]:
    """Return the columns that stay, and those that are left out.

    Parameters
    ----------
    names : sequence of str
        Of the columns.
    X : numpy.ndarray
        (n, p) the columns.
    terms : sequence of Term
        The term of each.
    coded : mapping of str to Categories
        By the code of a factor that has categories.

    Raises
    ------
    InputError
        If a column depends on others and was not made from categories.

    Examples
    --------
    >>> from partialpool.formula import expand
    >>> leave_out(["Intercept", "x"], np.ones((3, 2)), expand("x"), {})
    Traceback (most recent call last):
    ...
    partialpool.errors.InputError: `x` has the same value in every row: take it out of the formula.
    """
    intercept = names.index("Intercept") if "Intercept" in names else None
    found = find_dependent(X, intercept)
    lost = {one.column for one in found}
    whole = {term for term in terms if all(j in lost for j, t in enumerate(terms) if t == term)}
    out = []
    for one in found:
        term = terms[one.column]
        if not _may_go(one, terms, coded) or (len(term) == 1 and term in whole):
            raise _refusal(one, names, X, len(names) - len(found))
        out.append(
            Aliased(
                names[one.column],
                spelled(term),
                tuple(itertools.islice(_empty_cells(term, coded), _SHOWN)),
                {names[k]: w for k, w in one.weights.items()},
            )
        )
    return [j for j in range(len(names)) if j not in lost], tuple(out)


def leave_out_zeros(
    names: Sequence[str], Z: Array, terms: Sequence[Term], coded: Coded
) -> tuple[list[int], tuple[Aliased, ...]]:
    """Do the same to group columns, of which only those without any row go."""
    empty = {j for j in range(len(names)) if terms[j] and not Z[:, j].any()}
    out = []
    for j in sorted(empty):
        cells = tuple(itertools.islice(_empty_cells(terms[j], coded), _SHOWN))
        if not cells:
            raise InputError(f"`{names[j]}` is 0 in every row", remedy="take it out of the formula")
        out.append(Aliased(names[j], spelled(terms[j]), cells, {}))
    return [j for j in range(len(names)) if j not in empty], tuple(out)


def _may_go(one: Dependence, terms: Sequence[Term], coded: Coded) -> bool:
    """Tell whether a dependence comes from which categories occur together."""
    own = terms[one.column]
    involved = [own, *(terms[k] for k in one.weights)]
    # Terms with categories, and those marginal to the column's own, as x is to f:x.
    categorical = all(
        set(term) < set(own) or any(f.code in coded for f in term) for term in involved
    )
    # A condition is a predictor of its own; two that agree are a mistake.
    single = all(len(term) < 2 and not _several(term, coded) for term in involved)
    return bool(own) and categorical and not single


def _several(term: Term, coded: Coded) -> bool:
    return any(f.code in coded and not f.condition and len(coded[f.code].levels) > 2 for f in term)


def _empty_cells(term: Term, coded: Coded) -> Any:
    """Name the combinations of a term's categories that no row has."""
    factors = [factor for factor in term if factor.code in coded]
    if len(factors) < 2:
        return
    parts = [coded[factor.code] for factor in factors]
    present = set(zip(*(part.codes.tolist() for part in parts), strict=True))
    for codes in itertools.product(*(range(len(part.levels)) for part in parts)):
        if codes not in present:
            yield " and ".join(
                _cell(factor, part.levels[k])
                for factor, part, k in zip(factors, parts, codes, strict=True)
            )


def _cell(factor: Factor, level: Any) -> str:
    if factor.condition:
        return f"`{short(factor.label)}` {'true' if level else 'false'}"
    name = factor.columns[0] if factor.categorical and len(factor.columns) == 1 else factor.label
    return f"`{short(name)}` {short(label(level))}"


def _refusal(one: Dependence, names: Sequence[str], X: Array, rank: int) -> InputError:
    name, n = names[one.column], len(X)
    if not X[:, one.column].any():
        return InputError(f"`{name}` is 0 in every row", remedy="take it out of the formula")
    used = [names[k] for k in one.weights]
    if used == ["Intercept"]:
        return InputError(
            f"`{name}` has the same value in every row", remedy="take it out of the formula"
        )
    if len(names) >= n and rank >= n:
        return InputError(
            f"there are {len(names)} population columns but only {n} rows",
            remedy="use fewer terms",
        )
    used.sort(key=lambda other: other == "Intercept")
    shown = ", ".join(f"`{short(other)}`" for other in used[:8]) + ", …" * (len(used) > 8)
    spline = name.startswith(("cr(", "cs(", "cc(")) and "constraints" not in name
    return InputError(
        f"`{name}` equals a combination of {shown or 'the others'}",
        remedy="write `constraints='center'` in the spline"
        if spline
        else "take one of them out of the formula",
    )


def check_known(
    aliased: Sequence[Aliased], names: Sequence[str], X: Array, where: str = "of the new data"
) -> None:
    """Refuse rows of which the fit knows nothing: a column that was left out matters in them.

    Parameters
    ----------
    aliased : sequence of Aliased
        What was left out.
    names : sequence of str
        All columns.
    X : numpy.ndarray
        (m, p) new rows of all columns.
    where : str
        What to call the rows.
    """
    place = {name: j for j, name in enumerate(names)}
    for one in aliased:
        own = X[:, place[one.name]]
        made = sum((w * X[:, place[k]] for k, w in one.weights.items()), np.zeros(len(X)))
        size = np.abs(own) + sum(
            (abs(w) * np.abs(X[:, place[k]]) for k, w in one.weights.items()), np.zeros(len(X))
        )
        bad = np.abs(own - made) > 1e-6 * np.maximum(size, 1e-300)
        if bad.any():
            first, count = int(np.argmax(bad)) + 1, int(bad.sum())
            cells = f" ({'; '.join(one.cells)})" if one.cells else ""
            error = UnknownRowsError(
                f"no row that was fitted tells what `{short(one.term)}` adds in {count} row"
                f"{'s' * (count != 1)} {where}{cells}",
                where=f"the first is row {first}",
                remedy="leave out rows whose combination of categories no fitted row has",
            )
            error.every = bool(bad.all())
            raise error
