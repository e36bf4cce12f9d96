"""Both tails of distributions as logarithms, so that neither ends where numbers do.

Functions return ``log P(Y ≤ y)`` and ``log P(Y > y)``. SciPy gives the probabilities; where these
would be rounded to 0, the first terms of the series or continued fraction of that tail stand in
(DLMF 8.7.1, 8.9.2 and 8.17.8), good to a few per cent of a probability below 1e-290.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from partialpool.arrays import Array

LEAST = 1e-290
"""Smaller probabilities come from a series."""


class Tails(NamedTuple):
    """Logarithms of the probabilities of a response up to a number, and of one beyond it."""

    below: Array
    above: Array

    @property
    def swapped(self) -> Tails:
        """Those of the negative number."""
        return Tails(self.above, self.below)

    def where(self, mask: Any, otherwise: Tails) -> Tails:
        """Keep them where the mask holds, and take others elsewhere."""
        pairs = zip(self, otherwise, strict=True)
        return Tails(*(np.asarray(np.where(mask, own, other)) for own, other in pairs))


CERTAIN = Tails(np.asarray(0.0), np.asarray(-np.inf))
"""Of a number that no response lies beyond."""


def log_rest(log_p: Any) -> Array:
    """Return log(1 − p) for the logarithm of a probability p.

    Examples
    --------
    >>> log_rest(np.array([-1e-20, -800.0])).round(3)
    array([-46.052,  -0.   ])
    """
    log_p = np.minimum(log_p, 0.0)
    with np.errstate(divide="ignore"):
        near_one = np.log(-np.expm1(log_p))
        return np.asarray(np.where(log_p > -0.7, near_one, np.log1p(-np.exp(log_p))))


def normal(z: Array) -> Tails:
    """Give those of a standard normal distribution."""
    from scipy.special import log_ndtr

    return Tails(log_ndtr(z), log_ndtr(-z))


def link(name: str, eta: Array) -> Tails:
    """Give log p and log(1 − p) of the probability p that a link gives."""
    from scipy.special import log_expit

    if name == "probit":
        return normal(eta)
    if name == "logit":
        return Tails(log_expit(eta), log_expit(-eta))
    with np.errstate(over="ignore", under="ignore"):
        above = -np.exp(eta)
        # log(1 − exp(−μ)) is η − μ/2 + O(μ²).
        return Tails(np.where(eta < -18, eta + above / 2, log_rest(above)), above)


def student_t(z: Array, nu: Any) -> Tails:
    """Give those of Student's t distribution with `nu` degrees of freedom."""
    with np.errstate(divide="ignore", over="ignore"):
        ratio = z**2 / nu
        far = beta(nu / 2, 0.5, -np.log1p(ratio), -np.log1p(1 / ratio)).below - np.log(2)
    return Tails(far, log_rest(far)).where(z < 0, Tails(log_rest(far), far))


def gamma(shape: Any, x: Array) -> Tails:
    """Give those of a gamma distribution with rate 1."""
    from scipy.special import gammainc, gammaincc, gammaln

    below, above = gammainc(shape, x), gammaincc(shape, x)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        density = shape * np.log(x) - x
        low = density - gammaln(shape + 1) - np.log1p(-x / (shape + 1))
        high = density - gammaln(shape) - np.log(x + 1 - shape)
        return Tails(_log(below, low), _log(above, high))


def beta(a: Any, b: Any, log_x: Array, log_y: Array) -> Tails:
    """Give those of a beta distribution at x, from log x and log(1 − x)."""
    from scipy.special import betainc, betaincc, betaln

    x, y = np.exp(log_x), np.exp(log_y)
    small = x < y
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        below = np.where(small, betainc(a, b, x), betaincc(b, a, y))
        above = np.where(small, betaincc(a, b, x), betainc(b, a, y))
        density = a * log_x + b * log_y - betaln(a, b)
        low = density - np.log(a) - np.log1p(-x * (a + b) / (a + 1))
        high = density - np.log(b) - np.log1p(-y * (a + b) / (b + 1))
        return Tails(_log(below, low), _log(above, high))


def _log(p: Array, series: Array) -> Array:
    """Return the logarithm of a probability, by its series where it is rounded away."""
    return np.asarray(np.where(p > LEAST, np.log(np.maximum(p, LEAST)), series))


def poisson(y: Array, mu: Array) -> Tails:
    """Give those of Poisson counts."""
    found = gamma(np.maximum(y, 0.0) + 1, mu).swapped
    return found.where(y >= 0, CERTAIN.swapped)


def negbinomial(y: Array, mu: Array, shape: Any) -> Tails:
    """Give those of negative binomial counts with mean mu and variance mu + mu²/shape."""
    with np.errstate(divide="ignore", over="ignore"):
        log_x, log_y = -np.log1p(mu / shape), -np.log1p(shape / mu)
    return beta(shape, np.maximum(y, 0.0) + 1, log_x, log_y).where(y >= 0, CERTAIN.swapped)


def binomial(y: Array, trials: Array, p: Tails) -> Tails:
    """Give those of successes among trials; `p` are the logarithms of p and 1 − p."""
    inside = (y >= 0) & (y < trials)
    left, right = np.where(inside, trials - y, 1.0), np.where(inside, y + 1, 1.0)
    found = beta(left, right, p.above, p.below)
    return found.where(inside, CERTAIN.where(y >= 0, CERTAIN.swapped))
