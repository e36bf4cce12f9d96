"""Cross-validation by refits: the rows, or whole levels, dealt into parts and left out in turn."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from partialpool import engine
from partialpool.arrays import mean_of
from partialpool.checks import check_seed
from partialpool.design import Design, GroupFactor
from partialpool.errors import InputError, did_you_mean
from partialpool.model import Pooled
from partialpool.model.defaults import INTERCEPT
from partialpool.model.priors import Normal, NormalAtMean, Prior
from partialpool.posterior.fit import Fit
from partialpool.posterior.fitted_rows import (
    chunks,
    counting_weights,
    family_of_fit,
    row_draws,
    rows_of,
    take_rows,
    thinned,
)
from partialpool.posterior.loo import Loo, log_mean

if TYPE_CHECKING:
    from collections.abc import Iterator

Array = NDArray[np.float64]
Ints = NDArray[np.int64]


def kfold(fit: Fit, k: int, by: str | None, seed: int) -> Loo:
    """Compute what :meth:`Fit.kfold` gives, once."""
    seed = check_seed(seed)
    if isinstance(k, bool) or not isinstance(k, int) or k < 2:
        raise InputError(f"`k` is {k!r}", remedy="give a whole number of parts, 2 or more")
    key = f"kfold {k}, seed {seed}" + ("" if by is None else f", by {by}")
    if key in fit.held_out:
        return fit.held_out[key]
    design = rows_of(fit)
    factor = None if by is None else _factor(design, by)
    units = design.n_rows if factor is None else len(factor.levels)
    what = "rows" if factor is None else f"levels of `{factor.name}`"
    if k > units:
        raise InputError(f"`k` is {k}, but there are {units} {what}", remedy="give at most that")
    even = factor is None and family_of_fit(fit).response != "number"
    fold = deal(units, k, seed, design.y if even else None)
    if factor is not None:
        fold = fold[factor.codes]
    elpd, mean, log_score = (np.full(design.n_rows, np.nan) for _ in range(3))
    priors, fixed = fixed_priors(design, fit.model.priors)
    for part in range(k):
        again = refit(fit, take_rows(fixed, np.flatnonzero(fold != part)), priors)
        for rows, density, expected in _scores(again, fixed, np.flatnonzero(fold == part)):
            elpd[rows], mean[rows] = log_mean(density), expected
    for rows, density, _ in _scores(fit, design, np.arange(design.n_rows)):
        log_score[rows] = log_mean(density)
    # Levels without rows of their own under flat priors.
    elpd[~np.isfinite(elpd)] = np.nan
    unit = "row" if factor is None else factor.name
    result = Loo(
        "kfold",
        unit,
        k,
        design.rows,
        elpd,
        log_score,
        np.empty(0),
        design.y,
        mean,
        weights=counting_weights(fit),
    )
    fit.held_out[key] = result
    return result


def deal(units: int, k: int, seed: int, categories: Array | None = None) -> Ints:
    """Deal rows or levels into parts of equal size, each with its share of every category.

    Examples
    --------
    >>> parts = deal(6, 2, seed=1, categories=np.array([0.0, 0, 1, 1, 1, 1]))
    >>> np.bincount(parts[:2]), np.bincount(parts[2:])
    (array([1, 1]), array([2, 2]))
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(units)
    if categories is not None:
        order = order[np.argsort(categories[order], kind="stable")]
    parts = np.empty(units, dtype=np.int64)
    parts[order] = np.arange(units) % k
    return parts


def _factor(design: Design, by: str) -> GroupFactor:
    names = [factor.name for factor in design.factors]
    if by == "group" and len(names) == 1:
        return design.factors[0]
    if by not in names:
        remedy = did_you_mean(by, names) if names else "leave `by` out"
        if by == "group" and names:
            remedy = f"say which of {', '.join(names)}"
        raise InputError(f"`{by}` names no single grouping factor of the model", remedy=remedy)
    return design.factors[names.index(by)]


def _scores(fit: Fit, design: Design, rows: Ints) -> Iterator[tuple[Ints, Array, Array]]:
    """Densities (draw, row) and expected responses of rows, some at a time."""
    draws = thinned(fit, 4000)
    for chunk in chunks(take_rows(design, rows), max(1, 2_000_000 // len(draws))):
        at = rows[chunk]
        drawn = row_draws(fit, at, draws, design)
        yield at, drawn.log_densities(), mean_of(drawn.means())


def refit(fit: Fit, design: Design, priors: Mapping[str, Prior]) -> Fit:
    """Fit the same model to some of its rows, by the same engine (NUTS for Metropolis)."""
    pooled = Pooled(design, fit.model.pooling, family_of_fit(fit), fit.model.link)
    asked = "nuts" if fit.run.method == "nuts" else "auto"
    model, run, _ = engine.sample(
        asked,
        pooled,
        priors,
        chains=fit.run.chains,
        draws=fit.run.draws,
        warmup=max(fit.run.warmup, 200),
        seed=fit.run.seed,
        threads=os.cpu_count() or 1,
        progress=False,
    )
    return Fit(model, run, fit.provenance, [], design=design)


def fixed_priors(design: Design, priors: Mapping[str, Prior]) -> tuple[dict[str, Prior], Design]:
    """Rewrite priors at the mean of the predictors so that they do not depend on the rows.

    Columns are shifted to have mean 0 over all rows; there, such a prior is an ordinary one. The
    linear predictor stays the same.

    Returns
    -------
    priors : dict
        Without any :class:`NormalAtMean`.
    design : Design
        With shifted columns.
    """
    plain = {
        name: Normal(prior.mean, prior.sd) if isinstance(prior, NormalAtMean) else prior
        for name, prior in priors.items()
    }
    at_mean = {name for name, prior in priors.items() if isinstance(prior, NormalAtMean)}
    thresholds = any(name.startswith("threshold[") for name in at_mean)
    X, factors = _shifted(design.X, design.columns, design.factors, at_mean, "b", thresholds)
    sigma = design.sigma
    if sigma is not None:
        own = _shifted(sigma.X, sigma.columns, sigma.factors, at_mean, "b_sigma", False)
        sigma = replace(sigma, X=own[0], factors=own[1])
    return plain, replace(design, X=X, factors=factors, sigma=sigma)


def _shifted(
    X: Array,
    columns: tuple[str, ...],
    factors: tuple[GroupFactor, ...],
    at_mean: set[str],
    prefix: str,
    thresholds: bool,
) -> tuple[Array, tuple[GroupFactor, ...]]:
    """Shift the columns of one predictor where the prior of an intercept is at their means."""
    apart = [f for f in factors if f"coef_{f.name}[{INTERCEPT}]" in at_mean]
    if f"{prefix}[{INTERCEPT}]" not in at_mean and not thresholds and not apart:
        return X, factors
    centre = mean_of(X)
    intercept = columns.index(INTERCEPT) if INTERCEPT in columns else None
    if intercept is not None:
        centre[intercept] = 0.0
    shifted = []
    for factor in factors:
        T, Z = factor.T.copy(), factor.Z
        if factor in apart:
            Z = Z - np.append(0.0, mean_of(Z[:, 1:]))
        elif intercept is not None:
            # Z T is still X where the intercept is among its columns; else it no longer can be.
            moved = centre != 0
            twin = np.any(T != 0, axis=0)
            if T[:, intercept].any():
                T[:, moved & twin] -= np.outer(T[:, intercept], centre[moved & twin])
            else:
                T[:, moved] = 0.0
        shifted.append(replace(factor, T=T, Z=np.ascontiguousarray(Z)))
    return X - centre, tuple(shifted)
