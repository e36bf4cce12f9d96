"""Rows of a Gaussian model given relative covariances: the coefficients of levels integrated out.

With the group coefficients of all factors side by side, G their relative covariance (a block for
each factor, the same for each of its levels) and ``V₀ = I + Z G Zᵀ``, the likelihood needs
log|V₀| and ``F = [X y]ᵀV₀⁻¹[X y]``, and for its derivatives sums over levels of ``P = ZᵀV₀⁻¹Z`` and
``C = ZᵀV₀⁻¹[X y]``. With one factor these come from the rows of each level, reduced to triangles R,
and a second derivative is cheap; with several from `_core.Blocks`.
"""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import numpy as np
from msgspec import Struct

from partialpool import _core
from partialpool.arrays import Array


class Weights(NamedTuple):
    """What the criterion's derivatives by F are made of.

    Attributes
    ----------
    u : (p + 1,) array
        Minus the working coefficients, and 1.
    E : (p, p) array
        Inverse of F's block of the coefficients.
    kappa : float
        1/σ².
    free : float or None
        What the residual sum of squares is divided by; None where σ is known.
    restricted : bool
        REML.
    """

    u: Array
    E: Array
    kappa: float
    free: float | None
    restricted: bool

    @property
    def omega(self) -> Array:
        """First derivative by F."""
        omega = self.kappa * np.outer(self.u, self.u)
        if self.restricted:
            omega[:-1, :-1] += self.E
        return omega


class Levels(Struct, frozen=True):
    """The rows of a model with one factor or none, reduced level by level.

    Attributes
    ----------
    R, B, W : arrays
        (J, q, q), (J, q, p + 1), (p + 1, p + 1), as in ``src/marginal/``.
    """

    R: Array
    B: Array
    W: Array

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of levels of each factor."""
        return (len(self.R),)

    @property
    def parts(self) -> tuple[slice, ...]:
        """Which coefficients are those of each factor."""
        return (slice(0, self.R.shape[2]),)

    def at(self, G: Array) -> LevelsAt:
        """Integrate the coefficients of levels."""
        half = self.R @ factor_of(G)
        lower = np.linalg.cholesky(np.eye(len(G)) + half @ half.transpose(0, 2, 1))
        solved = np.linalg.solve(lower, np.concatenate([self.R, self.B], axis=2))
        log_det = 2 * float(np.sum(np.log(np.diagonal(lower, axis1=1, axis2=2))))
        return LevelsAt(self, G, solved[:, :, : len(G)], solved[:, :, len(G) :], log_det)


class LevelsAt(Struct, frozen=True, dict=True):
    """The same at one G: ``K^(−½)`` times R and B, with ``K = I + R G Rᵀ``, and log|V₀|."""

    of: Levels
    G: Array
    R: Array
    B: Array
    log_det: float

    @cached_property
    def F(self) -> Array:
        """[X y]ᵀV₀⁻¹[X y]."""
        flat = self.B.reshape(-1, len(self.of.W))
        total: Array = self.of.W + flat.T @ flat
        return total

    def square(self, u: Array) -> float:
        """uᵀFu: a sum of squares, so that nothing cancels where the fit is close."""
        flat = self.B.reshape(-1, len(u))
        return float(u @ self.of.W @ u + np.sum((flat @ u) ** 2))

    @cached_property
    def pull(self) -> tuple[Array, ...]:
        """C of every level, (J, q, p + 1)."""
        return (self.R.transpose(0, 2, 1) @ self.B,)

    def slope(self, omega: Array) -> Array:
        """ΣP − ΣCΩCᵀ."""
        P, Q = self._products(omega)
        S: Array = P.sum(axis=0) - Q.sum(axis=0)
        return (S + S.T) / 2

    def _products(self, omega: Array) -> tuple[Array, Array]:
        C = self.pull[0]
        return self.R.transpose(0, 2, 1) @ self.R, C @ omega @ C.transpose(0, 2, 1)

    @property
    def variances(self) -> tuple[Array, ...]:
        """Covariance of every level's coefficients given b, over σ²: (J, q, q)."""
        L = factor_of(self.G)
        half = self.of.R @ L
        lower = np.linalg.cholesky(np.eye(len(L)) + half.transpose(0, 2, 1) @ half)
        own = np.linalg.solve(lower, np.broadcast_to(L.T, lower.shape))
        return (own.transpose(0, 2, 1) @ own,)

    def curvature(self, weights: Weights) -> Array:
        """Second derivative of the criterion in two directions, (q², q²)."""
        u, E, kappa, free, restricted = weights
        q, w = len(self.G), len(u)
        P, Q = self._products(weights.omega)
        # tr(Q X P Y) has the coefficient Q_ab P_cd of X_bc Y_da.
        pairs = (2 * Q - P).reshape(-1, q * q).T @ P.reshape(-1, q * q)
        H = pairs.reshape(q, q, q, q).transpose(1, 2, 3, 0).reshape(q * q, q * q)
        flat_C = self.pull[0].reshape(-1, q * w)
        T = (flat_C.T @ flat_C).reshape(q, w, q, w).transpose(0, 2, 1, 3)  # −dF/dG_ab
        t = (T @ u)[..., :-1].reshape(q * q, w - 1)
        H = H - 2 * kappa * t @ E @ t.T
        if free is not None:
            rho = (T @ u @ u).ravel()
            H = H - kappa**2 / free * np.outer(rho, rho)
        if restricted:
            X = E @ T[:, :, :-1, :-1]
            left = X.reshape(q * q, -1)
            right = X.transpose(0, 1, 3, 2).reshape(q * q, -1)
            H = H - left @ right.T
        # Directions are symmetric matrices, so both indices of a pair count alike.
        swapped = np.arange(q * q).reshape(q, q).T.ravel()
        H = (H + H[swapped]) / 2
        H = (H + H[:, swapped]) / 2
        return (H + H.T) / 2


class Several(Struct, frozen=True, dict=True):
    """The rows of a model with several factors.

    Attributes
    ----------
    blocks : _core.Blocks
        In units of the user's columns.
    unwork : tuple of (q, q) arrays
        What working coefficients of each factor are multiplied by to give those of the user.
    sizes : tuple of int
        Number of levels of each factor.
    """

    blocks: _core.Blocks
    unwork: tuple[Array, ...]
    sizes: tuple[int, ...]

    @cached_property
    def parts(self) -> tuple[slice, ...]:
        """Which coefficients are those of each factor."""
        ends = np.cumsum([0, *(len(one) for one in self.unwork)]).tolist()
        return tuple(map(slice, ends, ends[1:]))

    def at(self, G: Array) -> SeveralAt:
        """Integrate the coefficients of levels."""
        factors = [
            triangle(unwork @ factor_of(G[part, part]))
            for unwork, part in zip(self.unwork, self.parts, strict=True)
        ]
        log_det, F = self.blocks.at(factors)
        return SeveralAt(self, G, factors, (F + F.T) / 2, log_det)


class SeveralAt(Struct, frozen=True, dict=True):
    """The same at one G."""

    of: Several
    G: Array
    factors: list[Array]
    F: Array
    log_det: float

    def square(self, u: Array) -> float:
        """uᵀFu."""
        return float(u @ self.F @ u)

    @cached_property
    def pull(self) -> tuple[Array, ...]:
        """C of every level of each factor, (J, q, p + 1)."""
        return tuple(
            unwork.T @ C
            for unwork, C in zip(self.of.unwork, self.of.blocks.pull(self.factors), strict=True)
        )

    def slope(self, omega: Array) -> Array:
        """ΣP − ΣCΩCᵀ, a block for each factor."""
        S = np.zeros_like(self.G)
        found = self.of.blocks.slopes(self.factors, omega)
        for part, unwork, own in zip(self.of.parts, self.of.unwork, found, strict=True):
            S[part, part] = unwork.T @ own @ unwork
        return (S + S.T) / 2

    @property
    def variances(self) -> tuple[Array, ...]:
        """Covariance of every level's coefficients given b, over σ²: (J, q, q) a factor."""
        return tuple(
            inverse @ own @ inverse.T
            for inverse, own in zip(
                map(np.linalg.inv, self.of.unwork),
                self.of.blocks.variances(self.factors),
                strict=True,
            )
        )


def factor_of(G: Array) -> Array:
    """Give the lower triangular factor of a covariance, singular or not.

    Examples
    --------
    >>> factor_of(np.array([[0.0, 0.0], [0.0, 4.0]])).tolist()
    [[0.0, 0.0], [0.0, 2.0]]
    """
    values, vectors = np.linalg.eigh(G)
    return triangle(vectors * np.sqrt(np.maximum(values, 0.0)))


def triangle(half: Array) -> Array:
    """Give the lower triangular L of ``L Lᵀ = half halfᵀ`` whose diagonal is not negative."""
    L = np.linalg.qr(half.T).R.T
    return np.tril(L * np.where(np.diagonal(L) < 0, -1.0, 1.0)) + 0.0
