"""Which columns are combinations of the columns before them.

The danger is a false alarm: a column with a large offset and a small spread is nearly parallel to
the intercept, yet informative. So columns are centred and scaled first, and each is allowed the
rounding error of its own values.
"""

from __future__ import annotations

import numpy as np
from msgspec import Struct, field

from partialpool.arrays import Array, Ints

_TOLERANCE = 2e-13  # what a decomposition leaves of an exact combination is 100 times smaller
_NEAR = 1e-3  # what is further away is independent, whatever rounding did
_GONE, _ROUNDED = 1e-9, 1e-12  # and what is nearer than that is not, if no more than rounding
_CLEAR = 1e-5  # far from dependent, also by the cross-products, which have half of the digits
_EPS = float(np.finfo(np.float64).eps)


class Dependence(Struct, frozen=True):
    """A column that equals a combination of columns before it; of none, if it is 0.

    Parameters
    ----------
    column : int
        Its position.
    weights : dict of int to float
        Positions and weights of the columns that it is made of.
    """

    column: int
    weights: dict[int, float] = field(default_factory=dict)


def find_dependent(X: Array, intercept: int | None) -> list[Dependence]:
    """Return the columns that those before them determine, in order.

    Parameters
    ----------
    X : numpy.ndarray
        (n, p) columns.
    intercept : int, optional
        The position of the constant column.

    Examples
    --------
    >>> X = np.array([[1.0, 0.0, 1.0], [1.0, 1.0, 3.0], [1.0, 2.0, 5.0]])
    >>> find_dependent(X, 0)
    [Dependence(column=2, weights={0: 1.0, 1: 2.0})]
    """
    return _Search(X, intercept).run() if X.shape[1] else []


class _Search:
    """Takes the columns in order; those that the earlier ones leave nothing of are dependent."""

    def __init__(self, X: Array, intercept: int | None) -> None:
        self.X = X
        self.largest = np.abs(X).max(axis=0)
        self.unit = np.where(self.largest > 0, self.largest, 1.0)
        scaled = X / self.unit
        self.means = scaled.mean(axis=0)
        centred = scaled - self.means
        centred -= centred.mean(axis=0)  # the first mean is itself rounded
        norms = np.sqrt(np.einsum("ij,ij->j", centred, centred))
        self.flat = norms <= 4 * _EPS * np.sqrt(len(X))
        self.norms = np.where(self.flat, 1.0, norms)
        self.columns = centred / self.norms
        self.noise = np.where(self.flat, 1.0, 8 * _EPS * np.sqrt(len(X)) / self.norms)
        # The constant as a combination of columns: the intercept, or what turns up on the way.
        self.constant: dict[int, float] = {} if intercept is None else {intercept: 1.0}
        self.intercept = intercept

    def run(self) -> list[Dependence]:
        zero = self.largest == 0
        found = [Dependence(int(j)) for j in np.flatnonzero(zero)]
        varied = np.flatnonzero(~self.flat)
        constants = [j for j in np.flatnonzero(self.flat & ~zero) if j != self.intercept]
        if not constants and self._clear(varied):
            return found
        triangle = self._triangle(varied)
        at_once = self._at_once(varied, triangle)
        if at_once is not None:
            kept_columns, weights_of = at_once
            for j in np.flatnonzero(~zero).tolist():
                if j != self.intercept and (self.flat[j] or j in weights_of):
                    own = self._dependence(j, kept_columns, weights_of.get(j, np.zeros(0)))
                    found += [] if own is None else [own]
            return sorted(found, key=lambda one: one.column)
        place = {int(j): k for k, j in enumerate(varied)}
        kept = _Kept(len(triangle), len(varied))
        for j in range(self.X.shape[1]):
            if j == self.intercept or zero[j]:
                continue
            weights: Array = np.zeros(0)
            if not self.flat[j]:
                rest, part = kept.project(triangle[:, place[j]])
                length = float(np.sqrt(rest @ rest))
                if length > _NEAR:
                    kept.add(j, rest, part)
                    continue
                weights = kept.weights(part)
                allowed = self.noise[j] + np.abs(weights) @ self.noise[kept.columns]
                if length > max(_TOLERANCE, float(allowed)):
                    kept.add(j, rest, part)
                    continue
            dependence = self._dependence(j, kept.columns, weights)
            if dependence is not None:
                found.append(dependence)
        return sorted(found, key=lambda one: one.column)

    def _at_once(self, varied: Ints, triangle: Array) -> tuple[list[int], dict[int, Array]] | None:
        """Read dependent columns off the diagonal, if that is clear, and solve for all of them.

        The diagonal of an orthogonal decomposition in the order of the columns is what is left of
        each. After a dependent one it has an arbitrary direction too many, which only matters
        where there are no more rows than columns.
        """
        if len(triangle) != len(varied) or len(self.X) <= 2 * len(varied):
            return None
        left = np.abs(np.diagonal(triangle))
        gone = left < _GONE
        if np.any(~gone & (left < _NEAR)) or gone.all():
            return None
        kept = np.flatnonzero(~gone)
        Q, R = np.linalg.qr(triangle[:, kept])
        weights = np.linalg.solve(R, Q.T @ triangle[:, gone])
        rest = np.sqrt(np.sum((triangle[:, gone] - triangle[:, kept] @ weights) ** 2, axis=0))
        noise = self.noise[varied]
        allowed = noise[gone] + np.abs(weights).T @ noise[kept]
        if np.abs(np.diagonal(R)).min() < _NEAR or np.any(rest > np.maximum(_ROUNDED, allowed)):
            return None
        columns = [int(j) for j in varied[kept]]
        return columns, dict(zip(varied[gone].tolist(), weights.T, strict=True))

    def _clear(self, varied: Ints) -> bool:
        """Tell from the cross-products whether the columns are far from dependent."""
        if len(varied) >= len(self.X):
            return False
        noise = 100 * float(self.noise[varied].max(initial=0.0))
        if _independent(self.columns[:, varied], max(_CLEAR, noise)):
            return True
        # Without an intercept columns may have the constant in their span, as dummies have.
        return self.intercept is None and _independent(
            self.X[:, varied] / self.unit[varied], _CLEAR
        )

    def _triangle(self, varied: Ints) -> Array:
        """Rotate the columns into as few rows as there are columns; lengths and angles stay."""
        columns: Array = self.columns[:, varied]
        if len(columns) <= len(varied):
            return columns
        return np.asarray(np.linalg.qr(columns, mode="r"))

    def _dependence(self, j: int, kept: list[int], weights: Array) -> Dependence | None:
        """Write column j by others; None if it is the first to bring the constant into the span."""
        # In units of the columns as they are: x_j = Σ w_k x_k + rest.
        own = self.norms[j] * self.unit[j]
        plain = {
            k: float(w * own / (self.norms[k] * self.unit[k]))
            for k, w in zip(kept[: len(weights)], weights, strict=True)
            if abs(w) > 1e-9
        }
        mean = self.means * self.unit
        rest = mean[j] - sum(w * mean[k] for k, w in plain.items())
        size = self.largest[j] + sum(abs(w) * self.largest[k] for k, w in plain.items())
        if abs(rest) <= 1e-10 * size:
            return Dependence(j, self._simple(plain, size))
        if not self.constant:
            self.constant = {k: -w / rest for k, w in plain.items()} | {j: 1 / rest}
            return None
        for k, w in self.constant.items():
            plain[k] = plain.get(k, 0.0) + float(rest * w)
        return Dependence(j, self._simple(plain, size))

    def _simple(self, weights: dict[int, float], size: float) -> dict[int, float]:
        """Say weights exactly where they are simple, as those of contrasts mostly are."""
        out = {}
        for k, w in sorted(weights.items()):
            near = round(w, 9) if 1e-3 < abs(w) < 1e3 else w
            if abs(w) * self.largest[k] > 1e-9 * size:
                out[k] = near if abs(near - w) < 1e-9 else w
        return out


def _independent(columns: Array, clear: float) -> bool:
    """Tell whether columns are far from dependent; False may also mean that it is not clear."""
    sizes = np.sqrt(np.einsum("ij,ij->j", columns, columns))
    products = columns.T @ columns / np.outer(sizes, sizes)
    try:
        diagonal = np.diagonal(np.linalg.cholesky(products))
    except np.linalg.LinAlgError:
        return False
    return bool(diagonal.min(initial=1.0) > clear)


class _Kept:
    """Independent columns, as an orthonormal basis and the triangle that makes them of it."""

    def __init__(self, rows: int, most: int) -> None:
        self.columns: list[int] = []
        self.basis = np.empty((rows, min(rows, most)), order="F")
        self.triangle = np.zeros((min(rows, most), min(rows, most)))

    def project(self, v: Array) -> tuple[Array, Array]:
        """Return what is left of a vector, and its part in the basis."""
        Q = self.basis[:, : len(self.columns)]
        part = Q.T @ v
        rest = v - Q @ part
        again = Q.T @ rest
        return rest - Q @ again, part + again

    def weights(self, part: Array) -> Array:
        """Return the weights of the columns that make a part of the basis."""
        m = len(self.columns)
        return np.asarray(np.linalg.solve(self.triangle[:m, :m], part)) if m else part

    def add(self, j: int, rest: Array, part: Array) -> None:
        m = len(self.columns)
        length = np.sqrt(rest @ rest)
        self.triangle[:m, m], self.triangle[m, m] = part, length
        self.basis[:, m] = rest / length
        self.columns.append(j)
