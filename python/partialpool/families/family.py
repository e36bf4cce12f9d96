"""What a response family is: one record, which knows all about it but the log density.

The log densities are in the core (`src/family/`). Arrays of any shape go in and are broadcast:
linear predictors of draws × rows, say, with dispersion parameters of draws × 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from partialpool.arrays import Array
from partialpool.errors import InputError
from partialpool.priors import Prior

Aux = Mapping[str, Any]
"""Dispersion parameters by name: numbers or arrays; for ordered categories `threshold`."""


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
    >>> from partialpool.families import FAMILIES, family_of
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
class LogLink(Family):
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


def whole(x: Array) -> NDArray[np.bool_]:
    """Tell which numbers are counts."""
    # Beyond 2⁵³ numbers are no longer counts.
    return np.asarray((x >= 0) & (x < 9e15) & (x == np.floor(x)))
