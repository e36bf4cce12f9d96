"""Marginal effects: average predictions, contrasts and slopes of one predictor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Unpack

import numpy as np

from partialpool.answers.predict import AverageRoles, given_roles, predict, summarise_rows
from partialpool.arrays import Array
from partialpool.checks import check_choice, check_interval, check_mapping, check_text
from partialpool.design.gather import Gathered
from partialpool.draws.new_rows import (
    gather_fitted,
    gather_new,
    grouping_columns,
)
from partialpool.draws.posterior import Posterior
from partialpool.effects.average import Average
from partialpool.effects.levels import Levels
from partialpool.effects.values import (
    check_predictors,
    is_numeric,
    values_of,
    with_value,
)
from partialpool.errors import InputError
from partialpool.taking import takes

if TYPE_CHECKING:
    import pandas as pd


GROUPS = ("integrate", "none")
KINDS = ("mean", "probability", "linear")
COLUMNS = ("quantity", "value", "reference", "mean", "sd", "lower", "upper")

# A quantity, its value and its reference, and its draws: (draw,), or (draw, category).
Found = tuple[str, Any, Any, Array]


@takes(predict, AverageRoles)
def effects(
    fit: Posterior,
    by: str,
    at: Mapping[str, Any] | None = None,
    groups: Literal["integrate", "none"] = "integrate",
    kind: Literal["mean", "probability", "linear"] = "mean",
    interval: float = 0.95,
    *,
    data: Any = None,
    draws: int | None = None,
    **roles: Unpack[AverageRoles],
) -> pd.DataFrame:
    """Average what the population is predicted to do: marginal effects of a predictor.

    Also known as average predictions, average comparisons and average slopes.

    Parameters
    ----------
    by : str
        The predictor, a column of the data. All rows get each of its values in turn.
    at : mapping, optional
        Values by column: a list for `by`, whose first is what the others are compared with; one
        value for other predictors, which all rows then have. By default `by` takes its
        categories or, where it has more than five numbers, its quartiles.
    groups : {"integrate", "none"}
        Average over the population of levels, or take a level without deviations. Levels
        without pooling keep their own coefficients.
    kind : {"mean", "probability", "linear"}
        On the scale of the response (of ordered categories as in :meth:`predict`); the
        probability of each ordered category; or on the scale of the linear predictor.
    interval : float
        Mass of the equal-tailed intervals.
    data : DataFrame, dict of arrays, or path, optional
        The rows to average over; by default those that were fitted.
    draws : int, optional
        How many draws of each chain to use, evenly spaced; by default all.
    offset, exposure, trials, weights : str, array or number, optional
        As in :meth:`predict`: ``trials=1`` gives shares, ``exposure=1`` rates. Weights that
        count rows count in averages and quartiles too.

    Returns
    -------
    DataFrame
        Columns quantity, value, reference, mean, sd, lower, upper. "prediction": the average
        response at a value; "contrast": its difference from that at the reference; "slope": for
        a number, the average derivative where the rows are (not across levels without pooling).
        With ``kind="probability"`` there is a row for each of the column `category`.
        ``attrs["groups"]`` says how levels were averaged over.

    Raises
    ------
    InputError
        If there is no such predictor or value, or no data.

    Examples
    --------
    >>> import partialpool as pp
    >>> fit = pp.fit("log_radon ~ floor + (1 | county)", pp.datasets.radon(), seed=1)
    >>> fit.effects("floor")[["quantity", "value", "mean"]].round(1)
         quantity  value  mean
    0  prediction    0.0   1.5
    1  prediction    1.0   0.8
    2    contrast    1.0  -0.7
    3       slope    NaN  -0.7
    """
    check_text("by", by, '"x"')
    check_mapping("at", at, '{"x": 0}')
    check_choice("groups", groups, GROUPS)
    check_choice("kind", kind, KINDS)
    interval = check_interval(interval)
    at = dict(at or {})
    model = fit.model
    if kind == "probability" and not model.categories:
        raise InputError(
            f"the {model.family.name} family has no categories",
            remedy='use kind="mean", which is a probability where the response is 0 or 1',
        )
    check_predictors(model, by, at)
    apart = [group for group in model.groups if group.known_sd is not None]
    given = given_roles(AverageRoles, roles)
    if data is None:
        gathered = gather_fitted(
            model, fit.design, given, kind=kind, argument="data", averaged=True
        )
    else:
        gathered = gather_new(model, data, given, kind=kind, needed=apart, averaged=True)
    n_rows = gathered.table.n_rows
    if n_rows == 0:
        raise InputError("no row is complete, so there is nothing to average over")
    counting = np.ones(n_rows)
    if model.family.weights_count_rows:
        counting = gathered.roles.pop("weights", counting)
    levels = Levels(fit, groups, kind, draws)
    average = Average(levels, apart, counting, list(gathered.notes))
    for name, value in at.items():
        if name != by:
            gathered = with_value(gathered, name, value)
    found = _quantities(average, gathered, by, at.get(by))
    frame = _frame(found, interval, model.categories if kind == "probability" else None)
    frame.attrs |= {
        "by": by,
        "kind": kind,
        "groups": levels.how,
        "interval": float(interval),
        "n_rows": n_rows,
        "notes": average.notes,
    }
    return frame


def _quantities(average: Average, gathered: Gathered, by: str, given: Any) -> list[Found]:
    """Predictions at each value, contrasts with the first, and the slope of a number."""
    model, column = average.model, gathered.table.columns[by]
    numeric = is_numeric(model, column)
    values = values_of(column, numeric, given, average.weights)
    predicted = [average(with_value(gathered, by, value)) for value in values]
    if any(np.isinf(x).any() for x in predicted):
        raise InputError(
            "the average prediction is larger than can be computed with",
            remedy='use kind="linear", or look at the offset and the values of the predictors',
        )
    found: list[Found] = [
        ("prediction", v, None, x) for v, x in zip(values, predicted, strict=True)
    ]
    found += [
        ("contrast", v, values[0], x - predicted[0])
        for v, x in zip(values[1:], predicted[1:], strict=True)
    ]
    of_levels = {name for group in average.apart for name in grouping_columns(model, group)}
    if numeric and by not in of_levels:  # between levels there is nothing to derive
        found.append(("slope", None, None, average.slope(gathered, by)))
    return found


def _frame(
    found: Sequence[Found], interval: float, categories: tuple[Any, ...] | None
) -> pd.DataFrame:
    """Sum up each quantity in a row, or in one for each category."""
    import pandas as pd

    labels = (None,) if categories is None else categories
    draws_of = np.concatenate([x.reshape(-1, len(labels)).T for *_, x in found])
    summary = summarise_rows(draws_of, interval)
    facts = zip(*(row[:3] for row in found for _ in labels), strict=True)
    columns: dict[str, Any] = dict(zip(COLUMNS, map(list, facts), strict=False))
    if categories is not None:
        columns["category"] = [*labels] * len(found)
    columns |= dict(zip(COLUMNS[3:], summary.T, strict=True))
    return pd.DataFrame(columns)
