"""R-hat, effective sample sizes and Monte Carlo errors of any array of draws (in the core)."""

from __future__ import annotations

import os

import numpy as np

from partialpool import _core
from partialpool.arrays import Array

FIELDS = ("mean", "sd", "mcse", "ess_bulk", "ess_tail", "r_hat", "constant")


def diagnose(draws: Array) -> dict[str, Array]:
    """Diagnose parameters.

    Parameters
    ----------
    draws : (chain, draw, parameter) array

    Returns
    -------
    dict of (parameter,) arrays
        ``mean``, ``sd``, ``mcse`` (of the mean), ``ess_bulk``, ``ess_tail``, ``r_hat``, and
        ``constant`` (1 where all draws are equal).

    Notes
    -----
    Rank-normalised split R-hat and ESS of Vehtari et al. (2021).

    Examples
    --------
    >>> draws = np.random.default_rng(1).normal(size=(4, 500, 1))
    >>> bool(diagnose(draws)["r_hat"][0] < 1.01)
    True
    """
    parameters = np.ascontiguousarray(np.moveaxis(draws, 2, 0))
    if parameters.shape[0] == 0:
        return {name: np.empty(0) for name in FIELDS}
    out = _core.diagnose(parameters, os.cpu_count() or 1)
    return {name: out[:, k] for k, name in enumerate(FIELDS)}


def energy_bfmi(energy: Array) -> Array:
    """Bayesian fraction of missing information of each chain (Betancourt 2016, §6.1).

    Parameters
    ----------
    energy : (chain, draw) array
        Hamiltonian energy of every draw.
    """
    with np.errstate(all="ignore"):
        change = np.sum(np.diff(energy, axis=1) ** 2, axis=1)
        spread = np.sum((energy - energy.mean(axis=1, keepdims=True)) ** 2, axis=1)
        bfmi: Array = change / spread
    return bfmi
