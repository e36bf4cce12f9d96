"""Posterior predictive checks: whether the model can make data like these."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct

from partialpool import limits
from partialpool.arrays import Array, mean_of
from partialpool.checks import check_counts, check_seed
from partialpool.draws.posterior import Posterior, n_draws, rows_of
from partialpool.draws.rows import (
    chunks,
    counting_weights,
    row_draws,
    take_rows,
    thinned,
)
from partialpool.draws.statistic import Statistic
from partialpool.draws.sums import Groups, Sums
from partialpool.errors import InputError, did_you_mean
from partialpool.finding import Finding, about_all
from partialpool.findings.approximate import of_approximate_draws
from partialpool.findings.check import UNJUDGED, check_findings
from partialpool.findings.dispersion import Scatter
from partialpool.memory import check_memory
from partialpool.words.page import Answer, Page
from partialpool.words.table import ResultColumn, ResultTable

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


DRAWS = 1000  # by default
SHOWN = 40  # replicated data sets that are drawn one by one
MOST_ROWS = 2_000_000  # that weights stand for, to be made one by one
COLUMNS = ("observed", "mean", "lower", "upper", "p")


class Check(Answer, Struct, frozen=True, eq=False):
    """What a model makes beside what was observed.

    Attributes
    ----------
    statistics : tuple of Statistic
        Mean, sd, extremes, zeros, spread between levels, dispersion, spread of residual sds.
    groups : tuple of Groups
        Mean response level by level.
    findings : tuple of Finding
        Where the model cannot make the data.
    """

    response: str
    maker: str
    draws: int
    statistics: tuple[Statistic, ...]
    groups: tuple[Groups, ...]
    findings: tuple[Finding, ...]
    categories: tuple[str, ...]
    edges: Array
    observed: Array
    replicated: Array

    @property
    def plot(self) -> CheckPlots:
        """Figures: ``density()`` or ``bars()``, ``statistics()``, ``groups()``."""
        return CheckPlots(self)

    @property
    def table(self) -> pd.DataFrame:
        """A row a statistic: observed, mean and 95% of the replicates, predictive p-value."""
        return self._table.frame()

    @property
    def _table(self) -> ResultTable:
        rows = [
            (s.observed, float(np.mean(s.replicated)), *s.interval, s.p) for s in self.statistics
        ]
        forms = (*(".4g" for _ in COLUMNS[:-1]), ".3f")
        columns = [
            ResultColumn(name, values, [format(value, form) for value in values])
            for name, values, form in zip(COLUMNS, zip(*rows, strict=True), forms, strict=True)
        ]
        return ResultTable("statistic", [s.name for s in self.statistics], columns)

    @property
    def is_discrete(self) -> bool:
        """Whether the responses are whole numbers or categories."""
        return len(self.categories) > 0

    @property
    def page(self) -> Page:
        """What it says."""
        maker = self.maker
        return Page(
            heading=[
                f"{self.response}: the data beside {self.draws} data sets that the {maker} made"
            ],
            table=self._table,
            notes=[
                "lower to upper: where 95% of the data sets lie. p: share of them with a larger "
                f"value; below {limits.P_LOW:g} or above {limits.P_HIGH:g} the {maker} cannot make "
                "the data."
            ],
            findings=about_all(self.findings),
            otherwise=f"Predictive checks: no finding. The {maker} can make data like these.",
            facts={"response": self.response, "maker": maker, "draws": self.draws},
            rows="statistics",
        )


class CheckPlots:
    """Figures of a check."""

    def __init__(self, found: Check) -> None:
        self._found = found

    def all(self) -> dict[str, Callable[[], Figure]]:
        """Give the figures that there are for these data by name, each to be called.

        Of several factors the first is ``"groups"``, the second ``"groups-2"``.
        """
        found = {"bars": self.bars} if self._found.is_discrete else {"density": self.density}
        found["statistics"] = self.statistics
        for k, group in enumerate(self._found.groups):
            name = f"groups-{k + 1}" if k else "groups"
            found[name] = partial(self.groups, group.factor)
        return found

    def density(self) -> Figure:
        """Draw the density of the responses over those of replicated data sets.

        Raises
        ------
        InputError
            If the responses are whole numbers or categories.
        """
        found = self._found
        if found.is_discrete:
            raise InputError(
                f"`{found.response}` takes few values and has no density",
                remedy="draw `.plot.bars()`",
            )
        from partialpool.plots.density import densities

        grid, observed, replicated = smoothed(found.edges, found.observed, found.replicated)
        return densities(grid, observed, replicated[:SHOWN], label=found.response)

    def bars(self) -> Figure:
        """Draw how often each value occurs, beside the replicates.

        Raises
        ------
        InputError
            If the responses are continuous.
        """
        found = self._found
        if not found.is_discrete:
            raise InputError(f"`{found.response}` is continuous", remedy="draw `.plot.density()`")
        from partialpool.plots.bars import bars

        middle = mean_of(found.replicated)
        low, high = np.quantile(found.replicated, [0.025, 0.975], axis=0)
        return bars(found.categories, found.observed, middle, low, high, label=found.response)

    def statistics(self) -> Figure:
        """Draw every statistic: the replicates as a histogram, the data as a line."""
        from partialpool.plots.statistics import statistics

        shown = [s for s in self._found.statistics if np.ptp(s.replicated) > 0]
        shown = shown or list(self._found.statistics)
        return statistics(
            [s.name for s in shown],
            [s.observed for s in shown],
            [s.replicated for s in shown],
            [s.p for s in shown],
            label=self._found.response,
        )

    def groups(self, factor: str | None = None) -> Figure:
        """Draw the mean response of every level of a factor, beside the replicates.

        Raises
        ------
        InputError
            If the model has no group terms, or none of this factor.
        """
        names = [group.factor for group in self._found.groups]
        if not names:
            raise InputError("the model has no group terms")
        if factor is not None and factor not in names:
            raise InputError(
                f"the model has no group terms of `{factor}`", remedy=did_you_mean(factor, names)
            )
        from partialpool.plots.means import level_means

        group = self._found.groups[0 if factor is None else names.index(factor)]
        return level_means(
            group.levels.tolist(),
            group.counts,
            group.observed,
            group.mean,
            group.lower,
            group.upper,
            factor=group.factor,
            label=self._found.response,
        )


def check(fit: Posterior, draws: int = 1000, seed: int = 0) -> Check:
    """Compare the data with data that the model makes.

    Parameters
    ----------
    draws : int
        Number of replicated data sets; the 1000 of the default are at most as many as the fit
        has draws. Fewer than 100 are too few for findings.
    seed : int
        Seed of the replicates.

    Returns
    -------
    Check
        A table of statistics with their predictive p-values, findings where the model cannot
        make the data, and figures in ``.plot``.

    Raises
    ------
    InputError
        If the fit was saved without its rows, or has fewer draws than asked for.

    Notes
    -----
    Weights that count rows stand for rows that are made one by one, like those of the table
    written out. Where they are not whole numbers, each row is made once and weighted in all
    statistics, and no p-value is judged: too much would vary together.

    Examples
    --------
    >>> import partialpool as pp
    >>> fit = pp.fit("log_radon ~ floor + (1 | county)", pp.datasets.radon(), seed=1)
    >>> fit.check(draws=200).table.index[:2].tolist()
    ['mean', 'sd']
    """
    return check_made(fit, draws, seed)


def check_made(fit: Posterior, draws: int, seed: int, *, prior: bool = False) -> Check:
    """Compare the data with data that the posterior makes or, with `prior`, the priors."""
    check_counts(draws=draws)
    if draws > max(n_draws(fit), DRAWS):
        raise InputError(
            f"`draws` is {draws}, and the fit has {n_draws(fit)}", remedy="ask for fewer"
        )
    design, weights = rows_of(fit), counting_weights(fit)
    source, picked = np.arange(design.n_rows), thinned(fit, draws)
    expanded = bool((weights == np.floor(weights)).all() and weights.sum() <= MOST_ROWS)
    if expanded and weights.max() > 1:
        source = np.repeat(source, weights.astype(np.int64))
        design, weights = take_rows(design, source), np.ones(len(source))
    n_levels = sum(len(factor.levels) for factor in design.factors)
    remedy = "ask for fewer with `draws=`"
    check_memory(len(picked), n_levels, what="means of levels", copies=3, remedy=remedy)
    sums = Sums.start(design, weights, len(picked), fit.model.family.discrete)
    rng = np.random.default_rng([check_seed(seed), fit.run.seed])
    scatter = Scatter(design, weights, len(picked))
    for rows in chunks(design, max(1, 4_000_000 // len(picked))):
        drawn = row_draws(fit, source[rows], picked)
        made = drawn.responses(rng)
        sums.add(made, rows)
        if not prior:  # around means that nobody fitted, responses scatter anyhow
            scatter.add(drawn, made, rows)
    sums = sums.trimmed()
    statistics = (*sums.statistics(), *scatter.statistics())
    findings = list(check_findings(fit, statistics, len(picked), prior)) if expanded else [UNJUDGED]
    if not prior:
        findings += of_approximate_draws(fit, "These data sets")
    return Check(
        response=design.response,
        maker="priors" if prior else "model",
        draws=len(picked),
        statistics=statistics,
        groups=tuple(sums.groups()),
        findings=tuple(findings),
        categories=sums.categories,
        edges=sums.edges,
        observed=sums.observed_bins,
        replicated=sums.bins,
    )


def smoothed(edges: Array, observed: Array, replicated: Array) -> tuple[Array, Array, Array]:
    """Smooth counts of a fine grid into densities, all with Silverman's bandwidth of the data."""
    grid = (edges[:-1] + edges[1:]) / 2
    step = float(grid[1] - grid[0])
    n = observed.sum()
    mean = float(grid @ observed / n)
    sd = float(np.sqrt((grid - mean) ** 2 @ observed / n))
    shares = np.cumsum(observed) / n
    middle = float(grid[np.searchsorted(shares, 0.75)] - grid[np.searchsorted(shares, 0.25)])
    width = max(0.9 * min(sd, middle / 1.34 or sd) * n**-0.2, step)
    kernel = np.exp(-0.5 * ((grid[:, None] - grid) / width) ** 2) / (width * np.sqrt(2 * np.pi))
    return grid, kernel @ observed / n, replicated @ kernel / n
