"""What each predictor does on average: predictions along it, and its effect in words."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from msgspec import Struct

from partialpool.data import Column
from partialpool.data.labels import label
from partialpool.effects.effects import effects
from partialpool.effects.values import FEW, is_numeric
from partialpool.report.numbers import between, decimals_of, rounded, value_text
from partialpool.report.subject import FEWEST_DRAWS, MOST_WORK, Missing, Subject, attempt

if TYPE_CHECKING:
    import pandas as pd

POINTS = 21  # of a curve
CURVE_DRAWS = 250  # of each chain, of curves that take long
MOST_VALUES = 12  # categories of a figure
MOST_SHOWN = 12  # predictors


class Effect(Struct, frozen=True, eq=False):
    """What a predictor does on average over the rows.

    Attributes
    ----------
    by : str
        The predictor.
    unit : str
        What is expected: the response, a probability of it, a rate.
    frame : DataFrame
        Predictions at its values: value, mean, lower, upper, and category of ordered responses.
    words : str
        Its effect in words that follow "on average".
    strength : float
        The effect in its sds, by which effects are ranked.
    """

    by: str
    unit: str
    frame: pd.DataFrame
    words: str
    strength: float


def effects_of(subject: Subject) -> list[Effect] | Missing:
    """Give what every population predictor does, the clearest first."""
    if subject.fit.design is None:
        if subject.fit.provenance.one_pass:
            return Missing(
                "This fit read its rows in one pass and kept none of them, and effects average "
                "over rows; `fit.effects(data=…)` takes some."
            )
        return Missing(
            "This fit was saved without the rows that were fitted, which effects average over; "
            "save it with `rows=True` to have them."
        )
    found: list[Effect] = []
    for name in shown_predictors(subject):
        effect = attempt(lambda name=name: _effect(subject, name))  # type: ignore[misc]
        if isinstance(effect, Missing):
            return effect
        found.append(effect)
    return sorted(found, key=lambda effect: -effect.strength)


def left_out(subject: Subject) -> str:
    """Say which predictors have no figure, and why; empty where all have."""
    if subject.fit.design is None:
        return ""
    shown = shown_predictors(subject)
    names = [f"`{name}`" for name in _predictors(subject) if name not in shown]
    if not names:
        return ""
    return (
        f"Not shown: {', '.join(names)} (more than {MOST_VALUES} categories, or beyond the first "
        f"{MOST_SHOWN} predictors); `fit.effects()` has them."
    )


def shown_predictors(subject: Subject) -> list[str]:
    """Give the predictors that have a figure: of no more categories than one can tell apart."""
    design, model = subject.fit.design, subject.fit.model
    assert design is not None
    few = [
        name
        for name in _predictors(subject)
        if is_numeric(model, design.table.columns[name])
        or len(_categories(design.table.columns[name])) <= MOST_VALUES
    ]
    return few[:MOST_SHOWN]


def _predictors(subject: Subject) -> list[str]:
    """Columns that the mean depends on, but for grouping columns."""
    design = subject.fit.design
    assert design is not None
    used: dict[str, None] = {}
    for terms in (design.column_terms, *(group.column_terms for group in design.factors)):
        for term in terms:
            for factor in term:
                used |= dict.fromkeys(factor.columns)
    levels = {name for group in design.factors for name in group.columns}
    known = subject.fit.model.plan.predictors
    return [name for name in used if name in known and name not in levels]


def _categories(column: Column) -> list[Any]:
    return list(dict.fromkeys(map(label, column.values.tolist())))


def _effect(subject: Subject, name: str) -> Effect:
    """Ask for the effect of a predictor, and for its curve."""
    fit, model = subject.fit, subject.fit.model
    assert fit.design is not None
    column = fit.design.table.columns[name]
    options = _options(subject)
    unit = subject.response
    said = f"`{unit}`"
    if "trials" in options:
        unit, said = f"share of {unit}", f"the share of {said}"
    elif "exposure" in options:
        unit, said = f"{unit} for an exposure of 1", f"{said} for an exposure of 1"
    elif model.family.averages == "link" and set(np.unique(fit.design.y)) <= {0.0, 1.0}:
        unit, said = f"probability of {unit}", f"the probability of {said}"
    numeric = is_numeric(model, column)
    distinct = np.unique(column.values) if numeric else np.empty(0)
    told = effects(fit, name, **options)
    points = told[told["quantity"] == "prediction"]
    if model.categories:
        options["kind"] = "probability"
        shown = f"probability of each {subject.response}"
    else:
        shown = unit
    if model.family.averages == "other":  # each point is an integral, draw by draw
        options["draws"] = min(options["draws"] or CURVE_DRAWS, CURVE_DRAWS, fit.run.draws)
    if numeric and len(distinct) > FEW:
        grid = np.linspace(distinct[0], distinct[-1], POINTS)
        at = {name: grid.tolist()}
        curve = effects(fit, name, at, **options)
        points = curve[curve["quantity"] == "prediction"]
    elif model.categories:
        curve = effects(fit, name, **options)
        points = curve[curve["quantity"] == "prediction"]
    words, strength = _words(told, name, subject, numeric and len(distinct) > 2)
    return Effect(name, shown, points, f"{said} is {words}", strength)


def _options(subject: Subject) -> dict[str, Any]:
    """Of how many draws effects are, and of one trial, or of one unit of exposure."""
    fit = subject.fit
    found = {"draws": _draws(subject), "interval": fit.provenance.interval}
    if "trials" in fit.model.family.roles:
        found["trials"] = 1
    elif "exposure" in fit.provenance.roles:
        found["exposure"] = 1
    return found


def _draws(subject: Subject) -> int | None:
    """Draws of each chain: all, unless rows are many."""
    run, n = subject.fit.run, subject.n_rows
    most = max(FEWEST_DRAWS, MOST_WORK // max(1, n * run.chains))
    return None if most >= run.draws else most


def _words(told: pd.DataFrame, name: str, subject: Subject, by_slope: bool) -> tuple[str, float]:
    """Put the effect in words: a slope where the model is linear, else a contrast."""
    interval = f"{100 * subject.fit.provenance.interval:g}% interval"
    linear = subject.fit.model.family.averages == "linear"
    rows = list(_rows(told))
    if by_slope and linear:
        row = next(row for row in rows if row["quantity"] == "slope")
        where = f"for each unit more of `{name}`"
    else:
        contrasts = [row for row in rows if row["quantity"] == "contrast"]
        if not contrasts:
            return f"looked at for one value of `{name}` alone", 0.0
        if by_slope:  # lower to upper quartile, where there are five values
            values = [row["value"] for row in rows if row["quantity"] == "prediction"]
            return _between(subject, name, values)
        row = max(contrasts, key=_strength)
        where = (
            f"where `{name}` is {_said(row['value'])} than where it is {_said(row['reference'])}"
        )
    return _told(row, where, interval), _strength(row)


def _between(subject: Subject, name: str, values: list[Any]) -> tuple[str, float]:
    """Compare the upper quartile of a number with the lower, or the ends of few values."""
    fit = subject.fit
    assert fit.design is not None
    # Of few distinct numbers the values are these themselves.
    many = len(np.unique(fit.design.table.columns[name].values)) > FEW
    quartiles = many and len(values) == 5
    low, high = (values[1], values[3]) if quartiles else (values[0], values[-1])
    told = effects(fit, name, {name: [low, high]}, **_options(subject))
    row = next(row for row in _rows(told) if row["quantity"] == "contrast")
    where = (
        f"where `{name}` is at its upper quartile, {_said(high)}, than at its lower, {_said(low)}"
        if quartiles
        else f"where `{name}` is {_said(high)} than where it is {_said(low)}"
    )
    interval = f"{100 * fit.provenance.interval:g}% interval"
    return _told(row, where, interval), _strength(row)


def _rows(frame: pd.DataFrame) -> Iterator[dict[str, Any]]:
    for row in frame.to_dict("records"):
        yield cast(dict[str, Any], row)


def _strength(row: Mapping[str, Any]) -> float:
    return abs(row["mean"]) / row["sd"] if row["sd"] > 0 else math.inf if row["mean"] else 0.0


def _told(row: Mapping[str, Any], where: str, interval: str) -> str:
    mean, low, high = row["mean"], row["lower"], row["upper"]
    way = "higher" if mean >= 0 else "lower"
    unclear = ", which includes no difference" if low <= 0 <= high else ""
    return (
        f"{rounded(abs(mean), decimals_of(high - low))} {way} {where} ({interval} of the "
        f"difference {between(low, high)}{unclear})"
    )


def _said(value: Any) -> str:
    return value_text(value) if isinstance(value, float) else label(value)
