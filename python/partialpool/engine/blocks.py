"""Coefficients of several factors, drawn and averaged from their exact conditionals."""

from __future__ import annotations

import os
from typing import NamedTuple

import numpy as np

from partialpool import _core
from partialpool.arrays import Array, Ints
from partialpool.engine.run import Run
from partialpool.model import Model
from partialpool.model.marginal import prior_rows


class Moments(NamedTuple):
    """Of the levels' own coefficients at nodes of φ, population coefficients integrated.

    Attributes
    ----------
    mean, variance : (node, level, term) arrays
    """

    mean: Array
    variance: Array


def several(model: Model) -> bool:
    """Whether the rows are reduced for several factors."""
    return model.reduced is not None and isinstance(model.reduced.data, _core.Blocks)


def block_draws(
    model: Model, run: Run, covariances: list[Array], k: int, levels: tuple[int, int]
) -> Array:
    """Draws of the deviations of some levels of a factor, given Σ̃: (draw, level, term)."""
    data = _data(model)
    assert run.working is not None
    count = run.chains * run.draws
    working = run.working.reshape(count, -1)
    contrast = np.column_stack([-working, np.ones(count)])
    own = data.draws(
        covariance=covariances,
        sigma=_sigma(run, np.arange(count)),
        contrast=contrast,
        factor=k,
        first=levels[0],
        last=levels[1],
        seed=run.seed,
        threads=os.cpu_count() or 1,
    )
    return np.asarray(own @ model.groups[k].back.T)


def block_moments(
    model: Model, run: Run, covariances: list[Array], picked: Ints
) -> list[Moments]:
    """Moments of all factors' coefficients at some of the draws of φ."""
    data, at = _data(model), model.coordinates["mu"]
    assert model.reduced is not None
    assert run.working is not None
    order = list(model.reduced.order)
    rows, _ = prior_rows(at, order)
    n_sampled = run.n_sampled
    working = run.working.reshape(run.chains * run.draws, -1)[picked]
    origin = [group.T @ at.from_working(np.zeros(len(order))) + group.base for group in model.groups]
    found = data.node_moments(
        covariance=[np.ascontiguousarray(own[picked]) for own in covariances],
        sigma=_sigma(run, picked),
        prior=rows,
        sampled=np.ascontiguousarray(working[:, len(order) - n_sampled :]),
        maps=[np.ascontiguousarray((group.T @ at.back)[:, order]) for group in model.groups],
        back=[np.ascontiguousarray(group.back) for group in model.groups],
        threads=os.cpu_count() or 1,
    )
    return [
        Moments(mean + shift, variance)
        for (mean, variance), shift in zip(found, origin, strict=True)
    ]


def _data(model: Model) -> _core.Blocks:
    assert model.reduced is not None
    assert isinstance(model.reduced.data, _core.Blocks)
    return model.reduced.data


def _sigma(run: Run, picked: Ints) -> list[float]:
    return [1.0] * len(picked) if run.sigma is None else run.sigma.ravel()[picked].tolist()

