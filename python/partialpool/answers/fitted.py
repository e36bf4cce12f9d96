"""What a fit expects of the rows that it was fitted to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from partialpool.checks import check_choice, check_interval
from partialpool.draws.evaluate import Evaluator
from partialpool.draws.new_rows import design_rows, without_levels
from partialpool.draws.posterior import Posterior, rows_of
from partialpool.predictions.notes import Tally
from partialpool.predictions.summaries import COLUMNS, summarised

if TYPE_CHECKING:
    import pandas as pd

KINDS = ("mean", "linear")
GROUPS = ("levels", "none")


def fitted(
    fit: Posterior,
    kind: Literal["mean", "linear"] = "mean",
    interval: float = 0.95,
    *,
    groups: Literal["levels", "none"] = "levels",
) -> pd.DataFrame:
    """Fitted values: what the parameters expect of each row.

    Parameters
    ----------
    kind : {"mean", "linear"}
        The expected response, or the linear predictor with its offset.
    interval : float
        Mass of the equal-tailed intervals.
    groups : {"levels", "none"}
        Each row with its own levels, or without deviations from the population, as lme4's
        ``re.form = NA``. Levels without pooling have no population and stay as they are.

    Returns
    -------
    DataFrame
        A row for each row that was fitted, called by its position in the table: mean, sd, lower,
        upper, and for ordered categories the probability of each in ``p[label]``, as by
        :meth:`predict`, which also has the columns of the data.

    Raises
    ------
    InputError
        If the fit was saved without its rows.

    Examples
    --------
    >>> import partialpool as pp
    >>> fit = pp.fit("log_radon ~ floor + (1 | county)", pp.datasets.radon(), seed=1)
    >>> fit.fitted().round(2).iloc[0].to_dict()
    {'mean': 1.23, 'sd': 0.24, 'lower': 0.74, 'upper': 1.7}
    >>> fit.fitted(groups="none").round(2).iloc[0].to_dict()
    {'mean': 1.49, 'sd': 0.05, 'lower': 1.39, 'upper': 1.59}
    """
    import pandas as pd

    check_choice("kind", kind, KINDS)
    check_choice("groups", groups, GROUPS)
    check_interval(interval)
    design, model = rows_of(fit), fit.model
    rows = design_rows(model, design)
    rows = rows if groups == "levels" else without_levels(model, rows)
    evaluator = Evaluator(model, fit.run, rows, new_levels="population", seed=fit.run.seed)
    out, shares = summarised(evaluator, kind, interval)
    tally = Tally()
    tally.add_numbers(out)
    columns = dict(zip(COLUMNS, out.T, strict=True))
    columns |= {f"p[{own}]": p for own, p in zip(model.categories, shares.T, strict=False)}
    frame = pd.DataFrame(columns, index=pd.Index(design.rows, name="row"))
    frame.attrs |= {
        "kind": kind,
        "groups": groups,
        "interval": float(interval),
        "notes": tally.notes,
    }
    return frame
