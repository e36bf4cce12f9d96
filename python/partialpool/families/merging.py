"""Rows that differ in their responses alone, as one: what their densities add up to, exactly."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from partialpool.alike import Kinds
from partialpool.arrays import Array, Ints

LARGEST = 8e15
"""Beyond 2⁵³ numbers are no longer counts."""


class Responses(NamedTuple):
    """Responses with all that a row's density depends on beside what the coefficients multiply.

    Attributes
    ----------
    offset : array or None
        What is added to the linear predictor, the log of the exposure included.
    """

    y: Array
    trials: Array | None = None
    weights: Array | None = None
    offset: Array | None = None

    @property
    def times(self) -> Array:
        """How often each row counts."""
        return np.ones(len(self.y)) if self.weights is None else self.weights

    @property
    def add_up(self) -> bool:
        """Whether sums of counts, each as often as its row counts, are whole numbers."""
        if self.weights is not None and np.any(self.weights % 1 != 0):
            return False
        return float(self.times @ (self.y if self.trials is None else self.trials)) < LARGEST

    def take(self, rows: Ints) -> Responses:
        """Take some of the rows."""
        return Responses(*(None if own is None else own[rows] for own in self))  # type: ignore[arg-type]

    def given(self, *names: str) -> list[Array]:
        """Give those of the columns that there are."""
        return [own for own in (getattr(self, name) for name in names) if own is not None]


class Merged(NamedTuple):
    """Rows that stand for others.

    Attributes
    ----------
    density : str
        The name of their log density in the core.
    constant : float
        What the sum of their log densities lacks.
    scatter : tuple of (row,) arrays, or None
        Where the core asks for it: how many rows each stands for, and what these scatter by.
    """

    density: str
    rows: Responses
    constant: float = 0.0
    scatter: tuple[Array, Array] | None = None

    def take(self, rows: Ints) -> Merged:
        """Take the rows in another order."""
        scatter = self.scatter and (self.scatter[0][rows], self.scatter[1][rows])
        return self._replace(rows=self.rows.take(rows), scatter=scatter)


def repeated(density: str, rows: Responses, kinds: Kinds) -> Merged:
    """Rows that are equal, responses too, count as often as there are of them."""
    first = rows.take(kinds.first)
    return Merged(density, first._replace(weights=kinds.add(rows.times)))


def successes(density: str, rows: Responses, kinds: Kinds) -> Merged:
    """Trials with the same chance of success add up, to a binomial response of this density.

    The binomial coefficient of the sum is not the product of those of the rows.
    """
    times, trials = rows.times, np.ones(len(rows.y)) if rows.trials is None else rows.trials
    y, total = kinds.add(times * rows.y), kinds.add(times * trials)
    own = 0.0 if rows.trials is None else float(np.sum(times * _log_choose(trials, rows.y)))
    offset = None if rows.offset is None else rows.offset[kinds.first]
    constant = own - float(np.sum(_log_choose(total, y)))
    return Merged(density, Responses(y, total, offset=offset), constant)


def counts(density: str, rows: Responses, kinds: Kinds) -> Merged:
    """Poisson counts add up, as do their exposures, the exponentials of the offsets.

    `Σ y (η + o) − exp(η + o) = Y (η + O) − exp(η + O) + Σ y (o − O)` with `O = ln Σ exp(o)`.
    """
    from scipy.special import gammaln

    times, given = rows.times, rows.offset
    offset = np.zeros(len(rows.y)) if given is None else given
    most = kinds.most(offset)
    exposure = most + np.log(kinds.add(times * np.exp(offset - most[kinds.of])))
    y = kinds.add(times * rows.y)
    distinct, inverse = np.unique(rows.y, return_inverse=True)
    factorials = gammaln(distinct + 1) @ np.bincount(inverse, times)
    constant = float(times * rows.y @ (offset - exposure[kinds.of]))
    constant += float(np.sum(gammaln(y + 1)) - factorials)
    return Merged(density, Responses(y, offset=exposure), constant)


def waiting(density: str, rows: Responses, kinds: Kinds) -> Merged:
    """Exponential waiting times add up, each in units of the exponential of its offset.

    `Σ −(η + o) − y exp(−η − o) = −W (η + O + Y exp(−η − O)) + Σ O − o` with
    `Y = Σ y exp(O − o) / W`, whatever O.
    """
    means = _means(rows, kinds)
    lost = 0.0 if rows.offset is None else float(rows.times @ rows.offset)
    own = means.offset
    return Merged(density, means, (0.0 if own is None else float(means.times @ own)) - lost)


def gamma(density: str, rows: Responses, kinds: Kinds) -> Merged:
    """Gamma responses likewise, beside the mean of their logarithms, which goes with the shape.

    With `d = ln y − o − η` and D that of the means, `Σ 1 + d − exp(d) = W (1 + D − exp(D)) + S` and
    `S = Σ d − D`, in which η is not.
    """
    means = _means(rows, kinds)
    log, mean = np.log(rows.y), np.log(means.y)
    constant = float(means.times @ mean - rows.times @ log)
    if rows.offset is not None and means.offset is not None:
        log, mean = log - rows.offset, mean - means.offset
    within = kinds.add(rows.times * (log - mean[kinds.of]))
    return Merged(density, means, constant, (kinds.counts, within))


def _means(rows: Responses, kinds: Kinds) -> Responses:
    """Means of responses in units of the exponential of their offset."""
    weights = kinds.add(rows.times)
    log = np.log(rows.y) if rows.offset is None else np.log(rows.y) - rows.offset
    most = kinds.most(log)  # the largest of a kind is 1
    y = kinds.add(rows.times * np.exp(log - most[kinds.of])) / weights
    if rows.offset is None:
        return Responses(y * np.exp(most), weights=weights)
    return Responses(y, weights=weights, offset=-most)


def moments(density: str, rows: Responses, kinds: Kinds, *, logarithm: bool) -> Merged:
    """Normal responses are their mean, with the sum of their weights, and what they scatter by.

    `Σ w (y − η)² = W (ȳ − η)² + Σ w (y − ȳ)²`; of log-normal ones, their logarithms.
    """
    y = np.log(rows.y) if logarithm else rows.y
    times, weights = rows.times, kinds.add(rows.times)
    start = y[kinds.first]  # far from zero, sums of differences keep their digits
    change = y - start[kinds.of]
    mean = kinds.add(times * change) / weights
    within = kinds.add(times * (change - mean[kinds.of]) ** 2)
    constant = 0.5 * float(np.sum(np.log(times)) - np.sum(np.log(weights)))
    constant -= 0.5 * math.log(2 * math.pi) * (len(y) - len(kinds))
    mean += start
    if logarithm:
        constant += float(np.sum(mean) - np.sum(y))
        mean = np.exp(mean)
    offset = None if rows.offset is None else rows.offset[kinds.first]
    merged = Responses(mean, weights=weights, offset=offset)
    return Merged(density, merged, constant, (kinds.counts, within))


def _log_choose(n: Array, k: Array) -> Array:
    """``ln(n choose k)``."""
    from scipy.special import gammaln

    return np.asarray(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1))
