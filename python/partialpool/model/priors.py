"""Prior distributions: what a user writes, what the core samples, and how it reads.

Each prior is a frozen dataclass. `kernel()` gives the name and numbers of the density in the core;
`support` is where it has mass. A prior put on a scale (an sd, sigma) is cut off below 0.
"""

from __future__ import annotations

import difflib
import math
import re
from dataclasses import dataclass, fields
from numbers import Real

import numpy as np
from numpy.typing import NDArray

from partialpool.errors import InputError, short, shown

Kernel = tuple[str, list[float]]


@dataclass(frozen=True)
class Prior:
    """Base class of all priors."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            what = f"`{field.name}` of {type(self).__name__} is "
            if isinstance(value, bool) or not isinstance(value, Real):
                raise InputError(what + shown(value), remedy="give a number")
            try:
                number = float(value)
            except OverflowError:
                number = math.inf
            what += f"{number:g}"
            object.__setattr__(self, field.name, number)
            if not math.isfinite(number):
                raise InputError(what, remedy="give a finite number")
            if field.name in _POSITIVE and number <= 0:
                raise InputError(what, remedy="it must be above 0")
            low, high = _POSSIBLE if field.name in _POSITIVE else (0.0, _POSSIBLE[1])
            if field.name == "mu":  # a logarithm
                high = math.log(high)
            if not low <= abs(number) <= high:
                raise InputError(what, remedy="no quantity is that large or small; check the unit")
        width = {"mean": "sd", "loc": "scale"}
        for centre, own in width.items():
            if hasattr(self, centre) and getattr(self, own) < 1e-18 * abs(getattr(self, centre)):
                raise InputError(
                    f"`{own}` of {self} is smaller than what numbers near its centre can differ by",
                    remedy="give a larger one",
                )

    @property
    def support(self) -> tuple[float, float]:
        """Lowest and highest value with mass."""
        return (-math.inf, math.inf)

    def kernel(self) -> Kernel:
        """Name and numbers of the density in the core."""
        raise NotImplementedError

    @property
    def typical(self) -> tuple[float, float]:
        """A central value and a typical deviation, to start chains from."""
        raise NotImplementedError

    def _draw(self, rng: np.random.Generator, size: int) -> NDArray[np.float64]:
        """Draws from the density before any cut."""
        raise InputError(
            f"{self} is improper", remedy="nothing can be drawn from it; use a proper prior"
        )

    def draw(
        self,
        rng: np.random.Generator,
        size: int,
        low: float = -math.inf,
        high: float = math.inf,
    ) -> NDArray[np.float64]:
        """Independent draws from the prior, restricted to its support and [low, high].

        Raises
        ------
        InputError
            If the prior is improper, or has almost no mass within the bounds.

        Examples
        --------
        >>> x = Normal(0, 1).draw(np.random.default_rng(1), 100, low=0)
        >>> bool(x.min() > 0), len(x)
        (True, 100)
        """
        low, high = max(low, self.support[0]), min(high, self.support[1])
        kept = np.empty(0)
        for _ in range(1000):
            with np.errstate(all="ignore"):
                x = self._draw(rng, 2 * size)
            # Those beyond all floating-point numbers come from tails that nothing bounds.
            kept = np.concatenate([kept, x[(x >= low) & (x <= high) & np.isfinite(x)]])
            if len(kept) >= size:
                return kept[:size]
        raise InputError(f"{self} has almost no mass between {low:g} and {high:g}")

    def reaches(self, low: float, high: float) -> bool:
        """Tell whether it has mass within bounds: one draw in a million at least.

        Examples
        --------
        >>> Normal(3, 1).reaches(0, 1), Normal(5, 0.1).reaches(0, 1)
        (True, False)
        """
        rng = np.random.default_rng(0)
        with np.errstate(all="ignore"):
            parts = (self._draw(rng, 20_000) for _ in range(100))
            return any(bool(((x >= low) & (x <= high)).any()) for x in parts)

    def __str__(self) -> str:
        numbers = ", ".join(f"{getattr(self, f.name):.4g}" for f in fields(self))
        return f"{type(self).__name__.removesuffix('AtMean')}({numbers})"


_POSITIVE = {"sd", "scale", "rate", "shape", "df", "eta"}
_POSSIBLE = (1e-150, 1e150)
"""Smallest and largest numbers of a prior; their squares are finite."""


@dataclass(frozen=True)
class Normal(Prior):
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

    def _draw(self, rng: np.random.Generator, size: int) -> NDArray[np.float64]:
        return rng.normal(self.mean, self.sd, size)

    @property
    def typical(self) -> tuple[float, float]:
        return (self.mean, self.sd)


class AtMean:
    """Marks priors of coefficients where the other predictors are at their means."""

    def __str__(self) -> str:
        return f"{super().__str__()} at the mean of the predictors"


@dataclass(frozen=True)
class NormalAtMean(AtMean, Normal):
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


@dataclass(frozen=True)
class StudentT(Prior):
    """Student's t with degrees of freedom, location and scale."""

    df: float
    loc: float = 0.0
    scale: float = 1.0

    def kernel(self) -> Kernel:
        return ("student_t", [self.df, self.loc, self.scale])

    def _draw(self, rng: np.random.Generator, size: int) -> NDArray[np.float64]:
        return self.loc + self.scale * rng.standard_t(self.df, size)

    @property
    def typical(self) -> tuple[float, float]:
        return (self.loc, self.scale)


@dataclass(frozen=True)
class Cauchy(Prior):
    """Cauchy distribution: Student's t with one degree of freedom."""

    loc: float = 0.0
    scale: float = 1.0

    def kernel(self) -> Kernel:
        return ("student_t", [1.0, self.loc, self.scale])

    def _draw(self, rng: np.random.Generator, size: int) -> NDArray[np.float64]:
        return self.loc + self.scale * rng.standard_cauchy(size)

    @property
    def typical(self) -> tuple[float, float]:
        return (self.loc, self.scale)


@dataclass(frozen=True)
class _Half(Prior):
    """A symmetric density around 0, restricted to values above 0."""

    @property
    def support(self) -> tuple[float, float]:
        return (0.0, math.inf)


@dataclass(frozen=True)
class HalfNormal(_Half):
    """Normal(0, sd) restricted to values above 0."""

    sd: float = 1.0

    def kernel(self) -> Kernel:
        return ("normal", [0.0, self.sd])

    def _draw(self, rng: np.random.Generator, size: int) -> NDArray[np.float64]:
        return np.abs(rng.normal(0.0, self.sd, size))

    @property
    def typical(self) -> tuple[float, float]:
        return (0.67 * self.sd, 0.6 * self.sd)


@dataclass(frozen=True)
class HalfStudentT(_Half):
    """StudentT(df, 0, scale) restricted to values above 0."""

    df: float
    scale: float = 1.0

    def kernel(self) -> Kernel:
        return ("student_t", [self.df, 0.0, self.scale])

    def _draw(self, rng: np.random.Generator, size: int) -> NDArray[np.float64]:
        return np.abs(self.scale * rng.standard_t(self.df, size))

    @property
    def typical(self) -> tuple[float, float]:
        return (self.scale, self.scale)


@dataclass(frozen=True)
class HalfCauchy(_Half):
    """Cauchy(0, scale) restricted to values above 0."""

    scale: float = 1.0

    def kernel(self) -> Kernel:
        return ("student_t", [1.0, 0.0, self.scale])

    def _draw(self, rng: np.random.Generator, size: int) -> NDArray[np.float64]:
        return np.abs(self.scale * rng.standard_cauchy(size))

    @property
    def typical(self) -> tuple[float, float]:
        return (self.scale, self.scale)


@dataclass(frozen=True)
class Exponential(_Half):
    """Exponential distribution with a rate (its mean is 1/rate).

    Examples
    --------
    >>> Exponential(2).typical[0]
    0.5
    """

    rate: float = 1.0

    def kernel(self) -> Kernel:
        return ("gamma", [1.0, self.rate])

    def _draw(self, rng: np.random.Generator, size: int) -> NDArray[np.float64]:
        return rng.exponential(1 / self.rate, size)

    @property
    def typical(self) -> tuple[float, float]:
        return (1 / self.rate, 1 / self.rate)


@dataclass(frozen=True)
class ExponentialAtMean(AtMean, Exponential):
    """Exponential prior of the sd of coefficients where the other predictors are at their means.

    The default where the coefficients of a group term correlate.

    Examples
    --------
    >>> print(ExponentialAtMean(0.5))
    Exponential(0.5) at the mean of the predictors
    """


@dataclass(frozen=True)
class Gamma(_Half):
    """Gamma distribution with shape and rate (its mean is shape/rate)."""

    shape: float
    rate: float

    def kernel(self) -> Kernel:
        return ("gamma", [self.shape, self.rate])

    def _draw(self, rng: np.random.Generator, size: int) -> NDArray[np.float64]:
        return rng.gamma(self.shape, 1 / self.rate, size)

    @property
    def typical(self) -> tuple[float, float]:
        return (self.shape / self.rate, math.sqrt(self.shape) / self.rate)


@dataclass(frozen=True)
class InverseGamma(_Half):
    """Inverse gamma distribution with shape and scale (its mode is scale/(shape + 1))."""

    shape: float
    scale: float

    def kernel(self) -> Kernel:
        return ("inverse_gamma", [self.shape, self.scale])

    def _draw(self, rng: np.random.Generator, size: int) -> NDArray[np.float64]:
        return self.scale / rng.gamma(self.shape, 1.0, size)

    @property
    def typical(self) -> tuple[float, float]:
        mode = self.scale / (self.shape + 1)
        return (mode, mode)


@dataclass(frozen=True)
class LogNormal(_Half):
    """Log-normal: the logarithm is Normal(mu, sd)."""

    mu: float = 0.0
    sd: float = 1.0

    def kernel(self) -> Kernel:
        return ("log_normal", [self.mu, self.sd])

    def _draw(self, rng: np.random.Generator, size: int) -> NDArray[np.float64]:
        return rng.lognormal(self.mu, self.sd, size)

    @property
    def typical(self) -> tuple[float, float]:
        return (math.exp(self.mu), math.exp(self.mu) * min(self.sd, 1.0))


@dataclass(frozen=True)
class Uniform(Prior):
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

    def _draw(self, rng: np.random.Generator, size: int) -> NDArray[np.float64]:
        return rng.uniform(self.low, self.high, size)

    @property
    def typical(self) -> tuple[float, float]:
        return ((self.low + self.high) / 2, (self.high - self.low) / 4)


@dataclass(frozen=True)
class Flat(Prior):
    """The improper uniform density over all values that the parameter can take."""

    def kernel(self) -> Kernel:
        return ("flat", [])

    @property
    def typical(self) -> tuple[float, float]:
        return (0.0, math.inf)


@dataclass(frozen=True)
class LKJ(Prior):
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


@dataclass(frozen=True)
class LKJAtMean(AtMean, LKJ):
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

_ALL = f"choose one of {', '.join(f'`{name}`' for name in PRIORS)}"

_CALL = re.compile(
    r"\s*([A-Za-z_]+)\s*(?:\(([^()]*)\))?\s*(at\s+(?:the\s+)?mean(?:\s+of\s+the\s+predictors)?)?\s*"
)


def parse_prior(text: str) -> Prior:
    """Read a prior as the command line takes it, such as ``"uniform(0, 10)"``.

    Raises
    ------
    InputError
        If the name is unknown or the numbers do not fit.

    Examples
    --------
    >>> parse_prior("half_cauchy(5)"), parse_prior("normal(0, 2.5) at the mean")
    (HalfCauchy(scale=5.0), NormalAtMean(mean=0.0, sd=2.5))
    """
    match = _CALL.fullmatch(text)
    if match is None:
        remedy = "write it like `normal(0, 2.5)`"
        raise InputError(f"`{short(text)}` is not a prior", remedy=remedy)
    by_name = {name.lower(): prior for name, prior in PRIORS.items()}
    name = match[1].replace("_", "").lower()
    if match[3] and f"{name}atmean" in by_name:
        name += "atmean"
    elif match[3]:
        raise InputError(
            f"`{match[1]}` cannot be set at the mean of the predictors",
            remedy="normal, exponential and LKJ priors can",
        )
    if name not in by_name:
        close = difflib.get_close_matches(name, by_name, n=1)
        remedy = f"did you mean `{by_name[close[0]].__name__}`?" if close else _ALL
        raise InputError(f"unknown prior `{short(match[1])}`", remedy=remedy)
    try:
        numbers = [float(part) for part in (match[2] or "").split(",") if part.strip()]
        return by_name[name](*numbers)
    except (TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        names = ", ".join(f.name for f in fields(by_name[name]))
        raise InputError(
            f"`{short(text)}` does not fit", remedy=f"{by_name[name].__name__} takes ({names})"
        ) from None
