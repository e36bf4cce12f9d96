"""Factors of terms → columns: numbers as they are, categories by contrasts.

Which categories are coded fully, and which beside a reference, follows from the terms: the columns
of all terms together span what the terms span, without repetition (Wilkinson & Rogers; formulaic
and R do the same, and a property test compares the three).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any

import numpy as np
from msgspec import Struct

from partialpool.arrays import Array, Flags, Ints
from partialpool.data import label
from partialpool.errors import InputError, short
from partialpool.expressions.categories import Categories, categorize, find_level
from partialpool.expressions.evaluate import Evaluator, plain_options
from partialpool.formula import Factor, Term
from partialpool.formula.allowed import CONTRASTS, FUNCTIONS
from partialpool.formula.tree import Call, Name, Node

Named = tuple[tuple[str, ...], Array]
# In the states of old recipes, where conditions are columns of 0 and 1 whatever stands beside them.
AS_NUMBERS = "conditions as numbers"
# A factor by its code, and whether it is coded fully (None for numbers).
_Scope = tuple[tuple[str, bool | None], ...]


class Coded(Struct, frozen=True, eq=False):
    """A factor of a term, and its columns on demand.

    Parameters
    ----------
    columns : callable
        Gives names and matrix; of categories beside a reference, or one for each.
    width : int
        How many there are.
    found : Categories or None
        The categories; None for numbers.
    """

    columns: Callable[[bool], Named]
    width: int
    found: Categories | None = None

    @property
    def categories(self) -> int | None:
        """How many categories there are; None for numbers."""
        return None if self.found is None else len(self.found.levels)

    def count(self, full: bool | None) -> int:
        """Return how many columns a coding has."""
        return self.categories if full and self.categories is not None else self.width


def code_factor(factor: Factor, evaluator: Evaluator) -> Coded:
    """Return the columns of one factor.

    Examples
    --------
    >>> from partialpool.data import Column
    >>> from partialpool.formula.check import column_factor
    >>> f = Column("f", "string", np.array(["b", "a"], dtype=object), np.zeros(2, dtype=bool))
    >>> coded = code_factor(column_factor("f"), Evaluator({"f": f}, 2))
    >>> coded.columns(False)[0], coded.columns(True)[0]
    (('f[T.b]',), ('f[a]', 'f[b]'))
    """
    name, tree = factor.label, factor.tree
    if _is_truth(factor, evaluator):
        return _code_truth(name, evaluator.flags(tree))
    if factor.categorical or (factor.bare and _is_categorical(factor, evaluator)):
        return _code_categories(name, categorize(tree, evaluator), factor)
    if isinstance(tree, Call) and FUNCTIONS[tree.name].gives == "columns":
        suffixes, matrix = evaluator.columns_of(tree)
        names = tuple(f"{name}[{suffix}]" for suffix in suffixes)
    else:
        names, matrix = (name,), evaluator.numbers(tree)[:, None]
    return Coded(lambda full: (names, matrix), len(names))


def scopes(terms: Sequence[Term], categorical: Mapping[str, bool]) -> list[list[_Scope]]:
    """Tell for each term which products of factors make its columns, and how each is coded.

    Parameters
    ----------
    terms : sequence of Term
        In the order of the columns.
    categorical : mapping of str to bool
        By the code of a factor.

    Examples
    --------
    >>> from partialpool.formula import expand
    >>> scopes(expand("f + f:x"), {"f": True, "x": False})
    [[()], [(('f', False),)], [(('f', True), ('x', None))]]
    """
    spanned: set[frozenset[str]] = set()
    found = []
    for term in terms:
        choices = [((f.code,), ()) if categorical[f.code] else ((f.code,),) for f in term]
        span = [tuple(itertools.chain(*picked)) for picked in itertools.product(*choices)]
        new = [codes for codes in span if frozenset(codes) not in spanned]
        spanned.update(map(frozenset, new))
        scoped = [tuple((c, False if categorical[c] else None) for c in codes) for codes in new]
        found.append(_simplified(scoped))
    return found


def _simplified(scoped: Sequence[_Scope]) -> list[_Scope]:
    """Write ``a + a:b`` as ``a`` with every category of b, as long as there is such a pair."""
    out: list[_Scope] = []
    for scope in sorted(scoped, key=len):
        for shorter in out:
            rest = set(scope) - set(shorter)
            if len(scope) - 1 != len(shorter) or len(rest) != 1:
                continue
            code, full = next(iter(rest))
            if full is False:
                whole = tuple((c, True) if c == code else (c, f) for c, f in scope)
                out = _simplified([*(one for one in out if one != shorter), whole])
                break
        else:
            out.append(scope)
    return out


def product(parts: Sequence[Named], n_rows: int) -> Named:
    """Multiply the columns of factors; those of the first vary fastest.

    Examples
    --------
    >>> one = ("a", "b"), np.array([[1.0, 2.0]])
    >>> product([one, (("x", "y"), np.array([[3.0, 5.0]]))], 1)
    (('a:x', 'b:x', 'a:y', 'b:y'), array([[ 3.,  6.,  5., 10.]]))
    """
    if not parts:
        return ("Intercept",), np.ones((n_rows, 1))
    return reduce(_times, parts)


def _times(left: Named, right: Named) -> Named:
    names = tuple(f"{a}:{b}" for b in right[0] for a in left[0])
    values = right[1][:, :, None] * left[1][:, None, :]
    return names, values.reshape(len(values), -1)


def _is_categorical(factor: Factor, evaluator: Evaluator) -> bool:
    """Tell whether a column by itself is categories: in the fitted rows, whatever it is now."""
    key = f"numbers of {factor.code}"
    if evaluator.state is not None:
        return key not in evaluator.state
    kind = evaluator.columns[factor.columns[0]].kind
    if kind == "number":
        evaluator.learned[key] = True
    return kind not in ("number", "date")


def _is_truth(factor: Factor, evaluator: Evaluator) -> bool:
    """Tell whether a factor is true or false: a condition, or a column that was so when fitted."""
    if not factor.bare:
        return factor.condition and AS_NUMBERS not in (evaluator.state or ())
    key = f"truth of {factor.code}"
    if evaluator.state is not None:
        return key in evaluator.state
    truth = evaluator.columns[factor.columns[0]].kind == "boolean"
    if truth:
        evaluator.learned[key] = True
    return truth


def _code_truth(name: str, held: Flags) -> Coded:
    def columns(full: bool) -> Named:
        yes = held.astype(np.float64)[:, None]
        both = (f"{name}[False]", f"{name}[True]"), np.hstack([1 - yes, yes])
        return both if full else ((name,), yes)

    return Coded(columns, 1, Categories((False, True), held.astype(np.int64)))


def _code_categories(name: str, found: Categories, factor: Factor) -> Coded:
    names = [label(level) for level in found.levels]

    def columns(full: bool) -> Named:
        if full:
            return tuple(f"{name}[{one}]" for one in names), _dummies(found.codes, len(names))
        suffixes, matrix = _contrasts(found, names, factor)
        return tuple(f"{name}[{one}]" for one in suffixes), matrix

    return Coded(columns, max(len(names) - 1, 0), found)


def _dummies(codes: Ints, count: int, base: int | None = None) -> Array:
    """Return a column for each category but the base."""
    matrix = np.zeros((len(codes), count))
    matrix[np.arange(len(codes)), codes] = 1.0
    return matrix if base is None else np.delete(matrix, base, axis=1)


def _contrasts(found: Categories, names: list[str], factor: Factor) -> Named:
    """Return what columns are called in brackets, and what each row has in them."""
    node = found.contrast or Name("Treatment")
    assert isinstance(node, (Name, Call))
    kind, options = node.name, _contrast_options(node)
    if len(names) < 2:
        return (), np.zeros((len(found.codes), 0))
    if kind in ("contr.treatment", "contr.SAS", "Treatment"):
        base = len(names) - 1 if kind == "contr.SAS" else 0
        wanted = options.get("base", options.get("reference"))
        if wanted is not None:
            counted = 0 if kind == "Treatment" else None
            base = find_level(found.levels, wanted, factor.label, counted_from=counted)
        kept = [k for k in range(len(names)) if k != base]
        return tuple(f"T.{names[k]}" for k in kept), _dummies(found.codes, len(names), base)
    from formulaic.transforms.contrasts import (
        DiffContrasts,
        HelmertContrasts,
        PolyContrasts,
        SumContrasts,
    )

    by_name: dict[str, Any] = {
        **dict.fromkeys(("contr.sum", "Sum"), SumContrasts),
        **dict.fromkeys(("contr.helmert", "Helmert"), HelmertContrasts),
        **dict.fromkeys(("contr.diff", "Diff"), DiffContrasts),
        **dict.fromkeys(("contr.poly", "Poly"), PolyContrasts),
    }
    try:
        contrast = by_name[kind](**options)
        matrix = np.asarray(contrast.get_coding_matrix(names, reduced_rank=True), dtype=np.float64)
        columns = contrast.get_coding_column_names(names, reduced_rank=True)
        form = contrast.get_factor_format(names, reduced_rank=True)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"`{short(factor.label)}` cannot be coded ({short(str(error), 200)})",
            remedy="check the arguments of the contrast",
        ) from None
    return tuple(form.format(name="", field=one)[1:-1] for one in columns), matrix[found.codes]


def _contrast_options(node: Node) -> dict[str, Any]:
    if not isinstance(node, Call):
        return {}
    given = dict(zip(CONTRASTS[node.name], node.arguments, strict=False))
    return plain_options(Call(node.name, (), (*given.items(), *node.named)))


def spelled(term: Term) -> str:
    """Return a term as it reads in a formula.

    Examples
    --------
    >>> from partialpool.formula import expand
    >>> [spelled(term) for term in expand("a:b")]
    ['Intercept', 'a:b']
    """
    return ":".join(factor.label for factor in term) or "Intercept"
