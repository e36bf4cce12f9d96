"""Residuals around the linear predictor: gaussian, Student's t, log-normal."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from partialpool.alike import Kinds
from partialpool.arrays import Array, sd_of
from partialpool.priors import Gamma

from . import tails
from .family import Averages, Dispersion, Family, Given
from .merging import Merged, Responses, moments

_SIGMA = Dispersion("sigma", None, 0.0, math.inf, "residual sd of {y}")
_SIGMA_LOG = Dispersion("sigma", None, 0.0, math.inf, "residual sd of log({y})")
# The sd is larger, sigma √(nu/(nu − 2)).
_SIGMA_T = Dispersion("sigma", None, 0.0, math.inf, "residual scale of {y}")
# Juárez & Steel (2010): from heavy tails to nearly normal, a tenth of the mass below 5 and a tenth
# above 39. Above 1 the mean exists.
_NU = Dispersion("nu", Gamma(2, 0.1), 1.0, math.inf, "degrees of freedom of {y} (few: heavy tails)")


class Continuous(Family, frozen=True):
    """Residuals around the linear predictor: gaussian, Student's t; log-normal for logarithms."""

    links: tuple[str, ...] = ("identity",)
    dispersion: tuple[Dispersion, ...] = (_SIGMA,)
    scatter: str = "sigma"
    averages: Averages = "linear"
    logarithm: bool = False

    def scale(self, link: str) -> str:
        return "log" if self.logarithm else super().scale(link)

    def linear(self, y: Array) -> Array:
        return np.log(y) if self.logarithm else y

    def possible(self, y: Array, trials: Array | None) -> NDArray[np.bool_]:
        return np.asarray(np.isfinite(y) & ((y > 0) | (not self.logarithm)))

    def centre(
        self,
        y: Array,
        trials: Array | None,
        offset: Array | float = 0.0,
        counts: Array | None = None,
    ) -> float:
        rest = self.linear(y) - offset
        # The mean of huge, close numbers is itself rounded.
        return float(rest[0] + np.average(rest - rest[0], weights=counts))

    def start(self, y: Array, trials: Array | None) -> dict[str, float]:
        sd = float(sd_of(self.linear(y)))
        start = {"sigma": sd if sd > 0 else 1.0, "nu": 10.0}
        return {one.name: start[one.name] for one in self.dispersion}

    def shared(self, rows: Responses) -> list[Array] | None:
        # Tails that are no normal distribution's have no moments that would do.
        return None if len(self.dispersion) > 1 else rows.given("offset")

    def merged(self, rows: Responses, kinds: Kinds) -> Merged:
        return moments(self.density, rows, kinds, logarithm=self.logarithm)

    def mean(self, eta: Array, given: Given) -> Array:
        if not self.logarithm:
            return np.broadcast_arrays(eta, *given.aux.values())[0].astype(float)
        with np.errstate(over="ignore"):
            mean = np.exp(eta + _sigma(given) ** 2 / 2)
        return np.asarray(mean, dtype=float)

    def variance(self, eta: Array, given: Given) -> Array:
        own, shape = self._scatter(given), np.shape(eta)
        if self.logarithm:
            with np.errstate(over="ignore"):
                own = np.expm1(own) * np.exp(2 * eta + own)
        return np.asarray(np.broadcast_to(own, np.broadcast_shapes(shape, own.shape)))

    def _scatter(self, given: Given) -> Array:
        """Variance around the linear predictor; infinite where tails are too heavy for one."""
        square = _sigma(given) ** 2
        if "nu" not in given.aux:
            return square
        nu = np.asarray(given.aux["nu"], dtype=float)
        with np.errstate(divide="ignore"):
            return np.asarray(np.where(nu > 2, square * nu / np.maximum(nu - 2, 0.0), np.inf))

    def log_tails(self, y: Array, eta: Array, given: Given) -> tails.Tails:
        z = (self.linear(y) - eta) / _sigma(given)
        return tails.student_t(z, given.aux["nu"]) if "nu" in given.aux else tails.normal(z)

    def latent_variance(self, eta: Array, given: Given) -> Array | None:
        return self._scatter(given)

    def latent_words(self, link: str) -> str:
        return "of the logarithm around its mean" if self.logarithm else "around the mean"

    def simulate(self, rng: np.random.Generator, eta: Array, given: Given) -> Array:
        sigma = _sigma(given)
        nu = given.aux.get("nu")
        shape = np.broadcast_shapes(np.shape(eta), sigma.shape, () if nu is None else np.shape(nu))
        noise = rng.standard_normal(shape) if nu is None else rng.standard_t(nu, shape)
        y = np.asarray(eta + sigma * noise, dtype=float)
        with np.errstate(over="ignore"):
            return np.exp(y) if self.logarithm else y


def _sigma(given: Given) -> Array:
    own = given.log_sigma
    return np.asarray(given.aux["sigma"] if own is None else np.exp(own), dtype=float)


GAUSSIAN = Continuous(
    "gaussian",
    notation="Normal({mean}, {sigma})",
    roles=("se",),
    conjugate=True,
    remedies={
        "spread": 'Try family="student_t", whose tails are heavier, or a formula of `sigma`.'
    },
)
STUDENT_T = Continuous(
    "student_t", notation="StudentT({nu}, {mean}, {sigma})", dispersion=(_SIGMA_T, _NU)
)
LOGNORMAL = Continuous(
    "lognormal",
    notation="LogNormal({mean}, {sigma})",
    dispersion=(_SIGMA_LOG,),
    needs="numbers above 0",
    logarithm=True,
    averages="loglinear",
    mean_takes_sigma=True,
    words={"log": "exp(b) multiplies the median"},
)
