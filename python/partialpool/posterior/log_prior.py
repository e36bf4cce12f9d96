"""Log density of every prior at the draws of a fit: of what stands above the group coefficients."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from partialpool.model.defaults import INTERCEPT, predictors
from partialpool.model.priors import LKJ, NormalAtMean, Prior
from partialpool.posterior.fit import population_draws
from partialpool.posterior.fitted_rows import n_draws, rows_of

if TYPE_CHECKING:
    from partialpool.model import Group
    from partialpool.posterior.fit import Fit

Array = NDArray[np.float64]


def log_priors(fit: Fit) -> dict[str, Array]:
    """Log density of each prior, up to a constant, by the name under which it is set: (draw,).

    Draws are flattened over chains. Flat and uniform priors are left out, for they are constant,
    and so are the priors of levels without pooling: those belong to the group coefficients.
    """
    labels, draws = population_draws(fit.model, fit.run)
    values = dict(zip(labels, draws.reshape(n_draws(fit), len(labels)).T, strict=True))
    moved = _at_mean(fit, values)
    matrices = {f"cor_{group.name}": group for group in fit.model.groups}
    own = {
        f"coef_{group.name}[{term}]"
        for group in fit.model.groups
        if group.known_sd is not None
        for term in group.terms
    }
    found = {}
    for name, prior in fit.model.priors.items():
        if name in own or prior.kernel()[0] == "flat":
            continue
        if isinstance(prior, LKJ):
            found[name] = (prior.eta - 1) * _log_determinant(matrices[name], values)
        else:
            at_mean = isinstance(prior, NormalAtMean)
            found[name] = log_density(prior, moved[name] if at_mean else values[name])
    return found


def log_density(prior: Prior, x: Array) -> Array:
    """Log density of a prior, up to a constant, where it has mass.

    A half or truncated prior differs from the whole one by a constant there.

    Examples
    --------
    >>> from partialpool.model.priors import HalfNormal
    >>> log_density(HalfNormal(2), np.array([0.0, 2.0]))
    array([-0. , -0.5])
    """
    kind, numbers = prior.kernel()
    if kind == "flat":
        return np.zeros_like(x)
    if kind == "normal":
        mean, sd = numbers
        return np.asarray(-0.5 * ((x - mean) / sd) ** 2)
    if kind == "student_t":
        df, loc, scale = numbers
        return np.asarray(-0.5 * (df + 1) * np.log1p(((x - loc) / scale) ** 2 / df))
    if kind == "gamma":
        shape, rate = numbers
        # The exponential is finite at 0, where 0 · log 0 would not be.
        return np.asarray((0.0 if shape == 1 else (shape - 1) * np.log(x)) - rate * x)
    if kind == "inverse_gamma":
        shape, scale = numbers
        return np.asarray(-(shape + 1) * np.log(x) - scale / x)
    assert kind == "log_normal"
    mu, sd = numbers
    return np.asarray(-np.log(x) - 0.5 * ((np.log(x) - mu) / sd) ** 2)


def _at_mean(fit: Fit, values: dict[str, Array]) -> dict[str, Array]:
    """Intercepts and thresholds where the predictors are at their means, as some priors want."""
    moved = {}
    for predictor in predictors(rows_of(fit)):
        names = [f"{predictor.prefix}[{column}]" for column in predictor.columns]
        shift = np.zeros(n_draws(fit))
        for k, name in enumerate(names):
            if predictor.columns[k] != INTERCEPT:
                shift += values[name] * math.fsum(predictor.X[:, k]) / len(predictor.X)
        if INTERCEPT in predictor.columns:
            name = f"{predictor.prefix}[{INTERCEPT}]"
            moved[name] = values[name] + shift
        if predictor.name == "mu":
            cuts = [name for name in values if name.startswith("threshold[")]
            moved |= {name: values[name] - shift for name in cuts}
    return moved


def _log_determinant(group: Group, values: dict[str, Array]) -> Array:
    """Log determinant of the correlation matrix of a group: (draw,)."""
    q = len(group.terms)
    columns = [values[label] for label in group.cor_labels]
    matrix = np.broadcast_to(np.eye(q), (len(columns[0]), q, q)).copy()
    for (i, j), column in zip(group.pairs, columns, strict=True):
        matrix[:, i, j] = matrix[:, j, i] = column
    return np.asarray(np.linalg.slogdet(matrix)[1])
