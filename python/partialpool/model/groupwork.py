"""Group columns as the core works with them: own parts, or shifted and scaled."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from partialpool import _core, called
from partialpool.arrays import Array
from partialpool.design import GroupFactor
from partialpool.errors import InputError, NotYetError
from partialpool.model.coordinates import Coordinates, coordinates
from partialpool.model.defaults import INTERCEPT, pairs
from partialpool.model.model import Group
from partialpool.model.scales import FactorParts, Predictor, Scales
from partialpool.priors import (
    AtMean,
    Exponential,
    ExponentialAtMean,
    Flat,
    Normal,
    Prior,
    Uniform,
)

# The same threshold as the core's: a smaller diagonal means that rows do not determine it.
SINGULAR = 1e-9


class WorkingGroup(Struct, frozen=True):
    """Columns for the core, and how its coefficients r̃ become those of the user.

    With partial pooling ``r = back r̃``; without, ``coef = T b + base + back r̃``.

    Attributes
    ----------
    columns : (n, q) array
        Those that r̃ belongs to.
    Z : (n, q) array
        The same in units in which they are well kept apart.
    unscale : (q, q) array
        Brings the reduced rows from Z back to `columns`.
    unit : (q,) array
        Size of each r̃'s column, as `column_sd` has it.
    sizes : (q,) array
        Sd of each coefficient's own part where that of its r̃ is 1.
    mean : (q,) array
        Prior mean of each level's r̃, taken out where it integrates (no pooling).
    level : float
        What the levels' coefficients take out of the response (no pooling).
    at : Coordinates or None
        Without pooling: of the levels' coefficients.
    taken : (q,) array of bool
        Without pooling: which coordinates of the factor's own parts take up the population's.
    at_mean : bool
        Whether r̃, and so its sds and correlations, are those at the mean of the predictors.
    """

    columns: Array
    Z: Array
    unscale: Array
    back: Array
    unit: Array
    mean: Array
    level: float = 0.0
    at: Coordinates | None = None
    taken: NDArray[np.bool_] | None = None
    known_sd: Array | None = None
    bounds: Array | None = None
    at_mean: bool = False
    sizes: Array | None = None

    def own_prior(self, k: int, prior: Prior) -> Prior:
        """Prior of the sd of r̃, from that of the coefficient's own part."""
        if self.sizes is None or not isinstance(prior, ExponentialAtMean):
            return prior
        return Exponential(prior.rate * float(self.sizes[k]))


def ranks(data: _core.CrossProducts) -> NDArray[np.int64]:
    """Number of coefficients that each level's rows determine."""
    R = data.parts()[0]
    size = np.sqrt(np.einsum("jac,jac->jc", R, R))
    diagonal = np.abs(np.einsum("jaa->ja", R))
    determined: NDArray[np.int64] = np.sum(diagonal > SINGULAR * size, axis=1)
    return determined


def pooled_group(
    factor: GroupFactor, name: str, parts: FactorParts, priors: Mapping[str, Prior]
) -> WorkingGroup:
    """Prepare the columns of a factor with partial pooling.

    Blocks whose priors are at the mean of the predictors work with their own parts. Else r̃ is r on
    the user's scale (`unscale` undoes the shift exactly).

    Raises
    ------
    InputError
        If a column lies so far from 0 that intercepts at 0 cannot be computed.
    """
    q = len(factor.terms)
    zeros, back = np.zeros(q), np.eye(q)
    own = [isinstance(priors[called.sd(name, term)], AtMean) for term in factor.terms]
    if not any(own):
        centre, scale = _centre_and_scale(factor)
        # Working coefficients from the user's: r̃ = unscale r.
        unscale = np.diag(scale)
        unscale[0] += centre
        Z = np.ascontiguousarray(factor.less(centre) / scale)
        return WorkingGroup(factor.written, Z, unscale, back, factor.facts.size, zeros)
    unit = np.array([1.0 if own[k] else factor.facts.size[k] for k in range(q)])
    sizes = np.ones(q)
    only = parts.blocks[0] if len(factor.blocks) == 1 and all(own) else None
    if only is not None and not parts.far.any():  # there may be millions of rows to copy
        Z, back, sizes = only.basis, only.back, only.sizes
        return WorkingGroup(Z, Z, np.eye(q), back, unit, zeros, at_mean=True, sizes=sizes)
    if parts.far.any() and parts.constant is not None and own[parts.constant]:
        # The constant as written follows from that where these columns are at their means.
        columns = np.array(factor.less(parts.far))
        back -= np.outer(parts.whole.ones, parts.far)
    else:
        columns = np.array(factor.written)
    for (start, stop, _), block in zip(factor.blocks, parts.blocks, strict=True):
        if own[start] and block is not None:
            columns[:, start:stop] = block.basis
            back[start:stop, start:stop] = block.back
            sizes[start:stop] = block.sizes
    return WorkingGroup(
        columns, columns / unit, np.diag(unit), back, unit, zeros, at_mean=True, sizes=sizes
    )


def unpooled_group(
    factor: GroupFactor, parts: FactorParts, priors: Mapping[str, Prior], level: float
) -> WorkingGroup:
    """Prepare the columns of a factor without pooling.

    `level` is taken out of the response where the levels have a constant.

    Raises
    ------
    NotYetError
        For priors that are neither all normal nor all flat or uniform.
    """
    own = own_priors(factor, priors)
    flat = all(isinstance(prior, (Flat, Uniform)) for prior in own)
    if not flat and not all(isinstance(prior, Normal) for prior in own):
        raise NotYetError(
            f"without pooling, the priors on `coef_{factor.name}` must be all normal, or all flat "
            "or uniform",
            remedy="choose such priors",
        )
    free: list[Prior] = [Flat()] * len(own) if flat else own
    columns, at = coordinates(parts.whole, free, level=level)
    q = len(own)
    work = WorkingGroup(
        columns,
        columns,
        np.eye(q),
        at.back,
        np.ones(q),
        np.zeros(q),
        at.level,
        at,
        taken_up(parts, free),
    )
    if flat:
        limits = np.array([prior.support for prior in own])
        bounds = limits if np.isfinite(limits).any() else None
        return replace(work, known_sd=np.full(q, np.inf), bounds=bounds)
    mean, sd = normal_moments(at)
    return replace(work, known_sd=sd, mean=mean)


def sampled_group(
    factor: GroupFactor, parts: FactorParts, priors: Mapping[str, Prior]
) -> WorkingGroup:
    """Prepare the columns of a factor without pooling where its coefficients are sampled.

    Priors that are not all normal are those of r̃ itself, one a column.
    """
    own = own_priors(factor, priors)
    columns, at = coordinates(parts.whole, own)
    q, normal = len(own), all(isinstance(prior, Normal) for prior in own)
    work = WorkingGroup(
        columns, columns, np.eye(q), at.back, np.ones(q), np.zeros(q), 0.0, at, taken_up(parts, own)
    )
    if normal:
        mean, sd = normal_moments(at)
        return replace(work, known_sd=sd, mean=mean)
    columns = np.ascontiguousarray(columns / at.unit)
    return replace(
        work, columns=columns, Z=columns, back=at.back / at.unit, known_sd=np.full(q, np.nan)
    )


class WorkingPredictor(Struct, frozen=True):
    """A linear predictor in working coordinates, where its coefficients are sampled."""

    columns: Array
    at: Coordinates
    factors: tuple[WorkingGroup, ...]


def working_predictor(
    predictor: Predictor,
    priors: Mapping[str, Prior],
    scale: Scales,
    *,
    level: float = 0.0,
    thresholds: bool = False,
) -> WorkingPredictor:
    """Prepare the columns of a predictor whose coefficients are sampled.

    `level` is taken out of the response where the population has a constant; `thresholds` take up
    the constant of the columns.
    """
    factors, taken = [], None
    for factor in predictor.factors:
        name = called.group(predictor.name, factor.name)
        if factor.pooled:
            factors.append(pooled_group(factor, name, scale.factors[name], priors))
        else:
            factors.append(sampled_group(factor, scale.factors[name], priors))
            taken = factors[-1].taken
    if taken is not None and thresholds:
        taken = np.append(True, taken)
    columns, at = coordinates(
        scale.parts[predictor.name],
        [priors[label] for label in predictor.labels],
        level=level,
        outer=scale.outer.get(predictor.name),
        taken=taken,
    )
    return WorkingPredictor(columns, at, tuple(factors))


def own_priors(factor: GroupFactor, priors: Mapping[str, Prior]) -> list[Prior]:
    """Priors of the coefficients that every level has for itself."""
    return [priors[called.coef(factor.name, term)] for term in factor.terms]


def normal_moments(at: Coordinates) -> tuple[Array, Array]:
    """Prior means and sds of working coefficients, all of which have normal ones."""
    moments = np.array([[*prior.typical] for prior in at.priors])
    return (moments[:, 0] - at.shift) / at.unit, moments[:, 1] / at.unit


def taken_up(parts: FactorParts, own: list[Prior]) -> NDArray[np.bool_]:
    """Which coordinates of the levels can take up a part of the population's columns.

    Not those on which the prior of a coefficient itself depends.
    """
    written = [k for k, prior in enumerate(own) if not isinstance(prior, (AtMean, Flat))]
    bound = np.abs(parts.whole.back[written]).sum(axis=0) > 0
    return np.asarray(~bound)


def group_of(
    factor: GroupFactor,
    predictor: str,
    work: WorkingGroup,
    priors: Mapping[str, Prior],
    parts: FactorParts,
    at: Coordinates,
    estimable: NDArray[np.bool_],
) -> Group:
    """Tell what the posterior needs to know of a factor.

    `at` are the coordinates of the population, part of which a factor without pooling takes up.
    """
    apart = not factor.pooled
    T = -parts.whole.back @ at.outer[-len(factor.terms) :] if apart else factor.T
    base = work.back @ work.mean
    if work.at is not None:
        base = base + work.at.level * work.at.ones
    name = called.group(predictor, factor.name)
    own: tuple[Prior, ...] = ()
    if work.at_mean:
        own = tuple(
            work.own_prior(k, priors[called.sd(name, term)]) for k, term in enumerate(factor.terms)
        )
    elif work.at is not None and work.known_sd is not None and np.isnan(work.known_sd).any():
        own = work.at.priors
    return Group(
        name=name,
        factor=factor.name,
        terms=factor.terms,
        levels=factor.levels,
        counts=factor.counts,
        T=T,
        pairs=() if apart else tuple(pairs(factor)),
        base=base,
        back=work.back,
        estimable=estimable,
        known_sd=work.known_sd,
        bounds=work.bounds,
        predictor=predictor,
        at_mean=work.at_mean,
        own=own,
    )


def _centre_and_scale(factor: GroupFactor) -> tuple[Array, Array]:
    """Shift and unit of each group column; only an intercept in front allows a shift."""
    q = len(factor.terms)
    scale = factor.facts.size.copy()
    centre = np.zeros(q)
    if q > 1 and factor.terms[0] == INTERCEPT:
        centre[1:] = factor.facts.mean[1:]
        scale[0] = 1.0
        far = np.abs(centre) > 1e6 * scale
        if far.any():
            term = factor.terms[int(np.argmax(far))]
            raise InputError(
                f"`{term}` lies very far from 0 ({centre[far][0]:.3g}, sd {scale[far][0]:.3g}), "
                f"and the intercepts of `{factor.name}` refer to 0",
                where=f"group term of `{factor.name}`",
                remedy=f"subtract its mean first, as in center({term})",
            )
    return centre, scale
