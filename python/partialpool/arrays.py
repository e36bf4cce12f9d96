"""Arrays of numbers: their type, means exact far from zero, quantiles, numbers nearly whole."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

LOG_2PI = math.log(2 * math.pi)
_ROUNDING = 1e-6
"""What is so close to a whole number was one before something was multiplied or divided."""


def mean_of(values: Array, axis: int = 0) -> Array:
    """Mean along an axis, summed as differences from the first value.

    A plain sum of values around 10¹² loses digits that their spread needs.

    Examples
    --------
    >>> mean_of(np.array([[4e12, 1.0], [4e12 + 1, 2.0]]))
    array([4.0e+12, 1.5e+00])
    """
    first = np.take(values, [0], axis)
    first = np.where(np.isfinite(first), first, 0.0)
    return np.asarray(np.squeeze(first, axis) + np.mean(values - first, axis=axis))


def sd_of(values: Array, axis: int = 0, ddof: int = 0) -> Array:
    """Standard deviation along an axis, as exact as `mean_of`."""
    first = np.take(values, [0], axis)
    return np.asarray(np.std(values - first, axis=axis, ddof=ddof))


def quantiles(values: Array, at: Sequence[float]) -> Array:
    """Quantiles along the last axis, the first axis of what is returned: (quantile, …).

    To the last bit those of ``np.quantile``, which takes several times as long for some thousand
    values, and imports all of numpy.ma when it is first called.

    Examples
    --------
    >>> quantiles(np.array([[3.0, 1.0, 2.0], [0.0, 8.0, 4.0]]), [0.5, 0.75])
    array([[2. , 4. ],
           [2.5, 6. ]])
    """
    ordered = np.sort(values, axis=-1)  # NaN comes last
    n = ordered.shape[-1]
    unknown = np.isnan(ordered[..., -1])
    found = []
    for position in (q * (n - 1) for q in at):
        place = int(position)
        share = position - place
        below, above = ordered[..., place], ordered[..., min(place + 1, n - 1)]
        step = above - below
        between = below + step * share if share < 0.5 else above - step * (1 - share)
        found.append(np.where(unknown, np.nan, between))
    return np.stack(found)


def tails(interval: float) -> tuple[float, float]:
    """Quantiles at which an equal-tailed interval of this mass ends.

    Examples
    --------
    >>> tails(0.5)
    (0.25, 0.75)
    """
    tail = (1 - interval) / 2
    return tail, 1 - tail


def nearly_whole(values: Array) -> Array:
    """Return numbers with the rounding errors taken out of those that were to be whole.

    Examples
    --------
    >>> nearly_whole(np.array([0.28 * 25, 6.9])).tolist()
    [7.0, 6.9]
    """
    whole = np.round(values)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(np.abs(values - whole) <= _ROUNDING, whole, values))
