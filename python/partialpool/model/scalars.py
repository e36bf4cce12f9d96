"""Sampled scalars as the core takes them: prior, support, unit and start."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from msgspec import Struct

from partialpool import called
from partialpool.design import GroupFactor
from partialpool.model.defaults import bounds
from partialpool.model.groupwork import WorkingGroup
from partialpool.model.model import Group
from partialpool.priors import LKJ, Kernel, Prior, has_mass_at_zero


class Scalar(NamedTuple):
    """A sampled parameter.

    Attributes
    ----------
    kernel : tuple
        The prior's density.
    low, high : float
        Its bounds.
    unit, start : float
        A typical size of steps, and where chains start.
    signed : bool
        Whether it may become negative, which means the same as its absolute value.
    """

    kernel: Kernel
    low: float
    high: float
    unit: float
    start: float
    signed: bool = False


class Bounded(Struct, frozen=True):
    """A prior's density with the bounds of its parameter."""

    kernel: Kernel
    low: float
    high: float


class PriorRow(Struct, frozen=True):
    """A prior of ``row · c + shift``, where c are working coefficients."""

    kernel: Kernel
    row: list[float]
    shift: float


def scale_spec(name: str, prior: Prior, guess: float) -> Scalar:
    """Specify a positive (or otherwise bounded) parameter that is about as large as `guess`.

    Examples
    --------
    >>> from partialpool.priors import Exponential
    >>> scale_spec("sigma", Exponential(1), 2.0)
    Scalar(kernel=('gamma', [1.0, 1.0]), low=0.0, high=inf, unit=2.0, start=2.0, signed=False)
    """
    low, high = bounds(name, prior)
    inside = low < guess < high
    start = guess if inside else (low + (high - low) / 2 if math.isfinite(high) else low + guess)
    return Scalar(prior.kernel(), low, high, unit=guess, start=start)


def sd_spec(name: str, prior: Prior, unit: float, *, signed: bool) -> Scalar:
    """Specify the sd of a group coefficient.

    It may pass through 0 (with a sign) where the prior has mass there: then the density has no
    long tail in the sampler's coordinates when data say little about the sd.
    """
    spec = scale_spec(name, prior, unit)
    return spec._replace(signed=signed and spec.low == 0 and has_mass_at_zero(prior))


def group_sd_specs(
    factor: GroupFactor, name: str, work: WorkingGroup, priors: Mapping[str, Prior], size: float
) -> list[Scalar]:
    """Specify the sds of a factor's working coefficients, which are about `size` a unit column."""
    signed = not any(called.array_of(key) == called.cor(name) != key for key in priors)
    specs = []
    for k, term in enumerate(factor.terms):
        label = called.sd(name, term)
        unit = size / float(work.unit[k])
        specs.append(sd_spec(label, work.own_prior(k, priors[label]), unit, signed=signed))
    return specs


class CovarianceSpec(Struct, frozen=True):
    """The covariance of the coefficients of one factor: its columns, and priors of correlations."""

    q: int
    blocks: list[tuple[int, int, bool]]
    lkj_eta: float
    correlations: list[Bounded] | None


def covariance_spec(
    factor: GroupFactor, group: Group, priors: Mapping[str, Prior]
) -> CovarianceSpec:
    """Specify the covariance of a factor's working coefficients, independent without pooling."""
    eta, correlations = correlation_prior(group, priors)
    blocks = list(factor.blocks) if factor.pooled else []
    return CovarianceSpec(len(factor.terms), blocks, eta, correlations)


def correlation_prior(
    group: Group | None, priors: Mapping[str, Prior]
) -> tuple[float, list[Bounded] | None]:
    """Give the LKJ parameter, or a prior with bounds for each correlation."""
    if group is None or not group.pairs:
        return 1.0, None
    whole = priors.get(called.cor(group.name))
    if isinstance(whole, LKJ):
        return whole.eta, None
    own = [(name, priors[name]) for name in group.cor_labels]
    return 1.0, [Bounded(prior.kernel(), *bounds(name, prior)) for name, prior in own]
