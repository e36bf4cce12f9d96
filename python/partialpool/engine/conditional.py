"""Group coefficients: drawn on demand from their exact conditionals.

Functions take the position `k` of a group among those of the model.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from partialpool import _core
from partialpool.arrays import Array, Ints, mean_of
from partialpool.engine.blocks import block_draws, several
from partialpool.engine.run import GroupDraws, Run
from partialpool.model import Group, Model

CHUNK = 2_000_000  # draws × coefficients that are drawn at a time
APART = 4  # places from a level to the next beyond which it is not drawn with it


def level_parts(run: Run, group: Group) -> Iterator[tuple[int, int]]:
    """Ranges of the levels of a group, so that draws of their coefficients take little memory."""
    size = max(1, CHUNK // max(run.chains * run.draws * len(group.terms), 1))
    for first in range(0, len(group.levels), size):
        yield first, min(first + size, len(group.levels))


class Given(NamedTuple):
    """What the coefficients of a group depend on, flattened over chains."""

    data: _core.CrossProducts
    covariance: Array
    sigma: Array
    coefficients: Array


def covariances(model: Model, run: Run, k: int) -> Array:
    """Covariance of the working coefficients r̃ for every draw, flattened over chains: (s, q, q).

    Empty where their priors are flat.
    """
    group, draws = model.groups[k], run.groups[k]
    q, s = len(group.terms), run.chains * run.draws
    if group.is_flat:
        return np.empty((0, q, q))
    if group.known_sd is not None:
        return np.broadcast_to(np.diag(group.known_sd**2), (s, q, q))
    return covariance_of(*own_scales(group, draws), group.pairs)


def own_scales(group: Group, draws: GroupDraws) -> tuple[Array, Array]:
    """Sds of the working coefficients r̃ and their correlations, flattened over chains."""
    own = np.concatenate([draws.sd, draws.cor], axis=2) if draws.own is None else draws.own
    q = len(group.terms)
    own = own.reshape(-1, q + len(group.pairs))
    return own[:, :q], own[:, q:]


def covariance_of(sd: Array, cor: Array, pairs: Sequence[tuple[int, int]]) -> Array:
    """Covariances (draw, q, q) from sds and the correlations of pairs."""
    s, q = sd.shape
    matrix = np.broadcast_to(np.eye(q), (s, q, q)).copy()
    for place, (i, j) in enumerate(pairs):
        matrix[:, i, j] = matrix[:, j, i] = cor[:, place]
    return np.asarray(matrix * sd[:, :, None] * sd[:, None, :])


def written_scales(group: Group, sd: Array, cor: Array) -> GroupDraws:
    """Sds and correlations of coefficients as written, from those of r̃: (chain, draw, …).

    Those of r̃ are kept beside them where they are others.
    """
    if not group.at_mean:
        return GroupDraws(sd, cor)
    shape, q = sd.shape[:2], sd.shape[2]
    n = shape[0] * shape[1]
    inner = covariance_of(sd.reshape(n, q), cor.reshape(n, cor.shape[2]), group.pairs)
    own = np.concatenate([sd, cor], axis=2)
    sd, cor = scales_of(_mapped(inner, group.back), group.pairs)
    return GroupDraws(sd.reshape(*shape, q), cor.reshape(*shape, len(group.pairs)), own=own)


def _mapped(covariance: Array, by: Array) -> Array:
    """`by` Σ `by`ᵀ for symmetric Σ (draw, q, q), as two products of whole matrices."""
    half = (covariance.reshape(-1, len(by)) @ by.T).reshape(covariance.shape)
    return np.asarray((half.swapaxes(1, 2).reshape(-1, len(by)) @ by.T).reshape(covariance.shape))


def scales_of(covariance: Array, pairs: Sequence[tuple[int, int]]) -> tuple[Array, Array]:
    """Sds and the correlations of pairs from covariances (draw, q, q)."""
    sd = np.sqrt(np.maximum(np.einsum("saa->sa", covariance), 0.0))
    size = np.where(sd > 0, sd, 1.0)
    cor = [covariance[:, i, j] / (size[:, i] * size[:, j]) for i, j in pairs]
    if not cor:
        return sd, np.empty((len(sd), 0))
    return sd, np.clip(np.stack(cor, axis=1), -1.0, 1.0)


def _given(model: Model, run: Run, k: int) -> Given:
    assert model.reduced is not None
    assert run.working is not None
    s = run.chains * run.draws
    working = np.ascontiguousarray(run.working.reshape(s, run.working.shape[2]))
    sigma = np.ones(s) if run.sigma is None else run.sigma.ravel()
    return Given(model.reduced.levels, covariances(model, run, k), sigma, working)


def population_part(model: Model, run: Run, k: int) -> Array:
    """What deviations are added to, for every draw: (chain, draw, term)."""
    group = model.groups[k]
    part: Array = run.coefficients(group.predictor) @ group.T.T + group.base
    return part


def population_mean(model: Model, run: Run, k: int) -> Array:
    """What deviations are added to, on average over the draws: (term,)."""
    return mean_of(mean_of(population_part(model, run, k), axis=1))


def deviation_draws(model: Model, run: Run, k: int, first: int, last: int) -> Array:
    """Draws of r for levels first..last: (chain, draw, level, term)."""
    group, coef = model.groups[k], run.groups[k].coef
    if coef is not None:
        return coef[:, :, first:last] - population_part(model, run, k)[:, :, None, :]
    if several(model):
        every = [np.ascontiguousarray(covariances(model, run, i)) for i in range(len(run.groups))]
        drawn = block_draws(model, run, every, k, (first, last))
        return drawn.reshape(run.chains, run.draws, last - first, len(group.terms))
    out = _core.group_draws(
        **_given(model, run, k)._asdict(),
        back=group.back,
        first=first,
        last=last,
        seed=run.seed,
        threads=os.cpu_count() or 1,
    )
    shape = (last - first, len(group.terms), run.chains, run.draws)
    return np.moveaxis(out.reshape(shape), (2, 3), (0, 1))


def coefficient_draws(model: Model, run: Run, k: int, first: int, last: int) -> Array:
    """Draws of the levels' own coefficients: (chain, draw, level, term)."""
    coef = run.groups[k].coef
    if coef is not None:
        return coef[:, :, first:last]
    population = population_part(model, run, k)[:, :, None, :]
    return deviation_draws(model, run, k, first, last) + population


def draws_together(
    draw: Callable[[Model, Run, int, int, int], Array], model: Model, run: Run, k: int, levels: Ints
) -> Iterator[Array]:
    """What `draw` gives for levels in rising order, those at once that lie together.

    Each part is (chain, draw, level, term).
    """
    for own in np.split(levels, np.flatnonzero(np.diff(levels) > APART) + 1):
        if len(own):
            found = draw(model, run, k, int(own[0]), int(own[-1]) + 1)
            yield found if found.shape[2] == len(own) else found[:, :, own - own[0]]


def draws_within_bounds(model: Model, run: Run) -> NDArray[np.bool_]:
    """Which draws to keep so that uniform priors of group coefficients hold: (chain, draw).

    Draws are exact without the bounds; those with every coefficient inside are exact with them.
    Memory stays small.
    """
    inside = np.ones((run.chains, run.draws), dtype=bool)
    group = model.sole_group
    if group is None or group.bounds is None:
        return inside
    low, high = group.bounds.T
    chunk = max(1, CHUNK // (run.chains * run.draws))
    for first, last in level_parts(run, group):
        draws = coefficient_draws(model, run, 0, first, last)
        outside = (draws < low) | (draws > high)  # never for NaN: see below
        inside &= ~outside.any(axis=(2, 3))
    undetermined = np.flatnonzero(~group.estimable)
    rng = np.random.default_rng([run.seed, 1])
    for first in range(0, len(undetermined), chunk):
        inside &= _slices_kept(model, run, undetermined[first : first + chunk], rng)
    return inside


def _slices_kept(
    model: Model, run: Run, levels: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Thin the draws for levels whose rows determine one combination t of two coefficients.

    Integrated over the rest, a uniform prior acts on t by the length of the slice of the box with
    that t, a trapezoid in t: a draw is kept with probability length over greatest length.
    """
    group = model.sole_group
    assert group is not None
    assert group.bounds is not None
    assert model.reduced is not None
    assert run.working is not None
    R, B = model.reduced.levels.parts()[:2]
    a = R[levels, 0] @ np.linalg.inv(group.back)  # rows of the user's Z, up to a factor
    informed = np.any(a != 0, axis=1)
    a, B = a[informed], B[levels[informed], 0]
    s = run.chains * run.draws
    contrast = np.column_stack([-run.working.reshape(s, run.working.shape[2]), np.ones(s)])
    origin = population_part(model, run, 0).reshape(s, len(group.terms))
    sigma = np.ones((s, 1)) if run.sigma is None else run.sigma.reshape(s, 1)
    t = contrast @ B.T + origin @ a.T + sigma * rng.normal(size=(s, len(a)))
    ends = np.where(a[:, :, None] != 0, a[:, :, None] * group.bounds, 0.0)
    low, high = ends.min(axis=2).sum(axis=1), ends.max(axis=2).sum(axis=1)
    ramp = np.ptp(ends, axis=2).min(axis=1)
    from_end = np.minimum(t - low, high - t)
    kept = from_end >= rng.uniform(size=t.shape) * np.where(np.isfinite(ramp), ramp, 0.0)
    return np.asarray(kept.all(axis=1).reshape(run.chains, run.draws))
