"""The levels of a factor: what the figure and the table show of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from partialpool.arrays import Array, Ints, mean_of, tails
from partialpool.draws.rows import counting_weights
from partialpool.engine.conditional import population_mean
from partialpool.figures.named import level_names
from partialpool.model import Group
from partialpool.report.subject import Subject
from partialpool.words.parameters import POOLING_NAMES

# Levels up to which all are shown; of more, so many.
ALL, SOME = 2000, 1000


class Levels(Struct, frozen=True, eq=False):
    """What is known of the levels of a factor.

    Attributes
    ----------
    group : Group
        The group terms.
    pooling : str
        What the fit that is reported has.
    names : list of str
        What the levels are called.
    estimates : mapping of (level, term, 3) arrays
        Mean, lower and upper end by pooling, that of the fit first; NaN where there is none.
    population : (term,) array
        What the population has, 0 for deviations without a twin there; NaN without pooling.
    observed : (level,) array or None
        Mean response of each level's own rows, where there are rows.
    observed_name : str
        What that is.
    shown : array of int
        Positions of the levels that are shown.
    """

    group: Group
    pooling: str
    names: list[str]
    estimates: Mapping[str, Array]
    population: Array
    observed: Array | None
    observed_name: str
    shown: Ints

    @property
    def title(self) -> str:
        """The factor, and the predictor where that is not the mean."""
        of = "" if self.group.predictor == "mu" else f" (log {self.group.predictor})"
        return f"{self.group.factor}{of}"

    @property
    def note(self) -> str:
        """Which levels are left out; empty where all are shown."""
        n = len(self.names)
        if len(self.shown) == n:
            return ""
        return (
            f"{self.group.factor} has {n} levels; {len(self.shown)} of them are shown: those with "
            f"the lowest and highest estimates, and others evenly between. `fit.coefficients()` "
            "lists all."
        )


def levels_of(subject: Subject) -> list[Levels]:
    """Give what is known of every factor's levels."""
    return [_levels(subject, k) for k in range(len(subject.fit.model.groups))]


def _levels(subject: Subject, k: int) -> Levels:
    fit = subject.fit
    group = fit.model.groups[k]
    pooling = "partial" if group.known_sd is None else "none"
    own = fit.level_summaries[k][..., [0, 2, 3]]
    if pooling == "none":
        own = np.where(group.estimable[:, None, None], own, np.nan)
    estimates = {pooling: own}
    population = np.full(len(group.terms), np.nan)
    if pooling == "partial":
        population = population_mean(fit.model, fit.run, k)
    compared = subject.compared
    if compared is not None and group.name == subject.compared_factor:
        other = compared.fits["none"]
        at = next(i for i, g in enumerate(other.model.groups) if g.name == group.name)
        apart = other.level_summaries[at][..., [0, 2, 3]]
        known = other.model.groups[at].estimable
        estimates["none"] = np.where(known[:, None, None], apart, np.nan)
        estimates["complete"] = _everywhere(compared.fits["complete"], group)
    observed, observed_name = _observed(subject, group)
    return Levels(
        group=group,
        pooling=pooling,
        names=level_names(group),
        estimates=estimates,
        population=population,
        observed=observed,
        observed_name=observed_name,
        shown=_shown(own[:, 0, 0]),
    )


def _everywhere(complete: Any, group: Group) -> Array:
    """Give the coefficients that all levels have under complete pooling: (level, term, 3)."""
    draws = complete.run.b.reshape(-1, complete.run.b.shape[2]) @ group.T.T
    ends = np.quantile(draws, tails(complete.provenance.interval), axis=0)
    found = np.stack([mean_of(draws), *ends], axis=-1)
    return np.tile(found, (len(group.levels), 1, 1))


def _observed(subject: Subject, group: Group) -> tuple[Array | None, str]:
    """Mean response of the rows of each level: of counts a share of trials, or a rate."""
    design = subject.fit.design
    factor = None
    if design is not None and group.predictor == "mu":
        factor = next((f for f in design.factors if f.name == group.factor), None)
    if design is None or factor is None:
        return None, ""
    categories = subject.fit.model.categories
    y = subject.fit.model.scores[design.y.astype(np.int64)] if categories else design.y
    name, size = f"mean of {subject.response}", np.ones(len(y))
    if design.trials is not None:
        name, size = f"share of {subject.response}", design.trials
    elif design.exposure is not None:
        name, size = f"rate of {subject.response}", design.exposure
    n, times = len(factor.levels), counting_weights(subject.fit)
    sums, sizes = (np.bincount(factor.codes, own * times, n) for own in (y, size))
    return np.asarray(sums / sizes), name


def _shown(estimates: Array) -> NDArray[np.int64]:
    """Choose the levels that are shown: all, or the ends and others evenly between."""
    n = len(estimates)
    if n <= ALL:
        return np.arange(n)
    order = np.argsort(estimates, kind="stable")  # those without an estimate last
    ends = SOME // 20
    between = np.linspace(ends, n - ends - 1, SOME - 2 * ends).round().astype(np.int64)
    return np.sort(np.concatenate([order[:ends], order[between], order[n - ends :]]))


def pooling_choices(levels: Levels) -> dict[str, str]:
    """Poolings that can be looked at, in words."""
    return {name: POOLING_NAMES[name].capitalize() for name in levels.estimates}
