"""Where sorted residuals, and smooth trends through them, lie if the model holds.

Bands are simultaneous: of data sets from the model, in so many the whole line lies inside. They
take residuals as independent and standard normal; those of rows left out one by one nearly are.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from msgspec import Struct

from partialpool.arrays import Array, Ints

MASS = 0.95
TIMES = 2000  # that bands are simulated
PLACES = 120  # along a line of sorted values
ENDS = 15  # of them at either end one by one
BINS = 200  # that a trend is computed from
POINTS = 50  # along a trend
SPAN = 0.3  # share of the rows on either side of a point that its trend looks at
# Mean and variance of √|z| of a standard normal z: E|z|^p = 2^(p/2) Γ((p+1)/2) / √π.
ROOT_MEAN = 2**0.25 * math.gamma(0.75) / math.sqrt(math.pi)
ROOT_VARIANCE = math.sqrt(2 / math.pi) - ROOT_MEAN**2


class Sorted(Struct, frozen=True, eq=False):
    """Some places along n sorted values of a standard normal variable: (place,) each.

    Attributes
    ----------
    ranks : array of int
        From 0.
    expected, low, high : arrays
        Medians there, and the band.
    """

    ranks: Ints
    expected: Array
    low: Array
    high: Array


@lru_cache(maxsize=64)
def sorted_normals(n: int, mass: float = MASS) -> Sorted:
    """Give the band in which the whole line of n sorted standard normal values lies.

    The k-th of n sorted uniform values has a Beta(k, n + 1 − k) distribution. The band consists of
    its quantiles at γ/2 and 1 − γ/2 for each k, with the γ for which all of them hold at once with
    probability `mass` (Aldor-Noiman et al. 2013), found by simulation of the places that are drawn.

    Examples
    --------
    >>> band = sorted_normals(99)
    >>> band.expected[[0, -1]].round(1).tolist(), bool(band.low[0] < -3.3 < -1.7 < band.high[0])
    ([-2.5, 2.5], True)
    """
    from scipy.special import betainc, betaincinv, ndtri

    inner = np.linspace(0, n - 1, PLACES - 2 * ENDS).round().astype(np.int64)
    ends = np.arange(min(ENDS, n))
    ranks = np.unique(np.concatenate([ends, inner, n - 1 - ends]))
    k = ranks + 1.0
    # Sorted uniform values are partial sums of exponential ones, over all of them.
    steps = np.diff(np.concatenate([[0.0], k, [n + 1.0]]))
    rng = np.random.default_rng([n, 13])
    sums = np.cumsum(rng.standard_gamma(np.broadcast_to(steps, (TIMES, len(steps)))), axis=1)
    below = betainc(k, n + 1 - k, sums[:, :-1] / sums[:, -1:])
    tightest = 2 * np.minimum(below, 1 - below).min(axis=1)
    gamma = np.quantile(tightest, 1 - mass)
    at = [ndtri(betaincinv(k, n + 1 - k, q)) for q in (0.5, gamma / 2, 1 - gamma / 2)]
    return Sorted(ranks, *at)


def outside(values: Array, band: Sorted) -> int:
    """At how many of the places sorted values leave the band."""
    own = values[band.ranks]
    return int(((own < band.low) | (own > band.high)).sum())


class Trend(Struct, frozen=True, eq=False):
    """A smooth line through residuals by a predictor, and where it should lie: (point,) each.

    Attributes
    ----------
    x, y : arrays
        The line.
    expected : float
        Where it would lie with many rows.
    half : array
        Half the width of the band around that.
    """

    x: Array
    y: Array
    expected: float
    half: Array

    @property
    def strength(self) -> float:
        """How far the line goes, where 1 is the edge of the band."""
        return float(np.max(np.abs(self.y - self.expected) / self.half))


class Smoother(Struct, frozen=True, eq=False):
    """What makes smooth lines of values by x, and knows how far these go by chance.

    Attributes
    ----------
    x : (point,) array
        Along the line.
    weights : (point, bin) array
        By which it is made of means of the bins.
    bins : (row,) array of int
        The bin of each row.
    counts : (bin,) array
        Rows in each.
    """

    x: Array
    weights: Array
    bins: Ints
    counts: Array

    def trend(
        self, values: Array, expected: float = 0.0, variance: float = 1.0, mass: float = MASS
    ) -> Trend:
        """Smooth values, and give the band for values without a trend, of this variance."""
        means = np.bincount(self.bins, values, len(self.counts)) / self.counts
        return Trend(self.x, self.weights @ means, expected, math.sqrt(variance) * self.reach(mass))

    def reach(self, mass: float) -> Array:
        """Half the width of the band for independent values of variance 1.

        The line is linear in the values, so its covariance is known; the band is as wide as the
        largest distance from 0, in sds, that a normal line of this covariance keeps to with
        probability `mass` (simulated).
        """
        to_values = self.weights / np.sqrt(self.counts)
        spread = np.sqrt((to_values**2).sum(axis=1))
        rng = np.random.default_rng([len(self.bins), 14])
        made = rng.standard_normal((TIMES, len(self.counts))) @ to_values.T
        return np.asarray(spread * np.quantile(np.max(np.abs(made) / spread, axis=1), mass))


def smoother(x: Array) -> Smoother:
    """Make local lines along x, as loess does.

    Rows are put into up to 200 bins by their rank in x, those with the same x into one. At each of
    50 ranks a line is fitted to the means of the bins, weighted by their rows and, with the tricube
    of the distance in rank, as far as 30% of the rows to either side.

    Examples
    --------
    >>> x = np.arange(400.0)
    >>> rng = np.random.default_rng(1)
    >>> found = smoother(x).trend(rng.normal(size=400) + 0.01 * (x - 200))
    >>> found.strength > 5, bool(np.all(np.diff(found.y) > 0))
    (True, True)
    """
    n = len(x)
    _, same, times = np.unique(x, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(times) - times / 2)[same] / n
    bins = np.unique((ranks * BINS).astype(np.int64), return_inverse=True)[1]
    counts = np.bincount(bins).astype(np.float64)
    place, middle = (np.bincount(bins, values) / counts for values in (ranks, x))
    at = np.linspace(place[0], place[-1], POINTS)
    weights = np.stack([_local_line(place, counts, point) for point in at])
    return Smoother(np.interp(at, place, middle), weights, bins, counts)


def _local_line(place: Array, counts: Array, point: float) -> Array:
    """Weights by which means of bins give the local line at a point."""
    away = place - point
    # Wide enough for some bins, whatever ties there are.
    far = max(SPAN, 1.001 * float(np.sort(np.abs(away))[min(3, len(away) - 1)]))
    weights = counts * np.maximum(1 - np.abs(away / far) ** 3, 0.0) ** 3
    total, first, second = (float(weights @ away**power) for power in (0, 1, 2))
    spare = total * second - first**2
    if spare <= 1e-12 * total**2:
        return np.asarray(weights / total)
    return np.asarray(weights * (second - first * away) / spare)


def mean_reach(counts: Array, mass: float = MASS) -> Array:
    """How far from 0 the means of so many standard normal values lie, all at once.

    Independent means, so each holds with the root of the probability (Šidák 1967).

    Examples
    --------
    >>> mean_reach(np.array([1.0, 4.0]), 0.9025).round(2).tolist()
    [1.96, 0.98]
    """
    from scipy.special import ndtri

    reach = float(ndtri((1 + mass ** (1 / len(counts))) / 2))
    return np.asarray(reach / np.sqrt(counts))
