"""The caterpillar of a fit: a coefficient of every level with its interval, sorted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from partialpool.arrays import Array
from partialpool.checks import A_FACTOR, check_text
from partialpool.draws.posterior import Posterior, group_position
from partialpool.engine.conditional import population_mean
from partialpool.errors import InputError, did_you_mean
from partialpool.figures.named import check_title, coefficient_label, level_names
from partialpool.figures.plots import Plots
from partialpool.model import Group

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST = 4  # coefficients, unless one is asked for


def levels(
    plots: Plots, factor: str | None = None, term: str | None = None, *, title: str | None = None
) -> Figure:
    """Draw every level's coefficients with their intervals, sorted: a caterpillar.

    Up to 50 levels are named, with their numbers of rows; of more, the 15 highest and lowest, with
    all others between them (above 300, as a band). A line stands at the population mean.

    Parameters
    ----------
    factor : str, optional
        Whose levels, as in the column `factor` of :meth:`Fit.coefficients`; needed only where
        there are several.
    term : str, optional
        Only this coefficient; by default the first four, a panel each, sorted by the first.
    title : str, optional
        Title of the figure.

    Returns
    -------
    matplotlib.figure.Figure
        Numbers are those of :meth:`Fit.coefficients`, on the scale of the link.

    Raises
    ------
    InputError
        If the model has no such group terms, or no level has an estimate.

    Examples
    --------
    >>> import partialpool as pp
    >>> fit = pp.fit("log_radon ~ floor + (1 | county)", pp.datasets.radon(), seed=1)
    >>> [ax.get_xlabel() for ax in fit.plot.levels().axes]
    ['Intercept (log_radon)']
    """
    check_text("factor", factor, A_FACTOR)
    check_title(title)
    fit = plots.fit
    k = group_position(fit.model, factor)
    group = fit.model.groups[k]
    if not group.estimable.any():
        raise InputError(
            f"no level of `{group.name}` can determine its own coefficients",
            remedy='fit with pooling="partial", which estimates them all',
        )
    summary = np.where(group.estimable[:, None, None], fit.level_summaries[k], np.nan)
    return draw_levels(fit, k, summary, term, title)


def draw_levels(
    fit: Posterior,
    k: int,
    summary: Array,
    term: str | None,
    title: str | None,
    *,
    apart: Array | None = None,
    notes: Sequence[str] = (),
) -> Figure:
    """Draw a caterpillar of the levels of group k.

    Parameters
    ----------
    summary : (level, term, 4) array
        Mean, sd, lower and upper.
    apart : (level, term) array, optional
        What each level has by itself.
    notes : sequence of str
        What else there is to say.
    """
    from partialpool.plots.levels import Caterpillar, caterpillar

    group = fit.model.groups[k]
    chosen = chosen_terms(group, term)
    population = population_mean(fit.model, fit.run, k)
    panels = []
    for j in chosen:
        mean, _, lower, upper = summary[:, j].T
        panels.append(
            Caterpillar(
                coefficient_label(fit.model, group, group.terms[j]),
                mean,
                lower,
                upper,
                float(population[j]) if group.known_sd is None else None,
                None if apart is None else apart[:, j],
            )
        )
    return caterpillar(
        panels,
        level_names(group),
        group.counts,
        factor=group.factor,
        interval=fit.provenance.interval,
        title=title,
        notes=[*more_terms(group, chosen, term), *notes],
    )


def chosen_terms(group: Group, term: str | None) -> Sequence[int]:
    """Find the coefficients to draw.

    Raises
    ------
    InputError
        If the levels have no such coefficient.
    """
    check_text("term", term, '"Intercept"')
    if term is None:
        return range(min(MOST, len(group.terms)))
    if term not in group.terms:
        raise InputError(
            f"levels of `{group.name}` have no coefficient `{term}`",
            remedy=did_you_mean(term, group.terms),
        )
    return [group.terms.index(term)]


def more_terms(group: Group, chosen: Sequence[int], term: str | None) -> list[str]:
    """Say how many coefficients are not drawn, unless one was asked for."""
    left = len(group.terms) - len(chosen)
    if not left or term is not None:
        return []
    return [f"{left} more coefficient{'s are' if left > 1 else ' is'} not drawn; term= names one."]
