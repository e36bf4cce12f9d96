"""The likelihood of a Gaussian model without priors: lme4's criterion, with two derivatives.

With G the relative covariance of the group coefficients, ``V₀ = I + Z G Zᵀ`` and
``F = [X y]ᵀV₀⁻¹[X y]`` (see `integrals.py`), E the inverse of F's block of the coefficients,
``u = (−ĉ, 1)`` with ĉ the least-squares coefficients, and ``s = uᵀFu``: minus twice the log
likelihood is, but for constants,

    d(G) = N log s + log|V₀| + log|F_cc|        (s alone where σ is known)

where N is the number of rows less that of coefficients; for ML it is the number of rows, and the
last term is left out. Σ = σ²G, σ and b are profiled out or integrated: σ² = s/N, and b is ĉ. d is a
smooth function of the symmetric matrix G, with slope ``S = ΣP − ΣCΩCᵀ``, ``Ω = (N/s) uuᵀ + E``.
Bates et al. (2015) §3; derivatives by matrix calculus (dV₀⁻¹ = −V₀⁻¹ dV₀ V₀⁻¹).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from partialpool import _core, called
from partialpool.arrays import LOG_2PI, Array
from partialpool.likelihood.integrals import (
    Levels,
    LevelsAt,
    Several,
    SeveralAt,
    Weights,
)
from partialpool.model.blocks import build_blocks
from partialpool.model.coordinates import log_volume
from partialpool.model.defaults import default_priors
from partialpool.model.marginal import build_marginal, log_row_scale, row_scale_of
from partialpool.model.model import Group, Model
from partialpool.model.points import with_points
from partialpool.model.pooling import Pooled
from partialpool.model.scales import scales
from partialpool.priors import LKJ, Flat, Prior

# Relative step of differences of slopes.
STEP = 1e-5


class Likelihood(Struct, frozen=True):
    """A model whose priors are all flat, and its reduced rows in units fit to search in.

    Searching happens in working coefficients ``r̃ = U r``: columns of mean square one a row, and
    shifted to mean zero where an intercept correlates with them. Those of all factors stand side by
    side.

    Attributes
    ----------
    rows : Levels or Several
        The rows, reduced.
    n : int
        Number of rows.
    n_coefficients : int
        Number of population coefficients.
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
    rows: Levels | Several
    n: int
    n_coefficients: int
    restricted: bool
    blocks: tuple[NDArray[np.int64], ...]
    unwork: Array
    constant: float

    @property
    def known(self) -> bool:
        """Whether the residual variance is known."""
        return self.model.known_errors

    @property
    def free(self) -> int:
        """N: what the residual sum of squares is divided by."""
        return self.n - self.n_coefficients if self.restricted else self.n

    @property
    def exact(self) -> bool:
        """Whether second derivatives are computed, not taken from differences of slopes."""
        return isinstance(self.rows, Levels)

    def at(self, G: Array) -> Point:
        """Evaluate at a relative covariance of the working coefficients."""
        given = self.rows.at(G)
        F = given.F
        inverse, log_det = _inverse(F[:-1, :-1])
        u = np.append(-inverse @ F[:-1, -1], 1.0)
        s = given.square(u)
        value = given.log_det
        if self.restricted:
            value += log_det
        if self.known:
            value += s
        else:
            value += self.free * math.log(s) if s > 0 else -math.inf
        return Point(self, G, given, inverse, u, s, value)


class Point(Struct, frozen=True, dict=True):
    """The likelihood at one relative covariance.

    Attributes
    ----------
    given : LevelsAt or SeveralAt
        The rows, coefficients of levels integrated out.
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
    given: LevelsAt | SeveralAt
    inverse: Array
    u: Array
    s: float
    value: float

    @property
    def sigma(self) -> float:
        """Residual sd."""
        return 1.0 if self.of.known else math.sqrt(self.s / self.of.free)

    @property
    def noise(self) -> float:
        """Rounding error of the value."""
        lost = (
            1.0 if self.of.exact else 1.0 + 0.1 * float(self.given.F[-1, -1]) / max(self.s, 1e-300)
        )
        return 1e-14 * (abs(self.value) + self.of.n * lost)

    @property
    def deviance(self) -> float:
        """Minus twice the log likelihood (ML), or lme4's REML criterion, constants included."""
        free = self.of.free
        extra = 0.0 if self.of.known else free * (1 - math.log(free))
        return self.value + free * LOG_2PI + extra + self.of.constant

    @property
    def weights(self) -> Weights:
        """What derivatives are made of."""
        of = self.of
        kappa = 1.0 if of.known else of.free / self.s
        return Weights(self.u, self.inverse, kappa, None if of.known else of.free, of.restricted)

    @cached_property
    def slope(self) -> Array:
        """Slope S of d, (q, q)."""
        return self.given.slope(self.weights.omega)

    @cached_property
    def information(self) -> Array:
        """ΣP: what the rows say of the levels of each factor, summed over them.

        From the slope, which costs much with several factors, and C, which costs little.
        """
        total, omega = self.slope.copy(), self.weights.omega
        for part, C in zip(self.of.rows.parts, self.given.pull, strict=False):
            total[part, part] += np.einsum("jak,kl,jbl->ab", C, omega, C, optimize=True)
        return total

    @cached_property
    def exact_curvature(self) -> Array:
        """Second derivative of d in two directions, (q², q²), where there is one factor."""
        assert isinstance(self.given, LevelsAt)
        return self.given.curvature(self.weights)

    def curvature(self, directions: Array) -> Array:
        """Second derivatives of d in directions (m, q, q) in which G may be moved."""
        flat = directions.reshape(len(directions), -1)
        if self.of.exact:
            found: Array = flat @ self.exact_curvature @ flat.T
            return found
        found = np.empty((len(flat), len(flat)))
        for k, direction in enumerate(directions):
            h = STEP * max(1.0, float(np.abs(self.G).max())) / float(np.abs(direction).max())
            moved = self.of.at(self.G + h * direction)
            found[k] = flat @ (moved.slope - self.slope).ravel() / h
        return (found + found.T) / 2


def build_likelihood(pooled: Pooled, *, restricted: bool) -> Likelihood:
    """Build the likelihood of a Gaussian model.

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
    several = len(pooled.design.factors) > 1
    model, rows, unwork = (_several if several else _at_most_one)(pooled)
    constant = -2 * log_row_scale(pooled.design)
    if restricted:
        constant -= 2 * log_volume(model.coordinates["mu"])
    return Likelihood(
        model=model,
        rows=rows,
        n=model.n_rows,
        n_coefficients=len(model.columns),
        restricted=restricted,
        blocks=_blocks(model.groups),
        unwork=unwork,
        constant=constant,
    )


def _at_most_one(pooled: Pooled) -> tuple[Model, Levels, Array]:
    model = build_marginal(pooled, flat_priors(pooled))
    assert model.reduced is not None
    assert isinstance(model.reduced.data, _core.CrossProducts)
    R, B, W, n = model.reduced.data.parts()
    if not model.groups:
        return model, Levels(np.empty((0, 0, 0)), np.empty((0, 0, len(W))), W), np.empty((0, 0))
    unwork: Array = np.linalg.inv(_working(R, n, model.groups[0])).astype(np.float64)
    return model, Levels(R @ unwork, B, W), unwork


def _several(pooled: Pooled) -> tuple[Model, Several, Array]:
    pooled = replace(pooled, design=with_points(pooled.design))  # once, for the model too
    design = pooled.design
    model, weight = build_blocks(pooled, flat_priors(pooled)), row_scale_of(design)
    assert model.reduced is not None
    assert isinstance(model.reduced.data, _core.Blocks)
    unworks = []
    for factor, group in zip(design.factors, model.groups, strict=True):
        # Orthogonal reduction keeps the digits of columns far from 0.
        Z = factor.Z if weight is None else factor.Z * weight[:, None]
        R: Array = np.asarray(np.linalg.qr(Z, mode="r"))[None]
        if factor.known is not None:  # back to columns as they are written
            ones = scales(design).factors[factor.name].whole.ones
            R = R @ (np.eye(len(ones)) + np.outer(ones, factor.known.shift))
        unworks.append(np.linalg.inv(_working(R, model.n_rows, group)).astype(np.float64))
    sizes = tuple(len(group.levels) for group in model.groups)
    rows = Several(model.reduced.data, tuple(unworks), sizes)
    return model, rows, block_diagonal(unworks)


def flat_priors(pooled: Pooled) -> dict[str, Prior]:
    """Set every prior to flat."""
    design = pooled.design
    priors: dict[str, Prior] = {}
    for name in default_priors(design, pooled.family):
        priors[called.array_of(name)] = LKJ(1.0) if called.kind_of(name) == "cor" else Flat()
    return priors


def _inverse(A: Array) -> tuple[Array, float]:
    """Inverse and log determinant of a positive definite matrix, whatever the units."""
    size = np.sqrt(np.diagonal(A))
    lower = np.linalg.cholesky(A / np.outer(size, size))
    half = np.linalg.solve(lower, np.diag(1 / size))
    return half.T @ half, 2 * float(np.sum(np.log(np.diagonal(lower) * size)))


def _blocks(groups: tuple[Group, ...]) -> tuple[NDArray[np.int64], ...]:
    """Columns whose coefficients correlate, those of all factors side by side."""
    found, before = [], 0
    for group in groups:
        first = np.arange(len(group.terms))
        for i, j in group.pairs:
            first[j] = min(first[j], first[i])
        found += [before + np.flatnonzero(first == start) for start in np.unique(first)]
        before += len(first)
    return tuple(found)


def _working(R: Array, n: int, group: Group) -> Array:
    """Matrix U to working coefficients: any covariance within a block stays one."""
    q = R.shape[2]
    U = np.zeros((q, q))
    for block in _blocks((group,)):
        if block[0] == 0 and group.terms[0] == "Intercept":
            weight = np.sum(R[:, 0, 0] ** 2)
            U[0, block] = np.sum(R[:, :1, 0] * R[:, 0, block], axis=0) / weight
        else:
            U[block[0], block[0]] = 1.0
        U[block[1:], block[1:]] = 1.0
    rest = R @ np.linalg.inv(U)
    size = np.sqrt(np.einsum("jac,jac->c", rest, rest) / n)
    return np.where(size > 0, size, 1.0)[:, None] * U


def block_diagonal(parts: Sequence[Array]) -> Array:
    """Put square matrices along the diagonal of one.

    Examples
    --------
    >>> block_diagonal([np.ones((1, 1)), np.eye(2)]).tolist()
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    whole, before = np.zeros((sum(map(len, parts)),) * 2), 0
    for part in parts:
        whole[before : before + len(part), before : before + len(part)] = part
        before += len(part)
    return whole
