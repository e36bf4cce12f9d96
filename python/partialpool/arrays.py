"""Arrays of numbers: their type, and means that stay exact far from zero."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

LOG_2PI = math.log(2 * math.pi)


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
