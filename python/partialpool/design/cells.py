"""What the rows of a table add up to, cell by cell, and points that have the same moments.

A cell of weight W with mean m and triangle R gets points ``m + √(k/W) H R``, each of precision
``W/k``: H has k − 1 orthonormal columns that add up to 0. First and second moments of every
column are then those of the rows, and they are all that a Gaussian likelihood needs. The constant
is exactly 1 in every point.

Most of what is done to the rows of a design is affine, a row at a time: own parts, working columns,
what is taken out of the response. Then it suffices to do it to the corners, of which the points are
weighted sums, and millions of points need never be made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from partialpool.arrays import Array, Ints


class Cells(Struct, frozen=True, eq=False):
    """What the rows of each cell of levels add up to.

    Attributes
    ----------
    position : mapping of str to int
        Where the columns of the design are among the d columns; the response is the last.
    n : (cells,) array of int
        Rows.
    weight : (cells,) array
        Sums of the precision weights.
    mean : (cells, d) array
        Weighted means, less what corners have.
    root : (cells, d, d) array
        Upper triangular; ``root.T @ root`` is Σ w (row − mean)(row − mean)ᵀ.
    fixed : (d,) array
        What columns are that do not vary; NaN for those that do.
    added : (d,) array
        What the others are at the first corner.
    sd : (d,) array
        Sds over all rows of the table.
    """

    position: Mapping[str, int]
    n: Ints
    weight: Array
    mean: Array
    root: Array
    fixed: Array
    added: Array
    sd: Array

    @property
    def steps(self) -> Array:
        """How much higher than at the first corner each column is at its own."""
        return np.where(self.sd > 0, self.sd, 1.0)

    @property
    def corners(self) -> Array:
        """The columns at the corners: (d + 1, d)."""
        varies = np.isnan(self.fixed)
        first = np.where(varies, self.added, self.fixed)
        return np.vstack([first, first + np.diag(np.where(varies, self.steps, 0.0))])

    def places(self, names: Sequence[str]) -> list[int]:
        """Positions of columns by their names."""
        return [self.position[name] for name in names]

    def some(self, picked: Ints) -> Cells:
        """Some of the cells."""
        named = {name: getattr(self, name)[picked] for name in ("n", "weight", "mean", "root")}
        return replace(self, **named)

    @property
    def told(self) -> dict[str, Any]:
        """What the core takes of them."""
        return {name: getattr(self, name) for name in ("weight", "mean", "root", "fixed", "sd")}
