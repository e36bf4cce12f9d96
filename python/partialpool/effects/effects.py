"""Marginal effects: average predictions, contrasts, ratios and slopes of one or more predictors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Unpack

import numpy as np
from msgspec.structs import replace

from partialpool.answers.predict import AverageRoles, given_roles, predict
from partialpool.arrays import Array
from partialpool.design.gather import Gathered
from partialpool.draws.new_rows import gather_fitted, gather_new
from partialpool.draws.posterior import Posterior
from partialpool.effects.average import Average
from partialpool.effects.comparisons import (
    Comparison,
    comparisons,
    difference,
    quotient,
    reference_values,
)
from partialpool.effects.condense import AGREEMENT, Averaging, Condensed
from partialpool.effects.grid import Axis, Grid, Place, at_place, chosen_groups, make_axes
from partialpool.effects.levels import Levels
from partialpool.effects.question import Question, ask, ratio_name
from partialpool.effects.tabled import Found, name_columns, tabled
from partialpool.effects.values import is_numeric, with_value
from partialpool.errors import InputError, UnknownRowsError
from partialpool.memory import check_memory
from partialpool.taking import takes

if TYPE_CHECKING:
    from partialpool.effects.frame import Effects

OF_SLOPES = 1e-7  # how closely condensed rows agree: finite differences are no closer to slopes


@takes(predict, AverageRoles)
def effects(
    fit: Posterior,
    by: str | Sequence[str] = (),
    at: Mapping[str, Any] | None = None,
    groups: Literal["integrate", "none"] | Mapping[str, Any] = "integrate",
    kind: Literal["mean", "probability", "linear"] = "mean",
    interval: float = 0.95,
    *,
    pairwise: bool | Literal["within", "all", "interaction"] = False,
    ratio: bool = False,
    reference: Any = None,
    slope: str | None = None,
    data: Any = None,
    draws: int | None = None,
    **roles: Unpack[AverageRoles],
) -> Effects:
    """Average what the population is predicted to do: marginal effects of predictors.

    Also known as average predictions, average comparisons, average slopes, and marginal means.

    Parameters
    ----------
    by : str or list of str
        Predictors, columns of the data, or grouping factors. All rows get each of their values in
        turn, and of several each combination. By default rows stay as they are.
    at : mapping, optional
        Values by column: a list for those in `by`; one value for other predictors, which all rows
        then have. By default a predictor in `by` takes its categories or, where it has more than
        five numbers, its quartiles, and a factor all of its levels.
    groups : {"integrate", "none"} or mapping
        Average over the population of levels, or take a level without deviations. Or levels by
        factor, such as ``{"county": ["1", "70"]}``: the table is then about each of them, with
        comparisons within it, and averages over the levels of all other factors. Levels without
        pooling keep their own coefficients.
    kind : {"mean", "probability", "linear"}
        On the scale of the response (of ordered categories as in :meth:`predict`); the
        probability of each ordered category; or on the scale of the linear predictor.
    interval : float
        Mass of the equal-tailed intervals.
    pairwise : bool or {"within", "all", "interaction"}
        Compare pairs of values, the later with the earlier, not each value with a reference.
        True, or "within": of several predictors, the values of the first within each combination
        of the others. "all": every two combinations. "interaction": differences of differences,
        of the changes along the first predictor between two values of the second, within each
        combination of any others.
    ratio : bool
        Compare by ratios of predictions in place of differences. With ``kind="linear"``, what
        the differences are once exponentiated: odds ratios with a logit link; with a log link
        ratios of rates (counts; hurdle models: those without the hurdle, "untruncated"), of
        means, or of medians (log-normal). Refused where predictions may be 0 or negative.
    reference : value, list or mapping, optional
        What the others are compared with; by default the first value, or the first of every
        predictor. A list has a value for each in `by`. A mapping may name some, such as
        ``{"arm": "placebo"}``: each combination is then compared with the one that differs from
        it in those alone.
    slope : str, optional
        A number among the predictors: its average derivative at each combination in `by`, and
        comparisons of these, in place of predictions.
    data : DataFrame, dict of arrays, or path, optional
        The rows to average over; by default those that were fitted.
    draws : int, optional
        How many draws of each chain to use, evenly spaced; by default all. Few are faster where
        many rows differ in several numbers.
    offset, exposure, trials, weights : str, array or number, optional
        As in :meth:`predict`: ``trials=1`` gives shares, ``exposure=1`` rates. Weights that
        count rows count in averages and quartiles too.

    Returns
    -------
    Effects
        A DataFrame with the columns quantity, value, reference, mean, sd, lower, upper, where
        `by` is one name; where it is a list, each has a column of its name and one of its
        reference, such as arm, year, reference_arm, reference_year. "prediction": the average
        response; "contrast": its difference from that at the reference; "interaction": a
        difference of contrasts; "ratio", "odds ratio" and so on in their place; "slope": for a
        number that is alone in `by`, the average derivative where the rows are (not across
        levels without pooling), or that of `slope`, with "slope contrast" and "slope
        interaction". With ``kind="probability"`` there is a row for each of the column
        `category`. Its ``draws``, dims (chain, draw, row), are what its rows sum up;
        ``attrs["groups"]`` says how levels were averaged over.

    Raises
    ------
    InputError
        If there is no such predictor, level or value, no data, or nothing that can be compared.

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
    >>> found = fit.effects(["floor", "county"], {"county": [1, 70]}, pairwise=True)
    >>> found[["quantity", "floor", "county", "reference_floor", "mean"]].round(1)
         quantity  floor  county  reference_floor  mean
    0  prediction    0.0       1              NaN   1.2
    1  prediction    0.0      70              NaN   0.9
    2  prediction    1.0       1              NaN   0.6
    3  prediction    1.0      70              NaN   0.3
    4    contrast    1.0       1              0.0  -0.7
    5    contrast    1.0      70              0.0  -0.7
    >>> found.draws.sizes["row"]
    6
    """
    given = {"by": by, "at": at, "groups": groups, "kind": kind, "interval": interval}
    given |= {"pairwise": pairwise, "ratio": ratio, "reference": reference, "slope": slope}
    asked = ask(fit.model, given)
    average, gathered = _gathered(fit, asked, data, draws, given_roles(AverageRoles, roles))
    whole = gathered
    for name, value in asked.at.items():
        if name not in asked.names:
            gathered = with_value(gathered, name, value)
    grid = _grid(average, gathered, asked)
    compared = comparisons(grid, asked.pairs, asked.reference)
    rows = len(grid.places) + len(compared) + 1
    check_memory(
        len(average.levels.picked),
        rows * max(1, len(grid.categories)),
        what="rows of the table",
        copies=3,
        remedy="ask for fewer draws with `draws=`, or for fewer values",
    )
    found = _Quantities(average, gathered, whole, grid).all(asked, compared)
    frame = tabled(found, grid, fit.run.chains, average.levels.drawn)
    frame.attrs |= {
        "by": by if isinstance(by, str) else list(asked.names),
        "kind": kind,
        "groups": average.levels.how,
        "interval": asked.interval,
        "n_rows": gathered.table.n_rows,
        "notes": average.notes,
        "pairwise": asked.pairs or False,
        "ratio": ratio,
        "reference": None if asked.pairs else reference_values(grid, asked.reference),
        "slope": slope,
    }
    return frame


def _gathered(
    fit: Posterior, asked: Question, data: Any, draws: int | None, given: dict[str, Any]
) -> tuple[Average, Gathered]:
    """Gather the rows to average over, and what averages them."""
    model, chosen = fit.model, chosen_groups(fit.model, asked)
    names = {group.name for group in chosen}
    apart = [g for g in model.groups if g.known_sd is not None or g.name in names]
    needed = [group for group in apart if group.name not in names]
    gathered = (
        gather_fitted(
            model,
            fit.design,
            given,
            kind=asked.kind,
            argument="data",
            lacking=fit.provenance.lacking,
            averaged=True,
        )
        if data is None
        else gather_new(model, data, given, kind=asked.kind, needed=needed, averaged=True)
    )
    if gathered.table.n_rows == 0:
        raise InputError("no row is complete, so there is nothing to average over")
    counting = np.ones(gathered.table.n_rows)
    if model.family.weights_count_rows:
        counting = gathered.roles.pop("weights", counting)
    levels = Levels(fit, asked.groups, asked.kind, draws, names)
    return Average(levels, apart, counting, list(gathered.notes)), gathered


def _grid(average: Average, gathered: Gathered, asked: Question) -> Grid:
    model = average.model
    axes = make_axes(model, asked, gathered, average.weights)
    columns, references = name_columns(axes, asked.alone)
    if asked.slope is not None:
        if not is_numeric(model, gathered.table.columns[asked.slope]):
            raise InputError(
                f"`slope` is `{asked.slope}`, which has categories, between which there is nothing "
                "to derive",
                remedy="make it the predictor to get its contrasts",
            )
        if asked.slope in average.of_levels:
            raise InputError(
                f"`slope` is `{asked.slope}`, whose values have coefficients of their own, between "
                "which there is nothing to derive",
                remedy="make it the predictor to get its contrasts",
            )
    categories = model.categories if asked.kind == "probability" else ()
    return Grid(
        axes,
        model.response,
        asked.kind,
        asked.interval,
        tuple(categories),
        asked.slope,
        columns,
        references,
    )


class _Quantities:
    """What the table is to say, with its draws.

    `whole`: the rows before all of them got one value of some predictors.
    """

    def __init__(self, average: Average, gathered: Gathered, whole: Gathered, grid: Grid) -> None:
        self.average, self.gathered, self.whole, self.grid = average, gathered, whole, grid
        self.model = average.model
        self.condensed = self._condensed(grid)

    def all(self, asked: Question, compared: Sequence[Comparison]) -> list[Found]:
        """Give averages of all combinations, their comparisons, and the slope of a number."""
        own = "prediction" if asked.slope is None else "slope"
        averages = self._averages()
        found = [Found(own, place, None, x) for place, x in averages.items()]
        change, (one, two) = difference, ("contrast", "interaction")
        if asked.slope is not None:
            one, two = f"slope {one}", f"slope {two}"
        if asked.ratio:
            one = ratio_name(self.model, asked.kind)
            two = f"ratio of {one}s"
            if asked.kind != "linear":
                change = quotient
                self._check_positive(averages)
        for comparison in compared:
            with np.errstate(over="ignore"):
                x = comparison.of(averages, change)
                if asked.ratio and asked.kind == "linear":
                    x = np.exp(x)
            found.append(Found(two if comparison.crossed else one, *comparison[:2], x))
        if any(np.isinf(x.draws).any() for x in found):
            raise InputError(
                "the average prediction is larger than can be computed with",
                remedy='use kind="linear", or look at the offset and the values of the predictors',
            )
        if len(asked.names) == 1 and asked.slope is None and not asked.ratio:
            found += self._slopes(self.grid.axes[0])
        return found

    def _averages(self) -> dict[Place, Array]:
        """Average at every combination; undetermined where no fitted row has the like."""
        found: dict[Place, Array] = {}
        refused: list[UnknownRowsError] = []
        for place in self.grid.places:
            rows = at_place(self.model, self.gathered, self.grid, place)
            try:
                found[place] = self._average(rows, self.grid.slope, self.condensed)
            except UnknownRowsError as error:
                refused.append(error)
                if not error.every or len(refused) == len(self.grid.places):
                    raise
                found[place] = self.average.unknown
                self.average.notes.append(
                    f"no prediction of {self.grid.words(place)}: no fitted row has such a "
                    "combination of categories"
                )
        return found

    def _condensed(self, grid: Grid) -> Condensed:
        constant = {name for axis in grid.axes for name in axis.columns}
        average = self.average
        return Condensed(self.model, self.gathered, average.weights, average.apart, constant)

    def _average(self, rows: Gathered, slope: str | None, condensed: Condensed) -> Array:
        compute: Averaging = self.average
        if slope is not None:
            data = self.whole.table.columns[slope].values.astype(np.float64)
            compute = partial(self.average.slope, by=slope, data=data)
        least = AGREEMENT if slope is None else OF_SLOPES
        # Columns of what is linear are averaged: few or many are as fast.
        return condensed.average(rows, compute, 0 if self.average.levels.are_linear else least)

    def _slopes(self, axis: Axis) -> list[Found]:
        """The slope of a number where the rows are, within the chosen levels."""
        if not axis.is_numeric or axis.name in self.average.of_levels:
            return []
        grid = replace(self.grid, axes=self.grid.axes[1:])
        condensed, found = self._condensed(grid), []
        for place in grid.places:
            rows = at_place(self.model, self.gathered, grid, place)
            slope = self._average(rows, axis.name, condensed)
            found.append(Found("slope", (None, *place), None, slope))
        return found

    def _check_positive(self, averages: Mapping[Place, Array]) -> None:
        for place, x in averages.items():
            if (x <= 0).any():
                what = f"the prediction at {self.grid.words(place)}" if place else "the prediction"
                raise InputError(
                    f"{what} is 0 in some draws, so there are no ratios",
                    remedy="leave `ratio` out, or compare other values",
                )
