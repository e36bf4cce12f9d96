"""The three poolings side by side: what pooling does to the estimates."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from partialpool import called, limits
from partialpool.arrays import Array
from partialpool.data import open_table
from partialpool.design import GroupFactor
from partialpool.design.grouping import match_levels
from partialpool.draws.poolings import Poolings
from partialpool.errors import InputError
from partialpool.families import DEFAULT
from partialpool.figures.comparison import ComparisonPlots
from partialpool.finding import Finding
from partialpool.numerals import give_or_take
from partialpool.posterior.fit import Fit
from partialpool.report.report import report_comparison
from partialpool.scores.loo import leave_levels
from partialpool.scores.ranking import Ranking, rank, verdict
from partialpool.words.fit import facts
from partialpool.words.page import Answer, Page
from partialpool.words.parameters import POOLING_NAMES, family_words, given_words, scale_name
from partialpool.words.table import ResultColumn, ResultTable

if TYPE_CHECKING:
    import pandas as pd

# Beyond so many rows, scores are computed only when asked for: they take longer than the fits.
MOST_ROWS = 5000
DIFFERENCE = "elpd difference"
ERROR = f"{DIFFERENCE} se"


def known_truth(truth: Any, factor: GroupFactor) -> Array:
    """Read the true coefficients of every level: (level, term).

    Raises
    ------
    InputError
        If the table lacks the grouping column, a term, or a level, or names a level twice.
    """
    source = open_table(truth)
    for name in (factor.name, *factor.terms):
        if name not in source.names:
            raise InputError(
                f"`truth` has no column `{name}`",
                remedy=f"it needs `{factor.name}` and one column for each of "
                + ", ".join(f"`{term}`" for term in factor.terms),
            )
    columns = source.take([factor.name, *factor.terms], [factor.name]).columns
    levels = factor.levels
    given = columns[factor.name]
    found = match_levels(given, levels)
    known = found[found >= 0]
    if len(np.unique(known)) < len(known):
        raise InputError(f"`truth` names a level of `{factor.name}` more than once")
    position = np.full(len(levels), -1)
    position[known] = np.flatnonzero(found >= 0)
    missing = np.flatnonzero(position < 0)
    if len(missing):
        raise InputError(
            f"`truth` lacks {len(missing)} of the {len(levels)} levels of `{factor.name}`, "
            f"such as `{levels[missing[0]]}`",
            remedy="give one row a level",
        )
    rows = position
    values = []
    for term in factor.terms:
        column = columns[term]
        numbers = column.values[rows].astype(float) if column.kind == "number" else np.empty(0)
        if len(numbers) < len(rows) or not np.isfinite(numbers).all() or column.missing[rows].any():
            raise InputError(f"column `{term}` of `truth` has values that are not numbers")
        values.append(numbers)
    return np.column_stack(values)


class Comparison(Answer):
    """A model under complete, no and partial pooling.

    Attributes
    ----------
    fits : dict of Fit
        By pooling: ``"complete"``, ``"none"``, ``"partial"``.
    """

    def __init__(self, fits: Mapping[str, Fit], factor: GroupFactor, truth: Array | None) -> None:
        self.fits = dict(fits)
        self._factor = factor
        self._poolings = Poolings(self.fits, factor, truth)

    report = report_comparison

    @property
    def plot(self) -> ComparisonPlots:
        """Figures of the comparison."""
        return ComparisonPlots(self._poolings)

    @property
    def findings(self) -> list[tuple[str, Finding]]:
        """Findings of all fits, each once, with the poolings that it is about in words."""
        seen: dict[Finding, list[str]] = {}
        for pooling, fit in self.fits.items():
            for finding in fit.findings:
                seen.setdefault(finding, []).append(POOLING_NAMES[pooling])
        return [(", ".join(names), finding) for finding, names in seen.items()]

    @property
    def estimates(self) -> dict[str, Array]:
        """Posterior means of every level's coefficients by pooling: (level, term).

        NaN where a level cannot determine its own coefficients and there is no pooling.
        """
        return self._poolings.estimates

    @property
    def estimable(self) -> NDArray[np.bool_]:
        """Whether a level's own rows determine its coefficients."""
        return self._poolings.estimable

    @property
    def rmse(self) -> dict[str, Array] | None:
        """Root mean squared error of each term by pooling, over the estimable levels."""
        return self._poolings.rmse

    def loo(self, by: str | None = None) -> Ranking:
        """Rank the poolings by how well they predict rows, or levels, that they have not seen.

        Parameters
        ----------
        by : str, optional
            ``"group"`` or the name of the compared factor: leave out its levels. No pooling is then
            left out of the ranking: what it says of a new level comes from the prior alone.

        Raises
        ------
        InputError
            If `by` names no such factor, or levels cannot be left out (see :meth:`Fit.loo`).
        """
        if by is None:
            return rank({name: fit.loo() for name, fit in self.fits.items()}, self.fits)
        if by not in ("group", self._factor.name):
            raise InputError(
                f"the poolings differ in `{self._factor.name}`, not in `{by}`",
                remedy='leave out its levels with by="group"',
            )
        picked = {name: fit for name, fit in self.fits.items() if name != "none"}
        return rank({name: leave_levels(f, self._factor) for name, f in picked.items()}, picked)

    @cached_property
    def ranking(self) -> Ranking | None:
        """The poolings by leave-one-out score; None where rows are too many, or were not kept."""
        fit = self.fits["partial"]
        return self.loo() if fit.design and fit.provenance.n_rows <= MOST_ROWS else None

    def rows(self) -> list[tuple[str, dict[str, float]]]:
        """Rows of the table: a label, and a number for each pooling that has it."""
        means = {
            pooling: dict(
                zip(
                    fit.parameter_summary.labels,
                    map(float, fit.parameter_summary.values["mean"]),
                    strict=True,
                )
            )
            for pooling, fit in self.fits.items()
        }
        # Partial pooling has every parameter that another has.
        rows = [
            (label, {p: found[label] for p, found in means.items() if label in found})
            for label in means["partial"]
        ]
        for k, term in enumerate(self._factor.terms):
            name = f"spread of {called.coef(self._factor.name, term)}"
            spread = {
                pooling: float(np.std(values[self.estimable, k]))
                for pooling, values in self.estimates.items()
            }
            rows.append((name, spread))
        if self.rmse is not None:
            for k, term in enumerate(self._factor.terms):
                rows.append((f"rmse[{term}]", {p: float(v[k]) for p, v in self.rmse.items()}))
        if self.ranking is not None:
            scores = self.ranking.scores
            rows.append(("elpd", {p: self.ranking.elpd(p)[0] for p in scores}))
            difference = {p: self.ranking.difference(p) for p in scores}
            rows.append((DIFFERENCE, {p: pair[0] for p, pair in difference.items()}))
            rows.append((ERROR, {p: pair[1] for p, pair in difference.items()}))
            rows.append(("held-out rmse", {p: loo.rmse for p, loo in scores.items()}))
            rows.append(("effective parameters", {p: loo.p_eff for p, loo in scores.items()}))
        return rows

    @cached_property
    def table(self) -> pd.DataFrame:
        """A row a quantity, a column a pooling.

        Posterior means of `b`, `sd`, `cor`, `sigma` and the like (NaN where a pooling has no such
        parameter); the sd over levels of the estimated coefficients ("spread"); and, where the
        truth is known, their root mean squared error. Spread and error are over the levels that
        can be estimated without pooling. Then, leaving out one row at a time: the sum of the log
        predictive densities ("elpd"), its difference to the best with its standard error, the root
        mean squared error of the predictive means, and the effective number of parameters.
        """
        return self._table().frame()

    def _table(self, *, with_errors: bool = True) -> ResultTable:
        """Give the table; without rows of errors, as they stand beside what they are of."""
        rows = dict(self.rows())
        errors = rows.get(ERROR, {})
        if not with_errors:
            rows.pop(ERROR, None)

        def cell(label: str, values: Mapping[str, float], pooling: str) -> str:
            if pooling not in values:
                return "–"
            if label == DIFFERENCE:
                return give_or_take(values[pooling], errors[pooling])
            return f"{values[pooling]:.3f}"

        columns = [
            ResultColumn(
                pooling,
                [values.get(pooling, math.nan) for values in rows.values()],
                [cell(label, values, pooling) for label, values in rows.items()],
            )
            for pooling in self.fits
        ]
        return ResultTable("quantity", list(rows), columns)

    @property
    def sentence(self) -> str:
        """What pooling did to the estimates, in plain words."""
        name, terms = self._factor.name, self._factor.terms
        scale = scale_name(self.fits["partial"].model)
        where = f" (on the {scale} scale)" if scale else ""
        term = f"{terms[0]}{where}"
        estimates, used = self.estimates, self.estimable
        left = int(np.sum(~used))
        parts = []
        if not used.any():
            parts.append(
                f"No level of {name} has enough rows for coefficients of its own, so only partial "
                "and complete pooling can estimate them."
            )
        elif self.rmse is not None:
            total = {p: float(np.sqrt(np.mean(v**2))) for p, v in self.rmse.items()}
            best = min(total, key=total.__getitem__)
            others = " and ".join(
                f"{total[p]:.2f} under {POOLING_NAMES[p]}" for p in total if p != best
            )
            parts.append(
                f"{POOLING_NAMES[best].capitalize()} comes closest to the truth: its root mean "
                f"squared error over all coefficients{where} is {total[best]:.2f}, "
                f"against {others}."
            )
        if used.any():
            apart = np.std(estimates["none"][used, 0])
            pooled = np.std(estimates["partial"][used, 0])
            parts.append(
                f"Estimated each on its own, the levels of {name} spread with an sd of {apart:.2f} "
                f"in {term}; partial pooling draws them together to {pooled:.2f}, because "
                "part of that spread is noise, most of it in levels with few rows."
                if pooled < apart
                else f"Partial pooling leaves the spread of the levels of {name} in {term} "
                f"at {pooled:.2f}: they have rows enough to speak for themselves."
            )
        if left:
            parts.append(
                f"{left} of {len(used)} levels cannot determine their own coefficients (too few "
                "rows, or rows too alike): they are left out of spread and error, and only "
                "pooling estimates them."
            )
        parts += self._predictions()
        return " ".join(parts)

    def _predictions(self) -> list[str]:
        """Say which pooling predicts best, and how far to trust that."""
        ranking = self.ranking
        if self.fits["partial"].provenance.one_pass:
            return [
                "The table was read in one pass, so that there are no rows to leave out: which "
                "pooling predicts best is to be seen with some of the rows, or with "
                "`one_pass=False`."
            ]
        if ranking is None:
            return [
                f"With more than {MOST_ROWS} rows, held-out accuracy is computed only when asked "
                "for, by `.loo()`."
            ]
        text = verdict(ranking, POOLING_NAMES)
        known = f"rows of known levels of {self._factor.name}"
        parts = [text.replace("predicting rows", f"predicting {known}", 1)]
        for name, loo in ranking.scores.items():
            count = int(np.sum(loo.pareto_k > limits.PARETO_K))
            if count:
                parts.append(
                    f"Under {POOLING_NAMES[name]} the scores of {count} rows are not reliable "
                    f"(Pareto k above {limits.PARETO_K}); `pp.compare_fits(cmp.fits, k=10)` fits "
                    "again without them."
                )
        left = int(np.sum(~ranking.used))
        if left:
            parts.append(
                f"{left} rows that alone determine a coefficient with a flat prior are left out."
            )
        return parts

    def heading(self) -> list[str]:
        """Describe data, model and what is compared in a few lines."""
        fit = self.fits["partial"]
        model, facts = fit.model, fit.provenance
        data = f"{facts.n_rows} rows of {facts.source}"
        if model.family != DEFAULT:
            data = f"{family_words(model)}; {data}"
        head = [f"log sigma {model.sigma_formula}"] if model.sigma_formula else []
        head.append(data)
        if facts.roles:
            head.append(given_words(facts.roles))
        others = [name for name in {g.factor: 0 for g in model.groups} if name != self._factor.name]
        if others:
            head.append(
                f"Pooling of {self._factor.name} is compared; {' and '.join(others)}: partial"
            )
        return head

    @property
    def page(self) -> Page:
        """What it says."""
        fit = self.fits["partial"]
        version = fit.provenance.versions["partialpool"]
        return Page(
            heading=self.heading(),
            table=self._table(with_errors=False),
            notes=[self.sentence, f"Seed {fit.seed}, partialpool {version}."],
            findings=self.findings,
            otherwise="Findings: none.",
            formula=fit.formula,
            facts={
                "formula": fit.formula,
                "factor": self._factor.name,
                "sentence": self.sentence,
                "seed": fit.seed,
                "fits": {name: facts(one) for name, one in self.fits.items()},
            },
        )
