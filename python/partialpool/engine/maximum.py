"""The maximum of the likelihood: Newton's method over the factor of a relative covariance.

The likelihood is an even function of the columns of the factor Λ, so the boundary of the
covariances (an sd of 0, a correlation of ±1) is no wall: Newton's method runs through it, and ends
in it with quadratic speed. What it leaves there of rounding is then set to 0, and whether the
likelihood would rise from the boundary is read off its slope S by the covariance: at a maximum S
has no negative eigenvalue.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from partialpool import limits
from partialpool.arrays import Array
from partialpool.engine.engine import Priors
from partialpool.engine.integrable import not_integrable
from partialpool.engine.likelihood import Likelihood, Point, factor_of
from partialpool.errors import InputError
from partialpool.model.pooling import Pooled

MAX_STEPS = 200

# Deviance that a further step would gain: below, the point is the maximum to the last digits.
CONVERGED = 1e-11

# Relative sds of the starting points. With few levels the likelihood may have several maxima, so
# the search runs from each; else from the best.
STARTS = np.logspace(-2.5, 2.5, 6)
FEW = 1000

# Beyond this ratio of a group sd to the residual sd, the likelihood is not going to turn.
FAR = 1e7

# Curvature of the deviance by the log of variances, below which data do not determine them.
FLAT = 1e-4


@dataclass(frozen=True)
class Maximum:
    """Estimates of the parameters, and how they were found.

    Attributes
    ----------
    b, vcov : (p,) and (p, p) arrays
        Population coefficients and their covariance given the other parameters.
    sd, cor : (q,) and (pairs,) arrays
        Of the group coefficients. A correlation with an sd of 0 is NaN.
    sigma : float or None
        Residual sd; None where it is known.
    rank : int
        Rank of the covariance of the group coefficients; below q the fit is singular.
    coef, coef_sd : (J, q) arrays
        Coefficients of every level, and the sds of their errors given the other parameters.
    deviance : float
        Minus twice the log likelihood; with REML that of the restricted likelihood.
    n_parameters : int
        Population coefficients, variances, covariances.
    steps : int
        Steps of Newton's method.
    converged : bool
        Whether no step would gain anything.
    determined : bool
        Whether the likelihood falls on all sides.
    several : bool
        Whether searches from different starts ended in different maxima.
    """

    b: Array
    vcov: Array
    sd: Array
    cor: Array
    sigma: float | None
    rank: int
    coef: Array
    coef_sd: Array
    deviance: float
    n_parameters: int
    steps: int
    converged: bool
    determined: bool
    several: bool

    def __repr__(self) -> str:
        state = "converged" if self.converged else "not converged"
        return f"Maximum(deviance {self.deviance:.6g}, {state} after {self.steps} steps)"


def check_maximised(method: str, pooled: Pooled, priors: Priors | None = None) -> None:
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
    apart = [factor.name for factor in pooled.design.factors if not factor.pooled]
    if apart:
        raise InputError(
            f'method="{method}" estimates how much levels differ, and without pooling the levels '
            f"of `{apart[0]}` have no common distribution",
            remedy='use pooling="partial" or "complete", or leave `method` out',
        )
    for factor in pooled.design.factors:
        widest = max((stop - start for start, stop, tied in factor.blocks if tied), default=0)
        if widest > limits.CORRELATED_REML:
            raise InputError(
                f'method="{method}" takes at most {limits.CORRELATED_REML} correlated '
                f"coefficients a level, and those of `{factor.name}` have {widest}",
                remedy="write `||` for `|`, or leave `method` out to sample the posterior",
            )
    obstacle = not_integrable(pooled, {})
    if obstacle is not None:
        raise InputError(
            f'method="{method}" fits Gaussian models with one grouping factor or none, and '
            f"{obstacle}",
            remedy="leave `method` out to sample the posterior",
        )


def maximise(likelihood: Likelihood) -> Maximum:
    """Find the maximum of a likelihood.

    Raises
    ------
    InputError
        If rows are too few, or fitted so closely that the likelihood has no maximum.
    """
    _check_rows(likelihood)
    starts = _starts(likelihood)
    if len(likelihood.R) > FEW:
        starts = starts[:1]
    found = [_descend(start) for start in starts]
    lowest = min(point.value for point, _, _ in found)
    near = lowest + 1e-9 * (1 + abs(lowest))
    # Of equal maxima the one that is most surely one.
    point, steps, gain = min((f for f in found if f[0].value <= near), key=lambda f: f[2])
    far = float(np.abs(factor_of(point.G)).max(initial=0.0)) > FAR
    ends = {round(point.value, 3) for point, _, left in found if left < 1e3 * CONVERGED}
    converged = gain < 1e3 * CONVERGED and not far
    return _result(
        point, steps, converged=converged, several=len(ends) > 1 and max(ends) - min(ends) > 0.01
    )


def _descend(point: Point) -> tuple[Point, int, float]:
    """Go to the maximum from a start: where it is, the steps, and what another would gain."""
    place = _entries(point.of)
    point, steps, gain = _newton(point, place)
    for _ in range(5):
        point = _snap(point)
        away = _escape(point)
        if away is None:
            break
        point, more, gain = _newton(away, place)
        steps += more
    return point, steps, gain


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


def _entries(likelihood: Likelihood) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and columns of Λ that may differ from 0."""
    pairs = [(i, j) for block in likelihood.blocks for i in block for j in block if j <= i]
    rows, columns = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    return rows, columns


def _starts(likelihood: Likelihood) -> list[Point]:
    """Points to search from, the best first."""
    q = likelihood.R.shape[2]
    sizes = STARTS if q else STARTS[:1]
    return sorted((likelihood.at(t**2 * np.eye(q)) for t in sizes), key=lambda point: point.value)


def _newton(
    point: Point, place: tuple[NDArray[np.int64], NDArray[np.int64]]
) -> tuple[Point, int, float]:
    """Descend; returns where, the steps it took, and what another step promises."""
    rows, columns = place
    if not len(rows):
        return point, 0, 0.0
    likelihood, gain = point.of, math.inf
    L = factor_of(point.G)
    for step in range(MAX_STEPS):
        slope, curvature = _by_factor(point, L, rows, columns)
        values, vectors = np.linalg.eigh(curvature)
        # Against the slope along directions of negative curvature too: saddles repel.
        along = vectors.T @ slope
        values = np.maximum(np.abs(values), 1e-12 * float(np.abs(values).max()) + 1e-300)
        move = -vectors @ (along / values)
        gain = float(np.sum(along**2 / values))
        if gain < CONVERGED or float(np.abs(L).max()) > FAR:
            last = _moved(L, move, rows, columns)
            finer = likelihood.at(last @ last.T)
            return (finer if finer.value <= point.value else point), step, gain
        share = min(1.0, 2 * max(1.0, float(np.linalg.norm(L))) / float(np.linalg.norm(move)))
        noise = 1e-14 * (abs(point.value) + likelihood.n)
        for _ in range(40):
            trial = _moved(L, share * move, rows, columns)
            found = likelihood.at(trial @ trial.T)
            if found.value <= point.value - 1e-4 * share * gain + noise:
                break
            share /= 2
        else:
            return point, step, gain
        point, L = found, trial
    return point, MAX_STEPS, gain


def _moved(L: Array, move: Array, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> Array:
    moved = L.copy()
    moved[rows, columns] += move
    return moved


def _by_factor(
    point: Point, L: Array, rows: NDArray[np.int64], columns: NDArray[np.int64]
) -> tuple[Array, Array]:
    """Slope and curvature of the deviance by the entries of Λ, from those by G = ΛΛᵀ."""
    S, H = point.slopes()
    q, m = len(L), len(rows)
    halves = np.zeros((m, q, q))
    halves[np.arange(m), rows, :] = L[:, columns].T
    directions = (halves + halves.transpose(0, 2, 1)).reshape(m, q * q)
    same = columns[:, None] == columns
    return directions @ S.ravel(), directions @ H @ directions.T + 2 * S[rows][:, rows] * same


def _parts(point: Point) -> list[tuple[NDArray[np.int64], Array, Array]]:
    """Eigenvalues and eigenvectors of G, block by block; rounding errors of 0 are 0."""
    parts = []
    for block in point.of.blocks:
        values, vectors = np.linalg.eigh(point.G[np.ix_(block, block)])
        parts.append((block, np.where(values > 1e-13 * values[-1], values, 0.0), vectors))
    return parts


def _snap(point: Point) -> Point:
    """Put small eigenvalues of G to exactly 0 where the likelihood does not want them."""
    for block, values, vectors in _parts(point):
        for k in range(len(block)):
            if values[k] > 1e-4 * max(1.0, values[-1]):
                break
            kept = vectors[:, k + 1 :]
            G = point.G.copy()
            G[np.ix_(block, block)] = (kept * values[k + 1 :]) @ kept.T
            if k + 1 == len(block):
                G[np.ix_(block, block)] = 0.0
            there = point.of.at(G)
            if _wanted(there, block, vectors[:, k])[0] > CONVERGED:
                break
            point = there
    return point


def _escape(point: Point) -> Point | None:
    """Leave a boundary from which the likelihood rises."""
    if not point.of.blocks:
        return None
    S, _ = point.slopes()
    for block in point.of.blocks:
        _, vectors = np.linalg.eigh(S[np.ix_(block, block)])
        gain, step = _wanted(point, block, vectors[:, 0])
        if gain <= 1e3 * CONVERGED:
            continue
        for _ in range(60):
            G = point.G.copy()
            G[np.ix_(block, block)] += step * np.outer(vectors[:, 0], vectors[:, 0])
            there = point.of.at(G)
            if there.value < point.value:
                return there
            step /= 4
    return None


def _wanted(point: Point, block: NDArray[np.int64], direction: Array) -> tuple[float, float]:
    """How much deviance more variance in a direction would save, and how much variance."""
    S, H = point.slopes()
    q = len(S)
    v = np.zeros(q)
    v[block] = direction
    slope, outer = float(v @ S @ v), np.outer(v, v).ravel()
    if slope >= 0:
        return 0.0, 0.0
    curvature = max(abs(float(outer @ H @ outer)), 1e-300)
    return slope**2 / (2 * curvature), min(-slope / curvature, 1.0)


def _determined(point: Point) -> bool:
    """Whether the deviance rises from the maximum on all sides.

    It should be curved by the log of every variance that is not 0, and rise with those that are.
    """
    directions = []
    for block, values, vectors in _parts(point):
        whole = np.zeros((len(point.G), len(block)))
        whole[block] = vectors * np.where(values > 0, np.sqrt(np.abs(values)), 1.0)
        for k in np.flatnonzero(values <= 0):
            there = point.of.at(point.G + np.outer(whole[:, k], whole[:, k]))
            if there.value < point.value + FLAT:
                return False
        half = whole[:, values > 0]
        directions += [
            np.outer(half[:, i], half[:, j]) + np.outer(half[:, j], half[:, i])
            for i in range(half.shape[1])
            for j in range(i + 1)
        ]
    if not directions:
        return True
    stacked = np.array(directions).reshape(len(directions), -1)
    curvature = stacked @ point.slopes()[1] @ stacked.T
    return bool(np.linalg.eigvalsh(curvature)[0] > FLAT)


def _result(point: Point, steps: int, *, converged: bool, several: bool) -> Maximum:
    """Bring the estimates to the user's scale."""
    likelihood = point.of
    model = likelihood.model
    at, group = model.coordinates["mu"], model.sole_group
    sigma, by_working = point.sigma, at.back
    b = at.from_working(-point.u[:-1])
    vcov = sigma**2 * by_working @ point.inverse @ by_working.T
    halves, ranks = _halves(point)
    sd = np.array([sigma * float(np.linalg.norm(row)) for row in halves])
    cor = np.empty(0)
    coef = coef_sd = np.empty((0, 0))
    if group is not None:
        cor = np.array([_correlation(halves[i], halves[j]) for i, j in group.pairs])
        coef, coef_sd = _levels(point, group.T @ b, group.T @ by_working)
    covariances = sum(len(block) * (len(block) + 1) // 2 for block in likelihood.blocks)
    return Maximum(
        b=b,
        vcov=vcov,
        sd=sd,
        cor=cor,
        sigma=None if likelihood.known else sigma,
        rank=sum(ranks),
        coef=coef,
        coef_sd=coef_sd,
        deviance=point.deviance,
        n_parameters=len(b) + covariances + (not likelihood.known),
        steps=steps,
        converged=converged,
        determined=_determined(point),
        several=several,
    )


def _halves(point: Point) -> tuple[list[Array], list[int]]:
    """Rows of a factor of the user's relative covariance, without columns of zeros."""
    halves, ranks = [np.empty(0)] * len(point.G), []
    for block, values, vectors in _parts(point):
        half = (vectors * np.sqrt(values))[:, values > 0]
        ranks.append(half.shape[1])
        own = point.of.unwork[np.ix_(block, block)] @ half
        for k, row in zip(block, own, strict=True):
            halves[k] = row
    return halves, ranks


def _correlation(one: Array, other: Array) -> float:
    """Correlation of two coefficients; exactly ±1 where their rows have one entry (rank 1)."""
    size = float(np.linalg.norm(one) * np.linalg.norm(other))
    if size == 0:
        return math.nan
    return float(np.clip(one @ other / size, -1.0, 1.0))


def _levels(point: Point, base: Array, by_working: Array) -> tuple[Array, Array]:
    """Coefficients of the levels, and the sds of their errors given the other parameters.

    An error has two parts: that of r given b, and what the error of b adds.
    """
    of = point.of
    L = factor_of(point.G)
    coef = base + (point.pull @ point.u) @ point.G @ of.unwork.T
    half = of.R @ L
    lower = np.linalg.cholesky(np.eye(len(L)) + half.transpose(0, 2, 1) @ half)
    own = np.linalg.solve(lower, np.broadcast_to((of.unwork @ L).T, lower.shape))
    variance = np.einsum("jak,jak->jk", own, own)
    error = by_working - of.unwork @ point.G @ point.pull[:, :, :-1]
    variance += np.einsum("jkl,lm,jkm->jk", error, point.inverse, error, optimize=True)
    return coef, point.sigma * np.sqrt(np.maximum(variance, 0.0))
