"""Draws of effects → the table that sums them up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from partialpool.arrays import Array, Ints
from partialpool.draws.quantiles import summarise_rows
from partialpool.effects.grid import Axis, Grid

if TYPE_CHECKING:
    from partialpool.effects.frame import Effects

OWN = ("quantity", "value", "reference", "category", "mean", "sd", "lower", "upper")


class Found(NamedTuple):
    """A quantity with its draws.

    Attributes
    ----------
    quantity : str
        What it is.
    place : tuple of int or None
        The combination that it is about; None on an axis that it is not about.
    reference : tuple of int or None
        The combination that it is compared with, if it is.
    draws : (draw,) or (draw, category) array
        What it is in each.
    """

    quantity: str
    place: tuple[int | None, ...]
    reference: tuple[int, ...] | None
    draws: Array


def name_columns(axes: Sequence[Axis], alone: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Name the columns of values and of references.

    Parameters
    ----------
    alone : bool
        Whether the first axis is the only one that is compared, and is not called by its name.

    Examples
    --------
    >>> axes = [Axis("arm", ("a", "b")), Axis("mean", (1, 2))]
    >>> name_columns(axes, False)
    (('arm', 'data_mean'), ('reference_arm', 'reference_mean'))
    >>> name_columns(axes[:1], True)
    (('value',), ('reference',))
    """
    used = {*OWN}

    def free(name: str) -> str:
        while name in used:
            name = f"data_{name}"
        used.add(name)
        return name

    columns = tuple("value" if alone and not k else free(axis.name) for k, axis in enumerate(axes))
    if alone:
        return columns, ("reference",)
    return columns, tuple(free(f"reference_{axis.name}") for axis in axes if axis.is_compared)


def tabled(found: Sequence[Found], grid: Grid, chains: int, drawn: Ints) -> Effects:
    """Sum up each quantity in a row, or in one for each category.

    Parameters
    ----------
    chains : int
        How many the draws are of.
    drawn : (draw,) array of int
        Which draws of each chain.
    """
    import xarray as xr

    from partialpool.effects.frame import Effects

    labels = grid.categories or (None,)
    flat = np.concatenate([one.draws.reshape(-1, len(labels)).T for one in found])
    columns = _facts(found, grid, len(labels))
    if grid.categories:
        columns["category"] = [*labels] * len(found)
    columns |= dict(zip(OWN[4:], summarise_rows(flat, grid.interval).T, strict=True))
    draws = xr.DataArray(
        flat.reshape(len(flat), chains, len(drawn)).transpose(1, 2, 0),
        dims=("chain", "draw", "row"),
        coords={"chain": np.arange(chains), "draw": drawn, "row": np.arange(len(flat))},
        name=grid.response,
    )
    return Effects.of(columns, draws, grid)


def _facts(found: Sequence[Found], grid: Grid, times: int) -> dict[str, Any]:
    """What each row is about."""
    columns: dict[str, list[Any]] = {"quantity": [one.quantity for one in found]}
    for k, (axis, name) in enumerate(zip(grid.axes, grid.columns, strict=True)):
        at = [one.place[k] for one in found]
        columns[name] = [None if i is None else axis.values[i] for i in at]
    for k, name in zip(grid.compared, grid.references, strict=True):
        places = [one.reference for one in found]
        values = grid.axes[k].values
        columns[name] = [None if place is None else values[place[k]] for place in places]
    return {
        name: _held([v for v in values for _ in range(times)], name in OWN)
        for name, values in columns.items()
    }


def _held(values: list[Any], as_found: bool) -> Any:
    """Keep whole numbers whole where some rows have none."""
    given = [v for v in values if v is not None]
    whole = all(isinstance(v, int) and not isinstance(v, bool) for v in given)
    if as_found or not whole or len(given) == len(values):
        return values
    return np.array(values, dtype=object)
