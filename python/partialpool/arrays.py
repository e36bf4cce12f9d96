"""Arrays of numbers: their type, means that stay exact far from zero, numbers nearly whole."""

from __future__ import annotations

import math

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
