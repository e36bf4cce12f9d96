"""What a fit expects of chosen levels along a predictor: their lines, and the population's."""

from __future__ import annotations

from typing import Any

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from partialpool.arrays import Array, Ints, mean_of, tails
from partialpool.data import Column
from partialpool.data.labels import distinct, match_labels
from partialpool.design import Design
from partialpool.design.gather import Gathered
from partialpool.design.rows import Rows
from partialpool.draws.alike import contents, take
from partialpool.draws.evaluate import Evaluator
from partialpool.draws.new_rows import build_rows, gather_fitted
from partialpool.draws.posterior import Posterior, n_draws, rows_of
from partialpool.draws.rows import counting_weights
from partialpool.effects.values import is_numeric, values_of, with_value
from partialpool.errors import InputError, did_you_mean
from partialpool.model import Group

STEPS = 25  # of a line, where a predictor has more values
ROWS = 50  # of a level, over which its line averages
NUMBERS = 10_000_000  # rows × draws; of more draws, some are used


class Along(Struct, frozen=True, eq=False):
    """The predictor that lines run along.

    Attributes
    ----------
    name : str
        The column; empty where there is none, and a line is one height.
    values : list
        Where the line is known; one None without a predictor.
    numeric : bool
        Whether there are others in between.
    column : Column or None
        The values of the rows.
    """

    name: str
    values: list[Any]
    numeric: bool
    column: Column | None

    @property
    def at(self) -> NDArray[Any]:
        """Where the values stand on the axis: categories one step apart."""
        if self.numeric:
            return np.asarray(self.values, dtype=np.float64)
        return np.arange(len(self.values), dtype=np.float64)

    def of_rows(self, rows: Ints) -> Array:
        """Where rows stand on the axis."""
        if self.column is None:
            return np.zeros(len(rows))
        if self.numeric:
            return np.asarray(self.column.values[rows], dtype=np.float64)
        known, codes = distinct(self.column.labels)
        places = np.empty(len(known))
        places[match_labels(self.values, known, f"`{self.name}`")] = self.at
        return places[codes[rows]]


def along(fit: Posterior, group: Group, x: str | None) -> Along:
    """Choose what lines run along: the first predictor of the levels' terms, else of the formula.

    Raises
    ------
    InputError
        If the formula has no such predictor.
    """
    model, design = fit.model, rows_of(fit)
    known = model.plan.predictors
    if x is not None and x not in known:
        remedy = did_you_mean(x, known) if known else "the formula has none"
        raise InputError(f"`{x}` is no predictor of the formula", remedy=remedy)
    name = x or _first(fit, group, known)
    if not name:
        return Along("", [None], True, None)
    column = design.table.columns[name]
    numeric = is_numeric(model, column)
    if not numeric:
        return Along(name, values_of(column, False, None, np.ones(len(column))), False, column)
    found = np.unique(column.values.astype(np.float64))
    if len(found) > STEPS:
        found = np.linspace(found[0], found[-1], STEPS)
    return Along(name, found.tolist(), True, column)


def _first(fit: Posterior, group: Group, known: tuple[str, ...]) -> str:
    """The first predictor of the levels' terms, else the first of the formula that is one."""
    design = rows_of(fit)
    terms = [*design.factor(group.factor).column_terms, *design.column_terms]
    for term in terms:
        for one in term:
            for name in one.columns:
                if name in known and name in design.table.columns:
                    return name
    return ""


class Lines(Struct, frozen=True, eq=False):
    """Expected responses of levels along a predictor: (level, value) arrays.

    Attributes
    ----------
    mean, lower, upper : arrays
        Posterior means, and the interval of the fit.
    """

    mean: Array
    lower: Array
    upper: Array


def lines(fit: Posterior, rows: list[Ints], where: Along, without: str | None = None) -> Lines:
    """Average what is expected of the rows of each level, all of which get each value in turn.

    Parameters
    ----------
    rows : list of arrays
        Positions of the rows of each level among those that were fitted.
    without : str, optional
        A factor whose levels count as having no deviation from the population.
    """
    model, design = fit.model, rows_of(fit)
    counts = [min(len(own), ROWS) for own in rows]
    picked = np.concatenate(
        [
            own[np.linspace(0, len(own) - 1, n).astype(int)]
            for own, n in zip(rows, counts, strict=True)
        ]
    )
    gathered = _some(per_unit(fit, design), picked)
    parts = []
    for value in where.values:
        changed = with_value(gathered, where.name, value) if where.name else gathered
        parts.append(_without(fit, build_rows(model, changed, model.groups), without))
    every = _stacked(parts)
    _, first, kind = np.unique(contents(every), axis=0, return_index=True, return_inverse=True)
    expected = _expected(fit, take(every, first))[kind.ravel()]
    found = expected.reshape(len(parts), len(picked), -1)
    ends, times = np.cumsum(counts)[:-1], counting_weights(fit)[picked]
    of_levels = zip(np.split(found, ends, axis=1), np.split(times, ends), strict=True)
    means = np.stack([np.average(part, axis=1, weights=own) for part, own in of_levels])
    lower, upper = np.quantile(means, tails(fit.provenance.interval), axis=2)
    return Lines(mean_of(means, axis=2), lower, upper)


def per_unit(fit: Posterior, design: Design) -> Gathered:
    """The fitted rows, each as of one trial, or of one unit of exposure."""
    why = fit.provenance.lacking
    gathered = gather_fitted(fit.model, design, {}, kind="mean", argument="data", lacking=why)
    ones = np.ones(gathered.table.n_rows)
    roles = {
        name: ones if name in ("trials", "exposure") else own
        for name, own in gathered.roles.items()
    }
    return replace(gathered, roles=roles)


def responses(fit: Posterior, rows: Ints) -> Array:
    """Responses of fitted rows: shares of trials, rates by exposure, scores of categories."""
    design = rows_of(fit)
    y = design.y[rows]
    if fit.model.categories:
        return fit.model.scores[y.astype(np.int64)]
    for unit in (design.trials, design.exposure):
        if unit is not None:
            y = y / unit[rows]
    return y


def _some(gathered: Gathered, rows: Ints) -> Gathered:
    """Some rows, also several times."""
    table = gathered.table.rows(rows)
    roles = {name: own[rows] for name, own in gathered.roles.items()}
    return replace(gathered, table=table, roles=roles, positions=gathered.positions[rows])


def _without(fit: Posterior, rows: Rows, factor: str | None) -> Rows:
    """Take the deviations of a factor from rows."""
    if factor is None:
        return rows
    groups = fit.model.groups
    members = tuple(
        replace(m, codes=np.full_like(m.codes, len(groups[m.k].levels)), labels=("population",))
        if groups[m.k].factor == factor
        else m
        for m in rows.members
    )
    return replace(rows, members=members)


def _stacked(parts: list[Rows]) -> Rows:
    """Rows below each other."""
    one = parts[0]

    def stack(get: Any) -> Any:
        return None if get(one) is None else np.concatenate([get(part) for part in parts])

    members = tuple(
        replace(
            member,
            Z=np.concatenate([part.members[k].Z for part in parts]),
            codes=np.concatenate([part.members[k].codes for part in parts]),
        )
        for k, member in enumerate(one.members)
    )
    return Rows(
        stack(lambda part: part.X),
        stack(lambda part: part.offset),
        stack(lambda part: part.sigma_X),
        members,
        {role: np.concatenate([part.roles[role] for part in parts]) for role in one.roles},
    )


def _expected(fit: Posterior, rows: Rows) -> Array:
    """Expected responses: (row, draw), of evenly spaced draws where all were too many."""
    total = n_draws(fit)
    n = min(total, max(100, NUMBERS // max(len(rows), 1)))
    picked = np.unique(np.linspace(0, total - 1, n).astype(np.int64))
    evaluator = Evaluator(
        fit.model, fit.run, rows, new_levels="population", seed=fit.seed, picked=picked
    )
    return np.asarray(evaluator.mean(np.arange(len(rows))))
