"""What columns of numbers are like over all rows of a table: means, sds, ranges."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from msgspec.structs import astuple

from partialpool.arrays import Array, Flags

CONSTANT_SHARE = 1e-13
"""An sd below this share of a column's largest number is rounding."""


class ColumnFacts(Struct, frozen=True, eq=False):
    """What the columns of a matrix are like over all rows of a table.

    Attributes
    ----------
    mean, sd : (k,) array
        Means, and sds about them (that of a constant column is exactly 0).
    low, high : (k,) array
        The smallest and the largest value.
    size : (k,) array
        What `column_sd` says.
    shift : (k,) array
        What the matrix has less than the columns, whose other numbers here are those of the
        columns themselves: of one that lies far from 0 some near number, else 0.
    """

    mean: Array
    sd: Array
    low: Array
    high: Array
    size: Array
    shift: Array

    @classmethod
    def of(cls, M: Array) -> ColumnFacts:
        """Look at the columns of a matrix that has the rows of the table.

        Examples
        --------
        >>> facts = ColumnFacts.of(np.array([[1.0, 2.0], [1.0, 6.0]]))
        >>> facts.mean.tolist(), facts.sd.tolist(), facts.size.round(3).tolist()
        ([1.0, 4.0], [0.0, 2.0], [1.0, 2.828])
        """
        k = M.shape[1]
        shifted = M - M[0]  # exactly 0 where a column is constant
        return cls(
            M[0] + np.mean(shifted, axis=0),
            np.std(shifted, axis=0),
            M.min(axis=0),
            M.max(axis=0),
            np.array([column_sd(M[:, j]) for j in range(k)]),
            np.zeros(k),
        )

    @classmethod
    def told(
        cls, n: int, mean: Array, squares: Array, low: Array, high: Array, shift: Array
    ) -> ColumnFacts:
        """Take what is known of `n` rows; `squares` are sums of squares about the means."""
        sample = np.sqrt(squares / max(n - 1, 1))
        varies = sample > CONSTANT_SHARE * np.maximum(np.abs(low), np.abs(high))
        constant = np.where(mean == 0, 1.0, np.abs(mean))
        size = np.where(varies, sample, constant)
        return cls(mean, np.sqrt(squares / n), low, high, size, shift)

    def some(self, columns: Sequence[int]) -> ColumnFacts:
        """Return those of some of the columns."""
        return ColumnFacts(*(of_all[list(columns)] for of_all in astuple(self)))

    @property
    def outside(self) -> Flags:
        """Which columns have 0 outside of their range."""
        return np.asarray(self.low * self.high > 0)


def column_sd(column: Array) -> float:
    """Sample sd of a column; for a constant one, its size (so an intercept has 1)."""
    sd = float(np.std(column, ddof=1)) if len(column) > 1 else 0.0
    if sd > CONSTANT_SHARE * float(np.max(np.abs(column))):
        return sd
    return float(np.abs(column[0])) or 1.0
