"""The density of a prior with its constant, within the bounds that a parameter has."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from partialpool.arrays import Array

from .prior import Prior


def density_within(prior: Prior, at: Array, bounds: tuple[float, float]) -> Array | None:
    """Density of a prior that is cut off at bounds; None of an improper one.

    Parameters
    ----------
    at : array
        Where it is wanted.
    bounds : pair of float
        Where the parameter can lie; the density is 0 outside and integrates to 1 inside.

    Examples
    --------
    >>> from partialpool.priors import Flat, Normal
    >>> density_within(Normal(0, 1), np.array([-1.0, 0.0]), (0.0, math.inf)).round(3).tolist()
    [0.0, 0.798]
    >>> density_within(Flat(), np.zeros(1), (0.0, math.inf)) is None
    True
    """
    low, high = bounds
    inside = (at >= low) & (at <= high)
    kind, numbers = prior.kernel()
    if kind == "flat":
        finite = math.isfinite(low) and math.isfinite(high)
        return np.where(inside, 1 / (high - low), 0.0) if finite else None
    whole = _as_scipy(kind, numbers)
    mass = whole.cdf(high) - whole.cdf(low)
    return np.where(inside, whole.pdf(at) / mass, 0.0)


def _as_scipy(kind: str, numbers: list[float]) -> Any:
    """Find the distribution of scipy that a kernel is."""
    from scipy import stats

    if kind == "normal":
        return stats.norm(*numbers)
    if kind == "student_t":
        return stats.t(*numbers)
    if kind == "gamma":
        return stats.gamma(numbers[0], scale=1 / numbers[1])
    if kind == "inverse_gamma":
        return stats.invgamma(numbers[0], scale=numbers[1])
    assert kind == "log_normal"
    return stats.lognorm(numbers[1], scale=math.exp(numbers[0]))
