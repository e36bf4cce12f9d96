"""Numbers above 0: gamma, exponential, Weibull."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from partialpool.arrays import Array
from partialpool.priors import LogNormal

from .family import Dispersion, Given, LogLink

# The coefficient of variation is 1/√shape: 95% between 0.09 and 4.3, median 0.6.
_SHAPE_GAMMA = Dispersion(
    "shape", LogNormal(1, 2), 0.0, math.inf, "shape of {y}: with mean m, its variance is m²/shape"
)
# Hazards from steeply falling to steeply rising: median 1.6, 95% between 0.23 and 12. Constant (1)
# is half an sd from the centre.
_SHAPE_WEIBULL = Dispersion(
    "shape", LogNormal(0.5, 1), 0.0, math.inf, "shape of {y} (above 1: the hazard rises)"
)


@dataclass(frozen=True)
class Positive(LogLink):
    """Gamma, exponential and Weibull responses."""

    needs: str = "numbers above 0"

    def possible(self, y: Array, trials: Array | None) -> NDArray[np.bool_]:
        return np.isfinite(y) & (y > 0)

    def start(self, y: Array, trials: Array | None) -> dict[str, float]:
        # Of the logarithm, the variance is about 1/shape (gamma) and π²/(6 shape²) (Weibull).
        sd = max(float(np.std(np.log(y))), 0.01)
        shape = 1 / sd**2 if self.name == "gamma" else math.pi / math.sqrt(6) / sd
        return {one.name: min(max(shape, 0.1), 1000.0) for one in self.dispersion}

    def variance(self, eta: Array, given: Given) -> Array:
        assert self.variance_from_mean  # of the exponential; the size of others is a parameter
        with np.errstate(over="ignore"):
            return np.asarray(self.mean(eta, given) ** 2)

    def simulate(self, rng: np.random.Generator, eta: Array, given: Given) -> Array:
        mu = self.mean(eta, given)
        if self.name == "exponential":
            unit = rng.standard_exponential(mu.shape)
        elif self.name == "gamma":
            unit = rng.standard_gamma(given.aux["shape"], mu.shape) / given.aux["shape"]
        else:
            shape = np.asarray(given.aux["shape"], dtype=float)
            mean = np.exp(np.vectorize(math.lgamma, otypes=[float])(1 + 1 / shape))
            unit = rng.weibull(shape, mu.shape) / mean
        # Draws that round to 0 stay responses that the family can give.
        return np.asarray(np.maximum(mu * unit, np.finfo(float).tiny))


GAMMA = Positive("gamma", dispersion=(_SHAPE_GAMMA,))
EXPONENTIAL = Positive("exponential", variance_from_mean=True)
WEIBULL = Positive("weibull", dispersion=(_SHAPE_WEIBULL,))
