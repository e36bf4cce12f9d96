"""Shares strictly between 0 and 1: beta."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from partialpool.arrays import Array
from partialpool.priors import LogNormal

from . import tails
from .family import Averages, Dispersion, Family, Given
from .links import probabilities

# The sd around a mean of ½ is 1/(2 √(1 + phi)): 95% between 0.04 and 0.40, median 0.15; a uniform
# distribution (phi = 2) has 0.29.
_PHI = Dispersion(
    "phi",
    LogNormal(2.3, 1.5),
    0.0,
    math.inf,
    "precision of {y}: with mean m, its variance is m (1 - m)/(1 + phi)",
)


class Beta(Family, frozen=True):
    """Shares, with a mean and a precision."""

    links: tuple[str, ...] = ("logit", "probit", "cloglog")
    needs: str = "numbers above 0 and below 1"
    averages: Averages = "link"

    def possible(self, y: Array, trials: Array | None) -> NDArray[np.bool_]:
        return np.asarray((y > 0) & (y < 1))

    def start(self, y: Array, trials: Array | None) -> dict[str, float]:
        mean, variance = float(np.mean(y)), max(float(np.var(y)), 1e-9)
        return {"phi": min(max(mean * (1 - mean) / variance - 1, 0.1), 1000.0)}

    def mean(self, eta: Array, given: Given) -> Array:
        return probabilities(given.link, np.broadcast_arrays(eta, *given.aux.values())[0])[0]

    def variance(self, eta: Array, given: Given) -> Array:
        p, q = probabilities(given.link, np.broadcast_arrays(eta, *given.aux.values())[0])
        return np.asarray(p * q / (1 + given.aux["phi"]))

    def log_tails(self, y: Array, eta: Array, given: Given) -> tails.Tails:
        # Shapes above 0, where numbers end.
        a, b = (np.maximum(p * given.aux["phi"], 1e-300) for p in probabilities(given.link, eta))
        return tails.beta(a, b, np.log(y), np.log1p(-y))

    def latent_variance(self, eta: Array, given: Given) -> Array | None:
        p, q = probabilities(given.link, eta)
        slope = {
            "logit": lambda: p * q,
            "probit": lambda: np.exp(-(eta**2) / 2) / math.sqrt(2 * math.pi),
            "cloglog": lambda: q * np.exp(eta),
        }[given.link]()
        return np.asarray(self.variance(eta, given) / slope**2)

    def latent_words(self, link: str) -> str:
        return "around the mean of all rows, by the delta method"

    def simulate(self, rng: np.random.Generator, eta: Array, given: Given) -> Array:
        p, q = probabilities(given.link, eta)
        # Shapes above 0, and draws within what the family can give, where numbers end.
        a, b = (np.maximum(share * given.aux["phi"], 1e-300) for share in (p, q))
        return np.asarray(np.clip(rng.beta(a, b), np.finfo(float).tiny, 1 - 2.0**-53))


BETA = Beta(
    "beta",
    notation="Beta({mean} {phi}, (1 − {mean}) {phi})",
    dispersion=(_PHI,),
    scatter="phi",
    words={
        "logit": "exp(b) multiplies the odds of the mean, mean / (1 - mean)",
        "probit": "near a mean of one half, b changes it by 0.4 b",
        "cloglog": "exp(b) multiplies -log(1 - mean)",
    },
)
