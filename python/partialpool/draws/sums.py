"""Responses of many data sets, summed up without holding any of them whole."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from partialpool.arrays import Array, Ints, mean_of, sd_of
from partialpool.design import Design, GroupFactor
from partialpool.draws.rows import add_by_level
from partialpool.draws.statistic import Statistic

BARS = 40  # values or bins at most
NODES = 400  # of a density
FEW = 8  # bins that are counted one by one


class Groups(Struct, frozen=True, eq=False):
    """Mean response of each level of a factor: of the data, and the replicates' mean and 95%."""

    factor: str
    levels: NDArray[Any]
    counts: Ints
    observed: Array
    mean: Array
    lower: Array
    upper: Array


class Sums(Struct, eq=False):
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
    def start(cls, design: Design, weights: Array, draws: int, whole: bool) -> Sums:
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

    def add(self, made: Array, rows: Ints) -> None:
        """Count in the responses of some rows: (draw, row)."""
        weights = self.weights[rows]
        with np.errstate(over="ignore", invalid="ignore"):
            around = made - self.shift
            self.first += around @ weights
            self.second += around**2 @ weights
        self.low = np.minimum(self.low, made.min(axis=1))
        self.high = np.maximum(self.high, made.max(axis=1))
        self.zeros += (made == 0) @ weights
        self.bins += _histograms(made, self.edges, weights)
        for factor, sums in zip(self.design.factors, self.by_level, strict=True):
            with np.errstate(over="ignore", invalid="ignore"):
                add_by_level(sums, around * weights, factor.codes[rows])

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

    def trimmed(self) -> Sums:
        """Without the bin of larger whole numbers, where neither data nor replicates have any."""
        if not self.whole or self.design.categories or self.observed_bins[-1] > 0:
            return self
        if (self.bins[:, -1] > 0).any():
            return self
        return replace(self, edges=self.edges[:-1], bins=self.bins[:, :-1])

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
    size = len(edges) - 1
    if size <= FEW:
        with np.errstate(invalid="ignore"):
            below = np.stack([(values < edge).astype(float) @ weights for edge in edges], axis=1)
        return np.asarray(np.diff(below, axis=1))
    place = np.searchsorted(edges, values, side="right") - 1
    inside = (place >= 0) & (place < size)
    flat = (np.arange(len(values))[:, None] * size + place)[inside]
    own = np.broadcast_to(weights, values.shape)[inside]
    counts = np.bincount(flat, own, minlength=len(values) * size)
    return np.asarray(counts.reshape(len(values), size), dtype=float)
