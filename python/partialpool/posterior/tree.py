"""Draws as xarray objects: one variable a parameter, with named dimensions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from partialpool.engine import Run
from partialpool.engine.conditional import coefficient_draws, population_part
from partialpool.model import Group, Model

if TYPE_CHECKING:
    from xarray import DataArray, DataTree

# Group draws are part of the tree up to this many numbers (r and coef together: 0.4 GB).
GROUP_DRAWS_LIMIT = 50_000_000

RESERVED_DIMS = ("chain", "draw", "term")


def level_dim(group: Group) -> str:
    """Name of the dimension over levels; a factor called `draw` must not collide."""
    return f"{group.name}_level" if group.name in RESERVED_DIMS else group.name


def draws_tree(model: Model, run: Run) -> DataTree:
    """All draws and sampler statistics as a DataTree with groups posterior and sample_stats."""
    import xarray as xr

    coords: dict[str, object] = {
        "chain": np.arange(run.chains),
        "draw": np.arange(run.draws),
    }
    variables: dict[str, tuple[tuple[str, ...], object]] = {}
    if model.columns:
        coords["term"] = list(model.columns)
        variables["b"] = (("chain", "draw", "term"), run.b)
    group = model.group
    if group is not None:
        dim, term = level_dim(group), f"{group.name}_term"
        coords[term] = list(group.terms)
        if group.known_sd is None:
            variables[f"sd_{group.name}"] = (("chain", "draw", term), run.sd)
        if group.pairs:
            coords[f"{group.name}_pair"] = group.pair_labels
            variables[f"cor_{group.name}"] = (("chain", "draw", f"{group.name}_pair"), run.cor)
        size = 2 * run.chains * run.draws * len(group.levels) * len(group.terms)
        if size <= GROUP_DRAWS_LIMIT:
            coords[dim] = group.levels
            dims = ("chain", "draw", dim, term)
            coefficients = coefficient_draws(model, run, 0, len(group.levels))
            if group.known_sd is None:
                population = population_part(model, run)[:, :, None, :]
                variables[f"r_{group.name}"] = (dims, coefficients - population)
            variables[f"coef_{group.name}"] = (dims, coefficients)
    if run.sigma is not None:
        variables["sigma"] = (("chain", "draw"), run.sigma)
    attrs = {"formula": model.formula, "seed": run.seed, "method": run.method}
    stats = {name: (("chain", "draw"), values) for name, values in run.stats.items()}
    chain_draw = {name: coords[name] for name in ("chain", "draw")}
    return xr.DataTree.from_dict(
        {
            "posterior": xr.Dataset(variables, coords, attrs),
            "sample_stats": xr.Dataset(stats, chain_draw),
        }
    )


def group_array(model: Model, run: Run, picked: list[int]) -> DataArray:
    """Draws of the coefficients of the levels at these positions."""
    import xarray as xr

    group = model.group
    assert group is not None
    parts = [coefficient_draws(model, run, k, k + 1) for k in picked]
    values = (
        np.concatenate(parts, axis=2)
        if parts
        else np.empty((run.chains, run.draws, 0, len(group.terms)))
    )
    return xr.DataArray(
        values,
        dims=("chain", "draw", level_dim(group), f"{group.name}_term"),
        coords={level_dim(group): group.levels[picked], f"{group.name}_term": list(group.terms)},
        name=f"coef_{group.name}",
    )
