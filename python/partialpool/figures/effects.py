"""Effects drawn: average predictions by one to three predictors, with the data behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any, Literal, Unpack

import numpy as np

from partialpool.answers.predict import AverageRoles, given_roles, predict
from partialpool.arrays import Ints
from partialpool.checks import check_choice
from partialpool.data import label, open_table
from partialpool.effects.effects import KINDS
from partialpool.effects.effects import effects as average_effects
from partialpool.effects.values import check_predictors
from partialpool.figures.asked import (
    Axis,
    Question,
    check_at,
    check_by,
    choose_axis,
    gather_rows,
)
from partialpool.figures.behind import behind, take_data
from partialpool.figures.plots import Plots
from partialpool.taking import takes
from partialpool.words.parameters import given_words, scale_name

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from partialpool.plots.effects import Panel, Words


@takes(predict, AverageRoles)
def effects(
    plots: Plots,
    by: str | Sequence[str],
    at: Mapping[str, Any] | None = None,
    groups: Literal["integrate", "none"] = "integrate",
    kind: Literal["mean", "probability", "linear"] = "mean",
    interval: float = 0.95,
    *,
    data: Any = None,
    draws: int | None = None,
    **roles: Unpack[AverageRoles],
) -> Figure:
    """Draw average predictions by a predictor, with the data behind them.

    The numbers are those of :meth:`Fit.effects`: of a number a curve with its band over the range
    of the data, of categories a point with its interval for each.

    Parameters
    ----------
    by : str or sequence of str
        The predictor along the x axis; of two, the second has a curve for each category or, where
        it has more than five numbers, for its quartiles; a third has panels.
    at : mapping, optional
        Values by column, as in :meth:`Fit.effects`: a list for one of `by` (along the x axis, for
        the curves or for the panels), one value for other predictors.
    groups : {"integrate", "none"}
        Average over the population of levels, or take a level without deviations.
    kind : {"mean", "probability", "linear"}
        On the scale of the response; the probability of each ordered category; or on the scale of
        the linear predictor.
    interval : float
        Mass of the equal-tailed intervals.
    data : DataFrame, dict of arrays, or path, optional
        The rows to average over, by default those that were fitted; only of these the data are
        drawn.
    draws : int, optional
        How many draws of each chain to use, evenly spaced; by default all.
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

    check_choice("kind", kind, KINDS)
    names = check_by(by, most=2 if kind == "probability" else 3)
    at = check_at(at)
    for name in names:
        check_predictors(plots.fit.model, name, at)
    if data is not None:
        data = open_table(data)
    given = given_roles(AverageRoles, roles)
    asked = {"groups": groups, "interval": interval, "data": data, "draws": draws}
    gathered = gather_rows(plots.fit, data, given, kind)
    axes = [choose_axis(plots.fit, gathered, name, at, first=name == names[0]) for name in names]
    question = Question(plots.fit, kind, at, given, gathered, data is None, tuple(axes))
    frames = _frames(question, asked)
    order = _order(question.axes[0], frames)
    return draw(_panels(question, frames, order), _words(question, frames[0], order))


def _frames(question: Question, asked: Mapping[str, Any]) -> list[pd.DataFrame]:
    """Predictions along the x axis, for each combination of the other predictors' values."""
    first, *others = question.axes
    frames = []
    for values in product(*(axis.values for axis in others)):
        own = dict(zip((axis.name for axis in others), values, strict=True))
        frame = average_effects(
            *(question.fit, first.name, question.at | own | {first.name: first.values}),
            **{"kind": question.kind, **asked, **question.given},
        )
        frames.append(frame[frame["quantity"] == "prediction"])
    return frames


def _order(first: Axis, frames: Sequence[pd.DataFrame]) -> Ints:
    """In which order values stand along the x axis: by the prediction where they are not named."""
    from partialpool.plots.effects import NAMED

    count = len(first.values)
    if first.between or count <= NAMED:
        return np.arange(count)
    every = len(frames[0]) // count  # of ordered categories, the lowest
    return np.argsort(frames[0]["mean"].to_numpy()[::every], kind="stable")


def _panels(question: Question, frames: Sequence[pd.DataFrame], order: Ints) -> list[Panel]:
    """A panel each value of the last predictor, with a curve each value of the one before."""
    from partialpool.plots.effects import Curve, Panel

    first, *others = question.axes
    if question.kind == "probability":
        names = [label(category) for category in question.fit.model.categories]
        # A row for each category at each value.
        parts = [[frame.iloc[k :: len(names)] for k in range(len(names))] for frame in frames]
        splits = others[:1]
    else:
        names = others[0].named if others else [""]
        splits = others[1:]
        count = len(splits[0].values) if splits else 1
        parts = [list(frames[k::count]) for k in range(count)]
    places = np.argsort(order).astype(np.float64)
    at = np.asarray(first.values, dtype=np.float64) if first.between else np.sort(places)
    data = take_data(question, places)
    panels = []
    for k, own in enumerate(parts):
        curves = tuple(
            Curve(name, at, *(frame[key].to_numpy()[order] for key in ("mean", "lower", "upper")))
            for name, frame in zip(names, own, strict=True)
        )
        title = splits[0].named[k] if splits else ""
        panels.append(Panel(title, curves, **behind(question, data, k)))
    return panels


def _words(question: Question, frame: pd.DataFrame, order: Ints) -> Words:
    """What is written around the panels."""
    from partialpool.plots.effects import NAMED, Words

    model, first, kind = question.fit.model, question.axes[0], question.kind
    names = [axis.name for axis in question.axes]
    what = {"probability": "Probability of each", "linear": "Linear predictor of"}.get(kind, "")
    if kind == "mean" and model.family.response == "binary":
        what = "Probability of"
    elif kind == "mean" and model.categories:
        what = "Mean"
    given = given_words(
        {k: str(v) for k, v in question.given.items() if isinstance(v, (int, float))}
    )
    scale = f" ({scale_name(model)} scale)" if kind == "linear" and scale_name(model) else ""
    y = f"{what} {model.response}".strip() + scale + (f" ({given})" if given else "")
    by = " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
    x = first.name
    if not first.between and len(first.values) > NAMED:
        x = f"{len(first.values):,} values of {first.name}, sorted by their prediction"
    return Words(
        title=f"{y[0].upper() + y[1:] if what else y} by {by}",
        x=x,
        y=y,
        caption=tuple(_caption(question, frame)),
        curves=names[1] if len(names) > 1 else "",
        categories=() if first.between else tuple(first.labels[k] for k in order),
        interval=frame.attrs["interval"],
    )


def _caption(question: Question, frame: pd.DataFrame) -> list[str]:
    """Say what was averaged over, and what the data are."""
    names = {axis.name for axis in question.axes}
    fixed = {name: value for name, value in question.at.items() if name not in names}
    rows, each = frame.attrs["n_rows"], " and ".join(axis.name for axis in question.axes)
    words = f"Average over {rows:,} row{'s' * (rows != 1)}, all given the same {each}"
    words += "".join(f", {name} = {label(value)}" for name, value in fixed.items())
    if question.fit.model.groups:
        words += f"; levels {frame.attrs['groups']}"
    found = [f"{words}."]
    chosen = [axis.chosen for axis in question.axes if axis.chosen]
    found += [f"{text}." for text in chosen]
    if question.fitted and any(axis.nearest for axis in question.axes[1:]):
        found.append("Rows are drawn with the nearest of these.")
    if not question.fitted:
        found.append("Data are drawn only of the rows that were fitted.")
    found += [f"{note[0].upper()}{note[1:]}." for note in frame.attrs["notes"]]
    return found
