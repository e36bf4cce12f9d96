"""One fit of a table: its estimates by name, what stands below them, and what notes say of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from msgspec import Struct

from partialpool import called
from partialpool.arrays import Array, quantiles, tails
from partialpool.design import Design
from partialpool.draws.posterior import population_draws
from partialpool.finding import Finding
from partialpool.model import Model
from partialpool.posterior.estimate import Estimate
from partialpool.posterior.fit import Fit
from partialpool.words.parameters import ratio_words

Fitted = Fit | Estimate


class Entry(NamedTuple):
    """A number of a table, how far to trust it, and its interval; NaN where there is none."""

    estimate: float
    sd: float = math.nan
    lower: float = math.nan
    upper: float = math.nan


class Place(Struct, frozen=True):
    """Where a parameter stands in a table, and what it is called there."""

    section: str
    label: str


class Side(Struct, frozen=True):
    """A fit as a column of a table.

    Attributes
    ----------
    places : dict of Place
        By the full name of each parameter, in the order of the fit.
    entries : dict of Entry
        By the same names.
    statistics : dict of dict
        What stands below, by the name that users give and by what it is called in the table: an
        Entry, or text.
    interval : float
        Mass of the intervals.
    exponentiated : str
        What exp(b) is, where coefficients are shown as that; else empty.
    refused : dict
        Why a statistic is not there, by name.
    """

    name: str
    model: Model
    method: str
    source: str
    design: Design | None
    findings: tuple[Finding, ...]
    places: Mapping[str, Place]
    entries: Mapping[str, Entry]
    statistics: Mapping[str, Mapping[str, Entry | str]]
    interval: float
    exponentiated: str
    refused: Mapping[str, str]

    @property
    def is_posterior(self) -> bool:
        """Whether it has draws, so that intervals are those of a posterior."""
        return self.method not in ("reml", "ml")


def entries(fit: Fitted, interval: float | None) -> dict[str, Entry]:
    """Estimate, sd (or standard error) and interval of every population-level parameter.

    `interval`: their mass; by default the fit's own.
    """
    own = fit.provenance.interval
    if isinstance(fit, Estimate):
        numbers = fit.numbers
        from statistics import NormalDist

        reach = NormalDist().inv_cdf((1 + (interval or own)) / 2) * numbers["standard_error"]
        columns = [numbers["estimate"], numbers["standard_error"]]
        if interval is None or interval == own:
            columns += [numbers["lower"], numbers["upper"]]
        else:
            columns += [numbers["estimate"] - reach, numbers["estimate"] + reach]
        return _by_name(fit.labels, columns)
    summary = fit.parameter_summary
    columns = [summary.values[name] for name in ("mean", "sd", "lower", "upper")]
    if interval is not None and interval != own and summary.labels:
        columns[2:] = _ends(fit, interval)
    return _by_name(list(summary.labels), columns)


def _by_name(labels: list[str], columns: list[Array]) -> dict[str, Entry]:
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return {label: Entry(*row) for label, row in zip(labels, rows, strict=True)}


def _ends(fit: Fit, interval: float) -> list[Array]:
    """Equal-tailed intervals of another mass than those of the summary."""
    _, draws = population_draws(fit.model, fit.run)
    by_parameter = np.moveaxis(draws, 2, 0).reshape(draws.shape[2], -1)
    return list(quantiles(by_parameter, tails(interval)))


def exponentiated(model: Model, found: Mapping[str, Entry]) -> tuple[str, dict[str, Entry]]:
    """Give exp of population coefficients where it is a ratio, and what that is; else no change.

    Estimate and ends of the interval are exponentials of those of b, whatever level or direction is
    the reference: the other one's ratio is one over this. The sd is that of b, so it is left out.
    """
    words = ratio_words(model)
    if words is None:
        return "", dict(found)
    with np.errstate(over="ignore"):
        shown = {
            name: Entry(_exp(one.estimate), math.nan, _exp(one.lower), _exp(one.upper))
            if called.array_of(name) == called.b()
            else one
            for name, one in found.items()
        }
    return words, shown


def _exp(x: float) -> float:
    return float(np.exp(x))


def places(model: Model, labels: list[str]) -> dict[str, Place]:
    """Say under which title each parameter stands, and what it is called there."""
    scales = {}
    for group in model.groups:
        where = f"between levels of {group.factor}"
        where += f" (log {group.predictor})" * (group.predictor != called.MEAN)
        for term in group.terms:
            scales[called.sd(group.name, term)] = Place(f"Sd {where}", term)
        for (i, j), label in zip(group.pairs, group.cor_labels, strict=True):
            both = f"{group.terms[i]}, {group.terms[j]}"
            scales[label] = Place(f"Correlation {where}", both)
    return {label: scales.get(label) or _place(model, label) for label in labels}


def _place(model: Model, label: str) -> Place:
    kind, inside = called.kind_of(label), called.place_of(label)
    if kind == "b":
        predictor = called.array_of(label).removeprefix("b").removeprefix("_")
        of = f" of log {predictor}" * bool(predictor)
        return Place(f"Population-level coefficients{of}", inside)
    if kind == "threshold":
        k = int(inside)
        between = [str(one) for one in model.categories[k - 1 : k + 1]]
        return Place("Thresholds", " | ".join(between) if len(between) == 2 else inside)
    return Place("Other parameters", label)
