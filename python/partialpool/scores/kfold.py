"""Cross-validation by refits: the rows, or whole levels, dealt into parts and left out in turn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from partialpool.arrays import Array, Ints, mean_of
from partialpool.checks import A_FACTOR, check_flag, check_seed, check_text, check_whole
from partialpool.design import Design, GroupFactor
from partialpool.draws.posterior import Posterior, rows_of
from partialpool.draws.rows import (
    chunks,
    counting_weights,
    row_draws,
    take_rows,
    thinned,
)
from partialpool.engine.sample import ENGINES, sample
from partialpool.engine.sampling import WARMUP, Sampling
from partialpool.errors import InputError, did_you_mean
from partialpool.model import Pooled
from partialpool.model.fixed import fixed as hold_priors
from partialpool.priors import Prior
from partialpool.progress import Progress, Work
from partialpool.scores.loo import Loo, log_mean

if TYPE_CHECKING:
    from collections.abc import Iterator


def kfold(
    fit: Posterior,
    k: int = 10,
    by: str | None = None,
    seed: int = 0,
    progress: bool | None = None,
) -> Loo:
    """Score predictions of rows by refits without them: slower than :meth:`loo`, but safe.

    Parameters
    ----------
    k : int
        Number of parts into which the rows, or the levels, are dealt at random.
    by : str, optional
        ``"group"`` or the name of a grouping factor: its levels stay whole, so that every row
        is predicted as one of a new level. Each row counts by itself.
    seed : int
        Deals the rows; the fits have the seed of this one.
    progress : bool, optional
        Show progress on stderr; by default as the fit was asked to, else in a terminal, on runs
        longer than a second.

    Returns
    -------
    Loo

    Raises
    ------
    InputError
        If the fit was saved without its rows, or there are fewer rows or levels than parts.

    Notes
    -----
    All refits have the priors of this fit, with the numbers that all rows gave them.
    """
    seed = check_seed(seed)
    k = check_whole("k", k, 2)
    check_text("by", by, A_FACTOR)
    check_flag("progress", progress)
    key = f"kfold {k}, seed {seed}" + ("" if by is None else f", by {by}")
    known: Loo | None = fit.held_out.get(key)
    if known is not None:
        return known
    design = rows_of(fit)
    factor = None if by is None else _factor(design, by)
    units = design.n_rows if factor is None else len(factor.levels)
    what = "rows" if factor is None else f"levels of `{factor.name}`"
    if k > units:
        raise InputError(f"`k` is {k}, but there are {units} {what}", remedy="give at most that")
    even = factor is None and fit.model.family.response != "number"
    fold = deal(units, k, seed, design.y if even else None)
    if factor is not None:
        fold = fold[factor.codes]
    elpd, mean, log_score = (np.full(design.n_rows, np.nan) for _ in range(3))
    pooled = Pooled(design, fit.model.pooling, fit.model.family, fit.model.link)
    fixed, priors = hold_priors(pooled, fit.model.priors)
    if progress is None and fit.request is not None:
        progress = fit.request.options.get("progress")
    with Progress(Work(k, "refits", "kfold"), progress) as bar:
        for part in range(k):
            again = refit(fit, take_rows(fixed, np.flatnonzero(fold != part)), priors)
            for rows, density, expected in _scores(again, fixed, np.flatnonzero(fold == part)):
                elpd[rows], mean[rows] = log_mean(density), expected
            bar.update(part + 1)
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


def _scores(fit: Posterior, design: Design, rows: Ints) -> Iterator[tuple[Ints, Array, Array]]:
    """Densities (draw, row) and expected responses of rows, some at a time."""
    draws = thinned(fit, 4000)
    for chunk in chunks(take_rows(design, rows), max(1, 2_000_000 // len(draws))):
        at = rows[chunk]
        drawn = row_draws(fit, at, draws, design)
        yield at, drawn.log_densities(), mean_of(drawn.means())


def refit(fit: Posterior, design: Design, priors: Mapping[str, Prior]) -> Posterior:
    """Fit the same model to some of its rows, by the method that its engine says."""
    pooled = Pooled(design, fit.model.pooling, fit.model.family, fit.model.link)
    run, found = fit.run, ENGINES.get(fit.run.method)
    method = fit.run.method if found is None or not found.refit else found.refit
    sampling = Sampling(
        chains=run.chains,
        draws=run.draws,
        # Where it decides by itself, it may take as long as it does at most.
        warmup=max(run.warmup, WARMUP if run.method == "nuts" else 200),
        seed=run.seed,
        progress=False,
    )
    model, run, _ = sample(method, pooled, priors, sampling)
    return Posterior(model, run, fit.provenance, [], design=design)
