"""Effects drawn: average predictions by one to three predictors, with the data behind them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Unpack, cast

import numpy as np

from partialpool.answers.predict import AverageRoles, given_roles, predict
from partialpool.arrays import Array, Ints
from partialpool.data import label, open_table
from partialpool.effects.effects import effects as average_effects
from partialpool.effects.question import ask
from partialpool.figures.asked import Axis, Chart, chart_of
from partialpool.figures.behind import behind, take_data
from partialpool.figures.named import check_title
from partialpool.figures.plots import Plots
from partialpool.taking import takes
from partialpool.words.parameters import given_words, scale_name

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from partialpool.effects.frame import Effects
    from partialpool.plots.effects import Panel, Words

EFFORT = 2_000_000_000  # rows × values × draws, unless draws are asked for
FEWEST = 100  # draws of each chain


@takes(predict, AverageRoles)
def effects(
    plots: Plots,
    by: str | Sequence[str],
    at: Mapping[str, Any] | None = None,
    groups: Literal["integrate", "none"] | Mapping[str, Any] = "integrate",
    kind: Literal["mean", "probability", "linear"] = "mean",
    interval: float = 0.95,
    *,
    data: Any = None,
    draws: int | None = None,
    title: str | None = None,
    **roles: Unpack[AverageRoles],
) -> Figure:
    """Draw average predictions by a predictor, with the data behind them.

    The numbers are those of :meth:`Fit.effects`: of a number a curve with its band over the range
    of the data, of categories a point with its interval for each.

    Parameters
    ----------
    by : str or sequence of str
        The predictor, or grouping factor, along the x axis; of two, the second has a curve for each
        category or, where it has more than five numbers, for its quartiles; a third has panels. Of
        more than six categories those with most rows have curves.
    at : mapping, optional
        Values by column, as in :meth:`Fit.effects`: a list for one of `by` (along the x axis, for
        the curves or for the panels), one value for other predictors.
    groups : {"integrate", "none"} or mapping
        Average over the population of levels, or take a level without deviations. Or levels by
        factor, such as ``{"county": ["1", "70"]}``, as if `by` named the factor last.
    kind : {"mean", "probability", "linear"}
        On the scale of the response; the probability of each ordered category; or on the scale of
        the linear predictor.
    interval : float
        Mass of the equal-tailed intervals.
    data : DataFrame, dict of arrays, or path, optional
        The rows to average over, by default those that were fitted; only of these the data are
        drawn.
    draws : int, optional
        How many draws of each chain to use, evenly spaced; by default all or, where that would
        take minutes, as many as some seconds are enough for, which the caption says.
    title : str, optional
        Title of the figure.
    offset, exposure, trials, weights : str, array or number, optional
        As in :meth:`Fit.effects`. The data are drawn at them too: counts as rates with
        ``exposure=1``, successes as shares with ``trials=1``.

    Returns
    -------
    matplotlib.figure.Figure
        Behind the predictions up to 2,000 rows of the data, or means of them in bins where the
        response is 0 or 1 or a count, or where there are more rows. The caption says what was
        averaged over.

    Raises
    ------
    InputError
        If there is no such predictor or value, no data, or too many values for one figure.

    Examples
    --------
    >>> import partialpool as pp
    >>> fit = pp.fit("log_radon ~ floor + (1 | county)", pp.datasets.radon(), seed=1)
    >>> fig = fit.plot.effects("floor")
    >>> [tick.get_text() for tick in fig.axes[0].get_xticklabels()]
    ['0', '1']
    """
    from partialpool.plots.effects import effects as draw

    check_title(title)
    fit = plots.fit
    options: dict[str, Any] = {"by": by, "at": at, "groups": groups, "kind": kind}
    options |= {"interval": interval, "pairwise": False, "ratio": False}
    asked = ask(fit.model, options | {"reference": None, "slope": None})
    if data is not None:
        data = open_table(data)
    given = given_roles(AverageRoles, roles)
    chart = chart_of(fit, asked, data, given)
    values = {axis.name: axis.values for axis in chart.axes}
    frame = average_effects(
        *(fit, list(values), chart.at | values, cast(Any, asked.groups), kind, asked.interval),
        **{"data": data, "draws": _enough(chart) if draws is None else draws, **given},
    )
    predicted = frame[frame["quantity"] == "prediction"]
    estimates = predicted[["mean", "lower", "upper"]].to_numpy(dtype=np.float64)
    # By value along x, curve, panel, and ordered category, those that there are.
    estimates = estimates.reshape(*frame.grid.shape, -1, 3)
    order = _order(chart.axes[0], estimates)
    words = _words(chart, frame, order, title)
    return draw(_panels(chart, estimates, order), words)


def _enough(chart: Chart) -> int | None:
    """How many draws of each chain are used, unless all: fewer where it would take minutes."""
    fit, kind = chart.fit, chart.kind
    if kind == "linear" or fit.model.family.averages == "linear":
        return None  # computed of the average row
    places = math.prod(len(axis.values) for axis in chart.axes)
    most = EFFORT // (chart.gathered.table.n_rows * places * fit.run.chains)
    return None if most >= fit.run.draws else max(most, min(fit.run.draws, FEWEST))


def _order(first: Axis, estimates: Array) -> Ints:
    """In which order values stand along the x axis: by the prediction where they are not named."""
    from partialpool.plots.effects import NAMED

    count = len(first.values)
    if first.between or count <= NAMED:
        return np.arange(count)
    return np.argsort(estimates.reshape(count, -1, 3)[:, 0, 0], kind="stable")


def _panels(chart: Chart, estimates: Array, order: Ints) -> list[Panel]:
    """A panel each value of the last predictor, with a curve each value of the one before."""
    from partialpool.plots.effects import Curve, Panel

    first, *others = chart.axes
    if chart.kind == "probability":
        names, splits = [label(one) for one in chart.fit.model.categories], others[:1]
        each = estimates if splits else estimates[:, None]
    else:
        names, splits = others[0].named if others else [""], others[1:]
        each = estimates.reshape(len(order), len(names), -1, 3).swapaxes(1, 2)
    places = np.argsort(order).astype(np.float64)
    at = np.asarray(first.values, dtype=np.float64) if first.between else np.sort(places)
    data = take_data(chart, places)
    panels = []
    for k in range(each.shape[1]):
        curves = tuple(Curve(name, at, *each[order, k, j].T) for j, name in enumerate(names))
        title = splits[0].named[k] if splits else ""
        panels.append(Panel(title, curves, **behind(chart, data, k)))
    return panels


def _words(chart: Chart, frame: Effects, order: Ints, title: str | None) -> Words:
    """What is written around the panels."""
    from partialpool.plots.effects import NAMED, Words

    model, first, kind = chart.fit.model, chart.axes[0], chart.kind
    names = [axis.name for axis in chart.axes]
    what = {"probability": "Probability of each", "linear": "Linear predictor of"}.get(kind, "")
    if kind == "mean" and model.family.response == "binary":
        what = "Probability of"
    elif kind == "mean" and model.categories:
        what = "Mean"
    given = given_words({k: str(v) for k, v in chart.given.items() if isinstance(v, (int, float))})
    scale = f" ({scale_name(model)} scale)" if kind == "linear" and scale_name(model) else ""
    y = f"{what} {model.response}".strip() + scale + (f" ({given})" if given else "")
    by = " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
    x = first.name
    if not first.between and len(first.values) > NAMED:
        x = f"{len(first.values):,} values of {first.name}, sorted by their prediction"
    return Words(
        title=title or f"{y} by {by}",
        x=x,
        y=y,
        caption=tuple(_caption(chart, frame)),
        curves=names[1] if len(names) > 1 else "",
        categories=() if first.between else tuple(first.labels[k] for k in order),
        interval=frame.attrs["interval"],
    )


def _caption(chart: Chart, frame: Effects) -> list[str]:
    """Say what was averaged over, and what the data are."""
    rows, each = frame.attrs["n_rows"], " and ".join(axis.name for axis in chart.axes)
    words = f"Average over {rows:,} row{'s' * (rows != 1)}, all given the same {each}"
    words += "".join(f", {name} = {label(value)}" for name, value in chart.at.items())
    if chart.fit.model.groups:
        words += f"; levels {frame.attrs['groups']}"
    found = [f"{words}."]
    total, used = chart.fit.run.draws, frame.draws.sizes["draw"]
    if used < total:
        chains = chart.fit.run.chains
        found.append(f"{used * chains:,} of {total * chains:,} draws.")
    chosen = [axis.chosen for axis in chart.axes if axis.chosen]
    found += [f"{text}." for text in chosen]
    if chart.fitted and any(axis.nearest for axis in chart.axes[1:]):
        found.append("Rows are drawn with the nearest of these.")
    if not chart.fitted:
        found.append("Data are drawn only of the rows that were fitted.")
    found += [f"{note[0].upper()}{note[1:]}." for note in frame.attrs["notes"]]
    return found
