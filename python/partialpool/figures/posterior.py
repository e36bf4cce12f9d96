"""Densities of a fit's parameters over those of their priors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from partialpool import called
from partialpool.arrays import Array, mean_of, quantiles, tails
from partialpool.draws.posterior import Posterior
from partialpool.figures.chosen import chosen
from partialpool.figures.densities import PriorDensities, density, range_of
from partialpool.figures.named import check_title
from partialpool.figures.plots import Plots
from partialpool.model.parameters import prior_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from partialpool.plots.posterior import Density

MOST = 24
AT_MEAN = "at the mean of the predictors"


def posterior(
    plots: Plots,
    parameters: str | Sequence[str] | None = None,
    *,
    title: str | None = None,
) -> Figure:
    """Draw the density of each parameter with its intervals, its prior behind.

    No density reaches beyond where the parameter can lie, as that of an sd below 0. A prior "at the
    mean of the predictors" is drawn as what it says of the parameter itself.

    Parameters
    ----------
    parameters : str or sequence of str, optional
        Up to 24 names as in :meth:`Fit.summary`: of a parameter, ``"b[x]"``, of a level's,
        ``"coef_county[70,floor]"``, or of an array, ``"sd_county"``. By default all but those of
        levels.
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
    >>> [ax.get_title() for ax in fit.plot.posterior(["b", "sigma"]).axes]
    ['b[Intercept]', 'b[floor]', 'sigma']
    """
    from partialpool.plots.posterior import posterior as draw

    check_title(title)
    fit = plots.fit
    found = chosen(fit, parameters, MOST)
    priors = PriorDensities(fit)
    panels, missing = [], []
    for k, label in enumerate(found.labels):
        panel = _panel(fit, priors, label, found.draws[:, :, k].ravel())
        panels.append(panel)
        if panel.prior is None and len(panel.values):
            missing.append(label)
    notes = found.notes
    if any(AT_MEAN in panel.note and panel.prior is not None for panel in panels):
        notes.append(f"Priors {AT_MEAN} are drawn as what they say of the parameter as written.")
    notes += _why_not(missing)
    words = "Posterior and prior" if len(missing) < len(panels) else "Posterior"
    interval = fit.provenance.interval
    return draw(panels, interval=interval, title=title or words, notes=notes)


def _panel(fit: Posterior, priors: PriorDensities, label: str, draws: Array) -> Density:
    """What is drawn of a parameter."""
    from partialpool.plots.posterior import Density, span

    low, high = range_of(fit, label)
    inner = quantiles(draws, tails(0.5)).tolist()
    outer = quantiles(draws, tails(fit.provenance.interval)).tolist()
    constant = np.ptp(draws) <= 1e-12 * np.abs(draws).max()
    at = np.empty(0) if constant else span(draws, low, high)
    values = at if constant else density(draws, at, (low, high))
    prior = None if constant else priors.of(label, at)
    return Density(
        label,
        prior_of(fit.model, label) if called.kind_of(label) not in ("coef", "r") else "",
        at,
        values,
        prior,
        float(mean_of(draws)),
        (inner[0], inner[1]),
        (outer[0], outer[1]),
    )


def _why_not(missing: Sequence[str]) -> list[str]:
    """Say which priors are not drawn."""
    kinds = {called.kind_of(label) for label in missing}
    found = []
    if kinds & {"coef", "r"}:
        found.append("Coefficients of levels have the population in place of a prior.")
    others = [label for label in missing if called.kind_of(label) not in ("coef", "r")]
    if others:
        shown = ", ".join(others[:4]) + (", …" if len(others) > 4 else "")
        found.append(f"Priors without a density of their own are not drawn: {shown}.")
    return found
