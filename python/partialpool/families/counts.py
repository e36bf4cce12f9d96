"""Counts: Poisson, negative binomial, and both with extra or apart zeros."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from partialpool.alike import Kinds
from partialpool.arrays import Array, nearly_whole
from partialpool.priors import InverseGamma, Uniform

from . import tails
from .family import ROW_TERM, Aux, Dispersion, Ends, Given, LogLink, whole
from .merging import LARGEST, Merged, Responses, counts, repeated

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
_ZI = Dispersion("zi", Uniform(0, 1), 0.0, 1.0, "probability of an extra zero in {y}")
_HU = Dispersion("hu", Uniform(0, 1), 0.0, 1.0, "probability of a zero in {y}")

_BUT_FOR_ZEROS = {"log": "exp(b) multiplies the mean of the counts but for the extra zeros"}
_WITHOUT_HURDLE = {
    "log": "exp(b) multiplies the mean that counts would have without the hurdle at 0"
}
_ONLY_ONES = 'Use family="bernoulli", unless larger counts could have occurred.'


class Count(LogLink, frozen=True):
    """Poisson or, with a `shape`, negative binomial counts; with `zi` or `hu` for their zeros."""

    needs: str = "whole numbers from 0"
    discrete: bool = True
    variance_from_mean: bool = True

    def ends(self, y: Array, trials: Array | None, categories: Sequence[Any]) -> Ends | None:
        return None if self.zeros == "hu" else Ends([y == 0, y > 0], "0", "")

    def settled(self, y: Array) -> Array:
        return nearly_whole(y)

    def total(self, y: Array) -> float:
        return max(float(np.sum(y)), 0.5)  # half an event where there is none

    def possible(self, y: Array, trials: Array | None) -> NDArray[np.bool_]:
        return whole(y)

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

    def _adds_up(self, rows: Responses) -> bool:
        """Tell whether sums of responses are of the same family."""
        return not self.dispersion and rows.add_up

    def shared(self, rows: Responses) -> list[Array]:
        return [] if self._adds_up(rows) else rows.given("y", "offset")

    def merged(self, rows: Responses, kinds: Kinds) -> Merged:
        if not self._adds_up(rows):
            return repeated(self.density, rows, kinds)
        return counts(self.density, rows, kinds)

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

    def log_tails(self, y: Array, eta: Array, given: Given) -> tails.Tails:
        mu, aux = super().mean(eta, given), given.aux
        own = self._counted(y, mu, aux)
        if "zi" in aux:
            above = np.log1p(-aux["zi"]) + own.above
            more = np.logaddexp(np.log(aux["zi"]), np.log1p(-aux["zi"]) + own.below)
            return tails.Tails(more, above).where(y >= 0, tails.CERTAIN.swapped)
        if "hu" not in aux:
            return own
        zero = self._counted(np.zeros(()), mu, aux)
        # Of counts above 0, those beyond y and up to y; the second as a difference where it is
        # the smaller.
        beyond = np.minimum(own.above - zero.above, 0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            gap = own.below + tails.log_rest(zero.below - own.below) - zero.above
        up_to = np.where(own.below < -0.7, gap, tails.log_rest(beyond))
        up_to = np.where(y > 0, np.minimum(up_to, 0.0), -np.inf)
        rest = np.log1p(-aux["hu"])
        more = np.logaddexp(np.log(aux["hu"]), rest + up_to)
        return tails.Tails(more, rest + beyond).where(y >= 0, tails.CERTAIN.swapped)

    def _counted(self, y: Array, mu: Array, aux: Aux) -> tails.Tails:
        """Give the tails of the counts without extra or apart zeros."""
        if "shape" in aux:
            return tails.negbinomial(y, mu, aux["shape"])
        return tails.poisson(y, mu)

    def latent_variance(self, eta: Array, given: Given) -> Array | None:
        if self.zeros == "hu":
            return None  # the mean is no multiple of exp(eta)
        with np.errstate(over="ignore", divide="ignore"):
            relative = np.exp(np.log(self.variance(eta, given)) - 2 * np.log(self.mean(eta, given)))
        return np.asarray(np.log1p(relative))

    def latent_words(self, link: str) -> str:
        return "log(1 + variance/mean²) at the mean of all rows"

    def simulate(self, rng: np.random.Generator, eta: Array, given: Given) -> Array:
        mu = np.minimum(super().mean(eta, given), LARGEST)
        if "hu" in given.aux:
            y, zero = _positive_counts(rng, mu, given.aux), given.aux["hu"]
        else:
            y, zero = _counts(rng, mu, given.aux.get("shape"), 1.0), given.aux.get("zi")
        y = np.minimum(y, LARGEST)
        return y if zero is None else np.where(rng.random(mu.shape) < zero, 0.0, y)


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
    return np.asarray(rng.poisson(np.minimum(rate, LARGEST)), dtype=float)


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


POISSON = Count(
    "poisson",
    notation="Poisson({mean})",
    remedies={
        "overdispersion": f'Use family="negbinomial", or {ROW_TERM}.',
        "spread": 'Try family="negbinomial", whose variance is free.',
        "zeros": 'Try family="zero_inflated_poisson" or "hurdle_poisson", or a negbinomial.',
    },
)
NEGBINOMIAL = Count(
    "negbinomial",
    notation="NegativeBinomial({mean}, {shape})",
    dispersion=(_SHAPE_COUNTS,),
    scatter="shape",
    remedies={
        "no-overdispersion": 'Use family="poisson", or go by the median of `shape`.',
        "zeros": 'Try family="zero_inflated_negbinomial" or "hurdle_negbinomial", or a '
        "negbinomial.",
    },
)
ZERO_INFLATED_POISSON = Count(
    "zero_inflated_poisson",
    notation="0 with probability {zi}, else Poisson({mean})",
    dispersion=(_ZI,),
    zeros="zi",
    words=_BUT_FOR_ZEROS,
    remedies={
        "overdispersion": f'Use family="zero_inflated_negbinomial", or {ROW_TERM}.',
        "no-zeros": 'Use family="poisson", unless zeros could have occurred.',
    },
)
ZERO_INFLATED_NEGBINOMIAL = Count(
    "zero_inflated_negbinomial",
    notation="0 with probability {zi}, else NegativeBinomial({mean}, {shape})",
    dispersion=(_SHAPE_COUNTS, _ZI),
    scatter="shape",
    zeros="zi",
    words=_BUT_FOR_ZEROS,
    remedies={
        "no-overdispersion": 'Use family="zero_inflated_poisson", or go by the median of `shape`.',
        "no-zeros": 'Use family="negbinomial", unless zeros could have occurred.',
    },
)
HURDLE_POISSON = Count(
    "hurdle_poisson",
    notation="0 with probability {hu}, else Poisson({mean}) above 0",
    dispersion=(_HU,),
    averages="other",
    zeros="hu",
    words=_WITHOUT_HURDLE,
    remedies={
        "overdispersion": f'Use family="hurdle_negbinomial", or {ROW_TERM}.',
        "no-zeros": 'Use family="poisson", unless zeros could have occurred.',
        "only-ones": _ONLY_ONES,
    },
)
HURDLE_NEGBINOMIAL = Count(
    "hurdle_negbinomial",
    notation="0 with probability {hu}, else NegativeBinomial({mean}, {shape}) above 0",
    dispersion=(_SHAPE_COUNTS, _HU),
    scatter="shape",
    averages="other",
    zeros="hu",
    words=_WITHOUT_HURDLE,
    remedies={
        "no-overdispersion": 'Use family="hurdle_poisson", or go by the median of `shape`.',
        "no-zeros": 'Use family="negbinomial", unless zeros could have occurred.',
        "only-ones": _ONLY_ONES,
    },
)
