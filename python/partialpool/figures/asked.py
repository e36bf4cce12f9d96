"""What a figure of effects is asked for: predictors, the values that each takes, and the rows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from msgspec import Struct

from partialpool.arrays import Array, Ints
from partialpool.data import Column, label
from partialpool.data.labels import as_given, distinct, match_labels
from partialpool.design.gather import Gathered
from partialpool.draws.new_rows import gather_fitted, gather_new
from partialpool.draws.posterior import Posterior
from partialpool.effects.grid import MOST as PLACES
from partialpool.effects.grid import chosen_groups
from partialpool.effects.question import Question as Asked
from partialpool.effects.values import FEW, is_numeric, values_of
from partialpool.errors import InputError

GRID = 41  # numbers along the x axis
CATEGORIES = 200  # along the x axis
CURVES = 6  # categories of the second predictor, or of the third
MOST = 8  # values of them that may be asked for
PREDICTORS = 3


class Axis(Struct, frozen=True, eq=False):
    """A predictor, or a grouping factor, and the values that rows get in turn.

    Attributes
    ----------
    values : list
        Along the x axis or, of other predictors, one for each curve or panel.
    numeric : bool
        Whether the model takes it as a number.
    between : bool
        Whether it is drawn as a curve.
    numbers : (row,) array
        The rows' own numbers; empty where it has none.
    codes : (row,) array of int
        Which of the values each row has, or of many numbers is nearest to; -1 for none.
    chosen : str
        Which values these are, where they are not all; for the caption.
    """

    name: str
    values: list[Any]
    numeric: bool
    between: bool
    numbers: Array
    codes: Ints
    chosen: str = ""

    @property
    def nearest(self) -> bool:
        """Whether rows go with the nearest value, being more than a few numbers."""
        return self.numeric and len(np.unique(self.numbers)) > FEW

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


class Chart(Struct, frozen=True, eq=False):
    """What is drawn of which fit.

    Attributes
    ----------
    kind : {"mean", "probability", "linear"}
        The scale.
    at : dict
        One value by predictor, which all rows have.
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


def chart_of(fit: Posterior, asked: Asked, data: Any, given: dict[str, Any]) -> Chart:
    """Gather the rows, and choose the values of every predictor.

    Raises
    ------
    InputError
        If there are more predictors or values than a figure has room for.
    """
    names = [*asked.names, *asked.levels]
    most = PREDICTORS - (asked.kind == "probability")
    if not names:
        raise InputError("`by` names no predictor", remedy="name one to three")
    if len(names) > most:
        raise InputError(
            f"`by` and `groups` name {len(names)} predictors, and this figure shows {most}"
            if asked.levels
            else f"`by` names {len(names)} predictors, and this figure shows {most}",
            remedy="give one value of each other as `at=`",
        )
    gathered = _gather(fit, asked, data, given)
    values = asked.at | asked.levels
    others = [_axis(fit, gathered, name, values.get(name), first=False) for name in names[1:]]
    size = min(GRID, PLACES // math.prod(len(axis.values) for axis in others))
    first = _axis(fit, gathered, names[0], values.get(names[0]), first=True, size=size)
    at = {name: value for name, value in asked.at.items() if name not in names}
    return Chart(fit, asked.kind, at, given, gathered, data is None, (first, *others))


def _gather(fit: Posterior, asked: Asked, data: Any, given: Mapping[str, Any]) -> Gathered:
    """Gather the rows that are averaged over."""
    model, kind = fit.model, asked.kind
    if data is None:
        why, design = fit.provenance.lacking, fit.design
        gathered = gather_fitted(
            model, design, given, kind=kind, argument="data", lacking=why, averaged=True
        )
    else:
        chosen = {group.name for group in chosen_groups(model, asked)}
        needed = [g for g in model.groups if g.known_sd is not None and g.name not in chosen]
        gathered = gather_new(model, data, given, kind=kind, needed=needed, averaged=True)
    if not gathered.table.n_rows:
        raise InputError("no row is complete, so there is nothing to average over")
    return gathered


def _axis(
    fit: Posterior, gathered: Gathered, name: str, asked: Any, *, first: bool, size: int = GRID
) -> Axis:
    """Choose the values of a predictor, or the levels of a factor."""
    if name not in fit.model.plan.predictors:
        return _levels(fit, gathered, name, asked, first=first)
    column = gathered.table.columns[name]
    numeric = is_numeric(fit.model, column)
    numbers = column.values.astype(np.float64) if numeric else np.empty(0)
    distinct_ = np.unique(numbers)
    between, chosen = first and len(distinct_) > 2, ""
    if asked is not None:
        values = values_of(column, numeric, asked, np.ones(len(column)))
        _check_count(name, len(values), CATEGORIES if first else MOST)
        between = numeric and first and len(values) > 2
        values = sorted(values) if between else values
    elif between:
        values = np.linspace(distinct_[0], distinct_[-1], size).tolist()
    else:
        values = values_of(column, numeric, None, counting(fit, gathered))
    if asked is None and not between and numeric and len(distinct_) > len(values):
        values, chosen = values[1:-1], f"Quartiles of {name}"  # without the ends
    codes = places_of(column, values, nearest=numeric and len(distinct_) > FEW)
    most = CATEGORIES if first else CURVES
    if asked is None and not numeric and len(values) > most:
        kept, chosen = _most_frequent(name, codes, len(values), most, "categories")
        values = [values[k] for k in kept]
        codes = places_of(column, values)
    return Axis(name, values, numeric, between, numbers, codes, chosen)


def _levels(fit: Posterior, gathered: Gathered, name: str, asked: Any, *, first: bool) -> Axis:
    """Choose levels of a grouping factor."""
    group = next(group for group in fit.model.groups if group.factor == name)
    known = as_given(group.levels)
    codes = np.full(gathered.table.n_rows, -1)
    if fit.design is not None and len(codes) == fit.design.n_rows:
        codes = next(f.codes for f in _factors(fit) if f.name == name)
    most, chosen = CATEGORIES if first else CURVES, ""
    if asked is not None:
        single = isinstance(asked, (str, bytes)) or not hasattr(asked, "__iter__")
        given = [asked] if single else list(asked)
        _check_count(name, len(given), CATEGORIES if first else MOST)
        kept = np.asarray(match_labels(given, known, f"`{name}`"), dtype=np.int64)
        if (kept < 0).any():  # which one, the effects say
            return Axis(name, given, False, False, np.empty(0), np.full(len(codes), -1))
    elif len(known) > most:
        rows = np.repeat(np.arange(len(known)), group.counts)
        kept, chosen = _most_frequent(name, rows, len(known), most, "levels")
    else:
        kept = np.arange(len(known))
    place = np.full(len(known) + 1, -1)
    place[kept] = np.arange(len(kept))
    values = [known[j] for j in kept.tolist()]
    return Axis(name, values, False, False, np.empty(0), place[codes], chosen)


def _factors(fit: Posterior) -> list[Any]:
    """Factors of both linear predictors."""
    design = fit.design
    assert design is not None
    return [*design.factors, *(design.sigma.factors if design.sigma is not None else ())]


def _check_count(name: str, count: int, most: int) -> None:
    if count > most:
        raise InputError(
            f"{count} values of `{name}` are given, and this figure has room for {most}",
            remedy="give fewer",
        )


def counting(fit: Posterior, gathered: Gathered) -> Array:
    """How many rows each row counts as."""
    ones = np.ones(gathered.table.n_rows)
    return gathered.roles.get("weights", ones) if fit.model.family.weights_count_rows else ones


def _most_frequent(name: str, codes: Ints, count: int, most: int, what: str) -> tuple[Ints, str]:
    """Take the values with most rows, in their order, and say so."""
    counts = np.bincount(codes[codes >= 0], minlength=count)
    kept = np.sort(np.argsort(-counts, kind="stable")[:most])
    return kept, f"Of {count:,} {what} of {name} the {most} with most rows"


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
