"""What a figure of effects is asked for: predictors, the values that each takes, and the rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from partialpool.arrays import Array, Ints
from partialpool.checks import check_mapping
from partialpool.data import Column, label
from partialpool.data.labels import distinct, match_labels
from partialpool.design.gather import Gathered
from partialpool.draws.new_rows import gather_fitted, gather_new
from partialpool.draws.posterior import Posterior
from partialpool.effects.values import FEW, is_numeric, values_of
from partialpool.errors import InputError, shown

GRID = 41  # numbers along the x axis
CURVES = 6  # categories of the second predictor, or of the third
MOST = 8  # values of them that may be asked for


@dataclass(frozen=True, eq=False)
class Axis:
    """A predictor and the values that rows get in turn.

    Attributes
    ----------
    column : Column
        In the rows that are averaged over.
    values : list
        Along the x axis or, of other predictors, one for each curve or panel.
    numeric : bool
        Whether the model takes it as a number.
    between : bool
        Whether it is drawn as a curve.
    chosen : str
        Which values these are, where they are not all; for the caption.
    """

    column: Column
    values: list[Any]
    numeric: bool
    between: bool
    chosen: str = ""

    @property
    def name(self) -> str:
        """The predictor."""
        return self.column.name

    @property
    def nearest(self) -> bool:
        """Whether rows go with the nearest value, being more than a few numbers."""
        return self.numeric and len(np.unique(self.column.values)) > FEW

    @property
    def labels(self) -> list[str]:
        """What the values are called."""
        if not self.numeric:
            return [label(value) for value in self.values]
        return [f"{value:.3g}".replace("-", "\N{MINUS SIGN}") for value in self.values]

    @property
    def named(self) -> list[str]:
        """The values with the name of the predictor."""
        return [f"{self.name} = {text}" for text in self.labels]


@dataclass(frozen=True, eq=False)
class Question:
    """What is drawn of which fit.

    Attributes
    ----------
    kind : {"mean", "probability", "linear"}
        The scale.
    at : dict
        Values by column, as they were given.
    given : dict
        Roles by name, None where they were not given.
    gathered : Gathered
        The rows that are averaged over.
    fitted : bool
        Whether these are those that were fitted.
    axes : tuple of Axis
        Along the x axis, then for the curves, then for the panels.
    """

    fit: Posterior
    kind: str
    at: dict[str, Any]
    given: dict[str, Any]
    gathered: Gathered
    fitted: bool
    axes: tuple[Axis, ...]

    @property
    def counting(self) -> Array:
        """How many rows each row counts as."""
        return counting(self.fit, self.gathered)


def check_by(by: str | Sequence[str], most: int) -> list[str]:
    """Take the names of one to so many predictors."""
    names = [by] if isinstance(by, str) else list(by) if isinstance(by, (list, tuple)) else []
    if not all(isinstance(name, str) for name in names) or len(set(names)) < max(len(names), 1):
        raise InputError(
            f"`by` is {shown(by)}", remedy='give a predictor, or several such as ["x", "g"]'
        )
    if len(names) > most:
        raise InputError(
            f"`by` names {len(names)} predictors, and this figure shows {most}",
            remedy="give one value of each other as `at=`",
        )
    return names


def check_at(at: Mapping[str, Any] | None) -> dict[str, Any]:
    """Take values by column."""
    check_mapping("at", at, '{"x": 0}')
    return dict(at or {})


def gather_rows(fit: Posterior, data: Any, given: Mapping[str, Any], kind: str) -> Gathered:
    """Gather the rows that are averaged over."""
    if data is None:
        return gather_fitted(
            fit.model, fit.design, given, kind=kind, argument="data", averaged=True
        )
    apart = [group for group in fit.model.groups if group.known_sd is not None]
    return gather_new(fit.model, data, given, kind=kind, needed=apart, averaged=True)


def choose_axis(
    fit: Posterior, gathered: Gathered, name: str, at: Mapping[str, Any], *, first: bool
) -> Axis:
    """Choose the values of a predictor."""
    column = gathered.table.columns[name]
    numeric, asked = is_numeric(fit.model, column), at.get(name)
    if not len(column):
        raise InputError("no row is complete, so there is nothing to average over")
    if asked is not None:
        values = values_of(column, numeric, asked, np.ones(len(column)))
        if not first and len(values) > MOST:
            raise InputError(
                f"`at` gives `{name}` {len(values)} values", remedy=f"give at most {MOST}"
            )
        between = numeric and first and len(values) > 2
        return Axis(column, sorted(values) if between else values, numeric, between)
    distinct = np.unique(column.values) if numeric else np.empty(0)
    if first and len(distinct) > 2:
        low, high = float(distinct[0]), float(distinct[-1])
        return Axis(column, np.linspace(low, high, GRID).tolist(), numeric, True)
    values = values_of(column, numeric, None, counting(fit, gathered))
    if first:
        return Axis(column, values, numeric, False)
    if numeric and len(distinct) > len(values):  # the quartiles, without the ends
        return Axis(column, values[1:-1], numeric, False, f"Quartiles of {name}")
    if len(values) > CURVES:
        return _most_frequent(column, values)
    return Axis(column, values, numeric, False)


def counting(fit: Posterior, gathered: Gathered) -> Array:
    """How many rows each row counts as."""
    ones = np.ones(gathered.table.n_rows)
    return gathered.roles.get("weights", ones) if fit.model.family.weights_count_rows else ones


def _most_frequent(column: Column, values: list[Any]) -> Axis:
    """Take the categories with most rows, in their order."""
    counts = np.bincount(places_of(column, values), minlength=len(values))
    kept = np.sort(np.argsort(-counts, kind="stable")[:CURVES])
    chosen = f"Of {len(values):,} categories of {column.name} the {CURVES} with most rows"
    return Axis(column, [values[k] for k in kept], False, False, chosen)


def places_of(column: Column, values: list[Any], *, nearest: bool = False) -> Ints:
    """Which of the values each row has; -1 for none, or of numbers the nearest."""
    if nearest:
        order = np.argsort(np.asarray(values, dtype=np.float64))
        sorted_ = np.asarray(values, dtype=np.float64)[order]
        cuts = (sorted_[1:] + sorted_[:-1]) / 2
        return np.asarray(order[np.searchsorted(cuts, column.values.astype(np.float64))])
    known, codes = distinct(column.labels)
    own = np.full(len(known), -1)
    for place, found in enumerate(match_labels(values, known, f"`{column.name}`")):
        if found >= 0:
            own[found] = place
    return own[codes]
