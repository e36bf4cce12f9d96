"""Coefficients of several factors, drawn and averaged from their exact conditionals."""

from __future__ import annotations

import os
from typing import NamedTuple

import numpy as np

from partialpool import _core
from partialpool.arrays import Array, Ints
from partialpool.engine.run import Run
from partialpool.model import Model

WINDOW = 50_000_000  # draws × coefficients that are kept


class Moments(NamedTuple):
    """Of the levels' own coefficients at nodes of φ, population coefficients integrated.

    Attributes
    ----------
    mean, variance : (node, level, term) arrays
    """

    mean: Array
    variance: Array

    def take(self, levels: Ints) -> Moments:
        """Keep some of the levels."""
        return Moments(self.mean[:, levels], self.variance[:, levels])

    def nodes(self, picked: Ints) -> Moments:
        """Keep some of the nodes."""
        return Moments(self.mean[picked], self.variance[picked])

    def joined(self, more: Moments) -> Moments:
        """Add those at other nodes."""
        return Moments(*(np.concatenate(pair) for pair in zip(self, more, strict=True)))


def mixture(at: Moments, weights: Array, probabilities: tuple[float, float]) -> Array:
    """Mean, sd and two quantiles of the mixtures of normals over nodes: (level, term, 4)."""
    return _core.mixture_summary(
        means=np.ascontiguousarray(at.mean),
        variances=np.ascontiguousarray(at.variance),
        weights=weights,
        probabilities=probabilities,
        threads=os.cpu_count() or 1,
    )


def several(model: Model) -> bool:
    """Whether the rows are reduced for several factors."""
    return model.reduced is not None and isinstance(model.reduced.data, _core.Blocks)


def block_draws(
    model: Model, run: Run, covariances: list[Array], k: int, levels: tuple[int, int]
) -> Array:
    """Draws of the deviations of some levels of a factor, given Σ̃: (draw, level, term).

    An elimination gives all coefficients of a draw, so as many as fit are kept in the run: those
    that are asked for next.
    """
    sizes = [len(group.levels) * len(group.terms) for group in model.groups]
    group, q = model.groups[k], len(model.groups[k].terms)
    first = sum(sizes[:k]) + levels[0] * q
    last = first + (levels[1] - levels[0]) * q
    start, kept = run.window.get("draws", (0, np.empty((0, 0))))
    if not start <= first <= last <= start + kept.shape[1]:
        width = max(last - first, WINDOW // (run.chains * run.draws))
        # All of them, or from here on.
        start = 0 if last <= width else first
        kept = _draws(model, run, covariances, (start, min(start + width, sum(sizes))))
        run.window["draws"] = (start, kept)
    own = kept[:, first - start : last - start].reshape(len(kept), levels[1] - levels[0], q)
    return np.asarray(own @ group.back.T)


def _draws(model: Model, run: Run, covariances: list[Array], window: tuple[int, int]) -> Array:
    assert run.working is not None
    count = run.chains * run.draws
    contrast = np.column_stack([-run.working.reshape(count, -1), np.ones(count)])
    return _data(model).draws(
        covariance=covariances,
        sigma=_sigma(run, np.arange(count)),
        contrast=contrast,
        first=window[0],
        last=window[1],
        seed=run.seed,
        threads=os.cpu_count() or 1,
    )


def block_moments(model: Model, run: Run, covariances: list[Array], picked: Ints) -> list[Moments]:
    """Moments of all factors' coefficients at some of the draws of φ."""
    data = _data(model)
    assert model.reduced is not None
    assert run.working is not None
    known = model.reduced.population
    assert known is not None
    working = run.working.reshape(run.chains * run.draws, -1)[picked]
    written, level = known.written[:, :-1], known.written[:, -1]
    found = data.node_moments(
        covariance=[np.ascontiguousarray(own[picked]) for own in covariances],
        sigma=_sigma(run, picked),
        prior=known.prior,
        sampled=np.ascontiguousarray(working[:, known.count :]),
        maps=[np.ascontiguousarray(group.T @ written) for group in model.groups],
        back=[np.ascontiguousarray(group.back) for group in model.groups],
        threads=os.cpu_count() or 1,
    )
    return [
        Moments(mean + group.T @ level + group.base, variance)
        for (mean, variance), group in zip(found, model.groups, strict=True)
    ]


def _data(model: Model) -> _core.Blocks:
    assert model.reduced is not None
    return model.reduced.crossed


def _sigma(run: Run, picked: Ints) -> list[float]:
    return [1.0] * len(picked) if run.sigma is None else run.sigma.ravel()[picked].tolist()
