"""Response families: what may be observed, dispersion parameters, means, simulated responses.

One record a family, in `FAMILIES`. The log densities themselves are in the core (`src/family/`).
Arrays of any shape go in and are broadcast: linear predictors of draws × rows, say, with dispersion
parameters of draws × 1.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from partialpool import _core
from partialpool.arrays import Array, sd_of
from partialpool.design.response import nearly_whole
from partialpool.errors import InputError
from partialpool.model.family_names import check_link, read_family
from partialpool.model.priors import Gamma, InverseGamma, LogNormal, Prior, Uniform

FamilyName = Literal[
    "gaussian",
    "student_t",
    "lognormal",
    "bernoulli",
    "binomial",
    "poisson",
    "negbinomial",
    "gamma",
    "exponential",
    "weibull",
    "beta",
    "cumulative",
    "zero_inflated_poisson",
    "zero_inflated_negbinomial",
    "hurdle_poisson",
    "hurdle_negbinomial",
]
LinkName = Literal["identity", "log", "logit", "probit", "cloglog"]
Aux = Mapping[str, Any]
"""Dispersion parameters by name: numbers or arrays; for ordered categories `threshold`."""

_LARGEST_COUNT = 8e15
"""Beyond 2⁵³ numbers are no longer counts; draws end here."""


@dataclass(frozen=True)
class Dispersion:
    """A parameter of the family beside the linear predictor.

    Parameters
    ----------
    default : Prior or None
        Its default prior; None means Exponential(1/s_y), with the sd of the response.
    describes : str
        What it is, in words for tables, where ``{y}`` stands for the response.
    """

    name: str
    default: Prior | None
    low: float
    high: float
    describes: str


_SIGMA = Dispersion("sigma", None, 0.0, math.inf, "residual sd of {y}")
_SIGMA_LOG = Dispersion("sigma", None, 0.0, math.inf, "residual sd of log({y})")
# The sd is larger, sigma √(nu/(nu − 2)).
_SIGMA_T = Dispersion("sigma", None, 0.0, math.inf, "residual scale of {y}")
# Juárez & Steel (2010): from heavy tails to nearly normal, a tenth of the mass below 5 and a tenth
# above 39. Above 1 the mean exists.
_NU = Dispersion("nu", Gamma(2, 0.1), 1.0, math.inf, "degrees of freedom of {y} (few: heavy tails)")
# The variance is mu + mu²/shape. A tenth of the mass lies below 0.27, half above 2, a tenth above
# 128: a long tail towards Poisson, and little near 0, where the variance has no bound. It is the
# default of brms.
_SHAPE_COUNTS = Dispersion(
    "shape",
    InverseGamma(0.4, 0.3),
    0.0,
    math.inf,
    "shape of {y}: counts with mean m have variance m + m²/shape",
)
# The coefficient of variation is 1/√shape: 95% between 0.09 and 4.3, median 0.6.
_SHAPE_GAMMA = Dispersion(
    "shape", LogNormal(1, 2), 0.0, math.inf, "shape of {y}: with mean m, its variance is m²/shape"
)
# Hazards from steeply falling to steeply rising: median 1.6, 95% between 0.23 and 12. Constant (1)
# is half an sd from the centre.
_SHAPE_WEIBULL = Dispersion(
    "shape", LogNormal(0.5, 1), 0.0, math.inf, "shape of {y} (above 1: the hazard rises)"
)
# The sd around a mean of ½ is 1/(2 √(1 + phi)): 95% between 0.04 and 0.40, median 0.15; a uniform
# distribution (phi = 2) has 0.29.
_PHI = Dispersion(
    "phi",
    LogNormal(2.3, 1.5),
    0.0,
    math.inf,
    "precision of {y}: with mean m, its variance is m (1 - m)/(1 + phi)",
)
_ZI = Dispersion("zi", Uniform(0, 1), 0.0, 1.0, "probability of an extra zero in {y}")
_HU = Dispersion("hu", Uniform(0, 1), 0.0, 1.0, "probability of a zero in {y}")


class Given(NamedTuple):
    """What a response depends on beside its linear predictor.

    Attributes
    ----------
    aux : mapping
        Dispersion parameters by name.
    trials : array or None
        Of the binomial family.
    log_sigma : array or None
        Replaces `sigma` where rows have their own residual sds.
    """

    link: str
    aux: Aux
    trials: Array | None = None
    log_sigma: Array | None = None


@dataclass(frozen=True)
class Family:
    """A response family: `FAMILIES` holds them all.

    Examples
    --------
    >>> family, link = family_of("poisson")
    >>> link, [d.name for d in FAMILIES["negbinomial"].dispersion]
    ('log', ['shape'])
    >>> family.simulate(np.random.default_rng(1), np.zeros(4), Given(link, {}))
    array([2., 1., 1., 1.])
    """

    name: str
    links: tuple[str, ...]
    """The first is the default."""
    response: Literal["number", "binary", "ordered"] = "number"
    dispersion: tuple[Dispersion, ...] = ()
    needs: str = "numbers"
    """What a response must be, in words."""
    variance_from_mean: bool = False
    """Whether the mean leaves no freedom to the variance, so that responses may scatter more."""

    @property
    def unit_scale(self) -> bool:
        """Whether default priors take 1 for the sd of the response: for links but the identity."""
        return self.links != ("identity",)

    @property
    def weights_count_rows(self) -> bool:
        """Whether a weight says how many rows a row counts as; else it is a precision."""
        return self.unit_scale

    def linear(self, y: Array) -> Array:
        """Return the response on the scale on which an identity link models it."""
        return y

    def possible(self, y: Array, trials: Array | None) -> NDArray[np.bool_]:
        """Tell which responses the family can give."""
        return np.isfinite(y)

    def settled(self, y: Array) -> Array:
        """Return responses as they are meant: counts without the rounding errors of products."""
        return y

    def check(
        self,
        label: str,
        y: Array,
        trials: Array | None,
        rows: NDArray[np.int64],
        trials_name: str | None = None,
    ) -> None:
        """Refuse responses that the family cannot give; `rows` are their positions in the table.

        `trials_name` is what a formula calls the trials.

        Raises
        ------
        InputError
            If there are any: it tells the first, how many, and which rows (the first row is 1).
        """
        if trials is not None and self.name != "binomial":
            raise InputError(
                f"`trials` is given, but `{self.name}` has none", remedy='use family="binomial"'
            )
        outside = ~self.possible(y, trials)
        count = int(outside.sum())
        if count:
            first = int(np.argmax(outside))
            value = f"{y[first]:.15g}" + (
                "" if trials is None else f", of {trials[first]:.15g} trials,"
            )
            shown = [str(int(row) + 1) for row in rows[outside][:5]]
            more = ", …" if count > len(shown) else ""
            raise InputError(
                f"`{self.name}` needs {self.needs}, but `{label}` is {value} in row {shown[0]}",
                where=f"{count} rows do not fit: {', '.join(shown)}{more}" if count > 1 else None,
                remedy=f"correct or drop {'them' if count > 1 else 'it'}, or choose another family",
            )

    def centre(
        self,
        y: Array,
        trials: Array | None,
        offset: Array | float = 0.0,
        counts: Array | None = None,
    ) -> float:
        """Centre of the intercept's default prior, on the scale of the linear predictor.

        `counts`: how many rows each row counts as.
        """
        return 0.0

    def start(self, y: Array, trials: Array | None) -> dict[str, float]:
        """Rough values of the dispersion parameters, from moments of the response."""
        return {}

    def mean(self, eta: Array, given: Given) -> Array:
        """Return the expected response."""
        raise NotImplementedError

    def variance(self, eta: Array, given: Given) -> Array:
        """Return variances of responses, where they follow from the means."""
        raise NotImplementedError

    def simulate(self, rng: np.random.Generator, eta: Array, given: Given) -> Array:
        """Draw responses."""
        raise NotImplementedError


@dataclass(frozen=True)
class _Continuous(Family):
    """Residuals around the linear predictor: gaussian, Student's t; log-normal for logarithms."""

    links: tuple[str, ...] = ("identity",)
    dispersion: tuple[Dispersion, ...] = (_SIGMA,)
    logarithm: bool = False

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

    def mean(self, eta: Array, given: Given) -> Array:
        if not self.logarithm:
            return np.broadcast_arrays(eta, *given.aux.values())[0].astype(float)
        with np.errstate(over="ignore"):
            mean = np.exp(eta + _sigma(given) ** 2 / 2)
        return np.asarray(mean, dtype=float)

    def simulate(self, rng: np.random.Generator, eta: Array, given: Given) -> Array:
        sigma = _sigma(given)
        nu = given.aux.get("nu")
        shape = np.broadcast_shapes(np.shape(eta), sigma.shape, () if nu is None else np.shape(nu))
        noise = rng.standard_normal(shape) if nu is None else rng.standard_t(nu, shape)
        y = np.asarray(eta + sigma * noise, dtype=float)
        with np.errstate(over="ignore"):
            return np.exp(y) if self.logarithm else y


@dataclass(frozen=True)
class _Binary(Family):
    """One trial a row, or a number of successes among `trials`."""

    links: tuple[str, ...] = ("logit", "probit", "cloglog")
    response: Literal["number", "binary", "ordered"] = "binary"

    def possible(self, y: Array, trials: Array | None) -> NDArray[np.bool_]:
        if self.name == "bernoulli":
            return np.asarray((y == 0) | (y == 1))
        assert trials is not None
        return _whole(y) & _whole(trials) & (y <= trials)

    def settled(self, y: Array) -> Array:
        return nearly_whole(y)

    def check(
        self,
        label: str,
        y: Array,
        trials: Array | None,
        rows: NDArray[np.int64],
        trials_name: str | None = None,
    ) -> None:
        if self.name == "binomial" and trials is None:
            raise InputError(
                "`binomial` needs the number of trials of each row", remedy="give it as `trials=`"
            )
        if trials is not None and bool(np.all((y >= 0) & (y <= 1)) and np.any(y % 1)):
            _refuse_shares(label, y, trials, rows, trials_name)
        super().check(label, y, trials, rows, trials_name)

    def mean(self, eta: Array, given: Given) -> Array:
        return _probabilities(given.link, eta)[0] * (1.0 if given.trials is None else given.trials)

    def variance(self, eta: Array, given: Given) -> Array:
        p, q = _probabilities(given.link, eta)
        return p * q * (1.0 if given.trials is None else given.trials)

    def simulate(self, rng: np.random.Generator, eta: Array, given: Given) -> Array:
        p = _probabilities(given.link, eta)[0]
        if given.trials is None:
            return (rng.random(p.shape) < p).astype(float)
        return rng.binomial(given.trials.astype(np.int64), p).astype(float)


@dataclass(frozen=True)
class _LogLink(Family):
    """Responses with a log link to their mean."""

    links: tuple[str, ...] = ("log",)

    def centre(
        self,
        y: Array,
        trials: Array | None,
        offset: Array | float = 0.0,
        counts: Array | None = None,
    ) -> float:
        # log(Σ y / Σ exp(offset)): the rate over all exposure, not the mean of the rows' rates.
        times = np.ones(len(y)) if counts is None else counts
        exposure = np.broadcast_to(np.asarray(offset, dtype=float), y.shape)
        most = float(np.max(exposure))
        total = float(np.sum(times * np.exp(exposure - most)))
        return math.log(self.total(times * y) / total) - most

    def total(self, y: Array) -> float:
        """Sum of the responses."""
        return float(np.sum(y))

    def mean(self, eta: Array, given: Given) -> Array:
        with np.errstate(over="ignore"):
            mean = np.exp(np.broadcast_arrays(eta, *given.aux.values())[0])
        return np.asarray(mean, dtype=float)


@dataclass(frozen=True)
class _Count(_LogLink):
    """Poisson or, with a `shape`, negative binomial counts; with `zi` or `hu` for their zeros."""

    needs: str = "whole numbers from 0"
    variance_from_mean: bool = True

    def settled(self, y: Array) -> Array:
        return nearly_whole(y)

    def total(self, y: Array) -> float:
        return max(float(np.sum(y)), 0.5)  # half an event where there is none

    def possible(self, y: Array, trials: Array | None) -> NDArray[np.bool_]:
        return _whole(y)

    def start(self, y: Array, trials: Array | None) -> dict[str, float]:
        zeros = float(np.mean(y == 0))
        mean, variance = float(np.mean(y)), float(np.var(y))
        start = {
            # The variance is mu + mu²/shape.
            "shape": float(np.clip(mean**2 / max(variance - mean, 1e-9), 0.1, 100.0)),
            "zi": float(np.clip(zeros - math.exp(-mean), 0.05, 0.9)),
            "hu": float(np.clip(zeros, 0.02, 0.98)),
        }
        return {one.name: start[one.name] for one in self.dispersion}

    def mean(self, eta: Array, given: Given) -> Array:
        mu = super().mean(eta, given)
        if "zi" in given.aux:
            return np.asarray((1 - given.aux["zi"]) * mu, dtype=float)
        if "hu" in given.aux:
            # μ/(1 − P(0)), which is 1 (Poisson) where μ is 0.
            jumps = _jumps(mu, given.aux)
            positive = -np.expm1(-np.maximum(jumps, 1e-300))
            ratio = np.where(mu > 1e-300, mu / positive, 1.0)
            return np.asarray((1 - given.aux["hu"]) * ratio, dtype=float)
        return mu

    def variance(self, eta: Array, given: Given) -> Array:
        mu, aux = super().mean(eta, given), given.aux
        with np.errstate(over="ignore", invalid="ignore"):
            own = mu + mu**2 / aux["shape"] if "shape" in aux else mu
            if "zi" in aux:
                own = (1 - aux["zi"]) * (own + aux["zi"] * mu**2)
            if "hu" in aux:
                positive = -np.expm1(-np.maximum(_jumps(mu, aux), 1e-300))
                square = np.where(mu > 1e-300, (own + mu**2) / positive, 1.0)
                own = (1 - aux["hu"]) * square - self.mean(eta, given) ** 2
        return np.asarray(own, dtype=float)

    def simulate(self, rng: np.random.Generator, eta: Array, given: Given) -> Array:
        mu = np.minimum(super().mean(eta, given), _LARGEST_COUNT)
        if "hu" in given.aux:
            y, zero = _positive_counts(rng, mu, given.aux), given.aux["hu"]
        else:
            y, zero = _counts(rng, mu, given.aux.get("shape"), 1.0), given.aux.get("zi")
        y = np.minimum(y, _LARGEST_COUNT)
        return y if zero is None else np.where(rng.random(mu.shape) < zero, 0.0, y)


@dataclass(frozen=True)
class _Positive(_LogLink):
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


@dataclass(frozen=True)
class _Beta(Family):
    """Shares, with a mean and a precision."""

    links: tuple[str, ...] = ("logit", "probit", "cloglog")
    needs: str = "numbers above 0 and below 1"

    def possible(self, y: Array, trials: Array | None) -> NDArray[np.bool_]:
        return np.asarray((y > 0) & (y < 1))

    def start(self, y: Array, trials: Array | None) -> dict[str, float]:
        mean, variance = float(np.mean(y)), max(float(np.var(y)), 1e-9)
        return {"phi": min(max(mean * (1 - mean) / variance - 1, 0.1), 1000.0)}

    def mean(self, eta: Array, given: Given) -> Array:
        return _probabilities(given.link, np.broadcast_arrays(eta, *given.aux.values())[0])[0]

    def simulate(self, rng: np.random.Generator, eta: Array, given: Given) -> Array:
        p, q = _probabilities(given.link, eta)
        # Shapes above 0, and draws within what the family can give, where numbers end.
        a, b = (np.maximum(share * given.aux["phi"], 1e-300) for share in (p, q))
        return np.asarray(np.clip(rng.beta(a, b), np.finfo(float).tiny, 1 - 2.0**-53))


@dataclass(frozen=True)
class _Cumulative(Family):
    """Ordered categories 0 … K − 1, cut out of a latent variable by `threshold` (last axis)."""

    links: tuple[str, ...] = ("logit", "probit")
    response: Literal["number", "binary", "ordered"] = "ordered"
    needs: str = "categories counted from 0"

    def possible(self, y: Array, trials: Array | None) -> NDArray[np.bool_]:
        return _whole(y)

    def check(
        self,
        label: str,
        y: Array,
        trials: Array | None,
        rows: NDArray[np.int64],
        trials_name: str | None = None,
    ) -> None:
        super().check(label, y, trials, rows, trials_name)
        if len(y) and float(np.max(y)) < 1:
            raise InputError(f"`{self.name}` needs at least two categories, but there is one")

    def probabilities(self, eta: Array, link: str, thresholds: Array) -> Array:
        """Return the probability of each category (last axis)."""
        cuts = thresholds - np.asarray(eta)[..., None]
        below, above = _probabilities(link, cuts)
        ends = np.zeros((*cuts.shape[:-1], 1))
        p = np.concatenate([ends, below, ends + 1], axis=-1)
        q = np.concatenate([ends + 1, above, ends], axis=-1)
        # The difference of the two smaller numbers, so that neither tail cancels.
        lower = p[..., 1:] < q[..., :-1]
        differences = np.where(lower, p[..., 1:] - p[..., :-1], q[..., :-1] - q[..., 1:])
        return np.asarray(differences, dtype=float)

    def mean(self, eta: Array, given: Given) -> Array:
        # Of categories 0, 1, 2 …: the sum of the probabilities to lie above each threshold.
        cuts = given.aux["threshold"] - np.asarray(eta)[..., None]
        return np.asarray(_probabilities(given.link, cuts)[1].sum(axis=-1))

    def simulate(self, rng: np.random.Generator, eta: Array, given: Given) -> Array:
        thresholds = np.asarray(given.aux["threshold"], dtype=float)
        shape = np.broadcast_shapes(np.shape(eta), thresholds.shape[:-1])
        noise = rng.logistic(size=shape) if given.link == "logit" else rng.standard_normal(shape)
        return np.asarray(((eta + noise)[..., None] > thresholds).sum(axis=-1), dtype=float)


def _sigma(given: Given) -> Array:
    own = given.log_sigma
    return np.asarray(given.aux["sigma"] if own is None else np.exp(own), dtype=float)


def _refuse_shares(
    label: str, y: Array, trials: Array, rows: NDArray[np.int64], name: str | None
) -> None:
    """Tell who gives shares of successes in place of their numbers how to give these."""
    counts = y * trials
    off = nearly_whole(counts) % 1 != 0
    what = f"`{label}` holds shares, and `binomial` is about numbers of successes"
    times = f"`{{{label} * {name}}} ~ …`" if name else "multiply the shares by the trials"
    if not off.any():
        whole = "which are whole numbers in every row" if len(y) > 1 else "which is a whole number"
        raise InputError(what, remedy=f"write {times} for the numbers, {whole}")
    first = int(np.argmax(off))
    raise InputError(
        what,
        where=f"and the share {y[first]:.6g} of {trials[first]:.15g} trials in row "
        f"{rows[first] + 1} is {counts[first]:.6g} successes, no whole number",
        remedy=f"{'write ' * bool(name)}{times} once the shares are exact, or give the numbers "
        "themselves",
    )


def _whole(x: Array) -> NDArray[np.bool_]:
    # Beyond 2⁵³ numbers are no longer counts.
    return np.asarray((x >= 0) & (x < 9e15) & (x == np.floor(x)))


def _probabilities(link: str, eta: Array) -> tuple[Array, Array]:
    """Return p and 1 − p, each with all its digits."""
    eta = np.asarray(eta, dtype=float)
    p, q = _core.link_probabilities(link, np.ravel(eta), os.cpu_count() or 1)
    return p.reshape(eta.shape), q.reshape(eta.shape)


def _jumps(mu: Array, aux: Aux) -> Array:
    """−log P(0): the expected jumps of the compound Poisson process that the count is."""
    if "shape" not in aux:
        return mu
    shape = aux["shape"]
    return np.asarray(shape * np.log1p(mu / shape), dtype=float)


def _counts(rng: np.random.Generator, mu: Array, shape: Any, share: Any) -> Array:
    """Counts with mean mu · share, as a share of a process whose mean is mu in all."""
    if shape is None:
        return np.asarray(rng.poisson(mu * share), dtype=float)
    rate = mu * rng.standard_gamma(shape * share, mu.shape) / shape
    return np.asarray(rng.poisson(np.minimum(rate, _LARGEST_COUNT)), dtype=float)


def _positive_counts(rng: np.random.Generator, mu: Array, aux: Aux) -> Array:
    """Counts above 0, without rejection: at least one jump, then what follows it.

    Both distributions are values at time 1 of a process with independent increments. Its first
    jump, given that there is one, is at −log(1 − u (1 − exp(−jumps)))/jumps. It is of size 1
    (Poisson) or has a logarithmic distribution (negative binomial).
    """
    jumps = _jumps(mu, aux)
    # Where no jump is to be expected, the first comes at any time.
    some = np.maximum(jumps, 1e-12)
    first = -np.log1p(rng.random(mu.shape) * np.expm1(-some)) / some
    rest = np.clip(1 - first, 0.0, 1.0)
    shape = aux.get("shape")
    if shape is None:
        size = np.ones(mu.shape)
    else:
        p = np.minimum(mu / (mu + shape), 1 - 2.0**-53)
        size = rng.logseries(p).astype(float)
    return size + _counts(rng, mu, shape, rest)


_RECORDS: tuple[Family, ...] = (
    _Continuous("gaussian"),
    _Continuous("student_t", dispersion=(_SIGMA_T, _NU)),
    _Continuous("lognormal", dispersion=(_SIGMA_LOG,), logarithm=True, needs="numbers above 0"),
    _Binary("bernoulli", needs="0 or 1"),
    _Binary(
        "binomial",
        needs="whole numbers from 0 to `trials`",
        response="number",
        variance_from_mean=True,
    ),
    _Count("poisson"),
    _Count("negbinomial", dispersion=(_SHAPE_COUNTS,)),
    _Positive("gamma", dispersion=(_SHAPE_GAMMA,)),
    _Positive("exponential", variance_from_mean=True),
    _Positive("weibull", dispersion=(_SHAPE_WEIBULL,)),
    _Beta("beta", dispersion=(_PHI,)),
    _Cumulative("cumulative"),
    _Count("zero_inflated_poisson", dispersion=(_ZI,)),
    _Count("zero_inflated_negbinomial", dispersion=(_SHAPE_COUNTS, _ZI)),
    _Count("hurdle_poisson", dispersion=(_HU,)),
    _Count("hurdle_negbinomial", dispersion=(_SHAPE_COUNTS, _HU)),
)

FAMILIES: dict[str, Family] = {family.name: family for family in _RECORDS}


def family_of(name: str, link: str | None = None) -> tuple[Family, str]:
    """Return a family and its link (the default link where none is given).

    Parameters
    ----------
    name : str
        Ours, or what other packages call it.
    link : str, optional
        The name of a link.

    Raises
    ------
    InputError
        If there is no such family, or it has no such link.

    Examples
    --------
    >>> family_of("bernoulli", "probit")[1]
    'probit'
    """
    own, asked = read_family(name, link, FAMILIES)
    family = FAMILIES[own]
    if asked is None:
        return family, family.links[0]
    check_link(own, asked, family.links)
    return family, asked
