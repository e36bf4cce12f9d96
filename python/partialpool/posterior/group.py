"""Group coefficients: drawn on demand from their exact conditionals."""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray

from partialpool import _core
from partialpool.engine import Run
from partialpool.model import Group, Model

Array = NDArray[np.float64]


def covariances(group: Group, run: Run) -> Array:
    """Covariance Σ of the group coefficients for every draw, flattened over chains: (s, q, q)."""
    q = len(group.terms)
    sd = run.sd.reshape(-1, q)
    correlation = np.broadcast_to(np.eye(q), (len(sd), q, q)).copy()
    for k, (i, j) in enumerate(group.pairs):
        correlation[:, i, j] = correlation[:, j, i] = run.cor.reshape(-1, len(group.pairs))[:, k]
    return correlation * sd[:, :, None] * sd[:, None, :]


def _conditionals(model: Model, run: Run) -> tuple[Group, Array, Array, Array]:
    assert model.group is not None
    working = np.ascontiguousarray(run.working.reshape(-1, run.working.shape[2]))
    sigma = np.ones(len(working)) if run.sigma is None else run.sigma.ravel()
    return model.group, covariances(model.group, run), sigma, working


def deviation_draws(model: Model, run: Run, first: int, last: int) -> Array:
    """Draws of r for levels first..last: (chain, draw, level, term)."""
    group, covariance, sigma, working = _conditionals(model, run)
    out = _core.group_draws(
        model.data, covariance, sigma, working, first, last, run.seed, os.cpu_count() or 1
    )
    shape = (last - first, len(group.terms), run.chains, run.draws)
    return np.moveaxis(out.reshape(shape), (2, 3), (0, 1))


def population_part(model: Model, run: Run) -> Array:
    """Give T b for every draw: what the deviations are added to, (chain, draw, term)."""
    assert model.group is not None
    part: Array = run.b @ model.group.T.T
    return part


def coefficient_summary(model: Model, run: Run, interval: float) -> Array:
    """Mean, sd, lower and upper of T b + r for every level: (level, term, 4).

    Means and sds are averaged over the draws of φ analytically. Memory does not grow with
    levels × draws.
    """
    group, covariance, sigma, working = _conditionals(model, run)
    shift = np.ascontiguousarray(population_part(model, run).reshape(len(sigma), -1))
    tail = (1 - interval) / 2
    return _core.group_summary(
        model.data,
        covariance,
        sigma,
        working,
        shift,
        0,
        len(group.levels),
        (tail, 1 - tail),
        run.seed,
        os.cpu_count() or 1,
    )
