"""The likelihood of a Gaussian model without priors: lme4's criterion, with two derivatives.

With Λ the factor of ``G = Σ/σ²`` and, for each level, ``K = I + R G Rᵀ``, ``P = RᵀK⁻¹R`` and
``C = RᵀK⁻¹B`` (R, B and W as in ``src/marginal/``), ``F = W + Σ BᵀK⁻¹B``, E the inverse of
F's block of the coefficients, ``u = (−ĉ, 1)`` with ĉ the least-squares coefficients, and
``s = uᵀFu``: minus twice the log likelihood is, but for constants,

    d(G) = N log s + Σ log|K| + log|F_cc|        (s alone where σ is known)

where N is the number of rows less that of coefficients; for ML it is the number of rows, and the
last term is left out. Σ, σ and b are profiled out or integrated: σ² = s/N, and b is ĉ. d is a
smooth function of the symmetric matrix G, with slope ``S = ΣP − ΣCΩCᵀ``, ``Ω = (N/s) uuᵀ + E``.
Bates et al. (2015) §3; derivatives by matrix calculus (dK⁻¹ = −K⁻¹ dK K⁻¹).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from partialpool import called
from partialpool.arrays import LOG_2PI, Array
from partialpool.model.coordinates import log_volume
from partialpool.model.marginal import build_marginal, log_row_scale
from partialpool.model.model import Group, Model
from partialpool.model.pooling import Pooled
from partialpool.priors import LKJ, Flat, Prior


@dataclass(frozen=True)
class Likelihood:
    """A model whose priors are all flat, and its reduced rows in units fit to search in.

    Searching happens in working coefficients ``r̃ = U r``: columns of mean square one a row, and
    shifted to mean zero where an intercept correlates with them.

    Attributes
    ----------
    R, B, W : arrays
        (J, q, q), (J, q, p + 1), (p + 1, p + 1): the rows, reduced.
    n : int
        Number of rows.
    restricted : bool
        REML: coefficients are integrated, else they are at their maximum.
    blocks : tuple of int arrays
        Columns whose coefficients correlate.
    unwork : (q, q) array
        The inverse of U.
    constant : float
        What no parameter enters.
    """

    model: Model
    R: Array
    B: Array
    W: Array
    n: int
    restricted: bool
    blocks: tuple[NDArray[np.int64], ...]
    unwork: Array
    constant: float

    @property
    def n_coefficients(self) -> int:
        """Number of population coefficients."""
        return len(self.W) - 1

    @property
    def known(self) -> bool:
        """Whether the residual variance is known."""
        return self.model.known_errors

    @property
    def free(self) -> int:
        """N: what the residual sum of squares is divided by."""
        return self.n - self.n_coefficients if self.restricted else self.n

    def at(self, G: Array) -> Point:
        """Evaluate at a relative covariance of the working coefficients."""
        L = factor_of(G)
        half = self.R @ L
        lower = np.linalg.cholesky(np.eye(len(G)) + half @ half.transpose(0, 2, 1))
        solved = np.linalg.solve(lower, np.concatenate([self.R, self.B], axis=2))
        q = len(G)
        R, B = solved[:, :, :q], solved[:, :, q:]
        flat = B.reshape(-1, len(self.W))
        F = self.W + flat.T @ flat
        inverse, log_det = _inverse(F[:-1, :-1])
        c = inverse @ F[:-1, -1]
        u = np.append(-c, 1.0)
        # A sum of squares, so that nothing cancels where the fit is close.
        s = float(u @ self.W @ u + np.sum((flat @ u) ** 2))
        value = 2 * float(np.sum(np.log(np.diagonal(lower, axis1=1, axis2=2))))
        if self.restricted:
            value += log_det
        if self.known:
            value += s
        else:
            value += self.free * math.log(s) if s > 0 else -math.inf
        return Point(self, G, R, B, inverse, u, s, value)


@dataclass(frozen=True)
class Point:
    """The likelihood at one relative covariance.

    Attributes
    ----------
    R, B : arrays
        ``K^(−½)`` times those of the rows.
    inverse : (p, p) array
        E: the covariance of the working coefficients is σ² E.
    u : (p + 1,) array
        Minus the working coefficients, and 1.
    s : float
        Residual sum of squares.
    value : float
        d(G), which is to be minimised.
    """

    of: Likelihood
    G: Array
    R: Array
    B: Array
    inverse: Array
    u: Array
    s: float
    value: float

    @property
    def sigma(self) -> float:
        """Residual sd."""
        return 1.0 if self.of.known else math.sqrt(self.s / self.of.free)

    @property
    def deviance(self) -> float:
        """Minus twice the log likelihood (ML), or lme4's REML criterion, constants included."""
        free = self.of.free
        extra = 0.0 if self.of.known else free * (1 - math.log(free))
        return self.value + free * LOG_2PI + extra + self.of.constant

    @property
    def pull(self) -> Array:
        """C of every level: group coefficients are ``G C u``."""
        C: Array = self.R.transpose(0, 2, 1) @ self.B
        return C

    def slopes(self) -> tuple[Array, Array]:
        """Slope S of d, (q, q), and its second derivative in two directions, (q², q²)."""
        of, u, E = self.of, self.u, self.inverse
        q, w = len(self.G), len(u)
        P = self.R.transpose(0, 2, 1) @ self.R
        C = self.pull
        kappa = 1.0 if of.known else of.free / self.s
        omega = kappa * np.outer(u, u)
        if of.restricted:
            omega[:-1, :-1] += E
        Q = C @ omega @ C.transpose(0, 2, 1)
        S = P.sum(axis=0) - Q.sum(axis=0)
        # tr(Q X P Y) has the coefficient Q_ab P_cd of X_bc Y_da.
        flat_P = P.reshape(-1, q * q)
        pairs = (2 * Q - P).reshape(-1, q * q).T @ flat_P
        H = pairs.reshape(q, q, q, q).transpose(1, 2, 3, 0).reshape(q * q, q * q)
        flat_C = C.reshape(-1, q * w)
        T = (flat_C.T @ flat_C).reshape(q, w, q, w).transpose(0, 2, 1, 3)  # −dF/dG_ab
        t = (T @ u)[..., :-1].reshape(q * q, w - 1)
        H = H - 2 * kappa * t @ E @ t.T
        if not of.known:
            rho = (T @ u @ u).ravel()
            H = H - kappa**2 / of.free * np.outer(rho, rho)
        if of.restricted:
            X = E @ T[:, :, :-1, :-1]
            left = X.reshape(q * q, -1)
            right = X.transpose(0, 1, 3, 2).reshape(q * q, -1)
            H = H - left @ right.T
        # Directions are symmetric matrices, so both indices of a pair count alike.
        swapped = np.arange(q * q).reshape(q, q).T.ravel()
        H = (H + H[swapped]) / 2
        H = (H + H[:, swapped]) / 2
        return (S + S.T) / 2, (H + H.T) / 2


def build_likelihood(pooled: Pooled, *, restricted: bool) -> Likelihood:
    """Build the likelihood of a Gaussian model with at most one grouping factor.

    Parameters
    ----------
    pooled : Pooled
        Response and columns as the pooling sees them.
    restricted : bool
        REML or ML.

    Raises
    ------
    InputError
        If a group term is too far from 0 to compute with.
    """
    model = build_marginal(pooled, flat_priors(pooled))
    assert model.reduced is not None
    R, B, W, n = model.reduced.data.parts()
    group = model.sole_group
    if group is None:
        R, B = np.empty((0, 0, 0)), np.empty((0, 0, len(W)))
    blocks = () if group is None else _blocks(group)
    unwork: Array = np.linalg.inv(_working(R, n, blocks, group)).astype(np.float64)
    constant = -2 * log_row_scale(pooled.design)
    if restricted:
        constant -= 2 * log_volume(model.coordinates["mu"])
    return Likelihood(model, R @ unwork, B, W, n, restricted, blocks, unwork, constant)


def flat_priors(pooled: Pooled) -> dict[str, Prior]:
    """Set every prior to flat."""
    design = pooled.design
    priors: dict[str, Prior] = {"b": Flat()} if design.columns else {}
    if design.se is None:
        priors["sigma"] = Flat()
    for factor in design.factors:
        priors[called.sd(factor.name)] = Flat()
        if any(correlated for *_, correlated in factor.blocks):
            priors[called.cor(factor.name)] = LKJ(1.0)
    return priors


def factor_of(G: Array) -> Array:
    """Give the lower triangular factor of a covariance, singular or not.

    Examples
    --------
    >>> factor_of(np.array([[0.0, 0.0], [0.0, 4.0]])).tolist()
    [[0.0, 0.0], [0.0, 2.0]]
    """
    values, vectors = np.linalg.eigh(G)
    half = vectors * np.sqrt(np.maximum(values, 0.0))
    L = np.linalg.qr(half.T).R.T
    return np.tril(L * np.where(np.diagonal(L) < 0, -1.0, 1.0)) + 0.0


def _inverse(A: Array) -> tuple[Array, float]:
    """Inverse and log determinant of a positive definite matrix, whatever the units."""
    size = np.sqrt(np.diagonal(A))
    lower = np.linalg.cholesky(A / np.outer(size, size))
    half = np.linalg.solve(lower, np.diag(1 / size))
    return half.T @ half, 2 * float(np.sum(np.log(np.diagonal(lower) * size)))


def _blocks(group: Group) -> tuple[NDArray[np.int64], ...]:
    first = np.arange(len(group.terms))
    for i, j in group.pairs:
        first[j] = min(first[j], first[i])
    return tuple(np.flatnonzero(first == start) for start in np.unique(first))


def _working(R: Array, n: int, blocks: tuple[NDArray[np.int64], ...], group: Group | None) -> Array:
    """Matrix U to working coefficients: any covariance within a block stays one."""
    q = R.shape[2]
    U = np.zeros((q, q))
    for block in blocks:
        if group is not None and block[0] == 0 and group.terms[0] == "Intercept":
            weight = np.sum(R[:, 0, 0] ** 2)
            U[0, block] = np.sum(R[:, :1, 0] * R[:, 0, block], axis=0) / weight
        else:
            U[block[0], block[0]] = 1.0
        U[block[1:], block[1:]] = 1.0
    rest = R @ np.linalg.inv(U)
    size = np.sqrt(np.einsum("jac,jac->c", rest, rest) / n)
    return np.where(size > 0, size, 1.0)[:, None] * U
