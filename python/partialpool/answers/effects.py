"""Marginal effects: average predictions, contrasts and slopes of one predictor."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from partialpool.answers.predict import pick_draws, summarise_rows
from partialpool.answers.tabulated import Tabulated, node_count
from partialpool.arrays import Array
from partialpool.checks import check_choice, check_interval, check_mapping, check_text
from partialpool.data import Column, label
from partialpool.data.convert import from_any
from partialpool.data.labels import distinct, match_labels
from partialpool.design.grouping import factorize
from partialpool.design.recipe import fitted_categories, recipe_predictors
from partialpool.draws.evaluate import Evaluator
from partialpool.draws.new_rows import (
    Gathered,
    Rows,
    build_rows,
    check_known,
    gather_fitted,
    gather_new,
    grouping_columns,
)
from partialpool.errors import InputError, did_you_mean, shown
from partialpool.formula import expand, parse_formula, parse_predictor
from partialpool.model import Group, Model

if TYPE_CHECKING:
    import pandas as pd

    from partialpool.draws.posterior import Posterior


GROUPS = ("integrate", "none")
KINDS = ("mean", "probability", "linear")
COLUMNS = ("quantity", "value", "reference", "mean", "sd", "lower", "upper")

FEW = 5  # as many distinct numbers are taken one by one
# Of the trapezoid rule: an error of 1e-7 or less. Logit has poles at ±iπ, the others misbehave
# beyond ±iπ/2, or grow off the real line.
STEPS = {"logit": 1.0, "probit": 0.7, "cloglog": 0.6, "log": 0.6}
REACH = 6.0
DISTANCES = {
    "logit": 3.0,
    "probit": 1.5,
    "cloglog": 1.5,
    "log": 1.5,
}  # from the real line, for sure
FEW_ROWS = 60  # so many are integrated one by one
MOST_NODES = 500  # of a table
STEP = 1e-4  # of an sd: half the width of a finite difference


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
    offset: Any = None,
    exposure: Any = None,
    trials: Any = None,
    weights: Any = None,
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
    roles = {"offset": offset, "exposure": exposure, "trials": trials, "weights": weights}
    import pandas as pd

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
    _check_predictors(model, by, at)
    apart = [group for group in model.groups if group.known_sd is not None]
    if data is None:
        gathered = gather_fitted(
            model, fit.design, roles, kind=kind, argument="data", averaged=True
        )
    else:
        gathered = gather_new(model, data, roles, kind=kind, needed=apart, averaged=True)
    if gathered.table.n_rows == 0:
        raise InputError("no row is complete, so there is nothing to average over")
    weights = np.ones(gathered.table.n_rows)
    if model.family.weights_count_rows:
        weights = gathered.roles.pop("weights", weights)
    average = _Average(fit, groups, kind, draws, apart, list(gathered.notes), weights)
    for name, value in at.items():
        if name != by:
            gathered = _set(gathered, name, value)
    column = gathered.table.columns[by]
    numeric = column.kind == "number" and not _categorical(model, by)
    numeric = numeric and by not in fitted_categories(model.recipe)
    values = _values(column, numeric, at.get(by), weights)
    predicted = [average(_set(gathered, by, value)) for value in values]
    if any(np.isinf(x).any() for x in predicted):
        raise InputError(
            "the average prediction is larger than can be computed with",
            remedy='use kind="linear", or look at the offset and the values of the predictors',
        )
    found = [("prediction", v, None, x) for v, x in zip(values, predicted, strict=True)]
    found += [
        ("contrast", v, values[0], x - predicted[0])
        for v, x in zip(values[1:], predicted[1:], strict=True)
    ]
    levels = {name for group in apart for name in grouping_columns(model, group)}
    if numeric and by not in levels:  # between levels there is nothing to derive
        found.append(("slope", None, None, average.slope(gathered, by)))
    labels = model.categories if kind == "probability" else (None,)
    draws_of = np.concatenate([x.reshape(-1, len(labels)).T for *_, x in found])
    summary = summarise_rows(draws_of, interval)
    facts = zip(*(row[:3] for row in found for _ in labels), strict=True)
    columns: dict[str, Any] = dict(zip(COLUMNS, map(list, facts), strict=False))
    if kind == "probability":
        columns["category"] = [*labels] * len(found)
    columns |= dict(zip(COLUMNS[3:], summary.T, strict=True))
    frame = pd.DataFrame(columns)
    frame.attrs |= {
        "by": by,
        "kind": kind,
        "groups": average.how,
        "interval": float(interval),
        "n_rows": gathered.table.n_rows,
        "notes": average.notes,
    }
    return frame


class _Average:
    """The average of the expected response over rows: (draw,), or (draw, category)."""

    def __init__(
        self,
        fit: Posterior,
        groups: str,
        kind: str,
        draws: int | None,
        apart: Sequence[Group],
        notes: list[str],
        weights: Array,
    ) -> None:
        self.fit, self.model, self.kind, self.apart = fit, fit.model, kind, apart
        chosen = pick_draws(fit, draws)
        self.picked = (np.arange(fit.run.chains)[:, None] * fit.run.draws + chosen).ravel()
        self.notes, self.weights = notes, weights
        pooled = [group for group in self.model.groups if group.known_sd is None]
        names = {group.predictor for group in pooled}
        self.integrate = groups == "integrate" and bool(pooled) and kind != "linear"
        if self.integrate and "sigma" in names and self.model.family.mean_takes_sigma:
            raise InputError(
                "the residual sds of the levels vary, so the expected "
                f"{self.model.family.name} response over the population of levels is infinite",
                remedy='use groups="none" or kind="linear"',
            )
        # Levels of log sigma alone do not move the mean of other families.
        self.integrate = self.integrate and "mu" in names
        self.rule = self._rule()
        self.how = self._how(groups, bool(pooled))

    def _rule(self) -> str:
        """How the normal distribution of the levels is integrated over."""
        averages = self.model.family.averages
        if not self.integrate or averages == "linear":
            return "linear"  # the expected response is that of the average level
        if averages == "loglinear":
            return "loglinear"
        if averages == "link" and self.model.link == "probit":
            return "probit"
        return "quadrature"

    @property
    def _linear(self) -> bool:
        """Whether what is averaged is linear in the columns."""
        return self.kind == "linear" or self.model.family.averages == "linear"

    def _how(self, groups: str, pooled: bool) -> str:
        if not pooled:
            return "there are no levels of a population"
        if groups == "none":
            return "left out: a level without deviations"
        if self.kind == "linear" or not self.integrate or self.rule == "linear":
            return "integrated over the population, where deviations average to 0"
        if self.rule == "quadrature":
            return "integrated over the population by quadrature (trapezoid rule)"
        return "integrated over the population in closed form"

    def __call__(self, gathered: Gathered) -> Array:
        """Give the average over the rows."""
        rows = build_rows(self.model, gathered, self.apart)
        check_known(self.model, rows)
        first, counts, weights = self._distinct(_table(rows))
        total: Array | float = 0.0
        origin: float | None = None if self._linear else 0.0
        lost, left = 0.0, float(weights.sum())
        for at, mean in self._means(_take(rows, first)):
            known = _known(mean)
            lost += counts[at][~known].sum()
            left -= weights[at][~known].sum()
            if origin is None and known.any():
                origin = float(mean[known].flat[0])  # far from zero, sums of differences are exact
            total = total + np.tensordot(weights[at][known], mean[known] - (origin or 0.0), axes=1)
        if lost:
            self._say(int(lost))
        return np.asarray((origin or 0.0) + total / left)

    def slope(self, gathered: Gathered, by: str) -> Array:
        """Give the average derivative where the rows are."""
        x = gathered.table.columns[by].values.astype(np.float64)
        sd = np.sqrt(np.cov(x, aweights=self.weights, ddof=0))
        step = STEP * (float(sd) or max(abs(float(x[0])), 1.0))
        # Not beyond the data, where some transforms are not defined.
        low, high = np.maximum(x - step, x.min()), np.minimum(x + step, x.max())
        if np.ptp(x) == 0:
            low, high = x - step, x + step
        columns = (replace(gathered.table.columns[by], values=x) for x in (low, high))
        left_end, right_end = (
            build_rows(self.model, _with(gathered, column), self.apart) for column in columns
        )
        alike = np.hstack([_table(left_end), _table(right_end), (high - low)[:, None]])
        first, _, weights = self._distinct(alike)
        if self._linear:
            left_end, right_end = _without_common(left_end, right_end)
        both = _interleaved(_take(left_end, first), _take(right_end, first))
        total: Array | float = 0.0
        left = float(weights.sum())
        for at, mean in self._means(both):
            change, own = mean[1::2] - mean[::2], at[::2] // 2
            known = _known(change)
            left -= weights[own][~known].sum()
            shares = (weights / (high - low)[first])[own][known]
            total = total + np.tensordot(shares, change[known], axes=1)
        return np.asarray(total / left)

    def _distinct(self, table: Array) -> tuple[NDArray[np.int64], Array, Array]:
        """Merge rows that are alike: the first of each kind, how many, and their weight."""
        _, first, kind = np.unique(table, axis=0, return_index=True, return_inverse=True)
        kind = kind.ravel()
        counts = np.bincount(kind).astype(np.float64)
        return first, counts, np.bincount(kind, self.weights).astype(np.float64)

    def _say(self, lost: int) -> None:
        note = (
            f"left out: {lost} row{'s' * (lost != 1)} in levels whose own rows do not determine "
            "their coefficients"
        )
        if note not in self.notes:
            self.notes.append(note)

    def _means(self, rows: Rows) -> Iterator[tuple[NDArray[np.int64], Array]]:
        """Give expected responses, a part of the rows at a time."""
        evaluator = Evaluator(
            self.model,
            self.fit.run,
            rows,
            new_levels="population",
            seed=self.fit.run.seed,
            picked=self.picked,
        )
        # In the order of the rows, so that two ends of a difference meet in an even part.
        evaluator.order = np.arange(len(rows))
        width = max(1, 2 * len(self.model.categories))
        compute = partial(self._mean, evaluator)
        if self.rule == "quadrature":
            kinds, tables = self._tables(evaluator)
            compute = partial(self._integrated, evaluator, kinds, tables)
            if self.kind == "mean" and np.isin(kinds, list(tables)).all():
                width = 1
        for _, at in evaluator.chunks(width):
            with np.errstate(invalid="ignore", over="ignore"):
                yield at, compute(at)

    def _mean(self, evaluator: Evaluator, at: NDArray[np.int64]) -> Array:
        eta = evaluator.linear(at)
        if self.kind == "linear":
            return eta
        if self.rule == "linear":
            if self.kind == "probability":
                return evaluator.probabilities(eta)
            return evaluator.mean(at, eta)
        variance = self._variance(evaluator, at)
        if self.rule == "loglinear":
            return evaluator.mean(at, eta + variance / 2)
        return evaluator.mean(at, eta / np.sqrt(1 + variance))

    def _integrated(
        self,
        evaluator: Evaluator,
        kinds: NDArray[np.int64],
        tables: Mapping[int, Tabulated],
        at: NDArray[np.int64],
    ) -> Array:
        eta, kinds = evaluator.linear(at), kinds[at]
        categories = len(self.model.categories) if self.kind == "probability" else 0
        out = np.empty((*eta.shape, categories) if categories else eta.shape)
        for kind in np.unique(kinds).tolist():
            own = kinds == kind
            if kind in tables:
                out[own] = tables[kind](eta[own])
        own = ~np.isin(kinds, list(tables))
        if own.any():
            sd = np.sqrt(self._variance(evaluator, at[own]))
            out[own] = self._quadrature(evaluator, eta[own], sd)
        trials = evaluator.rows.roles.get("trials")
        return out if trials is None else out * trials[at][:, None]

    def _tables(self, evaluator: Evaluator) -> tuple[NDArray[np.int64], dict[int, Tabulated]]:
        """Tabulate the integrals over levels where many rows share their variance.

        The integral then depends on the draw and the linear predictor alone.

        Returns
        -------
        kinds : (row,) array
            Which rows share a variance.
        tables : dict
            By kind, where looking up is faster than computing.
        """
        rows, distance = evaluator.rows, DISTANCES[self.model.link]
        Z = np.hstack([rows.members[k].Z for k in self._varying(evaluator)])
        _, kinds, counts = np.unique(Z, axis=0, return_inverse=True, return_counts=True)
        kinds = kinds.ravel()
        tables: dict[int, Tabulated] = {}
        for kind in np.flatnonzero(counts > FEW_ROWS).tolist():
            own = np.flatnonzero(kinds == kind)
            low = np.full(len(self.picked), np.inf)
            high = -low
            for _, part in evaluator.chunks():
                eta = evaluator.linear(part[kinds[part] == kind])
                low = np.minimum(low, eta.min(axis=0, initial=np.inf))
                high = np.maximum(high, eta.max(axis=0, initial=-np.inf))
            if not np.isfinite(high - low).all():
                continue
            if node_count(low, high, distance) < min(len(own) / 2, MOST_NODES):
                sd = np.sqrt(self._variance(evaluator, own[:1]))
                compute = partial(self._quadrature, evaluator, sd=sd)
                tables[kind] = Tabulated(compute, low, high, distance)
        return kinds, tables

    def _quadrature(self, evaluator: Evaluator, eta: Array, sd: Array) -> Array:
        """Expected response, or probabilities, over normal linear predictors: (row, draw, …)."""
        nodes, weights = _normal_nodes(float(sd.max(initial=0.0)), self.model.link)
        total: Array | float = 0.0
        for node, weight in zip(nodes, weights, strict=True):
            total = total + weight * evaluator.expected(eta + node * sd, self.kind)
        return np.asarray(total)

    def _varying(self, evaluator: Evaluator) -> list[int]:
        """Positions of the groups whose levels move the linear predictor of the mean."""
        groups = [self.model.groups[member.k] for member in evaluator.rows.members]
        return [k for k, g in enumerate(groups) if g.known_sd is None and g.predictor == "mu"]

    def _variance(self, evaluator: Evaluator, at: NDArray[np.int64]) -> Array:
        """Variance of the linear predictor between levels of the population: (row, draw)."""
        total = np.zeros((len(at), len(self.picked)))
        for k in self._varying(evaluator):
            member = evaluator.rows.members[k]
            Z, covariance = member.Z[at], evaluator.covariance(member.k)
            q = Z.shape[1]
            squares = (Z[:, :, None] * Z[:, None, :]).reshape(len(at), q * q)
            total += squares @ covariance.reshape(-1, q * q).T
        return np.maximum(total, 0.0)


def _known(values: Array) -> NDArray[np.bool_]:
    """Rows without an undetermined number."""
    return np.asarray(~np.isnan(values.reshape(len(values), -1)).any(axis=1))


def _normal_nodes(sd: float, link: str) -> tuple[Array, Array]:
    """Nodes and weights for averages of f(eta + sd t) over a standard normal t.

    The trapezoid rule: where f has no singularity within d of the real line, its error is
    ``exp(-2π d / (sd h))`` with steps of h. Unlike that of Gauss and Hermite it stays small where
    the sd is large.

    Examples
    --------
    >>> nodes, weights = _normal_nodes(2.0, "logit")
    >>> len(nodes), bool(abs(weights @ nodes**2 - 1) < 1e-7)
    (25, True)
    """
    step = min(0.5, STEPS[link] / max(sd, 1e-9))
    # Exponentials move the bulk of what is averaged up by the sd.
    top = REACH + (sd if link == "log" else 0.0)
    ends = -math.ceil(REACH / step), math.ceil(top / step) + 1
    nodes = np.asarray(step * np.arange(*ends), dtype=np.float64)
    weights = np.exp(-(nodes**2) / 2)
    return nodes, weights * (step / math.sqrt(2 * math.pi))


def _table(rows: Rows) -> Array:
    """Everything that enters the expectation of rows, a column each."""
    columns = [np.zeros((len(rows), 1)), rows.X, *(member.Z for member in rows.members)]
    columns += [x[:, None] for x in (rows.offset, *rows.roles.values()) if x is not None]
    columns += [x for x in (rows.sigma_X,) if x is not None]
    columns += [member.codes[:, None].astype(np.float64) for member in rows.members]
    return np.ascontiguousarray(np.hstack(columns))


def _take(rows: Rows, at: NDArray[np.int64]) -> Rows:
    return Rows(
        rows.X[at],
        None if rows.offset is None else rows.offset[at],
        None if rows.sigma_X is None else rows.sigma_X[at],
        tuple(replace(m, Z=m.Z[at], codes=m.codes[at]) for m in rows.members),
        {role: values[at] for role, values in rows.roles.items()},
    )


def _interleaved(low: Rows, high: Rows) -> Rows:
    """Rows in pairs, so that both are computed in the same way and errors cancel."""

    def pairs(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
        return np.stack([a, b], axis=1).reshape(2 * len(a), *a.shape[1:])

    def some(a: Array | None, b: Array | None) -> Array | None:
        return None if a is None or b is None else pairs(a, b)

    members = zip(low.members, high.members, strict=True)
    return Rows(
        pairs(low.X, high.X),
        some(low.offset, high.offset),
        some(low.sigma_X, high.sigma_X),
        tuple(replace(m, Z=pairs(m.Z, n.Z), codes=pairs(m.codes, n.codes)) for m, n in members),
        {role: pairs(values, high.roles[role]) for role, values in low.roles.items()},
    )


def _without_common(low: Rows, high: Rows) -> tuple[Rows, Rows]:
    """Without columns that are alike at both ends: they cancel in differences of what is linear.

    Far from zero, rounding would leave more of them than the difference is.
    """

    def change(a: Array, b: Array) -> tuple[Array, Array]:
        alike = (a == b).all(axis=0)
        return np.where(alike, 0.0, a), np.where(alike, 0.0, b)

    X = change(low.X, high.X)
    Z = [change(m.Z, n.Z) for m, n in zip(low.members, high.members, strict=True)]

    def end(rows: Rows, side: int) -> Rows:
        members = zip(rows.members, Z, strict=True)
        own = tuple(replace(member, Z=pair[side]) for member, pair in members)
        return replace(rows, X=X[side], offset=None, members=own)

    return end(low, 0), end(high, 1)


def _check_predictors(model: Model, by: str, at: Mapping[str, Any]) -> None:
    known = recipe_predictors(model.recipe)
    for name in (by, *at):
        if name not in known:
            remedy = did_you_mean(str(name), known) if known else "the formula has none"
            raise InputError(f"`{name}` is no predictor of the formula", remedy=remedy)


def _categorical(model: Model, name: str) -> bool:
    """Whether the formula takes a column of numbers as categories."""
    recipe = model.recipe
    parts = [parse_formula(recipe["formula"])]
    if recipe["sigma"] is not None:
        parts.append(parse_predictor(recipe["sigma"]["formula"]))
    texts = [text for p in parts for text in (p.population, *(g.terms for g in p.groups))]
    factors = [factor for text in texts for term in expand(text) for factor in term]
    return any(factor.categorical and name in factor.columns for factor in factors)


def _values(column: Column, numeric: bool, given: Any, weights: Array) -> list[Any]:
    """Values that the rows get in turn."""
    if given is not None:
        if isinstance(given, (str, bytes)) or not hasattr(given, "__len__"):
            given = [given]
        values = list(given)
        if not values:
            raise InputError(f"`at` lists no value of `{column.name}`", remedy="give some")
        return [v.item() if isinstance(v, np.generic) else v for v in values]
    if column.categories is not None:
        return list(factorize(column)[0].tolist())
    if numeric:
        found = np.unique(column.values)
        if len(found) > FEW:
            found = np.unique(_quartiles(column.values.astype(np.float64), weights))
        return [float(v) for v in found]
    return list(factorize(column)[0]) if column.kind == "date" else factorize(column)[0].tolist()


def _quartiles(x: Array, weights: Array) -> Array:
    """Quartiles, with the ends, of rows that count as many as their weights say.

    Examples
    --------
    >>> x = np.array([5.0, 1.0, 3.0])
    >>> _quartiles(x, np.array([1.0, 2.0, 3.0])), np.quantile([1, 1, 3, 3, 3, 5], [0.25, 0.5, 0.75])
    (array([1. , 1.5, 3. , 3. , 5. ]), array([1.5, 3. , 3. ]))
    """
    order = np.argsort(x, kind="stable")
    ends = np.cumsum(weights[order])
    at = np.array([0, 0.25, 0.5, 0.75, 1]) * max(ends[-1] - 1, 0.0)
    low = np.floor(at)
    below, above = (
        x[order][np.minimum(np.searchsorted(ends, place, side="right"), len(x) - 1)]
        for place in (low, low + 1)
    )
    return np.asarray(below + (at - low) * (above - below))


def _set(gathered: Gathered, name: str, value: Any) -> Gathered:
    """Give all rows one value of a column, by its label."""
    column = gathered.table.columns[name]
    if not isinstance(value, (str, bytes)) and hasattr(value, "__len__"):
        raise InputError(
            f"`at` gives `{name}` several values", remedy="give one; only `by` takes several"
        )
    what = f"`{name}` in `at`"
    known, codes = distinct(column.labels)
    place = match_labels([value], known, what)[0]
    if place >= 0:  # as in the first row that has it
        row = int(np.argmax(codes == place))
        own, text = column.values[row], None if column.texts is None else column.texts[row]
    else:
        own, text = _other_value(column, value, what), label(value)
    dtype = column.values.dtype
    if dtype.kind in "iu" and not (float(own).is_integer() and abs(own) < 2**53):
        dtype = np.dtype(np.float64)
    values = np.empty(len(column), dtype=dtype)
    values[:] = own
    texts = None
    if column.texts is not None:
        texts = np.full(len(column), text, dtype=object)
    return _with(gathered, replace(column, values=values, texts=texts))


def _other_value(column: Column, value: Any, what: str) -> Any:
    """Return a value that no row has as the column holds such."""
    fits, kind = False, f"a {column.kind} value"
    if column.kind == "number":
        fits = isinstance(value, numbers.Real) and not isinstance(value, bool)
        fits, kind = fits and math.isfinite(value), "a finite number"
    elif column.kind == "boolean":
        kind = "true or false"
        place = match_labels([value], [False, True], what)[0]
        fits, value = place >= 0, place == 1
    elif column.kind == "date":
        one = from_any(column.name, [value])
        fits = one.kind == "date" and not bool(one.missing[0])
        value = one.values[0] if fits else value
    else:
        categories = column.categories or ()
        place = match_labels([value], categories, what)[0]
        fits = place >= 0 or isinstance(value, (str, numbers.Real))
        value = categories[place] if place >= 0 else value
    if not fits:
        raise InputError(
            f"`at` gives `{column.name}` the value {shown(value)}", remedy=f"give {kind}"
        )
    return value


def _with(gathered: Gathered, column: Column) -> Gathered:
    columns = gathered.table.columns | {column.name: column}
    return replace(gathered, table=replace(gathered.table, columns=columns))
