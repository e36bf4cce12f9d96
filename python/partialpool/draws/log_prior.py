"""Log density of every prior at the draws of a fit: of what stands above the group coefficients."""

from __future__ import annotations

import numpy as np

from partialpool import called
from partialpool.arrays import Array
from partialpool.draws.posterior import Posterior, n_draws, population_draws, rows_of
from partialpool.engine import GroupDraws
from partialpool.engine.conditional import covariance_of
from partialpool.model import Group
from partialpool.model.coordinates import coordinates
from partialpool.model.defaults import RANGES
from partialpool.model.scales import Predictor, Scales, predictors, scales
from partialpool.priors import LKJ, NormalAtMean, Prior, log_density


def log_priors(fit: Posterior) -> dict[str, Array]:
    """Log density of each prior, up to a constant, by the name under which it is set: (draw,).

    Draws are flattened over chains. Flat and uniform priors are left out, for they are constant,
    and so are the priors of levels without pooling: those belong to the group coefficients.
    """
    labels, draws = population_draws(fit.model, fit.run)
    values = dict(zip(labels, draws.reshape(n_draws(fit), len(labels)).T, strict=True))
    design, family = rows_of(fit), fit.model.family
    found: dict[str, Array] = {}
    for predictor in predictors(design):
        found |= _coefficients(fit, predictor, scales(design, family), values)
    for group, drawn in zip(fit.model.groups, fit.run.groups, strict=True):
        if group.known_sd is None:
            found |= _scales_of_levels(fit, group, drawn)
    for name, prior in fit.model.priors.items():
        if name in RANGES:
            found[name] = log_density(prior, values[name])
    return {name: part for name, part in found.items() if np.ptp(part) > 0}


def _coefficients(
    fit: Posterior, predictor: Predictor, scale: Scales, values: dict[str, Array]
) -> dict[str, Array]:
    """Priors of population coefficients; those of one term are joint, and under its first name."""
    priors, name = fit.model.priors, predictor.name
    parts = scale.parts[name]
    _, at = coordinates(parts, [priors[label] for label in predictor.labels])
    b = np.column_stack([np.empty((n_draws(fit), 0)), *(values[k] for k in predictor.labels)])
    v = at.values(b)
    found: dict[str, Array] = {}
    for block in parts.blocks:
        labels = [predictor.labels[k] for k in block.columns]
        own = [label for label in labels if _joint(priors[label])]
        for k in block.columns:
            prior, label = at.priors[k], predictor.labels[k]
            key = own[0] if _joint(priors[label]) else label
            found[key] = found.get(key, 0.0) + log_density(prior, v[:, k])
    if name == "mu":
        shift = b @ at.outer[0] if len(at.outer) else 0.0
        for label in (key for key in values if called.kind_of(key) == "threshold"):
            moved = isinstance(priors[label], NormalAtMean)
            found[label] = log_density(priors[label], values[label] - (shift if moved else 0.0))
    return found


def _joint(prior: Prior) -> bool:
    """Whether a coefficient shares its prior with the other columns of its term."""
    return isinstance(prior, NormalAtMean)


def _scales_of_levels(fit: Posterior, group: Group, drawn: GroupDraws) -> dict[str, Array]:
    """Priors of sds and correlations, those of coefficients at the mean of the predictors too."""
    priors, q, n = fit.model.priors, len(group.terms), n_draws(fit)
    own = np.concatenate([drawn.sd, drawn.cor], axis=2) if drawn.own is None else drawn.own
    own = own.reshape(n, -1)
    kernels = group.own if group.at_mean else [priors[label] for label in group.sd_labels]
    found = {
        label: log_density(prior, own[:, k])
        for k, (label, prior) in enumerate(zip(group.sd_labels, kernels, strict=True))
    }
    whole = priors.get(called.cor(group.name))
    if isinstance(whole, LKJ):
        found[called.cor(group.name)] = (whole.eta - 1) * _log_determinant(group, own[:, q:])
    else:
        for k, label in enumerate(group.cor_labels):
            found[label] = log_density(priors[label], own[:, q + k])
    return found


def _log_determinant(group: Group, cor: Array) -> Array:
    """Log determinant of the correlation matrix of a group: (draw,)."""
    matrix = covariance_of(np.ones((len(cor), len(group.terms))), cor, group.pairs)
    return np.asarray(np.linalg.slogdet(matrix)[1])
