"""A fit as ArviZ wants it: draws, and what they say of the rows that were fitted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from partialpool.checks import check_counts
from partialpool.memory import check_memory
from partialpool.posterior.fitted_rows import chunks, n_draws, row_draws, rows_of
from partialpool.posterior.prior_predictive import PriorPredictive
from partialpool.posterior.tree import CHAIN_DRAW, draws_tree, without_slash

if TYPE_CHECKING:
    from xarray import Dataset, DataTree

    from partialpool.posterior.fit import Fit

Array = NDArray[np.float64]


def to_arviz(
    fit: Fit, *, log_likelihood: bool, posterior_predictive: bool, prior: bool | int
) -> DataTree:
    """Build what :meth:`Fit.to_arviz` gives."""
    import xarray as xr

    design = rows_of(fit)
    groups: dict[str, Any] = {name: node.to_dataset() for name, node in fit.draws.items()}
    groups["observed_data"] = _rows(fit, design.y[None, None]).isel(chain=0, draw=0, drop=True)
    check_memory(
        n_draws(fit) * (int(log_likelihood) + int(posterior_predictive)),
        design.n_rows,
        what="rows",
        remedy="leave out `log_likelihood` or `posterior_predictive`, or fit with fewer draws",
    )
    if log_likelihood:
        groups["log_likelihood"] = _rows(fit, _by_chain(fit, _log_densities(fit)))
    if posterior_predictive:
        made = fit.posterior_predictive().to_numpy()
        groups["posterior_predictive"] = _rows(fit, made)
    if prior:
        draws = 1000 if prior is True else prior
        check_counts(prior=draws)
        before = PriorPredictive(fit.model, design, int(draws), fit.seed)
        groups["prior"] = draws_tree(fit.model, before.run)["posterior"].to_dataset()
        groups["prior_predictive"] = _rows(fit, before.responses[None])
    return xr.DataTree.from_dict(groups)


def _log_densities(fit: Fit) -> Array:
    """Log density of every response given all parameters: (draw, row)."""
    design = rows_of(fit)
    found = np.empty((n_draws(fit), design.n_rows))
    for rows in chunks(design, max(1, 2_000_000 // len(found))):
        found[:, rows] = row_draws(fit, rows).log_densities()
    return found


def _by_chain(fit: Fit, values: Array) -> Array:
    return values.reshape(fit.run.chains, fit.run.draws, -1)


def _rows(fit: Fit, values: Array) -> Dataset:
    """Values (chain, draw, row) as a variable called like the response."""
    import xarray as xr

    name = without_slash(fit.model.response)
    name = f"{name}_response" if name in (*CHAIN_DRAW, "row") else name
    coords = {"chain": np.arange(values.shape[0]), "draw": np.arange(values.shape[1])}
    return xr.Dataset({name: ((*CHAIN_DRAW, "row"), values)}, coords | {"row": rows_of(fit).rows})
