"""Working columns: shifted and scaled, so that no offset or unit costs accuracy.

The core sees ``X̃ = (X − centre)/scale`` and ``ỹ = y − offset − y_centre`` with coefficients c:
``b_k = c_k/scale_k`` and, where there is an intercept, ``b_0 = y_centre + c_0 − Σ centre_k b_k``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from partialpool.model.defaults import INTERCEPT, column_sd

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Standardisation:
    """Shift and unit of every population column.

    Attributes
    ----------
    centre, scale : (p,) arrays
        Zero and one for the intercept; all centres are zero where there is none.
    intercept : int or None
        Position of the intercept column.
    y_centre : float
        Subtracted from the response; zero where there is no intercept.
    """

    centre: Array
    scale: Array
    intercept: int | None
    y_centre: float

    @classmethod
    def of(
        cls, columns: tuple[str, ...], X: Array, y: Array, *, absorbed: bool = False
    ) -> Standardisation:
        """Measure the columns of X and the (offset-free) response.

        `absorbed`: the levels have intercepts of their own, which take up the shift of X.

        Examples
        --------
        >>> X = np.array([[1.0, 1e12], [1.0, 1e12 + 2]])
        >>> Standardisation.of(("Intercept", "x"), X, np.array([1.0, 3.0])).working(X)[:, 1]
        array([-0.70710678,  0.70710678])
        """
        intercept = columns.index(INTERCEPT) if INTERCEPT in columns else None
        scale = np.array([column_sd(X[:, k]) for k in range(X.shape[1])])
        # The mean of huge, close numbers is itself rounded; it need only be near.
        centre = X[0] + np.mean(X - X[0], axis=0)
        if intercept is None:
            return cls(centre if absorbed else np.zeros(X.shape[1]), scale, None, 0.0)
        centre[intercept], scale[intercept] = 0.0, 1.0
        return cls(centre, scale, intercept, float(y[0] + np.mean(y - y[0])))

    def working(self, X: Array) -> Array:
        """Columns as the core sees them."""
        working: Array = (X - self.centre) / self.scale
        return working

    def to_working(self, b: Array) -> Array:
        """Coefficients c of working columns from those of the user's columns (last axis)."""
        c: Array = b * self.scale
        if self.intercept is not None:
            c[..., self.intercept] = b[..., self.intercept] - self.y_centre + b @ self.centre
        return c

    def from_working(self, c: Array) -> Array:
        """Coefficients b of the user's columns from those of working columns (last axis)."""
        b: Array = c / self.scale
        if self.intercept is not None:
            b[..., self.intercept] = c[..., self.intercept] + self.y_centre - b @ self.centre
        return b

    def intercept_row(self) -> Array:
        """Give the row w with ``b_0 = y_centre + w · c``."""
        row: Array = -self.centre / self.scale
        if self.intercept is not None:
            row[self.intercept] = 1.0
        return row
