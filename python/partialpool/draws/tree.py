"""Draws as xarray objects: one variable a parameter, with named dimensions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from partialpool import called
from partialpool.engine import Run
from partialpool.engine.conditional import coefficient_draws, draws_together, population_part
from partialpool.memory import check_memory
from partialpool.model import Model

if TYPE_CHECKING:
    from xarray import DataArray, DataTree

Variable = tuple[tuple[str, ...], NDArray[np.generic]]

# Group draws are part of the tree up to this many numbers (r and coef together: 0.4 GB).
GROUP_DRAWS_LIMIT = 50_000_000

CHAIN_DRAW = ("chain", "draw")

# Dimension of the parameters that are vectors: by their name, `name_term` for the others.
VECTOR_DIMS = {"b_sigma": "sigma_term", "threshold": "threshold_number"}


def draws_tree(model: Model, run: Run) -> DataTree:
    """All draws and sampler statistics as a DataTree with groups posterior and sample_stats.

    Variables over levels and terms come first: ArviZ's summary labels a variable by its own
    dimensions, and takes its values in the order in which all dimensions occur.
    """
    import xarray as xr

    coords: dict[str, object] = {"chain": np.arange(run.chains), "draw": np.arange(run.draws)}
    variables: dict[str, Variable] = {}
    left = GROUP_DRAWS_LIMIT
    for k, group in enumerate(model.groups):
        size = 2 * run.chains * run.draws * len(group.levels) * len(group.terms)
        if size > left:
            continue
        left -= size
        name, dim, term = group_names(model, run, k)
        coords |= {dim: group.levels, term: list(group.terms)}
        dims = (*CHAIN_DRAW, dim, term)
        coefficients = coefficient_draws(model, run, k, 0, len(group.levels))
        if group.known_sd is None:
            population = population_part(model, run, k)[:, :, None, :]
            variables[called.r(name)] = (dims, coefficients - population)
        variables[called.coef(name)] = (dims, coefficients)
    if model.columns:
        coords["term"] = list(model.columns)
        variables["b"] = ((*CHAIN_DRAW, "term"), run.b)
    for vector, elements in _vectors(run).items():
        dim = _vector_dim(vector, model)
        coords[dim] = [int(element) if element.isdigit() else element for element in elements]
        stacked = np.stack(
            [run.scalars[called.element(vector, element)] for element in elements], axis=-1
        )
        variables[vector] = ((*CHAIN_DRAW, dim), stacked)
    for k, (group, drawn) in enumerate(zip(model.groups, run.groups, strict=True)):
        name, _, term = group_names(model, run, k)
        if group.known_sd is None:
            coords[term] = list(group.terms)
            variables[called.sd(name)] = ((*CHAIN_DRAW, term), drawn.sd)
        if group.pairs:
            coords[f"{name}_pair"] = group.pair_labels
            variables[called.cor(name)] = ((*CHAIN_DRAW, f"{name}_pair"), drawn.cor)
    for scalar, values in run.scalars.items():
        if "[" not in scalar:
            variables[scalar] = (CHAIN_DRAW, values)
    attrs = {"formula": model.formula, "seed": run.seed, "method": run.method}
    stats = {name: (CHAIN_DRAW, values) for name, values in run.stats.items()}
    return xr.DataTree.from_dict(
        {
            "posterior": xr.Dataset(variables, coords, attrs),
            "sample_stats": xr.Dataset(stats, {name: coords[name] for name in CHAIN_DRAW}),
        }
    )


def group_array(model: Model, run: Run, k: int, picked: list[int]) -> DataArray:
    """Draws of the coefficients of the levels at these positions, of the group at position k."""
    import xarray as xr

    group = model.groups[k]
    width, remedy = len(picked) * len(group.terms), "take fewer levels at a time"
    check_memory(run.chains * run.draws, width, what="coefficients", copies=2, remedy=remedy)
    rising, places = np.unique(np.asarray(picked, dtype=int), return_inverse=True)
    parts = [*draws_together(coefficient_draws, model, run, k, rising)]
    if len(parts) == 1 and np.array_equal(rising, picked):
        values = parts[0]
    else:
        none = np.empty((run.chains, run.draws, 0, len(group.terms)))
        values = np.concatenate([none, *parts], axis=2)[:, :, places]
    name, dim, term = group_names(model, run, k)
    return xr.DataArray(
        values,
        dims=(*CHAIN_DRAW, dim, term),
        coords={dim: group.levels[picked], term: list(group.terms)},
        name=called.coef(name),
    )


def group_names(model: Model, run: Run, k: int) -> tuple[str, str, str]:
    """Name a group in a tree, and its dimensions over levels and over terms.

    The first of these is called like the factor, unless something else is.
    """
    own = [without_slash(group.name) for group in model.groups]
    # Names that differed in a slash alone are told apart by numbers.
    names = [name if own.count(name) == 1 else f"{name}_{j + 1}" for j, name in enumerate(own)]
    taken = {*CHAIN_DRAW, "term", "b", *run.scalars, *_vectors(run)}
    taken |= {_vector_dim(name, model) for name in _vectors(run)}
    for name in names:
        taken |= {f"{kind}_{name}" for kind in ("sd", "cor", "r", "coef")}
        taken |= {f"{name}_term", f"{name}_pair"}
    factors = {group.factor for group in model.groups} - {model.groups[k].factor}
    dim = without_slash(model.groups[k].factor)
    if dim in taken:
        dim = f"{dim}_level"
    elif dim in map(without_slash, factors):
        dim = f"{names[k]}_level"
    return names[k], dim, f"{names[k]}_term"


def without_slash(name: str) -> str:
    """Make a name that a tree allows, in which slashes lead to branches.

    Examples
    --------
    >>> without_slash("a/b")
    'a_b'
    """
    return name.replace("/", "_")


def _vectors(run: Run) -> dict[str, list[str]]:
    """Parameters with several elements among the scalars, and the labels of these elements."""
    vectors: dict[str, list[str]] = {}
    for label in run.scalars:
        name = called.array_of(label)
        if name != label:
            vectors.setdefault(name, []).append(called.place_of(label))
    return vectors


def _vector_dim(name: str, model: Model) -> str:
    """Name of the dimension of a vector; a factor called `sigma` must not collide."""
    dim = VECTOR_DIMS.get(name, f"{name}_term")
    taken = any(dim in (f"{g.name}_term", f"{g.name}_pair") for g in model.groups)
    return f"{name}_term" if taken else dim
