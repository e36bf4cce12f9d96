"""How far each level's estimate is pulled from its own rows to the population: pooling factors."""

from __future__ import annotations

import numpy as np
from msgspec.structs import replace

from partialpool import called
from partialpool.arrays import Array, Ints
from partialpool.draws.evaluate import Evaluator
from partialpool.draws.new_rows import design_rows
from partialpool.draws.posterior import Posterior, rows_of
from partialpool.draws.rows import RowDraws, chunks, row_draws, thinned
from partialpool.engine.conditional import covariances
from partialpool.errors import InputError

NUMBERS = 3_000_000  # draws × rows, or draws × levels × terms²; of more draws, some are used
FEWEST = 16  # draws of very many rows
STEP = 0.01  # of finite differences, in sds of a response or on the scale of the link


def pooling_factors(fit: Posterior, k: int) -> Array:
    """Pooling factor of every level's coefficients: (level, term).

    The share of the population's variance of a coefficient that a level's own rows leave open: the
    variance of its deviation given the rows, the sds and all other coefficients, over that in the
    population, averaged over draws of the sds (Gelman & Pardoe 2006; Gelman & Hill 2007, 21.6). 0:
    the level's rows alone decide; 1: they say nothing and the estimate is the population's. Of
    levels with n rows and one coefficient in a Gaussian model it is (σ²/n) / (σ²/n + sd²), the
    weight of the population mean. There it is exact given the sds; in other families rows count by
    their information, minus the second derivative of the log density.

    Parameters
    ----------
    k : int
        Position of the group among those of the model.

    Raises
    ------
    InputError
        If the levels are not pooled, or the fit was saved without its rows.

    Examples
    --------
    >>> import partialpool as pp
    >>> fit = pp.fit("log_radon ~ 1 + (1 | county)", pp.datasets.radon(), seed=1)
    >>> pooling_factors(fit, 0).round(2)[:3, 0].tolist()
    [0.62, 0.12, 0.68]
    """
    group, design = fit.model.groups[k], rows_of(fit)
    if group.known_sd is not None:
        raise InputError(
            f"`{group.factor}` has no pooling, so nothing pulls its levels together",
            remedy='fit with pooling="partial"',
        )
    J, q = len(group.levels), len(group.terms)
    size = max(design.n_rows, J * q * q)
    picked = thinned(fit, max(FEWEST, NUMBERS // size))
    information = _by_level(fit, k, picked)
    root = _roots(group.back @ covariances(fit.model, fit.run, k)[picked] @ group.back.T)
    own = root[:, None]
    inner = np.swapaxes(own, 2, 3) @ information @ own + np.eye(q)
    left = np.sum((own @ np.linalg.inv(inner)) * own, axis=3)
    whole = np.sum(own**2, axis=3)
    share = np.where(whole > 0, left / np.where(whole > 0, whole, 1.0), 1.0)
    return np.asarray(np.clip(share.mean(axis=0), 0.0, 1.0))


def _roots(covariance: Array) -> Array:
    """Square roots of covariances (draw, q, q), which may be singular."""
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :])


def _by_level(fit: Posterior, k: int, picked: Ints) -> Array:
    """Information of the rows of each level on its coefficients: (draw, level, term, term)."""
    group, design = fit.model.groups[k], rows_of(fit)
    member = design_rows(fit.model, design).members[k]
    q = len(group.terms)
    total = np.zeros((len(picked), len(group.levels), q, q))
    for rows in chunks(design, max(1, NUMBERS // len(picked))):
        of_rows = _information(fit, rows, picked, group.predictor)
        codes, Z = member.codes[rows], member.Z[rows]
        order = np.argsort(codes, kind="stable")
        levels, starts = np.unique(codes[order], return_index=True)
        for a in range(q):
            for b in range(a + 1):
                products = of_rows[:, order] * (Z[:, a] * Z[:, b])[order]
                total[:, levels, a, b] += np.add.reduceat(products, starts, axis=1)
    lower = np.tril_indices(q, -1)
    total[:, :, lower[1], lower[0]] = total[:, :, lower[0], lower[1]]
    return total


def _information(fit: Posterior, rows: Ints, picked: Ints, predictor: str) -> Array:
    """Information of rows on their linear predictor: (draw, row)."""
    if predictor == called.MEAN and fit.model.family.conjugate:
        return _precision(fit, rows, picked)
    own = row_draws(fit, rows, picked)
    log_sigma = own.given.log_sigma
    step = np.full(own.eta.shape, STEP)
    if predictor == called.MEAN and log_sigma is not None:
        step *= np.exp(log_sigma)
    low, middle, high = (
        _moved(own, predictor, side * step).log_densities() for side in (-1.0, 0.0, 1.0)
    )
    with np.errstate(invalid="ignore"):
        curved = (2 * middle - low - high) / step**2
    return np.where(np.isfinite(curved), np.maximum(curved, 0.0), 0.0)


def _precision(fit: Posterior, rows: Ints, picked: Ints) -> Array:
    """Precision of normal responses: (draw, row)."""
    every = design_rows(fit.model, rows_of(fit))
    evaluator = Evaluator(
        fit.model, fit.run, every, new_levels="sample", seed=fit.seed, picked=picked
    )
    log_sigma = evaluator.log_sigma(rows)
    if log_sigma is None:
        log_sigma = np.log(evaluator.aux["sigma"])[None]
    return np.broadcast_to(np.exp(-2 * log_sigma.T), (len(picked), len(rows)))


def _moved(own: RowDraws, predictor: str, by: Array) -> RowDraws:
    """Rows whose linear predictor is a little elsewhere."""
    if predictor == called.MEAN:
        return replace(own, eta=own.eta + by)
    log_sigma = own.given.log_sigma
    assert log_sigma is not None
    return replace(own, given=own.given._replace(log_sigma=log_sigma + by))
