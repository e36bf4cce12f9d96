"""Profiles of the deviance: its minimum over all parameters but one, and intervals from them.

A likelihood interval holds the values of a parameter whose profiled deviance exceeds the least one
by no more than a quantile of the chi-squared distribution. Each value is held in coordinates in
which the others are free: the rows of a covariance's factor that a parameter is about stand first,
so an sd is one number there, and a correlation the direction of the second row.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from typing import NamedTuple

import numpy as np
from msgspec import Struct, field

from partialpool.arrays import Array
from partialpool.errors import EngineError
from partialpool.likelihood.criterion import Likelihood, Point
from partialpool.likelihood.descent import Minimum, by_differences, minimise
from partialpool.likelihood.integrals import factor_of
from partialpool.likelihood.search import FAR, expected_curvature, search

# Of the signed root of the deviance: an end is that exact, in units of a standard error.
EXACT = 1e-7

# An entry that is 0 starts where a level's own rows say this much about it.
AWAKE = 0.05


class Held(Struct, frozen=True):
    """A parameter that is held at a value, in coordinates of the others.

    The factor of the relative covariance is ``fixed / σ + Σ v directions``.

    Attributes
    ----------
    fixed, directions : (q, q) and (m, q, q) arrays
        See there.
    free : bool
        Whether σ is a coordinate (the last one is its log).
    sigma : float or None
        A value that σ has.
    b : (weights, value) or None
        What a weighted sum of working coefficients is.
    """

    fixed: Array
    directions: Array
    free: bool = False
    sigma: float | None = None
    b: tuple[Array, float] | None = None


class _Place(Struct, frozen=True, dict=True):
    """The deviance of a model in which a parameter is held."""

    held: Held
    point: Point
    L: Array
    sigma: float | None

    @cached_property
    def _coefficients(self) -> tuple[Array, float]:
        """(−c, 1) of the best coefficients, and their residual sum of squares."""
        point = self.point
        if self.held.b is None:
            return point.u, point.s
        weights, value = self.held.b
        along = point.inverse @ weights
        size, off = float(weights @ along), value + float(weights @ point.u[:-1])
        return point.u - np.append(along * off / size, 0.0), point.s + off**2 / size

    @cached_property
    def value(self) -> float:
        of, s, value = self.point.of, self._coefficients[1], self.point.given.log_det
        if of.known:
            return value + s
        if self.sigma is None:
            return value + (of.n * math.log(s) if s > 0 else -math.inf)
        variance = self.sigma**2
        if not 0 < variance < math.inf:
            return math.inf
        return value + of.n * (math.log(of.n * variance) - 1) + s / variance

    @cached_property
    def by_entries(self) -> Array:
        of, (u, s) = self.point.of, self._coefficients
        variance = 1.0 if of.known else s / of.n if self.sigma is None else self.sigma**2
        S = self.point.given.slope(np.outer(u, u) / variance)
        half = 2 * S @ self.L
        slope: Array = np.einsum("eab,ab->e", self.held.directions, half)
        if not self.held.free or self.sigma is None:
            return slope
        by_sigma = 2 * of.n - 2 * s / variance - float(np.sum(self.held.fixed * half)) / self.sigma
        return np.append(slope, by_sigma)


class Curve(Struct):
    """The profiled deviance of one parameter.

    Attributes
    ----------
    of : Likelihood
        Whose rows these are.
    hold : callable
        A value → what is held.
    v : array
        Where the next search starts; it follows the curve.
    """

    of: Likelihood
    hold: Callable[[float], Held]
    v: Array
    curvature: Array | None = field(default=None)

    def at(self, value: float) -> Minimum[_Place]:
        """Minimise over the other parameters."""
        held = self.hold(value)

        def place(v: Array) -> _Place:
            sigma = held.sigma
            entries = v
            if held.free:
                sigma, entries = math.exp(min(float(v[-1]), 300.0)), v[:-1]
            L = np.tensordot(entries, held.directions, axes=1)
            L = L + held.fixed / (1.0 if sigma is None else sigma)
            return _Place(held, self.of.at(L @ L.T), L, sigma)

        start = place(self.v)
        if self.curvature is None:
            expected = self._expected(start)
            self.curvature = _positive(by_differences(place, self.v, start, expected), expected)
        noise = start.point.noise
        found = minimise(
            place, self.v, self.curvature, noise=noise, place=start, reach=FAR, verify=False
        )
        self.v, self.curvature = found.v, found.curvature
        return found

    def _expected(self, place: _Place) -> Array:
        """Expected second derivatives, as in `expected_curvature`."""
        D, L, n = place.held.directions, place.L, self.of.n
        halves = D @ L.T
        if not place.held.free or place.sigma is None:
            return expected_curvature(place.point, halves + halves.transpose(0, 2, 1))
        by_sigma = -(place.held.fixed / place.sigma) @ L.T
        halves = np.concatenate([halves, by_sigma[None]])
        moves = halves + halves.transpose(0, 2, 1)
        found = expected_curvature(place.point, moves)
        across = 2 * np.einsum("ab,eab->e", place.point.information, moves)
        found[-1] += across
        found[:, -1] += across
        found[-1, -1] += 4 * n
        return _positive(found, np.diag(np.diagonal(found)))


def _positive(curvature: Array, instead: Array) -> Array:
    """A curvature that is positive definite, or another."""
    values = np.linalg.eigvalsh(curvature)
    if not len(values) or (np.isfinite(values).all() and values[0] > 1e-10 * values[-1]):
        return curvature
    return instead


class Interval(NamedTuple):
    """A parameter's estimate by maximum likelihood, and the ends of its interval."""

    estimate: float
    lower: float
    upper: float


class Profiles(Struct, frozen=True):
    """The intervals of a model's parameters.

    Attributes
    ----------
    point : Point
        The maximum of the likelihood, not the restricted one.
    reach : float
        The signed root of the deviance at the ends: a quantile of the normal distribution.
    """

    point: Point
    reach: float

    def b(self, k: int) -> Interval:
        """Interval of a population coefficient."""
        at, point = self.point.of.model.coordinates["mu"], self.point
        weights, level = at.back[k], at.level * float(at.ones[k])
        estimate = level - float(weights @ point.u[:-1])
        error = point.sigma * math.sqrt(float(weights @ point.inverse @ weights))
        D, v = self._coordinates()
        none = np.zeros_like(point.G)
        ends = [
            self._end(
                Curve(point.of, lambda t: Held(none, D, b=(weights, t - level)), v),
                estimate,
                side * self.reach * error,
            )
            for side in (-1, 1)
        ]
        return Interval(estimate, *ends)

    def sigma(self) -> Interval:
        """Interval of the residual sd."""
        point, estimate = self.point, self.point.sigma
        D, v = self._coordinates()
        none = np.zeros_like(point.G)
        share = math.exp(self.reach / math.sqrt(2 * point.of.n))
        ends = [
            self._end(
                Curve(point.of, lambda t: Held(none, D, sigma=t), v),
                estimate,
                estimate * (factor - 1),
                bound,
            )
            for factor, bound in ((1 / share, 0.0), (share, math.inf))
        ]
        return Interval(estimate, *ends)

    def sd(self, k: int) -> Interval:
        """Interval of the sd of a column's coefficients, columns of all factors side by side."""
        of, to_user = self.point.of, self.point.of.unwork
        work = np.linalg.inv(to_user)
        gamma = float(to_user[k] @ self.point.G @ to_user[k])
        estimate = self.point.sigma * math.sqrt(gamma)
        fixed = np.zeros_like(work)
        fixed[:, k] = work[:, k]
        D, v = self._coordinates(first=(k,))
        free = not of.known
        v = np.append(v[1:], math.log(self.point.sigma)) if free else v[1:]

        def curve() -> Curve:
            return Curve(of, lambda t: Held(t * fixed, D[1:], free=free), v)

        information, levels = self._information(k)
        known = max(gamma * float(work[:, k] @ information @ work[:, k]), 1e-3)
        share = math.exp(min(self.reach / (math.sqrt(2 * levels) * known), 1.5))
        step = estimate * (share - 1)
        if estimate == 0:
            step = self.point.sigma * self._awake(np.outer(work[:, k], np.eye(len(work))[k]), k)
        lower, at_zero = 0.0, self._without((k,))
        if at_zero > self.reach:
            lower = self._end(curve(), estimate, estimate * (1 / share - 1), 0.0, at_zero)
        return Interval(estimate, lower, self._end(curve(), estimate, step))

    def cor(self, k: int, other: int) -> Interval:
        """Interval of the correlation of two columns' coefficients."""
        of, G = self.point.of, self.point.of.unwork @ self.point.G @ self.point.of.unwork.T
        size = math.sqrt(float(G[k, k] * G[other, other]))
        estimate = float(G[k, other]) / size if size > 0 else math.nan
        if abs(estimate) > 1 - 1e-12:  # of rank 1, but for rounding
            estimate = math.copysign(1.0, estimate)
        # No correlation is worse than an sd of 0, which any of them comes to.
        worst = min(self._without((k,)), self._without((other,)))
        if worst <= self.reach:
            return Interval(estimate, -1.0, 1.0)
        D, v = self._coordinates(first=(k, other))
        v = np.concatenate([v[:1], [math.hypot(v[1], v[2])], v[3:]])
        none = np.zeros_like(G)

        def hold(t: float) -> Held:
            second = t * D[1] + math.sqrt(1 - t * t) * D[2]
            return Held(none, np.concatenate([D[:1], second[None], D[3:]]))

        levels, ends = self._information(k)[1], []
        for bound in (-1.0, 1.0):
            at_bound = self._root(Curve(of, hold, v), bound, worst)
            step = bound * self.reach * max(1 - estimate**2, 0.01) / math.sqrt(levels)
            ends.append(
                bound
                if at_bound <= self.reach or estimate == bound
                else self._end(Curve(of, hold, v), estimate, step, bound, at_bound, worst)
            )
        return Interval(estimate, *ends)

    def _root(self, curve: Curve, value: float, worst: float = math.inf) -> float:
        """Root of what the deviance exceeds the least one by.

        Where the search went to the other sign of a correlation, it is `worst`.
        """
        found = curve.at(value)
        more = found.place.value - self.point.value
        if math.isfinite(worst) and found.v[0] * found.v[1] <= 0:
            return worst
        if not found.gain < 1e-6 or not math.isfinite(more):
            raise EngineError("a profile of the likelihood did not converge")
        if more < -1e-4:
            raise EngineError(
                "the likelihood has several maxima, and the one that was found is not the highest: "
                "leave `method` out, since a posterior has room for all of them"
            )
        return min(math.sqrt(max(more, 0.0)), worst)

    def _without(self, columns: tuple[int, ...]) -> float:
        """The same where the sds of these columns are 0."""
        D, v = self._coordinates(without=columns)
        none = np.zeros_like(self.point.G)
        return self._root(Curve(self.point.of, lambda _: Held(none, D), v), 0.0)

    def _end(
        self,
        curve: Curve,
        estimate: float,
        step: float,
        bound: float = math.inf,
        at_bound: float = math.nan,
        worst: float = math.inf,
    ) -> float:
        """Find where the root of the deviance is `reach`, on the side that a first step goes to.

        By secants, within a bracket as soon as there is one (Illinois); `bound` is not passed, and
        the root there is `at_bound` if that is known.
        """
        near, at_near = estimate, -self.reach
        far, at_far = bound, at_bound - self.reach
        value, kept = estimate + step, 0
        for _ in range(60):
            if math.isfinite(bound) and (bound - value) * step <= 0:
                value = (near + bound) / 2
            if abs(value) > FAR * max(abs(estimate), self.point.sigma):
                return math.copysign(math.inf, step)
            found = self._root(curve, value, worst) - self.reach
            if abs(found) < EXACT:
                return value
            if found > 0:
                far, at_far, kept = value, found, max(kept, 0) + 1
                at_near /= 2 if kept > 1 else 1
            else:
                slope = (found - at_near) / (value - near) if value != near else 0.0
                near, at_near, kept = value, found, min(kept, 0) - 1
                if math.isnan(at_far):
                    ahead = -found / slope if slope * step > 0 else 3 * (value - estimate)
                    value += math.copysign(min(abs(ahead), 3 * abs(value - estimate)), step)
                    continue
                at_far /= 2 if kept < -1 else 1
            value = near - at_near * (far - near) / (at_far - at_near)
            if abs(far - near) <= 1e-12 * abs(value):
                return value
        raise EngineError("an end of a likelihood interval was not found")

    def _information(self, k: int) -> tuple[Array, int]:
        """What the rows say of a level of the factor that a column belongs to; its levels."""
        rows = self.point.of.rows
        for part, levels in zip(rows.parts, rows.sizes, strict=True):
            if part.start <= k < part.stop:
                own = np.zeros_like(self.point.G)
                own[part, part] = self.point.information[part, part] / levels
                return own, levels
        raise IndexError(k)

    def _awake(self, direction: Array, k: int) -> float:
        """How far an entry must move in order to matter."""
        information, _ = self._information(k)
        size = float(np.sum(direction * (information @ direction)))
        return math.sqrt(AWAKE / size) if size > 0 else 1.0

    def _coordinates(
        self, first: tuple[int, ...] = (), without: tuple[int, ...] = ()
    ) -> tuple[Array, Array]:
        """Directions of the entries of a factor of G, and their values at the maximum.

        The block of the columns `first` is that of the user's columns in such an order, and comes
        first; so is a block in which columns are left out.
        """
        of, q = self.point.of, len(self.point.G)
        work, user = np.linalg.inv(of.unwork), of.unwork @ self.point.G @ of.unwork.T
        named = {*first, *without}
        directions, values = [], []
        for block in sorted(of.blocks, key=lambda block: not named & {*block.tolist()}):
            own = named & {*block.tolist()}
            order = [*first, *(k for k in block.tolist() if k not in named)] if own else block
            left, G = (work, user) if own else (np.eye(q), self.point.G)
            L = factor_of(G[np.ix_(order, order)])
            for i, row in enumerate(order):
                for j in range(i + 1):
                    directions.append(np.outer(left[:, row], np.eye(q)[order[j]]))
                    still = i == j and L[i, i] == 0
                    values.append(self._awake(directions[-1], row) if still else L[i, j])
        return np.array(directions).reshape(len(directions), q, q), np.array(values)


def intervals(likelihood: Likelihood, level: float, places: Sequence[int]) -> list[Interval]:
    """Profile-likelihood intervals of parameters, by their places among all.

    In the order of a summary: population coefficients, sds and correlations factor by factor, the
    residual sd. The likelihood is not to be the restricted one.
    """
    from statistics import NormalDist

    best = min((found.point for found in search(likelihood)), key=lambda point: point.value)
    of = Profiles(best, NormalDist().inv_cdf((1 + level) / 2))
    asked: list[Callable[[], Interval]] = [
        partial(of.b, k) for k in range(likelihood.n_coefficients)
    ]
    for group, part in zip(likelihood.model.groups, likelihood.rows.parts, strict=False):
        asked += [partial(of.sd, k) for k in range(part.start, part.stop)]
        asked += [partial(of.cor, part.start + i, part.start + j) for i, j in group.pairs]
    return [[*asked, of.sigma][k]() for k in places]
