"""The forest plot of a meta-analysis: studies with their known errors, and the overall mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from partialpool.arrays import Array, Ints, mean_of, quantiles, tails
from partialpool.draws.posterior import Posterior, rows_of
from partialpool.draws.rows import row_draws
from partialpool.engine.conditional import population_part
from partialpool.errors import InputError
from partialpool.figures.named import check_title, level_names
from partialpool.figures.plots import Plots

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def forest(plots: Plots, *, title: str | None = None) -> Figure:
    """Draw a meta-analysis: each study's own estimate beside its shrunken one, and the mean.

    For fits of one row a level with known standard errors, as in ``effect ~ 1 + (1 | study)`` with
    ``se="se"``. A diamond shows the mean over studies, a bar below it where the true effect of a
    new study is expected, and a sentence the sd between studies. With predictors there is no one
    mean, and studies alone are drawn.

    Parameters
    ----------
    title : str, optional
        Title of the figure.

    Returns
    -------
    matplotlib.figure.Figure
        Own estimates with the normal interval of their known errors, others with that of the fit.

    Raises
    ------
    InputError
        If standard errors are not known, levels have several rows, or there is not one factor that
        is pooled.

    Examples
    --------
    >>> import partialpool as pp
    >>> schools = pp.datasets.eight_schools()
    >>> fit = pp.fit("effect ~ 1 + (1 | school)", schools, se="se", seed=1)
    >>> fit.plot.forest().axes[0].get_xlabel()
    'effect'
    """
    from statistics import NormalDist

    from partialpool.plots.forest import Study, Summary
    from partialpool.plots.forest import forest as draw

    check_title(title)
    fit = plots.fit
    check_studies(fit)
    group, design = fit.model.groups[0], rows_of(fit)
    row = np.empty(len(group.levels), dtype=np.int64)
    row[design.factors[0].codes] = np.arange(design.n_rows)
    assert design.se is not None
    y, se = design.y[row], design.se[row]
    interval = fit.provenance.interval
    reach = NormalDist().inv_cdf(0.5 + interval / 2)
    names = level_names(group)
    alone = tuple(fit.model.columns) == ("Intercept",) and design.total_offset is None
    shrunken = fit.level_summaries[0][:, 0] if alone else _effects(fit, row)
    studies = [
        Study(
            names[j],
            float(y[j]),
            (float(y[j] - reach * se[j]), float(y[j] + reach * se[j])),
            float(shrunken[j, 0]),
            (float(shrunken[j, 2]), float(shrunken[j, 3])),
        )
        for j in range(len(names))
    ]
    sd = fit.run.groups[0].sd[..., 0].ravel()
    low, high = quantiles(sd, tails(interval))
    note = (
        f"Between levels of {group.factor}, true effects differ with an sd of "
        f"{mean_of(sd):.3g} ({100 * interval:g}% interval {low:.3g} to {high:.3g})."
    )
    summary = None
    if alone:
        mean = population_part(fit.model, fit.run, 0)[..., 0].ravel()
        ends = quantiles(mean, tails(interval)).tolist()
        new = new_study(mean, sd, tails(interval))
        summary = Summary(float(mean_of(mean)), (ends[0], ends[1]), new)
    else:
        note += f" {_why_no_mean(fit)}, so that there is none to draw."
    return draw(
        studies,
        summary,
        label=fit.model.response,
        factor=group.factor,
        interval=interval,
        title=title or f"{fit.model.response} by {group.factor}",
        notes=[note],
    )


def check_studies(fit: Posterior) -> None:
    """Refuse fits that are no meta-analysis.

    Raises
    ------
    InputError
        It says what is lacking, and which figure serves instead.
    """
    instead = "draw `.plot.levels()` instead"
    if not fit.model.known_errors:
        raise InputError(
            "a forest plot needs the standard error of each row, and this fit has none",
            remedy=f"give it as `se=`, or {instead}",
        )
    groups = fit.model.groups
    if len(groups) != 1 or groups[0].known_sd is not None or groups[0].terms != ("Intercept",):
        raise InputError(
            "a forest plot needs one grouping factor with partial pooling of its intercept alone, "
            "such as `(1 | study)`",
            remedy=instead if groups else 'fit with pooling="partial"',
        )
    if (groups[0].counts != 1).any():
        name = groups[0].factor
        raise InputError(
            f"a forest plot needs one row a level, and `{name}` has levels with several",
            remedy=instead,
        )


def _why_no_mean(fit: Posterior) -> str:
    """Say why studies have no one mean that was estimated."""
    if not fit.model.columns:
        return "The formula has no intercept, which is the mean over studies"
    if rows_of(fit).total_offset is not None:
        return "Offsets move the mean from study to study"
    return "Predictors move the mean from study to study"


def _effects(fit: Posterior, rows: Ints) -> Array:
    """Mean, sd and interval of the true effect in each row: (row, 4)."""
    eta = row_draws(fit, rows).eta
    lower, upper = quantiles(np.ascontiguousarray(eta.T), tails(fit.provenance.interval))
    return np.column_stack([mean_of(eta), np.std(eta, axis=0), lower, upper])


def new_study(mean: Array, sd: Array, shares: tuple[float, float]) -> tuple[float, float]:
    """Quantiles of the true effect of a new study: normal at every draw of mean and sd.

    Examples
    --------
    >>> low, high = new_study(np.zeros(100), np.ones(100), (0.025, 0.975))
    >>> round(low, 1), round(high, 1)
    (-2.0, 2.0)
    """
    from statistics import NormalDist

    from scipy import optimize, stats

    def end(share: float) -> float:
        z = NormalDist().inv_cdf(share)
        first, last = np.min(mean + z * sd), np.max(mean + z * sd)
        if not last > first:
            return float(first)
        scale = np.maximum(sd, 1e-9 * (last - first))
        found = optimize.brentq(
            lambda x: float(stats.norm.cdf((x - mean) / scale).mean()) - share, first, last
        )
        return float(found)

    return end(shares[0]), end(shares[1])
