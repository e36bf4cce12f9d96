"""The grid: what rows get in turn, all combinations of values of predictors and of levels."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from msgspec import Struct

from partialpool.arrays import Array
from partialpool.data import label
from partialpool.data.labels import as_given, find_levels
from partialpool.design.gather import Gathered
from partialpool.draws.new_rows import grouping_columns
from partialpool.effects.question import Question
from partialpool.effects.values import is_numeric, values_of, with_level, with_value
from partialpool.errors import InputError
from partialpool.model import Group, Model

MOST = 1000  # combinations

Place = tuple[int, ...]
"""A combination: the position of its value on each axis."""


class Axis(Struct, frozen=True):
    """A predictor with the values that rows get, or a grouping factor with chosen levels.

    Attributes
    ----------
    name : str
        The column, or the factor.
    values : tuple
        As the user gave them, or as they are in the data.
    is_numeric : bool
        Whether there are other values in between.
    levels : tuple of dict
        Of a grouping factor: what each of its columns has at each level.
    is_compared : bool
        Whether its values are compared; else comparisons are made within each of them.
    """

    name: str
    values: tuple[Any, ...]
    is_numeric: bool = False
    levels: tuple[dict[str, Any], ...] = ()
    is_compared: bool = True

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the data that it sets."""
        return tuple(self.levels[0]) if self.levels else (self.name,)


class Grid(Struct, frozen=True):
    """What a table of effects is about: it has a row for each combination, or for each two.

    Attributes
    ----------
    axes : tuple of Axis
        Predictors and factors, in the order of `by`, then the factors of `groups`.
    response : str
        What is predicted, as the formula calls it.
    kind : {"mean", "probability", "linear"}
        On which scale.
    interval : float
        Mass of the intervals.
    categories : tuple
        Of an ordered response, where probabilities are wanted.
    slope : str or None
        The number whose slopes are in the table, if it is about slopes.
    columns : tuple of str
        What the table calls the column of each axis.
    references : tuple of str
        What it calls the column of the reference of each axis that is compared.
    """

    axes: tuple[Axis, ...]
    response: str
    kind: str
    interval: float
    categories: tuple[Any, ...]
    slope: str | None
    columns: tuple[str, ...]
    references: tuple[str, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """How many values each axis has."""
        return tuple(len(axis.values) for axis in self.axes)

    @property
    def places(self) -> list[Place]:
        """All combinations, the last axis fastest."""
        return list(itertools.product(*map(range, self.shape)))

    @property
    def compared(self) -> list[int]:
        """Positions of the axes whose values are compared."""
        return [k for k, axis in enumerate(self.axes) if axis.is_compared]

    def values(self, place: Place) -> tuple[Any, ...]:
        """Give the values of a combination."""
        return tuple(axis.values[k] for axis, k in zip(self.axes, place, strict=True))

    def words(self, place: Place) -> str:
        """Name a combination.

        Examples
        --------
        >>> axes = Axis("arm", ("a", "b")), Axis("year", (2011, 2012))
        >>> Grid(axes, "y", "mean", 0.95, (), None, (), ()).words((1, 0))
        'arm=b, year=2011'
        """
        own = zip(self.axes, self.values(place), strict=True)
        return ", ".join(f"{axis.name}={label(value)}" for axis, value in own)


def make_axes(
    model: Model, asked: Question, gathered: Gathered, weights: Array
) -> tuple[Axis, ...]:
    """Find the values that rows get in turn.

    Raises
    ------
    InputError
        If a level is unknown, a column would be set twice, or there are too many combinations.
    """
    axes = []
    for name in asked.names:
        given = asked.at.get(name)
        if name in model.plan.predictors:
            column = gathered.table.columns[name]
            numeric = is_numeric(model, column)
            axes.append(Axis(name, tuple(values_of(column, numeric, given, weights)), numeric))
        else:
            axes.append(_levels(model, name, None if given is None else _several(name, given)))
    axes += [_levels(model, name, own, compared=False) for name, own in asked.levels.items()]
    owner: dict[str, str] = {}
    for axis in axes:
        for column_name in axis.columns:
            other = owner.setdefault(column_name, axis.name)
            if other != axis.name:
                raise InputError(
                    f"`{other}` and `{axis.name}` both say what `{column_name}` is",
                    remedy=f"leave `{other}` out",
                )
    count = math.prod(len(axis.values) for axis in axes)
    if count > MOST:
        largest = max(axes, key=lambda axis: len(axis.values))
        where = "at" if largest.is_compared else "groups"
        raise InputError(
            f"`{largest.name}` has {len(largest.values):,} values here, which makes {count:,} "
            f"combinations, and {MOST:,} are the most",
            remedy=f"choose some of them with `{where}=`",
        )
    return tuple(axes)


def _several(name: str, given: Any) -> list[Any]:
    single = isinstance(given, (str, bytes)) or not hasattr(given, "__len__")
    values = [given] if single else list(given)
    if not values:
        raise InputError(f"`at` lists no value of `{name}`", remedy="give some")
    return values


def _levels(model: Model, name: str, given: Sequence[Any] | None, compared: bool = True) -> Axis:
    """Choose levels of a grouping factor by their labels, or take all."""
    group = next(group for group in model.groups if group.factor == name)
    grouping = model.plan.part(group.predictor).grouping(name)
    joined = grouping.joined
    known = as_given(joined)
    picked = list(range(len(known)))
    if given is not None:
        values = [v.item() if isinstance(v, np.generic) else v for v in given]
        if any(v.__hash__ is None for v in values):
            raise InputError(f"`{name}` has no such level", remedy="give levels by their labels")
        picked = find_levels(values, known, name)
    codes = np.arange(len(known))[None] if grouping.members is None else grouping.members
    levels = tuple(
        {
            column: own[codes[i, k]]
            for i, (column, own) in enumerate(zip(grouping.columns, grouping.levels, strict=True))
        }
        for k in picked
    )
    return Axis(name, tuple(known[k] for k in picked), False, levels, compared)


def chosen_groups(model: Model, asked: Question) -> list[Group]:
    """Give the groups whose levels are chosen: all columns that they come from are set."""
    factors = {*asked.names, *asked.levels} - {n for n in asked.names if n in model.plan.predictors}
    columns = {n for g in model.groups if g.factor in factors for n in grouping_columns(model, g)}
    return [group for group in model.groups if columns.issuperset(grouping_columns(model, group))]


def at_place(model: Model, gathered: Gathered, grid: Grid, place: Place) -> Gathered:
    """Give all rows the values of a combination."""
    for axis, k in zip(grid.axes, place, strict=True):
        values = axis.levels[k] if axis.levels else {axis.name: axis.values[k]}
        for name, value in values.items():
            put = with_value if name in model.plan.predictors else with_level
            gathered = put(gathered, name, value)
    return gathered
