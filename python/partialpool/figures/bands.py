"""Where sorted residuals, and smooth trends through them, lie if the model holds.

Bands are simultaneous: of data sets from the model, in so many the whole line lies inside. They
take residuals as independent and standard normal; those of rows left out one by one nearly are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

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


@dataclass(frozen=True, eq=False)
class Sorted:
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
    >>> band.expected[[0, -1]].round(1).tolist(), bool(band.low[0] < -3.3 < band.high[0] < -1.7)
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


@dataclass(frozen=True, eq=False)
class Trend:
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


def trend(
    x: Array, values: Array, expected: float = 0.0, variance: float = 1.0, mass: float = MASS
) -> Trend:
    """Smooth values along x by local lines, as loess does, and give the band for no trend.

    Rows are put into up to 200 bins by their rank in x. At each of 50 ranks a line is fitted to the
    means of the bins, weighted by their rows and, with the tricube of the distance in rank, as far
    as 30% of the rows to either side. The line is linear in the values; for independent values of
    this variance its covariance is therefore known, and the band is as wide as the largest distance
    from 0, in sds, that a normal line of this covariance keeps to with probability `mass`
    (simulated).

    Examples
    --------
    >>> x = np.arange(400.0)
    >>> rng = np.random.default_rng(1)
    >>> found = trend(x, rng.normal(size=400) + 0.01 * (x - 200))
    >>> found.strength > 5, bool(np.all(np.diff(found.y) > 0))
    (True, True)
    """
    order = np.argsort(x, kind="stable")
    x, values, n = x[order], values[order], len(x)
    # Rows with the same x are in one bin: the rank of the middle of them.
    _, first, same = np.unique(x, return_index=True, return_inverse=True)
    ends = np.append(first[1:], n)
    rank = ((first + ends) / 2)[same] / n
    bins = np.minimum((rank * BINS).astype(np.int64), BINS - 1)
    counts = np.bincount(bins, minlength=BINS)
    full = counts > 0
    rows_in = counts[full].astype(np.float64)
    place, mean, middle = (np.bincount(bins, v, BINS)[full] / rows_in for v in (rank, values, x))
    low, high = place[0], place[-1]
    at = np.linspace(low, high, POINTS)
    rows = np.stack([_local_line(place, rows_in, point) for point in at])
    sd = np.sqrt(variance / rows_in)
    spread = np.sqrt((rows**2) @ (sd**2))
    rng = np.random.default_rng([n, 14])
    made = rng.standard_normal((TIMES, len(sd))) @ (rows * sd).T
    reach = np.quantile(np.max(np.abs(made) / spread, axis=1), mass)
    return Trend(np.interp(at, place, middle), rows @ mean, expected, reach * spread)


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
