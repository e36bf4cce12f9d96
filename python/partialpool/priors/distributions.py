"""The distributions that there are: frozen structs that users write, listed in `PRIORS`.

`kernel()` gives the name and numbers of the density in the core; `support` is where it has mass. A
prior put on a scale (an sd, sigma) is cut off below 0.
"""

from __future__ import annotations

import math

import numpy as np

from partialpool.arrays import Array
from partialpool.errors import InputError

from .prior import Kernel, Prior


class Normal(Prior, frozen=True):
    """Normal distribution with a mean and an sd.

    Examples
    --------
    >>> print(Normal(0, 2.5))
    Normal(0, 2.5)
    """

    mean: float = 0.0
    sd: float = 1.0

    def kernel(self) -> Kernel:
        return ("normal", [self.mean, self.sd])

    def _draw(self, rng: np.random.Generator, size: int) -> Array:
        return rng.normal(self.mean, self.sd, size)

    @property
    def typical(self) -> tuple[float, float]:
        return (self.mean, self.sd)


class AtMean:
    """Marks priors of coefficients where the other predictors are at their means."""

    def __str__(self) -> str:
        return f"{super().__str__()} at the mean of the predictors"


class NormalAtMean(AtMean, Normal, frozen=True):
    """Normal prior of a coefficient where the other predictors are at their means.

    It is the default for the intercept, for terms of several columns, and for terms that occur in
    interactions or below powers. Being about what a term contributes once the terms marginal to it
    are taken out, it gives the same answer when a predictor is shifted or a factor coded otherwise.
    Columns of one term have a joint prior: each this one, with the correlations of equal priors on
    all that the term can contribute.

    Examples
    --------
    >>> print(NormalAtMean(1.2, 2.5))
    Normal(1.2, 2.5) at the mean of the predictors
    """


class StudentT(Prior, frozen=True):
    """Student's t with degrees of freedom, location and scale."""

    df: float
    loc: float = 0.0
    scale: float = 1.0

    def kernel(self) -> Kernel:
        return ("student_t", [self.df, self.loc, self.scale])

    def _draw(self, rng: np.random.Generator, size: int) -> Array:
        return self.loc + self.scale * rng.standard_t(self.df, size)

    @property
    def typical(self) -> tuple[float, float]:
        return (self.loc, self.scale)


class Cauchy(Prior, frozen=True):
    """Cauchy distribution: Student's t with one degree of freedom."""

    loc: float = 0.0
    scale: float = 1.0

    def kernel(self) -> Kernel:
        return ("student_t", [1.0, self.loc, self.scale])

    def _draw(self, rng: np.random.Generator, size: int) -> Array:
        return self.loc + self.scale * rng.standard_cauchy(size)

    @property
    def typical(self) -> tuple[float, float]:
        return (self.loc, self.scale)


class _Half(Prior, frozen=True):
    """A symmetric density around 0, restricted to values above 0."""

    @property
    def support(self) -> tuple[float, float]:
        return (0.0, math.inf)


class HalfNormal(_Half, frozen=True):
    """Normal(0, sd) restricted to values above 0."""

    sd: float = 1.0

    def kernel(self) -> Kernel:
        return ("normal", [0.0, self.sd])

    def _draw(self, rng: np.random.Generator, size: int) -> Array:
        return np.abs(rng.normal(0.0, self.sd, size))

    @property
    def typical(self) -> tuple[float, float]:
        return (0.67 * self.sd, 0.6 * self.sd)


class HalfStudentT(_Half, frozen=True):
    """StudentT(df, 0, scale) restricted to values above 0."""

    df: float
    scale: float = 1.0

    def kernel(self) -> Kernel:
        return ("student_t", [self.df, 0.0, self.scale])

    def _draw(self, rng: np.random.Generator, size: int) -> Array:
        return np.abs(self.scale * rng.standard_t(self.df, size))

    @property
    def typical(self) -> tuple[float, float]:
        return (self.scale, self.scale)


class HalfCauchy(_Half, frozen=True):
    """Cauchy(0, scale) restricted to values above 0."""

    scale: float = 1.0

    def kernel(self) -> Kernel:
        return ("student_t", [1.0, 0.0, self.scale])

    def _draw(self, rng: np.random.Generator, size: int) -> Array:
        return np.abs(self.scale * rng.standard_cauchy(size))

    @property
    def typical(self) -> tuple[float, float]:
        return (self.scale, self.scale)


class Exponential(_Half, frozen=True):
    """Exponential distribution with a rate (its mean is 1/rate).

    Examples
    --------
    >>> Exponential(2).typical[0]
    0.5
    """

    rate: float = 1.0

    def kernel(self) -> Kernel:
        return ("gamma", [1.0, self.rate])

    def _draw(self, rng: np.random.Generator, size: int) -> Array:
        return rng.exponential(1 / self.rate, size)

    @property
    def typical(self) -> tuple[float, float]:
        return (1 / self.rate, 1 / self.rate)


class ExponentialAtMean(AtMean, Exponential, frozen=True):
    """Exponential prior of the sd of coefficients where the other predictors are at their means.

    The default where the coefficients of a group term correlate.

    Examples
    --------
    >>> print(ExponentialAtMean(0.5))
    Exponential(0.5) at the mean of the predictors
    """


class Gamma(_Half, frozen=True):
    """Gamma distribution with shape and rate (its mean is shape/rate)."""

    shape: float
    rate: float

    def kernel(self) -> Kernel:
        return ("gamma", [self.shape, self.rate])

    def _draw(self, rng: np.random.Generator, size: int) -> Array:
        return rng.gamma(self.shape, 1 / self.rate, size)

    @property
    def typical(self) -> tuple[float, float]:
        return (self.shape / self.rate, math.sqrt(self.shape) / self.rate)


class InverseGamma(_Half, frozen=True):
    """Inverse gamma distribution with shape and scale (its mode is scale/(shape + 1))."""

    shape: float
    scale: float

    def kernel(self) -> Kernel:
        return ("inverse_gamma", [self.shape, self.scale])

    def _draw(self, rng: np.random.Generator, size: int) -> Array:
        return self.scale / rng.gamma(self.shape, 1.0, size)

    @property
    def typical(self) -> tuple[float, float]:
        mode = self.scale / (self.shape + 1)
        return (mode, mode)


class LogNormal(_Half, frozen=True):
    """Log-normal: the logarithm is Normal(mu, sd)."""

    mu: float = 0.0
    sd: float = 1.0

    def kernel(self) -> Kernel:
        return ("log_normal", [self.mu, self.sd])

    def _draw(self, rng: np.random.Generator, size: int) -> Array:
        return rng.lognormal(self.mu, self.sd, size)

    @property
    def typical(self) -> tuple[float, float]:
        return (math.exp(self.mu), math.exp(self.mu) * min(self.sd, 1.0))


class Uniform(Prior, frozen=True):
    """Uniform distribution between two bounds, which are kept exactly."""

    low: float
    high: float

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.low >= self.high:
            raise InputError(
                f"Uniform({self.low:g}, {self.high:g}) has no room",
                remedy="give the lower bound first",
            )

    @property
    def support(self) -> tuple[float, float]:
        return (self.low, self.high)

    def kernel(self) -> Kernel:
        return ("flat", [])

    def _draw(self, rng: np.random.Generator, size: int) -> Array:
        return rng.uniform(self.low, self.high, size)

    @property
    def typical(self) -> tuple[float, float]:
        return ((self.low + self.high) / 2, (self.high - self.low) / 4)


class Flat(Prior, frozen=True):
    """The improper uniform density over all values that the parameter can take."""

    def kernel(self) -> Kernel:
        return ("flat", [])

    @property
    def typical(self) -> tuple[float, float]:
        return (0.0, math.inf)


class LKJ(Prior, frozen=True):
    """Prior of a correlation matrix: density proportional to det(cor)^(eta − 1).

    `eta` = 1 is uniform over correlation matrices; larger values favour weak correlations
    (Lewandowski, Kurowicka & Joe 2009).
    """

    eta: float = 2.0

    def kernel(self) -> Kernel:
        return ("lkj", [self.eta])

    @property
    def typical(self) -> tuple[float, float]:
        return (0.0, 0.5)


class LKJAtMean(AtMean, LKJ, frozen=True):
    """LKJ prior of correlations of coefficients where the other predictors are at their means.

    Examples
    --------
    >>> print(LKJAtMean(2))
    LKJ(2) at the mean of the predictors
    """


PRIORS: dict[str, type[Prior]] = {
    prior.__name__: prior
    for prior in (
        Normal,
        NormalAtMean,
        StudentT,
        Cauchy,
        HalfNormal,
        HalfStudentT,
        HalfCauchy,
        Exponential,
        ExponentialAtMean,
        Gamma,
        InverseGamma,
        LogNormal,
        Uniform,
        Flat,
        LKJ,
        LKJAtMean,
    )
}
