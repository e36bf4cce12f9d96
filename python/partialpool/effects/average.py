"""Averages over rows of what draws expect: predictions, and their slopes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from partialpool.arrays import Array, Ints
from partialpool.design.gather import Gathered
from partialpool.design.rows import Rows
from partialpool.draws.alike import contents, distinct_rows, take
from partialpool.draws.new_rows import build_rows, check_known, grouping_columns
from partialpool.effects.levels import Levels
from partialpool.effects.rows import averaged, derived, interleaved
from partialpool.effects.values import with_column
from partialpool.model import Group

STEP = 1e-4  # of an sd: half the width of a finite difference


class Average:
    """The average of the expected response over rows: (draw,), or (draw, category).

    Parameters
    ----------
    levels : Levels
        What is expected of a row.
    apart : sequence of Group
        Groups whose levels keep their own coefficients.
    weights : (row,) array
        How often rows count.
    notes : list of str
        What there is to say; what is left out is added to it.
    """

    def __init__(
        self, levels: Levels, apart: Sequence[Group], weights: Array, notes: list[str]
    ) -> None:
        self.levels, self.model, self.apart = levels, levels.model, apart
        self.weights, self.notes = weights, notes
        # Between the values of these columns there is nothing to derive.
        self.of_levels = {name for g in apart for name in grouping_columns(levels.model, g)}

    def __call__(self, gathered: Gathered, weights: Array) -> Array:
        """Give the average over rows with these weights."""
        rows = build_rows(self.model, gathered, self.apart)
        check_known(self.model, rows)
        return self._over(rows, weights)

    def _over(self, rows: Rows, weights: Array) -> Array:
        """Give the average over rows that are built."""
        if self.levels.are_linear:  # what is expected of the average row is the average
            rows, counts, weights = averaged(rows, weights)
        else:
            first, counts, weights = _distinct(contents(rows), weights)
            rows = take(rows, first)
        total: Array | float = 0.0
        origin: float | None = None if self.levels.are_linear else 0.0
        lost, left = 0.0, float(weights.sum())
        for at, mean in self.levels.means(rows):
            known = _known(mean)
            own, shares = (mean, weights[at]) if known.all() else (mean[known], weights[at][known])
            lost += counts[at][~known].sum()
            left -= weights[at][~known].sum()
            if origin is None and len(own):
                origin = float(own.flat[0])  # far from zero, sums of differences are exact
            total = total + np.tensordot(shares, own - origin if origin else own, axes=1)
        if lost:
            self._say(int(lost))
        if lost == counts.sum():
            return self.unknown
        return np.asarray((origin or 0.0) + total / left)

    @property
    def unknown(self) -> Array:
        """What is given where no row is determined."""
        categories = len(self.model.categories) if self.levels.kind == "probability" else 0
        return np.full((len(self.levels.picked), *[categories] * bool(categories)), np.nan)

    def slope(self, gathered: Gathered, weights: Array, by: str, data: Array) -> Array:
        """Give the average derivative where the rows are.

        `data`: where all rows were, before they got other values, or were condensed.
        """
        x = gathered.table.columns[by].values.astype(np.float64)
        low, high = self._ends(x, data)
        columns = (replace(gathered.table.columns[by], values=x) for x in (low, high))
        left_end, right_end = (
            build_rows(self.model, with_column(gathered, column), self.apart) for column in columns
        )
        if self.levels.are_linear:
            return self._over(derived(left_end, right_end, high - low), weights)
        alike = np.hstack([contents(left_end), contents(right_end), (high - low)[:, None]])
        first, _, weights = _distinct(alike, weights)
        both = interleaved(take(left_end, first), take(right_end, first))
        total: Array | float = 0.0
        left, any_known = float(weights.sum()), False
        for at, mean in self.levels.means(both):
            change, own = mean[1::2] - mean[::2], at[::2] // 2
            known = _known(change)
            any_known |= bool(known.any())
            left -= weights[own][~known].sum()
            shares = (weights / (high - low)[first])[own][known]
            total = total + np.tensordot(shares, change[known], axes=1)
        return np.asarray(total / left) if any_known else self.unknown

    def _ends(self, x: Array, data: Array) -> tuple[Array, Array]:
        """Give the ends of small steps around x, as small as the spread of the data tells."""
        least, most = data.min(), data.max()
        if least == most:
            step = STEP * max(abs(float(data[0])), 1.0)
            return x - step, x + step
        step = STEP * float(np.sqrt(np.cov(data, aweights=self.weights, ddof=0)))
        # Not beyond the data, where some transforms are not defined.
        inside = (x >= least) & (x <= most)
        low = np.where(inside, np.maximum(x - step, least), x - step)
        high = np.where(inside, np.minimum(x + step, most), x + step)
        return low, high

    def _say(self, lost: int) -> None:
        note = (
            f"left out: {lost} row{'s' * (lost != 1)} in levels whose own rows do not determine "
            "their coefficients"
        )
        if note not in self.notes:
            self.notes.append(note)


def _distinct(table: Array, weights: Array) -> tuple[Ints, Array, Array]:
    """Merge rows that are alike: the first of each kind, how many, and their weight."""
    first, kind = distinct_rows(table)
    counts = np.bincount(kind).astype(np.float64)
    return first, counts, np.bincount(kind, weights).astype(np.float64)


def _known(values: Array) -> NDArray[np.bool_]:
    """Rows without an undetermined number."""
    flat = values.reshape(len(values), -1)
    known = np.isfinite(flat @ np.ones(flat.shape[1]))
    doubtful = np.flatnonzero(~known)  # the sum of infinite numbers tells less
    known[doubtful] = ~np.isnan(flat[doubtful]).any(axis=1)
    return known
