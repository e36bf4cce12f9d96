"""Where chains of Metropolis start: as the user says, else at random."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from partialpool import called
from partialpool.arrays import Array, Ints
from partialpool.engine.conditional import covariance_of, scales_of
from partialpool.engine.joint import Layout
from partialpool.engine.sampling import Start, Values
from partialpool.errors import InputError, did_you_mean
from partialpool.model import Model
from partialpool.model.defaults import bounds


def starting_points(
    model: Model, layout: Layout, seed: int, chains: int, start: Start | None
) -> Array:
    """Give a point for each chain: (chain, parameter).

    What `start` leaves out is drawn: coefficients N(0, 1), scales U(0, 1) + ½, no correlation, each
    put inside its bounds where it lies outside.

    Raises
    ------
    InputError
        If `start` names what is no parameter, or gives values that it cannot have.
    """
    given = _by_chain(start, seed, chains)
    places = _places(model, layout)
    limits = _limits(model, layout)
    points = np.empty((chains, layout.dim))
    for chain, values in enumerate(given):
        points[chain] = _drawn(layout, limits, np.random.default_rng([seed, chain]))
        _put(points[chain], values, places, limits)
        if any(called.kind_of(name) in ("sd", "cor") for name in values):
            _to_walk(points[chain], model, layout)
    return points


def _to_walk(theta: Array, model: Model, layout: Layout) -> None:
    """Turn sds and correlations of coefficients as written into those that the walk is over."""
    group = model.sole_group
    if group is None or not group.at_mean:
        return
    written = covariance_of(theta[None, layout.sd], theta[None, layout.cor], group.pairs)
    back = np.linalg.inv(group.back)
    sd, cor = scales_of(back @ written @ back.T, group.pairs)
    theta[layout.sd], theta[layout.cor] = sd[0], cor[0]


def _by_chain(start: Start | None, seed: int, chains: int) -> list[Values]:
    if start is None:
        return [{}] * chains
    if isinstance(start, Mapping):
        return [start] * chains
    if callable(start):
        found: list[Any] = [start(np.random.default_rng([seed, k, 1])) for k in range(chains)]
    elif isinstance(start, Sequence) and not isinstance(start, str):
        found = list(start)
        if len(found) != chains:
            raise InputError(
                f"`start` has {len(found)} places for {chains} chains",
                remedy="give one for each chain, or one for all",
            )
    else:
        found = [start]
    for one in found:
        if not isinstance(one, Mapping):
            raise InputError(
                f"`start` {'gives' if callable(start) else 'is'} {type(one).__name__}",
                remedy='give values by parameter, such as {"sigma": 1}, or a function of a random '
                "generator that returns them",
            )
    return found


def _drawn(layout: Layout, limits: Array, rng: np.random.Generator) -> Array:
    theta = np.zeros(layout.dim)
    theta[layout.b] = rng.normal(size=layout.b.stop - layout.b.start)
    theta[layout.coef] = rng.normal(size=layout.coef.stop - layout.coef.start)
    for part in (layout.sd, layout.sigma):
        theta[part] = 0.5 + rng.uniform(size=part.stop - part.start)
    for k, (low, high) in enumerate(limits.tolist()):
        if low < theta[k] < high:
            continue
        if math.isfinite(low) and math.isfinite(high):
            theta[k] = low + (high - low) * rng.uniform(0.25, 0.75)
        else:
            theta[k] = low + rng.uniform() if math.isfinite(low) else high - rng.uniform()
    return theta


def _limits(model: Model, layout: Layout) -> Array:
    """Where each parameter can lie: (parameter, 2)."""
    limits = np.tile([-math.inf, math.inf], (layout.dim, 1))
    names = [called.b(name) for name in model.columns]
    limits[layout.b] = np.reshape([bounds(name, model.priors[name]) for name in names], (-1, 2))
    group = model.sole_group
    if group is not None:
        if group.bounds is not None:
            limits[layout.coef] = np.tile(group.bounds, (len(group.levels), 1))
        sds = [bounds(key, model.priors[key]) for key in group.sd_labels]
        limits[layout.sd] = np.reshape(sds, (-1, 2))
        cors = [
            bounds(key, model.priors[key]) if key in model.priors else (-1.0, 1.0)
            for key in group.cor_labels
        ]
        limits[layout.cor] = np.reshape(cors, (-1, 2))
    if not model.known_errors:
        limits[layout.sigma] = bounds("sigma", model.priors["sigma"])
    return limits


def _places(model: Model, layout: Layout) -> dict[str, Ints]:
    """Positions of every parameter, and of every array of parameters, by name."""
    every = np.arange(layout.dim)
    places = {"b": every[layout.b]}
    places |= {called.b(name): every[layout.b][[k]] for k, name in enumerate(model.columns)}
    group = model.sole_group
    if group is not None:
        coef = every[layout.coef].reshape(len(group.levels), len(group.terms))
        places[called.coef(group.name)] = coef
        for k, term in enumerate(group.terms):
            places[called.coef(group.name, term)] = coef[:, k]
            for j, level in enumerate(group.levels):
                places[called.at_level(called.coef(group.name), level, term)] = coef[[j], k]
        for name, part, labels in (
            (called.sd(group.name), layout.sd, group.sd_labels),
            (called.cor(group.name), layout.cor, group.cor_labels),
        ):
            places[name] = every[part]
            places |= {label: every[part][[k]] for k, label in enumerate(labels)}
    if not model.known_errors:
        places["sigma"] = every[layout.sigma]
    return {name: own for name, own in places.items() if own.size}


def _put(theta: Array, values: Values, places: Mapping[str, Ints], limits: Array) -> None:
    """Put values in their places; those of one parameter win over those of its array."""
    for name in values:
        if name not in places:
            raise InputError(
                f"`start` has a value for `{name}`, which this model has not",
                remedy=did_you_mean(str(name), [key for key in places if "," not in key]),
            )
    for name in sorted(values, key=lambda name: -places[name].size):
        own = places[name]
        try:
            value = np.broadcast_to(np.asarray(values[name], dtype=float), own.shape)
        except (TypeError, ValueError):
            shape = " × ".join(map(str, own.shape))
            raise InputError(
                f"`start` has no {shape} numbers for `{name}`",
                remedy="give as many, or one for all of them",
            ) from None
        low, high = limits[own, 0], limits[own, 1]
        outside = ~((value > low) & (value < high) & np.isfinite(value))
        if outside.any():
            at = np.unravel_index(int(np.argmax(outside)), own.shape)
            raise InputError(
                f"`start` is {value[at]:g} for `{name}`",
                remedy=f"give numbers between {low[at]:g} and {high[at]:g}",
            )
        theta[own] = value
