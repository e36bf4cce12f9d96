"""Posterior predictive checks: whether the model can make data like these."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from partialpool import limits
from partialpool.arrays import Array, mean_of, sd_of
from partialpool.checks import check_counts, check_seed
from partialpool.draws.posterior import n_draws, rows_of
from partialpool.draws.rows import (
    add_by_level,
    chunks,
    counting_weights,
    row_draws,
    take_rows,
    thinned,
)
from partialpool.draws.statistic import Statistic
from partialpool.errors import InputError, did_you_mean
from partialpool.finding import Finding, about_all
from partialpool.findings.dispersion import DISPERSION, RESIDUAL_SDS, Scatter, overdispersed
from partialpool.memory import check_memory
from partialpool.words.page import Answer, Page
from partialpool.words.table import ResultColumn, ResultTable

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from partialpool.design import Design, GroupFactor
    from partialpool.draws.posterior import Posterior


DRAWS = 1000  # by default
SHOWN = 40  # replicated data sets that are drawn one by one
BARS = 40  # values or bins at most
NODES = 400  # of a density
MOST_ROWS = 2_000_000  # that weights stand for, to be made one by one
COLUMNS = ("observed", "mean", "lower", "upper", "p")

_UNJUDGED = Finding(
    "weights-not-expanded",
    "info",
    "Weights are not whole numbers, or stand for too many rows to make each. Data sets are made "
    "with one response a row and weighted like the data, which makes them vary more than what the "
    "weights stand for would: p is not judged.",
)


@dataclass(frozen=True, eq=False)
class Groups:
    """Mean response of each level of a factor: of the data, and the replicates' mean and 95%."""

    factor: str
    levels: NDArray[Any]
    counts: NDArray[np.int64]
    observed: Array
    mean: Array
    lower: Array
    upper: Array


@dataclass(frozen=True, eq=False, repr=False)
class Check(Answer):
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
            otherwise=f"Findings: none. The {maker} can make data like these.",
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
        from partialpool.plots.checks import densities

        grid, observed, replicated = _densities(found.edges, found.observed, found.replicated)
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
        from partialpool.plots.checks import bars

        middle = mean_of(found.replicated)
        low, high = np.quantile(found.replicated, [0.025, 0.975], axis=0)
        return bars(found.categories, found.observed, middle, low, high, label=found.response)

    def statistics(self) -> Figure:
        """Draw every statistic: the replicates as a histogram, the data as a line."""
        from partialpool.plots.checks import statistics

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
        from partialpool.plots.checks import groups

        group = self._found.groups[0 if factor is None else names.index(factor)]
        return groups(
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
    family = fit.model.family
    n_levels = sum(len(factor.levels) for factor in design.factors)
    remedy = "ask for fewer with `draws=`"
    check_memory(len(picked), n_levels, what="means of levels", copies=3, remedy=remedy)
    sums = _Sums.start(design, weights, len(picked), family.discrete)
    rng = np.random.default_rng([check_seed(seed), fit.run.seed])
    scatter = Scatter(design, weights, len(picked))
    for rows in chunks(design, max(1, 4_000_000 // len(picked))):
        drawn = row_draws(fit, source[rows], picked)
        made = drawn.responses(rng)
        sums.add(made, rows)
        if not prior:  # around means that nobody fitted, responses scatter anyhow
            scatter.add(drawn, made, rows)
    statistics = (*sums.statistics(), *scatter.statistics())
    findings = _findings(fit, statistics, len(picked), prior) if expanded else [_UNJUDGED]
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


@dataclass(eq=False)
class _Sums:
    """Running sums over rows, so that no data set is ever held whole."""

    design: Design
    weights: Array
    whole: bool
    shift: float
    edges: Array
    bins: Array
    first: Array
    second: Array
    low: Array
    high: Array
    zeros: Array
    by_level: list[Array]

    @classmethod
    def start(cls, design: Design, weights: Array, draws: int, whole: bool) -> _Sums:
        edges = _edges(design.y, whole, len(design.categories))
        zero = np.zeros(draws)
        middle = design.y[0] + np.average(design.y - design.y[0], weights=weights)
        return cls(
            design=design,
            weights=weights,
            whole=whole,
            # Whole numbers stay so: ties with the data are counted.
            shift=float(np.round(middle) if whole else middle),
            edges=edges,
            bins=np.zeros((draws, len(edges) - 1)),
            first=zero.copy(),
            second=zero.copy(),
            low=np.full(draws, np.inf),
            high=np.full(draws, -np.inf),
            zeros=zero.copy(),
            by_level=[np.zeros((draws, len(f.levels))) for f in design.factors],
        )

    def add(self, made: Array, rows: NDArray[np.int64]) -> None:
        """Count in the responses of some rows: (draw, row)."""
        weights = self.weights[rows]
        with np.errstate(over="ignore", invalid="ignore"):
            self.first += (made - self.shift) @ weights
            self.second += (made - self.shift) ** 2 @ weights
        self.low = np.minimum(self.low, made.min(axis=1))
        self.high = np.maximum(self.high, made.max(axis=1))
        self.zeros += (made == 0) @ weights
        self.bins += _histograms(made, self.edges, weights)
        for factor, sums in zip(self.design.factors, self.by_level, strict=True):
            with np.errstate(over="ignore", invalid="ignore"):
                add_by_level(sums, (made - self.shift) * weights, factor.codes[rows])

    @property
    def categories(self) -> tuple[str, ...]:
        """Names of the bins of whole numbers."""
        if not self.whole:
            return ()
        if self.design.categories:
            return tuple(str(category) for category in self.design.categories)
        starts, ends = self.edges[:-1] + 0.5, self.edges[1:] - 0.5
        names = [f"{a:g}" if a == b else f"{a:g}–{b:g}" for a, b in zip(starts, ends, strict=True)]
        return (*names[:-1], f"{starts[-1]:g}+" if np.isinf(ends[-1]) else names[-1])

    @property
    def observed_bins(self) -> Array:
        """Observed responses by bin."""
        return np.asarray(_histograms(self.design.y[None], self.edges, self.weights)[0])

    def statistics(self) -> Iterator[Statistic]:
        """What the responses are summed up by."""
        y, what = self.design.y, self.design.response
        n, average = float(self.weights.sum()), partial(np.average, weights=self.weights)
        if self.design.categories:
            for k, name in enumerate(self.categories):
                observed = float(self.observed_bins[k]) / n
                words = f"the share of rows in category `{name}`"
                yield Statistic(f"share of {name}", words, observed, self.bins[:, k] / n)
            return
        around = (y - self.shift) @ self.weights / n
        mean = self.shift + self.first / n
        yield Statistic("mean", f"the mean of {what}", float(self.shift + around), mean)
        if self.whole and max(float(y.max()), float(np.max(self.high))) <= 1:
            # The mean of zeros and ones tells all of them.
            yield from self._spreads()
            return
        with np.errstate(invalid="ignore"):
            sd = np.sqrt(np.maximum(self.second / n - (self.first / n) ** 2, 0))
        sd = np.nan_to_num(sd, nan=np.inf)
        observed = float(np.sqrt(max(average((y - self.shift) ** 2) - around**2, 0.0)))
        yield Statistic("sd", f"the sd of {what}", observed, sd)
        yield Statistic("min", f"the smallest {what}", float(y.min()), self.low)
        yield Statistic("max", f"the largest {what}", float(y.max()), self.high)
        if self.whole:
            words = f"the share of rows in which {what} is 0"
            yield Statistic("share of zeros", words, float(average(y == 0)), self.zeros / n)
        yield from self._spreads()

    def _means(self) -> Iterator[tuple[GroupFactor, Array, Array]]:
        """Mean response by level: (level), (draw, level)."""
        for factor, sums in zip(self.design.factors, self.by_level, strict=True):
            codes, n = factor.codes, len(factor.levels)
            totals = np.bincount(codes, self.weights, n)
            around = np.bincount(codes, self.weights * (self.design.y - self.shift), n)
            yield factor, self.shift + around / totals, self.shift + sums / totals

    def _spreads(self) -> Iterator[Statistic]:
        for factor, observed, made in self._means():
            if len(factor.levels) < 2:
                continue
            name = f"sd of means by {factor.name}"
            words = f"the sd of the mean {self.design.response} of the levels of {factor.name}"
            with np.errstate(over="ignore", invalid="ignore"):
                spread = np.nan_to_num(sd_of(made, axis=1), nan=np.inf)
            yield Statistic(name, words, float(observed.std()), spread)

    def groups(self) -> Iterator[Groups]:
        """Mean response level by level."""
        for factor, observed, made in self._means():
            low, high = np.quantile(made, [0.025, 0.975], axis=0)
            yield Groups(
                factor.name,
                factor.levels,
                factor.counts,
                observed,
                mean_of(made),
                low,
                high,
            )


def _edges(y: Array, whole: bool, categories: int) -> Array:
    """Bins for the responses: values of whole numbers, or a fine grid that reaches beyond."""
    if categories:
        return np.linspace(-0.5, categories - 0.5, categories + 1)
    low, high = float(y.min()), float(y.max())
    if whole:
        step = max(1, int(np.ceil((high + 1) / BARS)))
        count = int(high // step) + 1
        # What lies beyond counts as more.
        return np.append(np.arange(count + 1) * float(step) - 0.5, np.inf)
    reach = 0.3 * (high - low) or 1.0
    return np.linspace(low - reach, high + reach, NODES + 1)


def _histograms(values: Array, edges: Array, weights: Array) -> Array:
    """Count values by bin, row by row, with a weight a column; those outside are left out."""
    place = np.searchsorted(edges, values, side="right") - 1
    size = len(edges) - 1
    inside = (place >= 0) & (place < size)
    flat = (np.arange(len(values))[:, None] * size + place)[inside]
    own = np.broadcast_to(weights, values.shape)[inside]
    counts = np.bincount(flat, own, minlength=len(values) * size)
    return np.asarray(counts.reshape(len(values), size), dtype=float)


def _densities(edges: Array, observed: Array, replicated: Array) -> tuple[Array, Array, Array]:
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


def _findings(
    fit: Posterior, statistics: tuple[Statistic, ...], draws: int, prior: bool
) -> Iterator[Finding]:
    if draws < limits.REPLICATES:
        yield Finding(
            "few-draws",
            "info",
            f"{draws} made data set{'s are' if draws != 1 else ' is'} too few to judge by: what "
            "lies outside of them may do so by chance.",
            f"Ask for {limits.REPLICATES} draws or more.",
        )
        return
    for one in statistics:
        if limits.P_LOW <= one.p <= limits.P_HIGH:
            continue
        low, high = one.interval
        if one.name == DISPERSION and one.p < limits.P_LOW:
            yield overdispersed(fit, one.observed, low, high)
            continue
        side = "larger" if one.p < limits.P_LOW else "smaller"
        which = "nearly all" if 0 < one.p < 1 else "all"
        yield Finding(
            "priors-cannot-make-the-data" if prior else "cannot-make-the-data",
            "warning",
            f"The {'priors' if prior else 'model'} cannot make data like these: {one.words} is "
            f"{one.observed:.4g}, {side} than in {which} of {draws} made data sets (95% of them "
            f"have {low:.4g} to {high:.4g}).",
            "Widen or move the priors." if prior else _remedy(fit, one),
        )


def _remedy(fit: Posterior, one: Statistic) -> str:
    remedies = fit.model.family.remedies
    zeros = one.name == "share of zeros" and one.p < limits.P_LOW
    if zeros and "zeros" in remedies:
        return remedies["zeros"]
    if one.name in ("sd", "min", "max") and "spread" in remedies:
        return remedies["spread"]
    if one.name == DISPERSION:
        return "Intervals are too wide: look for responses that are no counts of separate events."
    if one.name.startswith(RESIDUAL_SDS):
        if fit.model.known_errors:
            return "Look again at the known standard errors."
        factor = one.name.removeprefix(RESIDUAL_SDS)
        return f'Let the residual sd differ between them: `sigma="~ 1 + (1 | {factor})"`.'
    if one.name.startswith("sd of means by"):
        return "Check the pooling and the priors of the sds of that factor."
    return "Add predictors or group terms, or choose another family."
