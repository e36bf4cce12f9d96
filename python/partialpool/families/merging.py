"""Rows that differ in their responses alone, as one: what their densities add up to, exactly."""

from __future__ import annotations

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
    """

    density: str
    rows: Responses
    constant: float = 0.0


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
    most = np.full(len(kinds), -np.inf)
    np.maximum.at(most, kinds.of, offset)
    exposure = most + np.log(kinds.add(times * np.exp(offset - most[kinds.of])))
    y = kinds.add(times * rows.y)
    distinct, inverse = np.unique(rows.y, return_inverse=True)
    factorials = gammaln(distinct + 1) @ np.bincount(inverse, times)
    constant = float(times * rows.y @ (offset - exposure[kinds.of]))
    constant += float(np.sum(gammaln(y + 1)) - factorials)
    return Merged(density, Responses(y, offset=exposure), constant)


def times_between(density: str, rows: Responses, kinds: Kinds) -> Merged:
    """Exponential waiting times add up, each in units of its offset.

    `Σ −(η + o) − y exp(−η − o) = −W (η + O + Y exp(−η − O)) + Σ O − o` with
    `Y = Σ y exp(O − o) / W`, whatever O.
    """
    times, weights = rows.times, kinds.add(rows.times)
    if rows.offset is None:
        return Merged(density, Responses(kinds.add(times * rows.y) / weights, weights=weights))
    # The longest time of a kind is 1.
    log = np.log(rows.y) - rows.offset
    most = np.full(len(kinds), -np.inf)
    np.maximum.at(most, kinds.of, log)
    y = kinds.add(times * np.exp(log - most[kinds.of])) / weights
    constant = -float(times @ (rows.offset + most[kinds.of]))
    return Merged(density, Responses(y, weights=weights, offset=-most), constant)


def _log_choose(n: Array, k: Array) -> Array:
    """``ln(n choose k)``."""
    from scipy.special import gammaln

    return np.asarray(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1))
