"""Coefficients of levels: mean, sd and interval, averaged over a few nodes of φ.

Given φ, population coefficients integrated out, every coefficient of a level is normal. Its
posterior is then a mixture of normals over nodes of φ, whose quantiles need no draws. Twice as many
nodes have to give the same for some levels; else there are more of them.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from partialpool import _core
from partialpool.arrays import Array, Ints, mean_of, sd_of, tails
from partialpool.engine.blocks import Moments, block_moments, mixture, several
from partialpool.engine.conditional import covariances, level_parts, population_part
from partialpool.engine.emulated import emulated
from partialpool.engine.nodes import first_count, settle, tame
from partialpool.engine.run import Run
from partialpool.model import Model

# By which the number of nodes is judged: so many levels, and one in so many.
SOME_LEVELS = 50
ONE_IN = 1000
MOST_NUMBERS = 20_000_000  # of the covariances of population coefficients at all nodes
COSTLY = 1e7  # operations of a node that is not taken lightly


def coefficient_summaries(model: Model, run: Run, interval: float) -> tuple[Array, ...]:
    """Mean, sd, lower and upper of every level's own coefficients: (level, term, 4) a group.

    Of the draws where the engine drew them, else averaged over φ. Memory does not grow with
    levels × draws.
    """
    if several(model):
        return _averaged_together(model, run, tails(interval))
    return tuple(_summary(model, run, k, tails(interval)) for k in range(len(model.groups)))


def _summary(model: Model, run: Run, k: int, probabilities: tuple[float, float]) -> Array:
    group, coef = model.groups[k], run.groups[k].coef
    if coef is None:
        return _averaged(model, run, k, probabilities)
    found = []
    for first, last in level_parts(run, group):
        flat = coef[:, :, first:last].reshape(-1, last - first, len(group.terms))
        lower, upper = np.quantile(flat, probabilities, axis=0)
        found.append(np.stack([mean_of(flat), sd_of(flat, ddof=1), lower, upper], axis=-1))
    return np.concatenate([np.empty((0, len(group.terms), 4)), *found])


def _averaged(model: Model, run: Run, k: int, probabilities: tuple[float, float]) -> Array:
    levels, terms = np.arange(len(model.groups[k].levels)), len(model.groups[k].terms)
    some = levels[:: min(max(1, len(levels) // SOME_LEVELS), ONE_IN)]
    size = integrated_draws(model, run)[1] ** 2
    at, weights = settled_normals(
        model,
        run,
        len(levels) * terms + size,
        lambda picked: Normals.at(model, run, k, picked),
        lambda at, weights: at.summary(some, weights, probabilities),
    )
    return at.summary(levels, weights, probabilities)


def _averaged_together(
    model: Model, run: Run, probabilities: tuple[float, float]
) -> tuple[Array, ...]:
    """The same for several factors, whose levels are found together at each node."""
    draws, integrated = integrated_draws(model, run)
    assert model.reduced is not None
    every = [np.ascontiguousarray(covariances(model, run, i)) for i in range(len(run.groups))]
    levels = [len(group.levels) for group in model.groups]
    some = [np.arange(count)[:: max(1, count // SOME_LEVELS)] for count in levels]
    phi = tame(model, run, draws[:, integrated:])

    def moments(picked: Ints) -> list[Moments]:
        return block_moments(model, run, every, picked)

    if model.reduced.crossed.cost[0] > COSTLY:
        found = emulated(phi, moments)
        if found is not None:
            at, many = found
            weights = np.full(len(many), 1 / len(many))
            return tuple(mixture(one, weights, probabilities) for one in at)

    def judged(at: list[Moments], weights: Array) -> Array:
        pairs = zip(at, some, strict=True)
        found = [mixture(one.take(levels), weights, probabilities) for one, levels in pairs]
        return np.concatenate([one.reshape(-1, 4) for one in found])

    at, weights = settle(
        phi,
        first_count(phi, sum(levels)),
        max(MOST_NUMBERS // sum(levels), 1),
        moments,
        judged,
    )
    used = np.flatnonzero(weights)
    return tuple(mixture(one.nodes(used), weights[used], probabilities) for one in at)


def settled_normals(
    model: Model,
    run: Run,
    numbers: int,
    make: Callable[[Ints], Normals],
    judged: Callable[[Normals, Array], Array],
) -> tuple[Normals, Array]:
    """Nodes of φ, so many numbers each, and their weights; twice as many say the same."""
    draws, integrated = integrated_draws(model, run)
    phi = tame(model, run, draws[:, integrated:])
    most = MOST_NUMBERS // max(integrated**2, 1)
    at, weights = settle(phi, first_count(phi, numbers), most, make, judged)
    used = np.flatnonzero(weights)
    return at.take(used), weights[used]


def integrated_draws(model: Model, run: Run) -> tuple[Array, int]:
    """Draws of the working coefficients, and how many of them are integrated: the first ones."""
    assert model.reduced is not None
    assert run.working is not None
    known = model.reduced.population  # None in files of earlier versions: all of them belong to φ
    draws = run.working.reshape(run.chains * run.draws, run.working.shape[2])
    return draws, 0 if known is None else known.count


class Normals(Struct, frozen=True):
    """What the levels' coefficients are distributed by at nodes of φ, a normal at each.

    Attributes
    ----------
    covariance : (m, q, q) array
        Of the working coefficients; (0, q, q) where their priors are flat.
    u : (m, p + 1) array
        ``(−c, 1)`` with c the expected population coefficients, in the order of the core.
    root : (m, i, i) array
        S with ``SᵀS`` the covariance of those that are integrated.
    population : (q, i) array
        What these add to the coefficients of a level.
    shift : (m, q) array
        What all of c add.
    """

    data: _core.CrossProducts
    back: Array
    covariance: Array
    sigma: Array
    u: Array
    root: Array
    population: Array
    shift: Array

    @classmethod
    def at(cls, model: Model, run: Run, k: int, picked: Ints) -> Normals:
        """Compute them at some of the draws."""
        assert model.reduced is not None
        group, data, known = model.groups[k], model.reduced.levels, model.reduced.population
        (draws, integrated), q = integrated_draws(model, run), len(group.terms)
        sigma = np.ones(len(picked)) if run.sigma is None else run.sigma.ravel()[picked]
        covariance = covariances(model, run, k)
        covariance = covariance if group.is_flat else covariance[picked]
        u = np.column_stack([-draws[picked], np.ones(len(picked))])
        if known is None or len(picked) * integrated**2 > MOST_NUMBERS:
            # Given c as drawn.
            shift = population_part(model, run, k).reshape(-1, q)[picked]
            root, population = np.empty((len(picked), 0, 0)), np.empty((q, 0))
        else:
            u, root = _core.node_coefficients(
                data=data.projected(0) if group.is_flat else data,
                prior=known.prior,
                covariance=np.empty((len(picked), 0, 0)) if group.is_flat else covariance,
                sigma=sigma,
                u=u,
                n_integrated=known.count,
                threads=os.cpu_count() or 1,
            )
            ones = known.written[:, -1]
            shift = (ones - u[:, :-1] @ known.written[:, :-1].T) @ group.T.T + group.base
            population = group.T @ known.written[:, : known.count]
        return cls(data, group.back, covariance, sigma, u, root, population, shift)

    def take(self, nodes: Ints) -> Normals:
        """Keep some of the nodes."""
        return replace(
            self,
            covariance=self.covariance[nodes] if len(self.covariance) else self.covariance,
            sigma=self.sigma[nodes],
            u=self.u[nodes],
            root=self.root[nodes],
            shift=self.shift[nodes],
        )

    def summary(self, levels: Ints, weights: Array, probabilities: tuple[float, float]) -> Array:
        """Mean, sd and two quantiles of weighted nodes: (level, term, 4)."""
        return _core.level_summary(
            data=self.data,
            covariance=self.covariance,
            sigma=self.sigma,
            u=self.u,
            root=self.root,
            back=self.back,
            population=self.population,
            shift=self.shift,
            weights=weights,
            levels=levels,
            probabilities=probabilities,
            threads=os.cpu_count() or 1,
        )
