"""A fit as ArviZ wants it: draws, and what they say of the rows that were fitted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from partialpool.answers import predict
from partialpool.answers.prior_predictive import PriorPredictive
from partialpool.arrays import Array
from partialpool.checks import check_whole
from partialpool.draws.posterior import n_draws, rows_of
from partialpool.draws.rows import chunks, row_draws
from partialpool.draws.tree import CHAIN_DRAW, draws_tree, without_slash
from partialpool.memory import check_memory

if TYPE_CHECKING:
    from xarray import Dataset, DataTree

from partialpool.draws.posterior import Posterior


def to_arviz(
    fit: Posterior,
    *,
    log_likelihood: bool = True,
    posterior_predictive: bool = True,
    prior: bool | int = False,
) -> DataTree:
    """Give the draws with all that ArviZ's functions look for.

    Parameters
    ----------
    log_likelihood : bool
        Whether to add the log density of every response given all parameters, for ``az.loo``.
        (Where coefficients integrate out, :meth:`loo` is more reliable.)
    posterior_predictive : bool
        Whether to add a new response of every row for every draw, for ``az.plot_ppc_dist``.
    prior : bool or int
        Whether to add draws from the priors, and responses that they make: 1000, or so many.

    Returns
    -------
    xarray.DataTree
        Groups posterior and sample_stats as in :attr:`draws`, observed_data, log_likelihood,
        posterior_predictive, prior and prior_predictive. ArviZ 1 and arviz-stats 0.8 read it;
        for ArviZ 0.23, ``az.InferenceData.from_datatree`` converts it.

    Raises
    ------
    InputError
        If the fit was saved without its rows, the draws would not fit in memory, or a prior is
        improper.

    Examples
    --------
    >>> import partialpool as pp
    >>> fit = pp.fit("log_radon ~ floor + (1 | county)", pp.datasets.radon(), draws=100, seed=1)
    >>> fit.to_arviz()["log_likelihood"]["log_radon"].shape
    (4, 100, 919)
    """
    import xarray as xr

    if not isinstance(prior, bool):
        prior = check_whole("prior", prior, 0)
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
        made = predict.posterior_predictive(fit).to_numpy()
        groups["posterior_predictive"] = _rows(fit, made)
    if prior:
        draws = 1000 if prior is True else prior
        before = PriorPredictive(fit.model, design, int(draws), fit.seed)
        groups["prior"] = draws_tree(fit.model, before.run)["posterior"].to_dataset()
        groups["prior_predictive"] = _rows(fit, before.responses[None])
    return xr.DataTree.from_dict(groups)


def _log_densities(fit: Posterior) -> Array:
    """Log density of every response given all parameters: (draw, row)."""
    design = rows_of(fit)
    found = np.empty((n_draws(fit), design.n_rows))
    for rows in chunks(design, max(1, 2_000_000 // len(found))):
        found[:, rows] = row_draws(fit, rows).log_densities()
    return found


def _by_chain(fit: Posterior, values: Array) -> Array:
    return values.reshape(fit.run.chains, fit.run.draws, -1)


def _rows(fit: Posterior, values: Array) -> Dataset:
    """Values (chain, draw, row) as a variable called like the response."""
    import xarray as xr

    name = without_slash(fit.model.response)
    name = f"{name}_response" if name in (*CHAIN_DRAW, "row") else name
    coords = {"chain": np.arange(values.shape[0]), "draw": np.arange(values.shape[1])}
    return xr.Dataset({name: ((*CHAIN_DRAW, "row"), values)}, coords | {"row": rows_of(fit).rows})
