"""Own parts: what each term of a predictor adds to the terms marginal to it.

A coefficient of a column means something else when another column is shifted, a factor is coded
differently, or a power is centred. What does not change is the contribution of a *term*, once that
of the terms marginal to it is taken out. So columns M of a predictor are written as

    M b = E κ + E_outer Φ b,        b = B κ

where the columns of E belong to one term each: the *own part* of a term is its columns less their
least-squares projection on the constant and on the columns of the terms marginal to it, those whose
variables are a proper subset of its own, or the same variables earlier in the formula. Within a
term they are orthogonal, and each has mean 0 and sd 1 (mean square 1 where no constant belongs to
the model). E_outer are columns of others that take up a part of M: the constant where thresholds
stand for the intercept, or the columns that every level has for itself.

Default priors are independent ones of κ. They know neither where a column's zero lies, nor its
unit, nor how a factor is coded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from partialpool.arrays import Array, Ints
from partialpool.formula import Term

from .parts import CONSTANT, Block, Outer, OwnParts


def own_parts(
    M: Array,
    terms: Sequence[Term],
    *,
    weights: Array | None = None,
    outer: Outer | None = None,
    axes: Mapping[Term, Array] | None = None,
) -> OwnParts:
    """Write columns as own parts of their terms.

    Parameters
    ----------
    M : (n, p) array
        Columns, none of which depends on the others.
    terms : sequence of Term
        The term of each.
    weights : (n,) array, optional
        How many rows each row counts as.
    outer : Outer, optional
        What takes up a part of these columns.
    axes : mapping of Term to array, optional
        For terms with categories, what fixes the axes within them (see `_axes`).

    Examples
    --------
    >>> from partialpool.formula import expand
    >>> x = np.array([2004.0, 2005.0, 2006.0, 2009.0])
    >>> parts = own_parts(np.column_stack([np.ones(4), x]), expand("x"))
    >>> np.allclose(parts.basis.mean(axis=0), [1, 0]), parts.basis[:, 1].std(ddof=1).round(9)
    (True, np.float64(1.0))
    >>> np.allclose(parts.basis, np.column_stack([np.ones(4), x]) @ parts.back)
    True
    """
    return _Builder(M, tuple(terms), weights, outer, axes or {}).build()


def columns_apart(
    M: Array, terms: Sequence[Term], size: Array, outer: Outer | None = None
) -> OwnParts:
    """Take each column, of this size, as it is written, where some of them determine others."""
    p = M.shape[1]
    constant = terms.index(CONSTANT) if CONSTANT in terms else None
    ones = np.array([1.0 if k == constant else 0.0 for k in range(p)])
    blocks = [Block(np.array([k]), np.array([[1 / size[k]]])) for k in range(p)]
    return OwnParts(
        np.ascontiguousarray(M / size),
        np.diag(size),
        np.diag(1 / size),
        tuple(terms),
        constant,
        ones,
        np.zeros((0 if outer is None else len(outer.terms), p)),
        tuple(blocks),
    )


def are_dependent(M: Array) -> bool:
    """Whether some columns determine another, but for rounding.

    Examples
    --------
    >>> x = np.arange(4.0)
    >>> [are_dependent(np.column_stack([np.ones(4), x, other])) for other in (x**2, 2 * x)]
    [False, True]
    """
    if M.shape[1] < 2:
        return False
    # Where one column is constant, others may lie far from 0.
    fixed = np.ptp(M, axis=0) == 0
    rest = M[:, ~fixed]
    if fixed.any():
        rest = rest - _means(rest, None)
    if np.sum(fixed) > 1 or not rest.shape[1]:
        return bool(np.sum(fixed) > 1)
    size = np.sqrt(np.sum(rest**2, axis=0))
    diagonal = np.diagonal(np.linalg.qr(rest / np.where(size > 0, size, 1.0), mode="r"))
    return len(diagonal) < rest.shape[1] or bool(np.abs(diagonal).min() < 1e-9)


def variables(term: Term) -> frozenset[str]:
    """Names of the columns that a term is made of.

    Examples
    --------
    >>> from partialpool.formula import expand
    >>> sorted(variables(expand("a:log(x)")[1]))
    ['a', 'x']
    """
    return frozenset(name for factor in term for name in factor.columns)


class _Builder:
    """Takes the terms in an order in which those marginal to one come before it."""

    def __init__(
        self,
        M: Array,
        terms: tuple[Term, ...],
        weights: Array | None,
        outer: Outer | None,
        axes: Mapping[Term, Array],
    ) -> None:
        self.M, self.terms, self.outer, self.axes = M, terms, outer, axes
        n, p = M.shape
        self.root = None if weights is None else np.sqrt(weights)[:, None]
        total = float(n) if weights is None else float(np.sum(weights))
        shared = outer is not None and outer.constant is not None
        self.ones = np.zeros(p) if shared else constant_of(M, terms)
        self.centred = shared or bool(self.ones.any())
        self.mean = _means(M, weights) if self.centred else np.zeros(p)
        if CONSTANT in terms:
            self.mean[terms.index(CONSTANT)] = 1.0
        self.free = max(total - 1, 1.0) if self.centred else total
        self.basis = np.empty((n, p))
        # κ = psi b, and the part of others Φ b.
        self.psi = np.zeros((p, p))
        self.phi = np.zeros((0 if outer is None else len(outer.terms), p))
        self.order: list[int] = []
        self.found: list[Block] = []
        self.labels = list(terms)
        self.variables = {term: variables(term) for term in terms}
        if outer is not None:
            self.variables |= {term: variables(term) for term in outer.terms}

    def build(self) -> OwnParts:
        constant = None
        if self.ones.any():
            constant = self._carriers()
        elif self.outer is not None and self.outer.constant is not None:
            self.phi[self.outer.constant] += self.mean
        for term in self._remaining():
            columns = np.array([k for k, own in enumerate(self.terms) if own == term])
            E, R = self._own(columns, term)
            self._place(columns, E, R)
            self.found.append(Block(columns, np.asarray(np.linalg.inv(R), dtype=np.float64)))
        order = np.array(self.order, dtype=np.int64)
        back = np.empty_like(self.psi)
        # Triangular in this order (but for cell means), so that nothing is lost however far columns
        # lie from 0.
        triangle = self.psi[np.ix_(order, order)]
        size = np.sqrt(np.sum(triangle[int(self.ones.any()) :] ** 2, axis=0))
        size = np.where(size > 0, size, 1.0)
        back[np.ix_(order, order)] = np.linalg.inv(triangle / size) / size[:, None]
        self.found.sort(key=lambda block: int(block.columns[0]))
        return OwnParts(
            np.ascontiguousarray(self.basis),
            self.psi,
            back,
            tuple(self.labels),
            constant,
            self.ones,
            self.phi,
            tuple(self.found),
        )

    def _carriers(self) -> int:
        """Place the columns that make the constant: the intercept, or cell means."""
        columns = np.flatnonzero(self.ones)
        mine = {self.terms[k] for k in columns}
        columns = np.array([k for k, term in enumerate(self.terms) if term in mine])
        first = int(columns[0])
        self.psi[first] = self.mean
        self.basis[:, first] = 1.0
        self.order.append(first)
        own = np.ones((1, 1))
        if len(columns) > 1:
            # With the constant taken out, one column depends on the others.
            Q = self._weighted(self.M[:, columns] - self.mean[columns])
            E, R = _rank_one_less(Q, self.free)
            if len(mine) == 1 and self.terms[first] in self.axes:
                E, R = self._turned(E, R, self.terms[first])
            self._place(columns[1:], E, R, columns)
            inverse = np.linalg.pinv(R)
            ones, mean = self.ones[columns], self.mean[columns]
            rest = inverse - np.outer(ones, mean @ inverse)
            own = np.column_stack([ones, rest])
        self.labels[first] = CONSTANT
        self.found.append(Block(columns, own))
        return first

    def _remaining(self) -> list[Term]:
        """Terms that are left, those marginal to others before them."""
        done = {self.terms[k] for block in self.found for k in block.columns}
        left = [term for term in dict.fromkeys(self.terms) if term not in done]
        return sorted(left, key=lambda term: len(self.variables[term]))

    def _own(self, columns: Ints, term: Term) -> tuple[Array, Array]:
        """Own part of a term as orthogonal columns E, and R with own part = E R."""
        Q = self._weighted(self.M[:, columns] - self.mean[columns])
        size = np.sqrt(np.mean(Q**2, axis=0))
        size = np.where(size > 0, size, 1.0)
        Q = Q / size
        inner, outside = self._marginal(term, int(columns[0]))
        if len(inner) or len(outside):
            bases = [self._weighted(self.basis[:, inner])]
            if self.outer is not None:
                bases.append(self._weighted(self.outer.basis[:, outside]))
            F = np.column_stack(bases)
            gram = np.linalg.pinv(F.T @ F, rcond=1e-10, hermitian=True)
            found = np.zeros((F.shape[1], len(columns)))
            for _ in range(2):  # twice is enough for all digits that there are
                step = gram @ (F.T @ Q)
                found += step
                Q = Q - F @ step
            self.psi[np.ix_(inner, columns)] += found[: len(inner)] * size
            self.phi[np.ix_(outside, columns)] += found[len(inner) :] * size
        E, R = _square_qr(Q)
        sign = np.where(np.diagonal(R) < 0, -1.0, 1.0)
        root = np.sqrt(self.free)
        E, R = E * sign * root, R * sign[:, None] * size / root
        return self._turned(E, R, term) if term in self.axes else (E, R)

    def _marginal(self, term: Term, place: int) -> tuple[Ints, Ints]:
        """Coordinates, own ones and those of others, of the terms marginal to one."""
        mine = self.variables[term]

        def below(other: Term, *, earlier: bool) -> bool:
            theirs = self.variables.get(other, frozenset())
            # The constant is taken out by centring.
            return other != CONSTANT and (theirs < mine or (theirs == mine and earlier))

        inner = [k for k in self.order if below(self.labels[k], earlier=k < place)]
        others = () if self.outer is None else self.outer.terms
        outside = [
            k for k, other in enumerate(others) if other != term and below(other, earlier=True)
        ]
        return np.array(inner, dtype=np.int64), np.array(outside, dtype=np.int64)

    def _turned(self, E: Array, R: Array, term: Term) -> tuple[Array, Array]:
        axes = _axes(E, self.axes[term])
        return E @ axes, axes.T @ R

    def _weighted(self, columns: Array) -> Array:
        return columns if self.root is None else columns * self.root

    def _place(self, places: Ints, E: Array, R: Array, columns: Ints | None = None) -> None:
        self.basis[:, places] = E if self.root is None else E / self.root
        self.psi[np.ix_(places, places if columns is None else columns)] = R
        self.order += places.tolist()


def _means(M: Array, weights: Array | None) -> Array:
    """Means of columns; those of huge, close numbers are taken from their differences."""
    if not M.size:
        return np.zeros(M.shape[1])
    rest = M - M[0]
    found: Array = M[0] + np.average(rest, axis=0, weights=weights)
    return found


def constant_of(M: Array, terms: tuple[Term, ...]) -> Array:
    """Coefficients with which the columns make the constant; zeros where they do not."""
    ones = np.zeros(M.shape[1])
    if CONSTANT in terms:
        ones[terms.index(CONSTANT)] = 1.0
        return ones
    if not M.shape[1]:
        return ones
    size = np.abs(M).max(axis=0)
    found = np.linalg.lstsq(M / size, np.ones(len(M)), rcond=None)[0] / size
    tidy = np.round(found, 9)
    for candidate in (tidy, found):
        if np.abs(M @ candidate - 1.0).max() < 1e-9:
            candidate[np.abs(candidate) * size < 1e-9] = 0.0
            return np.asarray(candidate, dtype=np.float64)
    return ones


def _square_qr(Q: Array) -> tuple[Array, Array]:
    """Orthogonal columns E, as many as those of Q (with fewer rows, the last are 0), and R."""
    E, R = np.linalg.qr(Q)
    rows, k = R.shape
    return np.hstack([E, np.zeros((len(Q), k - rows))]), np.vstack([R, np.eye(k)[rows:]])


def _rank_one_less(Q: Array, free: float) -> tuple[Array, Array]:
    """Orthogonal columns for k columns of rank k − 1, and R with Q = E R.

    Where there are fewer rows, as in refits to a part of them, the columns of no length are 0.
    """
    E, R = np.linalg.qr(Q)
    U, S, V = np.linalg.svd(R)
    k, root = Q.shape[1] - 1, np.sqrt(free)
    found = min(len(S), k)
    none = np.zeros((len(Q), k - found))
    sizes = np.append(S[:found], np.ones(k - found))
    return np.hstack([E @ U[:, :found] * root, none]), sizes[:, None] * V[:k] / root


def _axes(E: Array, weight: Array) -> Array:
    """Axes within the own part of a term that do not depend on how its categories are coded.

    Sds and correlations of varying coefficients have priors along axes, and every coding of a
    factor brings its own. Here they are the principal axes of the rows where each category has a
    weight of its own, 1, 1/2, 1/3 …, by the order of the categories' names: `weight` of each row,
    or a matrix between rows where these stand for others.
    """
    single = weight.ndim == 1
    square = (E * weight[:, None]).T @ E if single else E.T @ weight @ E
    values, vectors = np.linalg.eigh(square)
    axes = vectors[:, np.argsort(-values, kind="stable")]
    along = weight if single else weight.sum(axis=0)
    sign = np.where(along @ E @ axes < 0, -1.0, 1.0)
    return np.asarray(axes * sign)
