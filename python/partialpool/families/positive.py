"""Numbers above 0: gamma, exponential, Weibull."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from partialpool.alike import Kinds
from partialpool.arrays import Array
from partialpool.priors import LogNormal

from . import tails
from .family import Aux, Dispersion, Given, LogLink
from .merging import Merged, Responses, gamma, waiting

_LEAST = np.finfo(float).tiny

# The coefficient of variation is 1/√shape: 95% between 0.09 and 4.3, median 0.6.
_SHAPE_GAMMA = Dispersion(
    "shape", LogNormal(1, 2), 0.0, math.inf, "shape of {y}: with mean m, its variance is m²/shape"
)
# Hazards from steeply falling to steeply rising: median 1.6, 95% between 0.23 and 12. Constant (1)
# is half an sd from the centre.
_SHAPE_WEIBULL = Dispersion(
    "shape", LogNormal(0.5, 1), 0.0, math.inf, "shape of {y} (above 1: the hazard rises)"
)


class Positive(LogLink, frozen=True):
    """A mean times noise with mean 1."""

    needs: str = "numbers above 0"

    def possible(self, y: Array, trials: Array | None) -> NDArray[np.bool_]:
        return np.isfinite(y) & (y > 0)

    def noise(self, rng: np.random.Generator, aux: Aux, size: tuple[int, ...]) -> Array:
        """Draw what a mean is multiplied by."""
        raise NotImplementedError

    def latent_words(self, link: str) -> str:
        return "of the logarithm around its mean"

    def simulate(self, rng: np.random.Generator, eta: Array, given: Given) -> Array:
        mu = self.mean(eta, given)
        # Draws that round to 0 stay responses that the family can give.
        return np.asarray(np.maximum(mu * self.noise(rng, given.aux, mu.shape), _LEAST))


class Exponential(Positive, frozen=True):
    """Waiting times whose hazard is constant."""

    variance_from_mean: bool = True

    def shared(self, rows: Responses) -> list[Array]:
        return []

    def merged(self, rows: Responses, kinds: Kinds) -> Merged:
        return waiting(self.density, rows, kinds)

    def variance(self, eta: Array, given: Given) -> Array:
        with np.errstate(over="ignore"):
            return np.asarray(self.mean(eta, given) ** 2)

    def log_tails(self, y: Array, eta: Array, given: Given) -> tails.Tails:
        with np.errstate(over="ignore"):
            above = -np.exp(np.log(y) - eta)
        return tails.Tails(tails.log_rest(above), above)

    def latent_variance(self, eta: Array, given: Given) -> Array | None:
        return np.asarray(math.pi**2 / 6)

    def noise(self, rng: np.random.Generator, aux: Aux, size: tuple[int, ...]) -> Array:
        return rng.standard_exponential(size)


class Gamma(Positive, frozen=True):
    """Numbers with a constant coefficient of variation."""

    dispersion: tuple[Dispersion, ...] = (_SHAPE_GAMMA,)
    scatter: str = "shape"

    def start(self, y: Array, trials: Array | None) -> dict[str, float]:
        return {"shape": _within(1 / _log_sd(y) ** 2)}  # of the logarithm, 1/shape is the variance

    def shared(self, rows: Responses) -> list[Array]:
        return []

    def merged(self, rows: Responses, kinds: Kinds) -> Merged:
        return gamma(self.density, rows, kinds)

    def variance(self, eta: Array, given: Given) -> Array:
        with np.errstate(over="ignore"):
            return np.asarray(self.mean(eta, given) ** 2 / given.aux["shape"])

    def log_tails(self, y: Array, eta: Array, given: Given) -> tails.Tails:
        shape = np.asarray(given.aux["shape"], dtype=float)
        with np.errstate(over="ignore"):
            return tails.gamma(shape, np.exp(np.log(y) + np.log(shape) - eta))

    def latent_variance(self, eta: Array, given: Given) -> Array | None:
        from scipy.special import polygamma

        return np.asarray(polygamma(1, given.aux["shape"]))

    def noise(self, rng: np.random.Generator, aux: Aux, size: tuple[int, ...]) -> Array:
        return np.asarray(rng.standard_gamma(aux["shape"], size) / aux["shape"])


class Weibull(Positive, frozen=True):
    """Waiting times whose hazard rises or falls."""

    dispersion: tuple[Dispersion, ...] = (_SHAPE_WEIBULL,)
    scatter: str = "shape"

    def start(self, y: Array, trials: Array | None) -> dict[str, float]:
        # Of the logarithm, the variance is π²/(6 shape²).
        return {"shape": _within(math.pi / math.sqrt(6) / _log_sd(y))}

    def variance(self, eta: Array, given: Given) -> Array:
        shape = given.aux["shape"]
        ratio = np.expm1(_log_moment(2 / shape) - 2 * _log_moment(1 / shape))
        with np.errstate(over="ignore"):
            return np.asarray(self.mean(eta, given) ** 2 * ratio)

    def log_tails(self, y: Array, eta: Array, given: Given) -> tails.Tails:
        shape = given.aux["shape"]
        with np.errstate(over="ignore"):
            above = -np.exp(shape * (np.log(y) - eta + _log_moment(1 / shape)))
        return tails.Tails(tails.log_rest(above), above)

    def latent_variance(self, eta: Array, given: Given) -> Array | None:
        return np.asarray(math.pi**2 / 6 / np.asarray(given.aux["shape"]) ** 2)

    def noise(self, rng: np.random.Generator, aux: Aux, size: tuple[int, ...]) -> Array:
        shape = np.asarray(aux["shape"], dtype=float)
        return np.asarray(rng.weibull(shape, size) / np.exp(_log_moment(1 / shape)))


def _log_moment(power: Any) -> Array:
    """Log of the mean of a power of standard exponential noise."""
    return np.asarray(np.vectorize(math.lgamma, otypes=[float])(1 + np.asarray(power)))


def _log_sd(y: Array) -> float:
    return max(float(np.std(np.log(y))), 0.01)


def _within(shape: float) -> float:
    return min(max(shape, 0.1), 1000.0)


_FREE = 'family="gamma" or "weibull", whose shape is free.'

GAMMA = Gamma("gamma", notation="Gamma(mean {mean}, shape {shape})")
EXPONENTIAL = Exponential(
    "exponential",
    notation="Exponential(mean {mean})",
    remedies={"overdispersion": f"Use {_FREE}", "spread": f"Try {_FREE}"},
)
WEIBULL = Weibull("weibull", notation="Weibull(mean {mean}, shape {shape})")
