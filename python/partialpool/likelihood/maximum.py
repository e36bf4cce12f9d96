"""The maximum of the likelihood: estimates by REML or ML, and what they cannot be made of."""

from __future__ import annotations

import math

import numpy as np
from msgspec import Struct, field

from partialpool import limits
from partialpool.arrays import Array
from partialpool.design import GroupFactor
from partialpool.engine.engine import Priors
from partialpool.engine.integrable import is_closed, not_integrable
from partialpool.errors import InputError
from partialpool.likelihood.criterion import Likelihood, Point
from partialpool.likelihood.descent import CONVERGED
from partialpool.likelihood.integrals import factor_of
from partialpool.likelihood.search import FAR, Found, determined, parts_of, search
from partialpool.model.model import Group
from partialpool.model.pooling import Pooled
from partialpool.model.scales import predictors


class GroupMaximum(Struct, frozen=True):
    """Estimates of the group terms of one factor.

    Attributes
    ----------
    sd, cor : (q,) and (pairs,) arrays
        Of the group coefficients. A correlation with an sd of 0 is NaN.
    rank : int
        Rank of the covariance of the group coefficients; below q the fit is singular.
    coef, coef_sd : (J, q) arrays
        Coefficients of every level, and the sds of their errors given the other parameters.
    """

    sd: Array
    cor: Array
    rank: int
    coef: Array
    coef_sd: Array


class Moved(Struct, frozen=True):
    """A parameter that would move if integrals were better.

    Attributes
    ----------
    label : str
    estimate, to : float
        By Laplace's formula, and nearly by the integrals themselves.
    errors : float
        By how many standard errors it would move.
    """

    label: str
    estimate: float
    to: float
    errors: float


class Maximum(Struct, frozen=True):
    """Estimates of the parameters, and how they were found.

    Attributes
    ----------
    b, vcov : (p,) and (p, p) arrays
        Population coefficients and their covariance given the other parameters.
    groups : tuple of GroupMaximum
        Those of each factor.
    sigma : float or None
        Residual sd; None where it is known.
    deviance : float
        Minus twice the log likelihood; with REML that of the restricted likelihood.
    n_parameters : int
        Population coefficients, variances, covariances.
    steps : int
        Steps of the search.
    converged : bool
        Whether no step would gain anything.
    determined : bool
        Whether the likelihood falls on all sides.
    several : bool
        Whether searches from different starts ended in different maxima.
    scalars, errors : dict of float
        Thresholds, coefficients of log sigma, or dispersion parameters other than sigma, and their
        standard errors.
    loose : tuple of str
        Which parameters are not determined, where that is known.
    edges : tuple of str
        Dispersion parameters at an edge of what they may be.
    moved : Moved or None
        Which parameter would move by most, were levels not integrated out by Laplace's formula.
    quadrature : int
        Nodes for each coefficient of a level by which levels were integrated out; 1 is Laplace's
        formula, 0 means exactly.
    """

    b: Array
    vcov: Array
    groups: tuple[GroupMaximum, ...]
    sigma: float | None
    deviance: float
    n_parameters: int
    steps: int
    converged: bool
    determined: bool
    several: bool
    scalars: dict[str, float] = field(default_factory=dict)
    errors: dict[str, float] = field(default_factory=dict)
    quadrature: int = 0
    loose: tuple[str, ...] = ()
    edges: tuple[str, ...] = ()
    moved: Moved | None = None

    def __repr__(self) -> str:
        state = "converged" if self.converged else "not converged"
        return f"Maximum(deviance {self.deviance:.6g}, {state} after {self.steps} steps)"


def check_maximised(
    method: str, pooled: Pooled, priors: Priors | None = None, quadrature: int = 1
) -> None:
    """Refuse what method "reml" or "ml" cannot fit.

    Raises
    ------
    InputError
        For priors, no pooling, or a model whose coefficients do not integrate out.
    """
    if priors:
        raise InputError(
            f'priors are given with method="{method}", and they have no part in it',
            remedy="leave them out, or leave `method` out to sample the posterior",
        )
    factors = [factor for one in predictors(pooled.design) for factor in one.factors]
    apart = [factor.name for factor in factors if not factor.pooled]
    if apart:
        raise InputError(
            f'method="{method}" estimates how much levels differ, and without pooling the levels '
            f"of `{apart[0]}` have no common distribution",
            remedy='use pooling="partial" or "complete", or leave `method` out',
        )
    for factor in factors:
        widest = max((stop - start for start, stop, tied in factor.blocks if tied), default=0)
        if widest > limits.CORRELATED_REML:
            raise InputError(
                f'method="{method}" takes at most {limits.CORRELATED_REML} correlated '
                f"coefficients a level, and those of `{factor.name}` have {widest}",
                remedy="write `||` for `|`, or leave `method` out to sample the posterior",
            )
    if is_closed(pooled):
        _check_gaussian(method, pooled, quadrature)
    else:
        _check_generalised(method, pooled, quadrature, factors)


def _check_gaussian(method: str, pooled: Pooled, quadrature: int) -> None:
    obstacle = not_integrable(pooled, {})
    if obstacle is not None:
        raise InputError(
            f'method="{method}" cannot fit this model: {obstacle}',
            remedy="leave `method` out to sample the posterior",
        )
    if quadrature > 1:
        raise InputError(
            "`quadrature` is given, and coefficients of a Gaussian model integrate out exactly",
            remedy="leave it out",
        )


def _check_generalised(
    method: str, pooled: Pooled, quadrature: int, factors: list[GroupFactor]
) -> None:
    if method == "reml":
        what = "the family is " + pooled.family.name
        if pooled.family.conjugate:
            what = "log sigma has a formula of its own"
        raise InputError(
            f'method="reml" is for Gaussian models of one residual sd, and {what}',
            remedy='use method="ml", or leave `method` out to sample the posterior',
        )
    if quadrature > 1 and (len(factors) != 1 or len(factors[0].terms) > 2):
        raise InputError(
            "`quadrature` is for one grouping factor with one or two coefficients a level, such as "
            f"`(1 | id)` and `(x | id)`, and this model has {'more' if factors else 'none'}",
            remedy="leave it out" + ", for Laplace's approximation" * bool(factors),
        )


def maximise(likelihood: Likelihood) -> Maximum:
    """Find the maximum of a likelihood.

    Raises
    ------
    InputError
        If rows are too few, or fitted so closely that the likelihood has no maximum.
    """
    _check_rows(likelihood)
    found = search(likelihood)
    lowest = min(one.point.value for one in found)
    near = lowest + 1e-9 * (1 + abs(lowest))
    # Of equal maxima the one that is most surely one.
    best = min((one for one in found if one.point.value <= near), key=lambda one: one.gain)
    ends = {round(one.point.value, 3) for one in found if one.gain < 1e3 * CONVERGED}
    return _result(best, several=len(ends) > 1 and max(ends) - min(ends) > 0.01)


def _check_rows(likelihood: Likelihood) -> None:
    """Refuse what has no maximum: the residual variance would go to 0."""
    if likelihood.known:
        return
    n, p = likelihood.n, likelihood.n_coefficients
    if n <= p:
        raise InputError(
            f"{n} rows cannot determine {p} coefficients and the residual sd",
            remedy="leave terms out, or give `se`",
        )


def _result(found: Found, *, several: bool) -> Maximum:
    """Bring the estimates to the user's scale."""
    point, likelihood = found.point, found.point.of
    at = likelihood.model.coordinates["mu"]
    sigma, b, by_working = point.sigma, at.from_working(-point.u[:-1]), at.back
    far = float(np.abs(factor_of(point.G)).max(initial=0.0)) > FAR
    covariances = sum(len(block) * (len(block) + 1) // 2 for block in likelihood.blocks)
    return Maximum(
        b=b,
        vcov=sigma**2 * by_working @ point.inverse @ by_working.T,
        groups=_groups(point, b),
        sigma=None if likelihood.known else sigma,
        deviance=point.deviance,
        n_parameters=len(b) + covariances + (not likelihood.known),
        steps=found.steps,
        converged=found.gain < 1e3 * CONVERGED and not far,
        determined=determined(found),
        several=several,
    )


def _groups(point: Point, b: Array) -> tuple[GroupMaximum, ...]:
    of, found = point.of, []
    if not of.model.groups:
        return ()
    halves, ranks = _halves(point)
    sd = np.array([point.sigma * float(np.linalg.norm(row)) for row in halves])
    given = zip(
        of.model.groups, of.rows.parts, point.given.pull, point.given.variances, strict=True
    )
    for group, part, pull, variances in given:
        own = halves[part]
        cor = np.array([correlation(own[i], own[j]) for i, j in group.pairs])
        coef, coef_sd = _levels(point, (group, part), b, pull, variances)
        found.append(GroupMaximum(sd[part], cor, sum(ranks[part]), coef, coef_sd))
    return tuple(found)


def _halves(point: Point) -> tuple[list[Array], list[int]]:
    """Rows of a factor of the user's relative covariance, without columns of zeros.

    And what each adds to the rank.
    """
    halves, ranks = [np.empty(0)] * len(point.G), [0] * len(point.G)
    for block, values, vectors in parts_of(point):
        half = (vectors * np.sqrt(values))[:, values > 0]
        own = point.of.unwork[np.ix_(block, block)] @ half
        ranks[block[0]] = half.shape[1]
        for k, row in zip(block, own, strict=True):
            halves[k] = row
    return halves, ranks


def correlation(one: Array, other: Array) -> float:
    """Correlation of two coefficients; exactly ±1 where their rows have one entry (rank 1)."""
    size = float(np.linalg.norm(one) * np.linalg.norm(other))
    if size == 0:
        return math.nan
    return float(np.clip(one @ other / size, -1.0, 1.0))


def _levels(
    point: Point, of: tuple[Group, slice], b: Array, pull: Array, variances: Array
) -> tuple[Array, Array]:
    """Coefficients of the levels, and the sds of their errors given the other parameters.

    An error has two parts: that of r given b, and what the error of b adds.
    """
    group, part = of
    to_user = point.of.unwork[part, part]
    by_working = group.T @ point.of.model.coordinates["mu"].back
    coef = group.T @ b + (pull @ point.u) @ point.G[part, part] @ to_user.T
    variance = np.einsum("ab,jbc,ac->ja", to_user, variances, to_user, optimize=True)
    error = by_working - to_user @ point.G[part, part] @ pull[:, :, :-1]
    variance += np.einsum("jkl,lm,jkm->jk", error, point.inverse, error, optimize=True)
    return coef, point.sigma * np.sqrt(np.maximum(variance, 0.0))
