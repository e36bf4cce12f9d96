"""How much of the variance lies where: between rows, between levels, around the predictor.

Draw by draw. The variance of a response at one of the fitted rows, with levels drawn anew from
their population, is by the law of total variance::

    Var y  =  Var_rows E[y | row]  +  E_rows Var_levels E[y | row, levels]  +  E_rows E Var[y | …]
              population              levels                                  residual

On the scale of the linear predictor these are the variance of Xb over the rows, z'Σz on average
over the rows (Johnson 2014), and what the family has around the predictor. On that of the response,
levels are integrated out: with ``m(t)`` the expected response at ``eta + sd t``, normalised Hermite
polynomials ``h_k`` give ``Var m = Σ a_k²`` with ``a_k = E[m h_k]``, and of it the part that the
levels of one factor explain alone, with a share ρ of the variance of the predictor, is ``Σ a_k²
ρ^k``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from msgspec import Struct

from partialpool.arrays import Array, Ints
from partialpool.design import Design
from partialpool.draws.evaluate import CHUNK
from partialpool.draws.normal_nodes import normal_nodes
from partialpool.draws.posterior import Posterior, rows_of
from partialpool.draws.rows import chunks, counting_weights, row_draws
from partialpool.engine.conditional import covariances
from partialpool.families import Family, Given

HERMITE = 24
"""Polynomials; what is left of a share ρ is at most ρ²⁴ of what they lack."""
REACH = 8.0
"""How far nodes go where these polynomials are averaged."""
BLOCK = 60_000  # draws × rows that stay in the cache while levels are integrated out


class Components(Struct, frozen=True, eq=False):
    """Variances, draw by draw: (draw,) each.

    Attributes
    ----------
    levels : dict
        By factor: what its levels explain alone.
    together : array or None
        What levels of several factors explain only together; None where they simply add.
    """

    population: Array
    levels: dict[str, Array]
    together: Array | None
    residual: Array

    @property
    def between(self) -> Array:
        """Variance between levels, of all factors."""
        parts = [*self.levels.values(), *([] if self.together is None else [self.together])]
        return np.asarray(sum(parts, np.zeros_like(self.residual)))


class Explained(Struct, frozen=True):
    """Variance of fitted values over the rows, and the mean variance around them: (draw,) each."""

    fitted: Array
    residual: Array


class Varying(Struct, frozen=True, eq=False):
    """The factors whose levels vary about a population: their columns and covariances.

    Those of working coefficients, which keep their digits far from zero.
    """

    names: tuple[str, ...]
    columns: tuple[Array, ...]
    covariance: tuple[Array, ...]

    def average(self, weights: Array) -> dict[str, Array]:
        """z'Σz on average over rows, by factor: (draw,)."""
        found = {}
        for name, Z, covariance in zip(self.names, self.columns, self.covariance, strict=True):
            products = (Z * (weights / weights.sum())[:, None]).T @ Z
            found[name] = np.maximum(np.einsum("sij,ij->s", covariance, products), 0.0)
        return found

    def of_rows(self, at: Ints) -> list[Array]:
        """z'Σz by factor: (draw, row)."""
        found = []
        for Z, covariance in zip(self.columns, self.covariance, strict=True):
            q = Z.shape[1]
            squares = (Z[at][:, :, None] * Z[at][:, None, :]).reshape(len(at), q * q)
            found.append(np.maximum(covariance.reshape(-1, q * q) @ squares.T, 0.0))
        return found


def varying(fit: Posterior, picked: Ints) -> Varying:
    """Take the factors of the mean with partial pooling, at some draws."""
    design, model = rows_of(fit), fit.model
    own = [k for k, g in enumerate(model.groups) if g.known_sd is None and g.predictor == "mu"]
    factors = {factor.name: factor for factor in design.factors}
    return Varying(
        tuple(model.groups[k].factor for k in own),
        tuple(factors[model.groups[k].factor].Z @ model.groups[k].back for k in own),
        tuple(covariances(model, fit.run, k)[picked] for k in own),
    )


def row_weights(fit: Posterior) -> Array:
    """How many rows each row counts as; one of several trials counts as so many."""
    trials = rows_of(fit).trials
    return counting_weights(fit) * (1.0 if trials is None else trials)


class Spread:
    """The variance of values over rows, of which some come at a time: (draw,).

    With the divisor of R's ``var``, one less than the number of rows.
    """

    def __init__(self, draws: int) -> None:
        self._first: Array | None = None
        self._sums = np.zeros((2, draws))
        self._total, self._rows = 0.0, 0

    def add(self, values: Array, weights: Array) -> None:
        """Count in the values of some rows: (draw, row)."""
        if self._first is None:
            self._first = values[:, :1].copy()
        apart = values - self._first  # keeps the digits of values far from zero
        self._sums += apart @ weights, apart**2 @ weights
        self._total += float(weights.sum())
        self._rows += int((weights > 0).sum())

    @property
    def variance(self) -> Array:
        """Of all rows."""
        first, second = self._sums
        # Of rows that count less than one each, the divisor shrinks with them.
        less = self._total - min(1.0, self._total / max(self._rows, 1))
        within = second - first**2 / self._total
        return np.asarray(np.maximum(within, 0.0) / less) if less > 0 else np.zeros_like(first)


class Mean:
    """Weighted means over rows, of which some come at a time: (draw,)."""

    def __init__(self, draws: int, weights: Array) -> None:
        self._zero, self._weights = np.zeros(draws), weights / weights.sum()
        self._sums: dict[str, Array] = {}

    def add(self, name: str, values: Array, at: Ints) -> None:
        """Count in the values of some rows: (draw, row)."""
        self._sums[name] = self[name] + values @ self._weights[at]

    def __getitem__(self, name: str) -> Array:
        return self._sums.get(name, self._zero)


class Found(NamedTuple):
    """Variances on the scale of the predictor, on that of the response, and of fitted values.

    None where they are not defined. Where the predictor is the response, the first are all.
    """

    latent: Components | None
    response: Components | None
    explained: Explained | None


def components(fit: Posterior, picked: Ints) -> Found:
    """Compute the components of the variance at some draws."""
    family, design, s = fit.model.family, rows_of(fit), len(picked)
    of_levels, weights = varying(fit, picked), row_weights(fit)
    identity, ordered = family.averages == "linear", bool(fit.model.categories)
    population, fitted, means = Spread(s), Spread(s), Mean(s, weights)
    over = None if identity or ordered else OverLevels(family, of_levels, weights, s)
    size = max(1, CHUNK // (4 * s))
    single = Given(fit.model.link, {})
    for at in chunks(design, size):
        alone = row_draws(fit, at, picked, deviations=False)
        full = row_draws(fit, at, picked) if fit.model.groups else alone
        single = full.given._replace(trials=None)
        offset = 0.0 if design.total_offset is None else design.total_offset[at]
        population.add(alone.eta - offset, weights[at])
        if family.has_sigma:
            around = family.latent_variance(full.eta, single)
            assert around is not None
            means.add("latent", np.broadcast_to(around, full.eta.shape), at)
        if not ordered:
            fitted.add(family.mean(full.eta, single) - offset * identity, weights[at])
            within = family.variance(full.eta, single)
            means.add("within", np.broadcast_to(within, full.eta.shape), at)
        if over is not None:
            over.add(alone.eta, single, at)
    residual = means["latent"] if family.has_sigma else _around(family, single, over, s)
    average = of_levels.average(weights)
    return Found(
        None if residual is None else Components(population.variance, average, None, residual),
        None if over is None else over.components,
        None if ordered else Explained(fitted.variance, means["within"]),
    )


def components_at(design: Design, b: Array, covariance: Sequence[Array], around: Array) -> Found:
    """Compute the components of a Gaussian model with partial pooling at one point.

    Parameters
    ----------
    b : (p,) array
        Population coefficients.
    covariance : sequence of (q, q) arrays
        Of the coefficients of every factor, as written.
    around : (row,) array
        Residual variances.
    """
    rows = design.described
    counts = np.full(len(rows.y), design.n_rows / len(rows.y))
    population = Spread(1)
    population.add((rows.X @ b)[None], counts)
    own = rows.factors
    levels = Varying(
        tuple(factor.name for factor in own),
        tuple(factor.written for factor in own),
        tuple(one[None] for one in covariance),
    )
    residual = np.array([around.mean()])
    average = levels.average(counts)
    return Found(Components(population.variance, average, None, residual), None, None)


def _around(family: Family, given: Given, over: OverLevels | None, draws: int) -> Array | None:
    """Variance around the predictor where the mean response of all rows is; None without one."""
    eta = np.zeros((draws, 1)) if over is None else over.predictor(given.link)[:, None]
    found = family.latent_variance(eta, given._replace(log_sigma=None))
    return None if found is None else np.broadcast_to(found, eta.shape)[:, 0]


class OverLevels:
    """Expected responses and variances around them, integrated over the population of levels."""

    def __init__(self, family: Family, levels: Varying, weights: Array, draws: int) -> None:
        self._family, self._levels, self._weights = family, levels, weights
        self._population, self._means = Spread(draws), Mean(draws, weights)

    def add(self, eta: Array, given: Given, at: Ints) -> None:
        """Count in some rows: their predictors without deviations (draw, row)."""
        size = max(1, BLOCK // len(eta))
        for first in range(0, len(at), size):
            some = slice(first, first + size)
            own = given.log_sigma
            own = None if own is None else np.broadcast_to(own, eta.shape)[:, some]
            part = given._replace(log_sigma=own)
            self._add(np.ascontiguousarray(eta[:, some]), part, at[some])

    def _add(self, eta: Array, given: Given, at: Ints) -> None:
        squares = self._levels.of_rows(at)
        total = np.asarray(sum(squares, np.zeros_like(eta)))
        several = len(squares) > 1
        with np.errstate(over="ignore", invalid="ignore"):
            mean, square, within, orders = self._integrated(eta, np.sqrt(total), given, several)
            self._means.add("between", np.maximum(square - mean**2, 0.0), at)
        self._population.add(mean, self._weights[at])
        self._means.add("mean", mean, at)
        self._means.add("within", within, at)
        if given.link == "log":
            with np.errstate(over="ignore"):
                self._means.add("rate", np.exp(eta + total / 2), at)
        if several:
            for name, own in zip(self._levels.names, squares, strict=True):
                share = np.divide(own, total, out=np.zeros_like(own), where=total > 0)
                self._means.add(f"of {name}", _alone(orders, share, square - mean**2), at)

    def _integrated(
        self, eta: Array, sd: Array, given: Given, several: bool
    ) -> tuple[Array, Array, Array, Array]:
        """E m, E m², E Var and, with several factors, a_k² for k from 1: (k, draw, row)."""
        nodes, weights = np.zeros(1), np.ones(1)
        if sd.any():
            reach = {"reach": REACH} if several else {}
            scale = self._family.scale(given.link)
            nodes, weights = normal_nodes(float(sd.max()), scale, power=2, **reach)
        mean, square, within = (np.zeros_like(eta) for _ in range(3))
        orders = np.zeros((HERMITE if several else 0, *eta.shape))
        for node, weight, h in zip(nodes, weights, _hermite(nodes), strict=True):
            m = self._family.mean(eta + node * sd, given)
            mean += weight * m
            square += weight * m**2
            within += weight * self._family.variance(eta + node * sd, given)
            for k in range(len(orders)):
                orders[k] += (weight * h[k]) * m
        return mean, square, within, orders**2

    def predictor(self, link: str) -> Array:
        """Give the linear predictor of the mean response of all rows: (draw,)."""
        from scipy.special import logit, ndtri

        if link == "log":
            return np.asarray(np.log(self._means["rate"]))
        inverse = {"logit": logit, "probit": ndtri, "cloglog": lambda p: np.log(-np.log1p(-p))}
        return np.asarray(inverse[link](self._means["mean"]))

    @property
    def components(self) -> Components:
        """What was found, on the scale of the response."""
        between, names = self._means["between"], self._levels.names
        levels = {name: self._means[f"of {name}"] for name in names}
        together = None
        if len(names) == 1:
            levels = {names[0]: between}
        elif names:
            together = np.maximum(between - sum(levels.values()), 0.0)
        return Components(self._population.variance, levels, together, self._means["within"])


def _hermite(nodes: Array) -> Array:
    """Normalised Hermite polynomials of orders from 1: (node, order)."""
    h = np.zeros((len(nodes), HERMITE + 1))
    h[:, 0] = 1.0
    h[:, 1] = nodes
    for k in range(1, HERMITE):
        h[:, k + 1] = (nodes * h[:, k] - math.sqrt(k) * h[:, k - 1]) / math.sqrt(k + 1)
    return h[:, 1:]


def _alone(orders: Array, share: Array, between: Array) -> Array:
    """Σ a_k² ρ^k; what all higher orders have is taken as if it were of the next."""
    total, power = np.zeros_like(share), np.ones_like(share)
    for square in orders:
        power = power * share
        total += square * power
    rest = np.maximum(between - orders.sum(axis=0), 0.0)
    return np.asarray(total + rest * power * share)
