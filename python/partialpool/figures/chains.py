"""Traces and ranks of a fit's chains, and its parameters two by two."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from partialpool.arrays import Array, Flags
from partialpool.draws.diagnostics import diagnose
from partialpool.draws.posterior import Posterior
from partialpool.errors import InputError
from partialpool.figures.chosen import Chosen, chosen
from partialpool.figures.densities import range_of
from partialpool.figures.named import check_title
from partialpool.figures.plots import Plots

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PAIRS, ROWS = 8, 12  # parameters
BINS = 20  # of ranks
FEWEST = 10  # draws of a chain


def pairs(
    plots: Plots, parameters: str | Sequence[str] | None = None, *, title: str | None = None
) -> Figure:
    """Draw parameters two by two, with their correlations; draws that diverged are marked.

    Parameters
    ----------
    parameters : str or sequence of str, optional
        Two to eight names as in :meth:`Fit.plot.posterior`. By default all but those of levels; of
        more than eight, sds, correlations and the like before population coefficients.
    title : str, optional
        Title of the figure.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InputError
        If there is no such parameter, or there are too many or too few.

    Examples
    --------
    >>> import partialpool as pp
    >>> fit = pp.fit("log_radon ~ floor + (1 | county)", pp.datasets.radon(), seed=1)
    >>> len(fit.plot.pairs(["b", "sigma"]).axes)
    9
    """
    from partialpool.plots.pairs import pairs as draw

    check_title(title)
    fit = plots.fit
    found = chosen(fit, parameters, PAIRS)
    if len(found.labels) < 2:
        raise InputError("there is only one parameter", remedy="name two or more by `parameters=`")
    flat = found.draws.reshape(-1, len(found.labels))
    ends = []
    for label, own in zip(found.labels, flat.T, strict=True):
        low, high = range_of(fit, label)
        first, last = np.quantile(own, [0.002, 0.998])
        pad = 0.06 * (last - first) or 0.1 * abs(last) or 1.0
        ends.append((max(low, first - pad), min(high, last + pad)))
    notes = found.notes
    outside = np.any([(x < a) | (x > b) for x, (a, b) in zip(flat.T, ends, strict=True)], axis=0)
    if outside.any():
        notes.append(f"{int(outside.sum()):,} draws lie outside of a panel.")
    words = title or "Parameters two by two"
    return draw(
        found.labels, flat, _diverging(fit).ravel(), np.array(ends), title=words, notes=notes
    )


def trace(
    plots: Plots, parameters: str | Sequence[str] | None = None, *, title: str | None = None
) -> Figure:
    """Draw the chains of parameters, one draw after the other.

    Chains that mixed well look alike and show no trend. Where draws are independent there are no
    chains to judge, and the figure says so.

    Parameters
    ----------
    parameters : str or sequence of str, optional
        Up to twelve names as in :meth:`Fit.plot.posterior`.
    title : str, optional
        Title of the figure.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InputError
        If there is no such parameter, or there are too many.

    Examples
    --------
    >>> import partialpool as pp
    >>> fit = pp.fit("log_radon ~ floor + (1 | county)", pp.datasets.radon(), seed=1)
    >>> len(fit.plot.trace("b").axes)
    2
    """
    from partialpool.plots.chains import trace as draw

    check_title(title)
    fit = plots.fit
    found = chosen(fit, parameters, ROWS)
    words = title or "Chains, one draw after the other"
    return draw(
        found.labels, found.draws, _diverging(fit), title=words, notes=_chain_notes(fit, found)
    )


def rank(
    plots: Plots, parameters: str | Sequence[str] | None = None, *, title: str | None = None
) -> Figure:
    """Draw how the ranks of each chain's draws are spread among those of all chains.

    Where chains agree, bars are of equal height but for chance (Vehtari, Gelman, Simpson, Carpenter
    & Bürkner 2021). Of chains that move slowly, every so many-th draw is taken, so that bars say
    whether chains agree, not how slow they are; the caption tells. Where draws are independent
    there are no chains to judge, and the figure says so.

    Parameters
    ----------
    parameters : str or sequence of str, optional
        Up to twelve names as in :meth:`Fit.plot.posterior`.
    title : str, optional
        Title of the figure.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InputError
        If there is no such parameter, there are too many, or there is only one chain.

    Examples
    --------
    >>> import partialpool as pp
    >>> fit = pp.fit("log_radon ~ floor + (1 | county)", pp.datasets.radon(), seed=1)
    >>> len(fit.plot.rank("sigma").axes)  # four chains
    4
    """
    from scipy import stats

    from partialpool.plots.chains import rank as draw

    check_title(title)
    fit = plots.fit
    chains = fit.run.chains
    if chains < 2:
        raise InputError(
            "there is only one chain, whose ranks are spread evenly whatever it did",
            remedy="fit with `chains=4`",
        )
    found = chosen(fit, parameters, ROWS)
    notes, step = _chain_notes(fit, found), 1
    if fit.run.certificate is None:
        step = step_apart(found.draws)
    if step > 1:
        notes.append(f"One in {step} draws of each chain, so that they are about independent.")
    draws = found.draws[:, step - 1 :: step]
    n = draws.shape[1]
    bins = min(BINS, max(2, n // 5))
    flat = np.moveaxis(draws, 2, 0).reshape(len(found.labels), -1)
    ranks = stats.rankdata(flat, axis=1) - 0.5
    places = np.minimum((ranks * bins / flat.shape[1]).astype(int), bins - 1)
    places = places.reshape(len(found.labels), chains, n)
    counts = np.stack([(places == k).sum(axis=2) for k in range(bins)], axis=2)
    # A bin has total/bins draws of all chains, of which each chain has a hypergeometric share.
    total = chains * n
    share = stats.hypergeom(total, total // bins, n)
    expected = (n / bins, float(share.ppf(0.025)), float(share.ppf(0.975)))
    words = title or "Ranks of draws, chain by chain"
    return draw(found.labels, counts, expected, title=words, notes=notes)


def step_apart(draws: Array) -> int:
    """How many draws one is from the next within a chain that it hardly hangs on (of the slowest).

    Parameters
    ----------
    draws : (chain, draw, parameter) array

    Examples
    --------
    >>> step_apart(np.random.default_rng(1).normal(size=(4, 500, 1)))
    1
    """
    n = draws.shape[1]
    # Each chain by itself: that they disagree must not hide them.
    ess = np.median([diagnose(chain[None])["ess_bulk"] for chain in draws], axis=0)
    ess = ess[np.isfinite(ess) & (ess > 0)]
    return int(np.clip(round(n / ess.min()), 1, max(1, n // FEWEST))) if len(ess) else 1


def _diverging(fit: Posterior) -> Flags:
    """Which draws end a trajectory that diverged: (chain, draw)."""
    none = np.zeros((fit.run.chains, fit.run.draws), dtype=bool)
    return np.asarray(fit.run.stats.get("diverging", none), dtype=bool)


def _chain_notes(fit: Posterior, found: Chosen) -> list[str]:
    if fit.run.certificate is None:
        return found.notes
    return [*found.notes, "Draws are independent: there are no chains to judge."]
