"""A design whose priors do not depend on its rows, so that parts of them are fitted alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from msgspec.structs import replace

from partialpool import called
from partialpool.arrays import Array
from partialpool.design import Design, GroupFactor
from partialpool.design.grouping import twins
from partialpool.errors import InputError
from partialpool.model.coordinates import Coordinates
from partialpool.model.groupwork import WorkingGroup, working_predictor
from partialpool.model.pooling import Pooled
from partialpool.model.scales import Predictor, Scales, predictors, scales
from partialpool.priors import LKJ, AtMean, Normal, Prior


class Fixed(NamedTuple):
    """A design whose columns are the coordinates that priors are about, and these priors."""

    design: Design
    priors: dict[str, Prior]


def fixed(pooled: Pooled, priors: Mapping[str, Prior]) -> Fixed:
    """Rewrite a design so that every coefficient has a prior by itself, as all rows gave it.

    The linear predictor stays the same. Names stay too, though a coefficient that shared its prior
    is now that of a coordinate.

    Raises
    ------
    InputError
        If some thresholds have priors at the mean of the predictors and some as written.
    """
    design = pooled.design
    scale, plain = scales(design, pooled.family), dict(priors)
    cuts = [name for name in priors if called.kind_of(name) == "threshold"]
    at_mean = [name for name in cuts if isinstance(priors[name], AtMean)]
    if at_mean and len(at_mean) < len(cuts):
        raise InputError(
            "some thresholds have priors at the mean of the predictors, and some as written",
            remedy="set all of them in one way to leave out a part of the rows",
        )
    plain |= {name: _plain(priors[name]) for name in cuts}
    parts = {one.name: _predictor(one, scale, plain, design) for one in predictors(design)}
    main = parts["mu"]
    if cuts and not at_mean:
        # Thresholds as written do not take up what the columns have in common.
        at = working_predictor(predictors(design)[0], priors, scale, thresholds=True).at
        main = replace(main, X=main.X + at.outer[0] @ (at.back / _units(at)))
    sigma = design.sigma
    if sigma is not None:
        sigma = replace(sigma, X=parts["sigma"].X, factors=parts["sigma"].factors)
    return Fixed(replace(design, X=main.X, factors=main.factors, sigma=sigma), plain)


def _plain(prior: Prior) -> Prior:
    return Normal(prior.mean, prior.sd) if isinstance(prior, Normal) else prior


def _predictor(
    predictor: Predictor, scale: Scales, priors: dict[str, Prior], design: Design
) -> Predictor:
    """Change one linear predictor; put the priors of its coordinates in place."""
    thresholds = bool(design.categories) and predictor.name == "mu"
    work = working_predictor(predictor, priors, scale, thresholds=thresholds)
    at = work.at
    X = np.ascontiguousarray(work.columns / _units(at))
    factors = tuple(
        _factor(factor, own, X, predictor)
        for factor, own in zip(predictor.factors, work.factors, strict=True)
    )
    for k, (label, prior) in enumerate(zip(predictor.labels, at.priors, strict=True)):
        priors[label] = prior
        if isinstance(prior, Normal):
            unit = float(at.unit[k])
            priors[label] = Normal((prior.mean - float(at.shift[k])) / unit, prior.sd / unit)
    for factor, own in zip(predictor.factors, work.factors, strict=True):
        priors |= _group_priors(called.group(predictor.name, factor.name), factor, own, priors)
    return replace(predictor, X=X, factors=factors)


def _units(at: Coordinates) -> Array:
    """Units of the columns: normal priors are scaled, so that a constant stays 1, others not."""
    normal = np.array([isinstance(prior, Normal) for prior in at.priors], dtype=bool)
    return np.where(normal, 1.0, at.unit)


def _factor(factor: GroupFactor, work: WorkingGroup, X: Array, predictor: Predictor) -> GroupFactor:
    Z = np.ascontiguousarray(work.columns)
    T = np.zeros((len(factor.terms), X.shape[1]))
    if factor.pooled:
        T = twins(Z, factor.terms, X, predictor.columns)
    return replace(factor, Z=Z, T=T)


def _group_priors(
    name: str, factor: GroupFactor, work: WorkingGroup, priors: Mapping[str, Prior]
) -> dict[str, Prior]:
    """Priors of the sds of working coefficients, or without pooling of these themselves."""
    found: dict[str, Prior] = {}
    for k, term in enumerate(factor.terms):
        if factor.pooled:
            found[called.sd(name, term)] = work.own_prior(k, priors[called.sd(name, term)])
        elif work.known_sd is not None and not np.isnan(work.known_sd).any():
            found[called.coef(name, term)] = Normal(float(work.mean[k]), float(work.known_sd[k]))
        elif work.at is not None:
            found[called.coef(name, term)] = work.at.priors[k]
    whole = priors.get(called.cor(name))
    if isinstance(whole, LKJ):
        found[called.cor(name)] = LKJ(whole.eta)
    return found
