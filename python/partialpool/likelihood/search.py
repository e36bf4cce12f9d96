"""Search for the maximum of a likelihood, over the factor Λ of a relative covariance G = ΛΛᵀ.

The likelihood is an even function of the columns of Λ, so the boundary of the covariances (an sd of
0, a correlation of ±1) is no wall: Newton's method runs through it, and ends in it with quadratic
speed. What it leaves there of rounding is then set to 0, and whether the likelihood would rise from
the boundary is read off its slope S by the covariance: at a maximum S has no negative eigenvalue.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import NamedTuple

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from partialpool.arrays import Array
from partialpool.likelihood.criterion import Likelihood, Point
from partialpool.likelihood.descent import CONVERGED, MAX_STEPS, minimise, newton
from partialpool.likelihood.integrals import factor_of

# Relative sds of the starting points. With few levels the likelihood may have several maxima, so
# the search runs from each; else from the best.
STARTS = np.logspace(-2.5, 2.5, 6)
FEW = 1000

# Beyond this ratio of a group sd to the residual sd, the likelihood is not going to turn.
FAR = 1e7

# Curvature of the deviance by the log of variances, below which data do not determine them.
FLAT = 1e-4

# Smallest share of a variance that one step of scoring leaves of it.
LEFT = 0.02


class Entries(NamedTuple):
    """Rows and columns of Λ that may differ from 0."""

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]

    def factor(self, v: Array, q: int) -> Array:
        """Λ with these entries."""
        L = np.zeros((q, q))
        L[self] = v
        return L

    def moves(self, L: Array) -> Array:
        """What G does as each entry grows: (m, q, q)."""
        halves = np.zeros((len(self.rows), *L.shape))
        halves[np.arange(len(self.rows)), self.rows, :] = L[:, self.columns].T
        return halves + halves.transpose(0, 2, 1)


class Found(NamedTuple):
    """Where a search ended, the steps it took, and what another promises.

    And second derivatives by the entries of Λ, where the search has taken them from differences and
    the point still is where it ended.
    """

    point: Point
    steps: int
    gain: float
    curvature: Array | None = None


def search(likelihood: Likelihood) -> list[Found]:
    """Search from one start or several."""
    few = max(likelihood.rows.sizes) <= FEW
    starts = _starts(likelihood) if likelihood.exact else _few_starts(likelihood, several=few)
    return [_descend(start) for start in (starts if few else starts[:1])]


def entries_of(likelihood: Likelihood) -> Entries:
    """Entries of Λ that the blocks of the covariance leave free."""
    pairs = [(i, j) for block in likelihood.blocks for i in block for j in block if j <= i]
    rows, columns = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    return Entries(rows, columns)


def _starts(likelihood: Likelihood) -> list[Point]:
    """Points to search from, the best first."""
    q = len(likelihood.unwork)
    sizes = STARTS if q else STARTS[:1]
    points = [likelihood.at(t**2 * np.eye(q)) for t in sizes]
    return sorted(points, key=lambda point: point.value)


def _few_starts(likelihood: Likelihood, *, several: bool) -> list[Point]:
    """Points to search from where values cost much: one that is near, and others if wanted."""
    one = np.eye(len(likelihood.unwork))
    others = [likelihood.at(t**2 * one) for t in STARTS[1:-1]] if several else []
    return [_scored(_scored(likelihood.at(one))), *others]


def _scored(point: Point) -> Point:
    """Go where Fisher's scoring leads, as if levels were balanced and factors orthogonal.

    Then the information is that of each factor by itself, and one step is exact.
    """
    G = np.zeros_like(point.G)
    for part, levels in zip(point.of.rows.parts, point.of.rows.sizes, strict=True):
        P = point.information[part, part] / levels
        values, vectors = np.linalg.eigh(P)
        half = vectors * np.sqrt(np.maximum(values, 1e-12 * values[-1]))
        inverse = np.linalg.inv(half)
        whole = half.T @ point.G[part, part] @ half
        whole -= inverse @ point.slope[part, part] @ inverse.T / levels
        values, vectors = np.linalg.eigh((whole + whole.T) / 2)
        whole = (vectors * np.maximum(values, LEFT)) @ vectors.T
        G[part, part] = inverse.T @ whole @ inverse
    apart = np.zeros_like(G)
    for block in point.of.blocks:
        apart[np.ix_(block, block)] = G[np.ix_(block, block)]
    there = point.of.at(apart)
    return there if there.value < point.value else point


def _descend(point: Point) -> Found:
    """Go to the maximum from a start."""
    entries = entries_of(point.of)
    step = _newton if point.of.exact else _quasi_newton
    found = step(point, entries)
    for _ in range(5):
        point = _snap(found.point)
        if point is not found.point:
            found = Found(point, found.steps, found.gain)
        away = _escape(point)
        if away is None:
            break
        again = step(away, entries)
        found = again._replace(steps=found.steps + again.steps)
    return found


class _ByFactor(Struct, frozen=True, dict=True):
    """The deviance as a function of the entries of Λ."""

    point: Point
    moves: Array

    @property
    def value(self) -> float:
        return self.point.value

    @cached_property
    def by_entries(self) -> Array:
        found: Array = self.moves.reshape(len(self.moves), -1) @ self.point.slope.ravel()
        return found


def _quasi_newton(point: Point, entries: Entries) -> Found:
    """Descend where second derivatives are not known."""
    q = len(point.G)

    def at(v: Array) -> _ByFactor:
        L = entries.factor(v, q)
        return _ByFactor(point.of.at(L @ L.T), entries.moves(L))

    L = factor_of(point.G)
    moves = entries.moves(L)
    found = minimise(
        at,
        L[entries],
        expected_curvature(point, moves),
        noise=point.noise,
        reach=FAR,
        place=_ByFactor(point, moves),
    )
    return Found(found.place.point, found.steps, found.gain, found.curvature)


def expected_curvature(point: Point, moves: Array) -> Array:
    """Expected second derivatives of the deviance where G moves so, factor by factor.

    As they are where the levels of a factor are alike and factors orthogonal.
    """
    m = len(moves)
    total = np.zeros((m, m))
    for part, levels in zip(point.of.rows.parts, point.of.rows.sizes, strict=True):
        P = point.information[part, part] / levels
        own = P @ moves[:, part, part]
        total += levels * np.einsum("eab,fba->ef", own, own)
    diagonal = np.diagonal(total).copy()
    # An entry that moves nothing, as where its column is 0.
    total += np.diag(np.where(diagonal > 0, 0.0, max(1.0, diagonal.max(initial=1.0))))
    return total


def _newton(point: Point, entries: Entries) -> Found:
    """Descend by second derivatives."""
    if not len(entries.rows):
        return Found(point, 0, 0.0)
    likelihood, gain = point.of, math.inf
    L = factor_of(point.G)
    for step in range(MAX_STEPS):
        slope, curvature = _by_factor(point, L, entries)
        # Against the slope along directions of negative curvature too: saddles repel.
        move, gain = newton(slope, curvature)
        if gain < CONVERGED or float(np.abs(L).max()) > FAR:
            last = _moved(L, move, entries)
            finer = likelihood.at(last @ last.T)
            return Found(finer if finer.value <= point.value else point, step, gain)
        share = min(1.0, 2 * max(1.0, float(np.linalg.norm(L))) / float(np.linalg.norm(move)))
        for _ in range(40):
            trial = _moved(L, share * move, entries)
            found = likelihood.at(trial @ trial.T)
            if found.value <= point.value - 1e-4 * share * gain + point.noise:
                break
            share /= 2
        else:
            return Found(point, step, gain)
        point, L = found, trial
    return Found(point, MAX_STEPS, gain)


def _moved(L: Array, move: Array, entries: Entries) -> Array:
    moved = L.copy()
    moved[entries] += move
    return moved


def _by_factor(point: Point, L: Array, entries: Entries) -> tuple[Array, Array]:
    """Slope and curvature of the deviance by the entries of Λ, from those by G = ΛΛᵀ."""
    S, H = point.slope, point.exact_curvature
    rows, columns = entries
    directions = entries.moves(L).reshape(len(rows), -1)
    same = columns[:, None] == columns
    return directions @ S.ravel(), directions @ H @ directions.T + 2 * S[rows][:, rows] * same


def parts_of(point: Point) -> list[tuple[NDArray[np.int64], Array, Array]]:
    """Eigenvalues and eigenvectors of G, block by block; rounding errors of 0 are 0."""
    parts = []
    for block in point.of.blocks:
        values, vectors = np.linalg.eigh(point.G[np.ix_(block, block)])
        parts.append((block, np.where(values > 1e-13 * values[-1], values, 0.0), vectors))
    return parts


def _snap(point: Point) -> Point:
    """Put small eigenvalues of G to exactly 0 where the likelihood does not want them."""
    for block, values, vectors in parts_of(point):
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
    S = point.slope
    for block, values, _ in parts_of(point):
        if values[0] > 0 and not point.of.exact:
            continue  # inside, where the search has seen all sides
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
    v = np.zeros(len(point.G))
    v[block] = direction
    slope = float(v @ point.slope @ v)
    if slope >= 0:
        return 0.0, 0.0
    curvature = max(abs(float(point.curvature(np.outer(v, v)[None])[0, 0])), 1e-300)
    return slope**2 / (2 * curvature), min(-slope / curvature, 1.0)


def determined(found: Found) -> bool:
    """Whether the deviance rises from the maximum on all sides.

    It should be curved by the log of every variance that is not 0, and rise with those that are.
    """
    point, directions = found.point, []
    for block, values, vectors in parts_of(point):
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
    return _curved(found, np.array(directions))


def _curved(found: Found, directions: Array) -> bool:
    """Whether the deviance is curved in directions in which variances change by their own size."""
    point, flat = found.point, directions.reshape(len(directions), -1)
    if point.of.exact:
        return bool(np.linalg.eigvalsh(point.curvature(directions))[0] > FLAT)
    if found.curvature is not None and len(directions) == len(found.curvature):
        # Inside, where the slope is 0: what the search knows by Λ is that by G, if not to all
        # digits.
        moves = entries_of(point.of).moves(factor_of(point.G))
        to_entries = np.linalg.lstsq(moves.reshape(len(moves), -1).T, flat.T, rcond=None)[0]
        if np.linalg.eigvalsh(to_entries.T @ found.curvature @ to_entries)[0] > 1e3 * FLAT:
            return True
    h = 1e-4
    ends = [[point.of.at(point.G + step * D).slope for step in (h, -h)] for D in directions]
    curvature = flat @ np.array([(up - down).ravel() / (2 * h) for up, down in ends]).T
    return bool(np.linalg.eigvalsh((curvature + curvature.T) / 2)[0] > FLAT)
