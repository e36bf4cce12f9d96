"""Whether the columns give the response exactly, so that nothing is left for its residual sd.

Then the likelihood grows without end as sigma goes to 0: it has no maximum, and under a prior that
has mass at 0 there is no posterior. What is left is found by least squares (conjugate gradients
over all columns, those of the levels as codes), first for some rows that belong to few levels: if
these are not given exactly, all are not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from partialpool.arrays import Array, sd_of
from partialpool.design import Design
from partialpool.errors import InputError
from partialpool.model.defaults import as_prior
from partialpool.model.points import as_written, largest_cells, rows_behind
from partialpool.model.pooling import Pooled
from partialpool.priors import Prior, vanishes_at_zero

SOME_ROWS = 1000
# Residuals that are the rounding of the largest number they are differences of.
ROUNDING = 8 * np.finfo(float).eps
# Of random numbers, columns leave at least this share unless there are as many columns as rows.
SATURATED = 1e-6
# Of the sd of the response; engines that reduce rows to cross-products lose less in rounding.
LEAST_SHARE = 1e-6
# Where rows are points that stand for many, rotations have rounded what was exact.
ROTATED = 1e-11
ITERATIONS, RESTARTS = 400, 4
# So many steps that gain no more than this share of the square of what is left are the last.
PATIENCE, SLOW = 4, 1e-4


class LeftOver(Struct, frozen=True):
    """What the columns leave of a response.

    Attributes
    ----------
    share : float
        Residual sd over the sd of the response; NaN where there are as many columns as rows.
    exact : bool
        Whether it is nothing but rounding.
    """

    share: float
    exact: bool


def left_over(pooled: Pooled) -> LeftOver:
    """Find what the columns of a model leave of its response.

    Examples
    --------
    >>> from partialpool.design import build_design
    >>> from partialpool.formula import parse_formula
    >>> from partialpool.model import pool
    >>> data = {"y": [1.0, 3.0, 5.0, 7.0], "x": [0, 1, 2, 3]}
    >>> left_over(pool(build_design(parse_formula("y ~ x"), data), "partial")).exact
    True
    """
    whole, picked = pooled.design, largest_cells(pooled.design, SOME_ROWS)
    design = as_written(whole, picked)
    some = _some_rows(design)
    found = _left(pooled, design, some, rows_behind(whole, picked))
    if found.exact and (picked is not None or len(some) < len(design.y)):
        design = as_written(whole)
        found = _left(pooled, design, np.arange(len(design.y)), whole.n_rows)
    return found


def check_left_over(pooled: Pooled, priors: Mapping[str, Prior | str] | None) -> float:
    """Refuse a response that leaves nothing for sigma, unless the prior keeps sigma off 0.

    Returns
    -------
    float
        Residual sd over the sd of the response; NaN where it is not estimated.

    Raises
    ------
    InputError
        If there is no posterior.
    """
    if not estimates_sigma(pooled):
        return math.nan
    found = left_over(pooled)
    if not found.exact or keeps_off_zero((priors or {}).get("sigma")):
        return found.share
    design = pooled.design
    where = f" (pooling: {pooled.pooling})" if design.factors else ""
    size = float(sd_of(pooled.family.linear(design.described.y))) or 1.0
    raise InputError(
        f"the coefficients fit every row of `{design.response}` exactly{where}, so `sigma` would "
        "go to 0 and there is no posterior",
        remedy="check whether the response was computed from the columns, or give `sigma` a prior "
        f"that keeps it off 0, such as uniform({0.01 * size:.2g}, {10 * size:.2g})",
    )


def check_likelihood(pooled: Pooled, method: str) -> None:
    """Refuse the same for the maximum of the likelihood, which no prior can help.

    Raises
    ------
    InputError
        If there is no maximum, or one that is lost in rounding.
    """
    found, response = left_over(pooled), pooled.design.response
    if found.exact:
        raise InputError(
            f"the coefficients fit every row of `{response}` exactly, so the residual sd would be "
            "0 and the likelihood infinite",
            remedy="check whether the response was computed from the columns, or leave terms out",
        )
    if found.share < LEAST_SHARE:
        raise InputError(
            f'{too_little(found.share, response)}, and method="{method}" would lose it in rounding',
            remedy="leave `method` out to sample the posterior",
        )


def too_little(share: float, response: str) -> str:
    """Say how little is left."""
    return f"the columns leave only {share:.1g} of the sd of `{response}` unexplained"


def keeps_off_zero(prior: Prior | str | None) -> bool:
    """Whether a prior of sigma has no mass near 0.

    Examples
    --------
    >>> from partialpool import Uniform
    >>> keeps_off_zero(Uniform(0.1, 3)), keeps_off_zero("uniform(0, 3)"), keeps_off_zero(None)
    (True, False, False)
    """
    if prior is None:
        return False
    prior = as_prior("sigma", prior)
    return prior.support[0] > 0 or vanishes_at_zero(prior)


def estimates_sigma(pooled: Pooled) -> bool:
    """Whether the family has a residual sd that is not known."""
    return pooled.family.has_sigma and pooled.design.se is None


def _some_rows(design: Design) -> NDArray[np.int64]:
    """Rows of the levels with most rows, so that columns are few."""
    n = len(design.y)
    if n <= SOME_ROWS or not design.factors:
        return np.arange(min(n, SOME_ROWS))
    largest = max(design.factors, key=lambda factor: len(factor.levels))
    size = np.bincount(largest.codes, minlength=len(largest.levels))
    order = np.argsort(-size, kind="stable")
    taken = int(np.searchsorted(np.cumsum(size[order]), SOME_ROWS))
    rows = np.flatnonzero(np.isin(largest.codes, order[:taken]))
    last = np.flatnonzero(largest.codes == order[taken])
    return np.sort(np.append(rows, last)[:SOME_ROWS])


def _left(pooled: Pooled, design: Design, rows: NDArray[np.int64], n_rows: int) -> LeftOver:
    """Look at some rows of a design, all of which stand for so many of the table."""
    y = pooled.family.linear(design.y)
    y = y if design.total_offset is None else y - design.total_offset
    columns, y = _Columns.of(design, rows), y[rows]
    largest = float(np.max(np.abs(y)))
    if not math.isfinite(largest):
        return LeftOver(math.nan, False)
    y = y / (largest or 1.0)  # squares of what an offset leaves may be beyond all numbers
    around = y - y[0]
    rounding = ROUNDING * float(np.max(np.abs(y)))
    if columns.root is None:
        around -= np.mean(around)
    else:
        around -= np.average(around, weights=columns.root**2)
        y, around = y * columns.root, around * columns.root
        rounding += ROUNDING * abs(design.origin) / (largest or 1.0) + ROTATED * _rms(around)
    left, size = _rms(columns.residual(y, rounding)), _rms(around)
    # Rows that are added up to fewer points vary where no column does.
    if left < SATURATED * size and len(design.y) == n_rows:
        noise = np.random.default_rng(0).normal(size=len(rows))
        if _rms(columns.residual(noise, SATURATED)) <= SATURATED:
            return LeftOver(math.nan, False)
    return LeftOver(left / size if size else 0.0, bool(left <= rounding))


def _times(columns: Array, root: Array | None) -> Array:
    return columns if root is None else columns * root[:, None]


def _rms(values: Array) -> float:
    return float(np.sqrt(np.mean(values**2)))


class _Columns(Struct, frozen=True):
    """The columns of some rows.

    An orthonormal basis of those of the population; of each factor the columns that its levels
    have, scaled to unit length; and what rows that stand for many were multiplied by.
    """

    basis: Array
    factors: tuple[tuple[Array, NDArray[np.int64], int], ...]
    root: Array | None = None

    @classmethod
    def of(cls, design: Design, rows: NDArray[np.int64]) -> _Columns:
        root = None
        if design.condensed is not None:
            assert design.condensed.precision is not None
            precision = design.condensed.precision[rows]
            root = np.sqrt(precision / np.mean(precision))
        X = _times(design.X[rows], root)
        size = np.linalg.norm(X, axis=0)
        basis, values, _ = np.linalg.svd(X / np.where(size > 0, size, 1.0), full_matrices=False)
        basis = basis[:, values > 1e-12 * max(values, default=0.0)]
        factors = []
        for factor in design.factors:
            Z = _times(factor.Z[rows], root)
            used, codes = np.unique(factor.codes[rows], return_inverse=True)
            n_levels = len(used)
            for k in range(Z.shape[1]):
                length = np.sqrt(np.bincount(codes, Z[:, k] ** 2, n_levels))
                factors.append(
                    (Z[:, k] / np.where(length > 0, length, 1.0)[codes], codes, n_levels)
                )
        return cls(basis, tuple(factors), root)

    def times(self, v: tuple[Array, ...]) -> Array:
        total = self.basis @ v[0]
        for own, (z, codes, _) in zip(v[1:], self.factors, strict=True):
            total += z * own[codes]
        return np.asarray(total)

    def transposed(self, u: Array) -> tuple[Array, ...]:
        own = [np.bincount(codes, z * u, n_levels) for z, codes, n_levels in self.factors]
        return (self.basis.T @ u, *(part.astype(np.float64) for part in own))

    def residual(self, y: Array, enough: float) -> Array:
        """What least squares leave of y; no better than to a root mean square of `enough`.

        Conjugate gradients, begun anew with what is left, so that its digits count.
        """
        left = y
        for _ in range(RESTARTS):
            before = _rms(left)
            left = self._improve(left, len(y) * enough**2)
            if _rms(left) <= enough or _rms(left) > 0.1 * before:
                break
        return left

    def _improve(self, left: Array, enough: float) -> Array:
        gradient = step = self.transposed(left)
        square, size = _square(gradient), float(left @ left)
        idle = 0
        for _ in range(ITERATIONS):
            along = self.times(step)
            length = float(along @ along)
            if size <= enough or square == 0.0 or length == 0.0:
                break
            moved = left - (square / length) * along
            smaller = float(moved @ moved)
            if not smaller < size:  # a direction made of rounding
                break
            left, size, gain = moved, smaller, square / length * square
            idle = idle + 1 if gain < SLOW * size else 0
            if idle == PATIENCE:
                break
            gradient = self.transposed(left)
            before, square = square, _square(gradient)
            step = tuple(g + (square / before) * s for g, s in zip(gradient, step, strict=True))
        return left


def _square(parts: tuple[Array, ...]) -> float:
    return sum(float(part @ part) for part in parts)
