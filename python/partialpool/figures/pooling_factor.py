"""How far each level of a fit is pulled to the population, by its number of rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from partialpool import called
from partialpool.checks import A_FACTOR, check_text
from partialpool.draws.posterior import group_position
from partialpool.draws.pulled import pooling_factors
from partialpool.figures.levels import chosen_terms, more_terms
from partialpool.figures.named import check_title, coefficient_label, level_names
from partialpool.figures.plots import Plots

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def pooling_factor(
    plots: Plots, factor: str | None = None, term: str | None = None, *, title: str | None = None
) -> Figure:
    """Draw how far each level is pulled from its own rows to the population, by its rows.

    The pooling factor is the share of the population's variance of a coefficient that a level's
    own rows leave open (Gelman & Pardoe 2006; Gelman & Hill 2007, 21.6): its variance given the
    rows, the sds and all other coefficients, over that in the population, averaged over draws of
    the sds. At 0 a level has its own estimate, at 1 the population's. With n rows and one
    coefficient in a Gaussian model it is (σ²/n) / (σ²/n + sd²); in families that are not Gaussian,
    rows count by the curvature of their log density.

    Parameters
    ----------
    factor : str, optional
        Whose levels; needed only where there are several grouping factors.
    term : str, optional
        Only this coefficient; by default the first four, a panel each.
    title : str, optional
        Title of the figure.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InputError
        If there is no such factor, it has no pooling, or the fit was saved without its rows.

    Examples
    --------
    >>> import partialpool as pp
    >>> fit = pp.fit("log_radon ~ 1 + (1 | county)", pp.datasets.radon(), seed=1)
    >>> [ax.get_title() for ax in fit.plot.pooling_factor().axes]
    ['Intercept (log_radon)']
    """
    from partialpool.plots.pooling_factor import pooling_factor as draw

    check_text("factor", factor, A_FACTOR)
    check_title(title)
    fit = plots.fit
    k = group_position(fit.model, factor)
    group = fit.model.groups[k]
    terms = list(chosen_terms(group, term))
    notes = []
    if not fit.model.family.conjugate or group.predictor != called.MEAN:
        notes.append("Rows count by the curvature of their log density.")
    notes += more_terms(group, terms, term)
    return draw(
        pooling_factors(fit, k)[:, terms],
        [coefficient_label(fit.model, group, group.terms[j]) for j in terms],
        level_names(group),
        group.counts,
        factor=group.factor,
        title=title,
        notes=notes,
    )
