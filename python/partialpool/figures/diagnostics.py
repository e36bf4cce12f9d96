"""``fit.plot.check()``: diagnostics that suit the model, each beside where it should lie."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from partialpool import limits
from partialpool.answers.check import Check, check_made, smoothed
from partialpool.answers.residuals import counted
from partialpool.arrays import Array, Ints, mean_of
from partialpool.checks import check_seed
from partialpool.data import Column, label
from partialpool.data.labels import distinct, in_order
from partialpool.draws.posterior import Posterior, n_draws, rows_of
from partialpool.draws.rows import counting_weights
from partialpool.effects.values import is_numeric
from partialpool.figures.bands import (
    ROOT_MEAN,
    ROOT_VARIANCE,
    mean_reach,
    outside,
    smoother,
    sorted_normals,
)
from partialpool.figures.plots import Plots
from partialpool.figures.scaled_levels import level_panels
from partialpool.findings.dispersion import DISPERSION
from partialpool.scores.left_out import means

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from partialpool.plots.diagnostics import Panel

    Draw = Callable[[Axes], None]

PREDICTORS = 6  # that residuals are drawn against
CATEGORIES = 30  # with more, their means are sorted
FEW = 10  # as many distinct numbers are taken one by one
SHOWN = 40  # replicated data sets
MANY = 20_000  # rows, of which fewer data sets are made
NORMAL = "Standard normal"


def check(plots: Plots, seed: int = 0) -> Figure:
    """Draw what tells whether the model fits: a panel of diagnostics.

    Which panels there are depends on the model. The data beside data that the model makes; quantile
    residuals (:meth:`Fit.residuals`: each row given all others, standard normal where the model
    holds) sorted beside those of a normal distribution, by what was expected, and by each
    predictor; their size by what was expected; the dispersion of counts and successes; the effects
    of the levels of each factor, standardised; the influence of each row.

    Parameters
    ----------
    seed : int
        Seed of the data that the model makes.

    Returns
    -------
    matplotlib.figure.Figure
        Grey bands hold a whole line, from end to end, in 95% of data sets from the model; what
        leaves them is in red and bold. Of more than 3,000 points the hexagons that they fall into
        are drawn, darker where there are more.

    Raises
    ------
    InputError
        If the fit was saved without its rows.

    Notes
    -----
    * Sorted residuals: bands from the distribution of the sorted values of a sample, all at once
      (Aldor-Noiman et al. 2013).
    * Trends: local lines over 30% of the rows on either side; the band is that of residuals without
      a trend. By categories: their means, all at once (Šidák 1967). Of more than six predictors
      those with the strongest trends are drawn.
    * Sizes: the trend of √|residual|, 0.82 where the spread is right everywhere; above, it is too
      large.
    * Levels: draws of their deviations in units of their sd. Where the model holds, each draw is a
      sample from the standard normal distribution, however many rows the levels have.
    * Influence: Pareto k of each row; above 0.7 leaving it out would change the posterior so much
      that it cannot be foretold (Vehtari et al. 2024).

    Examples
    --------
    >>> import partialpool as pp
    >>> fit = pp.fit("log_radon ~ floor + (1 | county)", pp.datasets.radon(), seed=1)
    >>> [ax.get_title() for ax in fit.plot.check().axes][:3]
    ['Data and model', 'Residuals, sorted', 'Residuals by expectation']
    """
    from partialpool.plots.diagnostics import CROWD, diagnostics

    fit, seed = plots.fit, check_seed(seed)
    design = rows_of(fit)
    frame, rows, r = counted(fit)
    k = frame["pareto_k"].to_numpy(np.float64)
    # Not the fitted values, which each row has drawn towards itself: residuals go with those.
    expected = means(fit)[rows]
    as_counted = "" if (counting_weights(fit) == 1).all() else ", as weights count them"
    most = 1000 if design.n_rows <= MANY // 10 else 200 if design.n_rows <= MANY else SHOWN
    made = check_made(fit, min(most, n_draws(fit)), seed)
    known = np.isfinite(r) & np.isfinite(expected)
    rows = rows[known]
    panels = [_replicates(made)]
    if known.sum() >= 2:
        panels += [_sorted(r[known])]
        if len(np.unique(frame["fitted"])) > FEW:
            panels += _by_expected(r[known], expected[known])
        by_predictor, chosen = _predictors(fit, r[known], rows)
        panels += by_predictor
    panels += _dispersion(made)
    scaled, left = level_panels(fit)
    panels += scaled
    panels += _influence(k)
    caption = [
        f"{int(known.sum()):,} rows{as_counted}. Residuals are quantile residuals, each row given "
        "all others: standard normal where the model holds."
    ]
    if not known.all():
        caption.append(f"{int((~known).sum()):,} rows have none.")
    if known.sum() > CROWD:
        caption.append("Hexagons stand for the rows that fall into them, darker with more.")
    return diagnostics(panels, f"Does the model fit? {fit.formula}", [*caption, chosen, left])


def _replicates(made: Check) -> Panel:
    """The data beside data sets that the model makes."""
    from partialpool.plots.bars import draw_bars
    from partialpool.plots.density import draw_densities
    from partialpool.plots.diagnostics import Panel

    if made.is_discrete:
        occurs = (made.observed > 0) | (made.replicated > 0).any(axis=0)
        own = slice(0, int(np.flatnonzero(occurs)[-1]) + 1)
        observed, replicated = made.observed[own], made.replicated[:, own]
        low, high = np.quantile(replicated, [0.025, 0.975], axis=0)
        numbers = (mean_of(replicated), low, high)
        far = int(((observed < low) | (observed > high)).sum())
        draw: Draw = partial(
            draw_bars, categories=made.categories[own], observed=observed, made=numbers, named=8
        )
        note = f"{far} of {len(low)} bars outside 95% of {made.draws} data sets"
        return Panel("Data and model", made.response, "Rows", draw, note)
    grid, observed, replicated = smoothed(made.edges, made.observed, made.replicated[:SHOWN])
    draw = partial(draw_densities, grid=grid, observed=observed, replicated=replicated)
    note = f"density of the data and of {len(replicated)} data sets"
    return Panel("Data and model", made.response, "", draw, note)


def _sorted(r: Array) -> Panel:
    """Sorted residuals beside those of a normal distribution."""
    from partialpool.plots.diagnostics import Panel, draw_sorted

    band, own = sorted_normals(len(r)), np.sort(r)
    left = outside(own, band)
    draw = partial(
        draw_sorted,
        expected=band.expected,
        low=band.low,
        high=band.high,
        lines=[own[band.ranks]],
    )
    return Panel("Residuals, sorted", NORMAL, "Residual", draw, _verdict(left > 0), left > 0)


def _verdict(failed: bool) -> str:
    return "leaves the band" if failed else "in the band"


def _by_expected(r: Array, expected: Array) -> Iterator[Panel]:
    """Residuals and their sizes by what the other rows lead to expect."""
    name, size = "Expected from the other rows", np.sqrt(np.abs(r))
    yield _trend("Residuals by expectation", name, expected, r)[0]
    yield _trend("Spread by expectation", name, expected, size, size=True)[0]


def _trend(
    title: str, name: str, x: Array, values: Array, *, size: bool = False
) -> tuple[Panel, float]:
    """Give values by x with their trend, and how strong it is."""
    from partialpool.plots.diagnostics import Panel, draw_trend

    found = smoother(x).trend(values, *((ROOT_MEAN, ROOT_VARIANCE) if size else (0.0, 1.0)))
    failed = found.strength > 1
    draw = partial(
        draw_trend,
        x=x,
        values=values,
        line=(found.x, found.y),
        band=(found.expected, found.half),
        failed=failed,
    )
    y = "√|Residual|" if size else "Residual"
    note = f"trend {_verdict(failed)}"
    return Panel(title, name, y, draw, note, failed), found.strength


def _predictors(fit: Posterior, r: Array, rows: Ints) -> tuple[list[Panel], str]:
    """Residuals by each predictor, those with the strongest trends where there are many."""
    columns = rows_of(fit).table.columns
    found = []
    for name in fit.model.plan.predictors:
        column = columns[name].rows(rows)
        if len(np.unique(column.labels)) < 2:
            continue
        if is_numeric(fit.model, column) and len(np.unique(column.values)) > FEW:
            x = column.values.astype(np.float64)
            found.append(_trend(f"Residuals by {name}", name, x, r))
        else:
            found.append(_by_category(column, r))
    if len(found) <= PREDICTORS:
        return [panel for panel, _ in found], ""
    strongest = np.sort(np.argsort([-strength for _, strength in found])[:PREDICTORS])
    chosen = f"Of {len(found)} predictors the {PREDICTORS} with the strongest trends are drawn."
    return [found[place][0] for place in strongest.tolist()], chosen


def _by_category(column: Column, r: Array) -> tuple[Panel, float]:
    """Mean residuals of categories, and how far the furthest is from 0, where 1 is the limit."""
    from partialpool.plots.diagnostics import Panel, draw_categories, draw_sorted

    name, (known, codes) = column.name, distinct(column.labels)
    order = in_order(column, known)
    place = {value: k for k, value in enumerate(order)}
    codes = np.array([place[value] for value in known])[codes]
    counts = np.bincount(codes).astype(np.float64)
    means = np.bincount(codes, r) / counts
    if len(order) > CATEGORIES:
        band, own = sorted_normals(len(order)), np.sort(means * np.sqrt(counts))
        failed = outside(own, band) > 0
        line = [own[band.ranks]]
        draw: Draw = partial(
            draw_sorted, expected=band.expected, low=band.low, high=band.high, lines=line
        )
        title = f"Mean residuals of {len(order):,} values of {name}"
        note = f"in units of their sd; {_verdict(failed)}"
        return Panel(title, NORMAL, "Mean residual", draw, note, failed), 1.0 + failed
    reach = mean_reach(counts)
    far = np.abs(means) > reach
    draw = partial(
        draw_categories,
        names=[label(value) for value in order],
        codes=codes,
        values=r,
        means=means,
        reach=reach,
    )
    note = f"{int(far.sum())} of {len(order)} means outside the band"
    panel = Panel(f"Residuals by {name}", name, "Residual", draw, note, bool(far.any()))
    return panel, float(np.max(np.abs(means) / reach))


def _dispersion(made: Check) -> Iterator[Panel]:
    """Dispersion of counts and successes, beside that of data sets from the model."""
    from partialpool.plots.diagnostics import Panel, draw_dispersion

    for one in made.statistics:
        if one.name == DISPERSION:
            failed = not limits.P_LOW <= one.p <= limits.P_HIGH
            draw = partial(draw_dispersion, value=one.observed, made=one.replicated, failed=failed)
            note = f"p = {one.p:.3f}" if one.p >= 0.001 else "p < 0.001"
            yield Panel("Dispersion", "Variance beside the family's", "", draw, note, failed)


def _influence(k: Array) -> Iterator[Panel]:
    """Pareto k of every row, where residuals come from reweighted draws."""
    from partialpool.plots.diagnostics import Panel, draw_influence

    row = np.flatnonzero(np.isfinite(k)) + 1
    k = k[np.isfinite(k)]
    if not len(k):
        return
    bad = k > limits.PARETO_K
    note = f"{int(bad.sum()):,} of {len(k):,} rows above {limits.PARETO_K}"
    draw = partial(draw_influence, row=row, k=k, most=limits.PARETO_K)
    yield Panel("Influence", "Row", "Pareto k", draw, note, bool(bad.any()))
