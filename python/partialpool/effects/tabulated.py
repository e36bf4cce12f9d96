"""Smooth functions of one number, one for every draw: tabulated once, looked up for many rows."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from partialpool.arrays import Array

DEGREE = 7  # of the polynomial in each cell
CELLS = 12.0  # in the distance of a singularity from the real line
BLOCK = 16  # draws at a time, whose polynomials stay in the cache


class Tabulated:
    """Functions of one number, to be looked up instead of computed.

    A Chebyshev interpolation of each over its whole range, cut into cells with a polynomial each.
    Errors are below 1e-11 of the largest value.

    Parameters
    ----------
    function : callable
        From (node, draw) to (node, draw), or (node, draw, category).
    low, high : (draw,) arrays
        Where it will be looked up.
    distance : float
        How far from the real line it has no singularity.

    Examples
    --------
    >>> low, high = np.array([-2.0, 0.0]), np.array([3.0, 1.0])
    >>> table = Tabulated(np.tanh, low, high, 1.5)
    >>> x = np.array([[-2.0, 0.5], [1.3, 1.0]])
    >>> bool(np.abs(table(x) - np.tanh(x)).max() < 1e-12)
    True
    """

    def __init__(
        self, function: Callable[[Array], Array], low: Array, high: Array, distance: float
    ) -> None:
        from numpy.polynomial import chebyshev

        reach = float(np.max(high - low))
        nodes = np.cos(np.pi * (np.arange(n := node_count(low, high, distance)) + 0.5) / n)
        self.low = low
        self.cells = max(1, math.ceil(CELLS * reach / distance))
        self.scale = self.cells / np.maximum(high - low, 1e-9)
        half = self.cells / self.scale / 2
        self.values = function(low + half * (nodes[:, None] + 1))
        # From values at the nodes to powers of the distance from the middle of a cell.
        inside = np.cos(np.pi * (np.arange(DEGREE + 1) + 0.5) / (DEGREE + 1)) / 2
        places = 2 * (np.arange(self.cells)[:, None] + 0.5 + inside) / self.cells - 1
        series = chebyshev.chebvander(nodes, n - 1).T * (2 / n)
        series[0] /= 2
        powers = np.linalg.inv(np.vander(inside, increasing=True))
        at = chebyshev.chebvander(places, n - 1) @ series
        self.matrix = np.tensordot(powers, at, axes=(1, 1)).reshape(-1, n)

    def __call__(self, x: Array) -> Array:
        """Look up: (row, draw) gives (row, draw), or (row, draw, category)."""
        out = np.empty((*x.shape, *self.values.shape[2:]))
        for first in range(0, x.shape[1], BLOCK):
            draws = slice(first, first + BLOCK)
            place = (x[:, draws] - self.low[draws]) * self.scale[draws]
            cell = np.clip(place.astype(np.int64), 0, self.cells - 1)
            place -= cell + 0.5
            width = place.shape[1]
            cell = cell * width + np.arange(width)
            for k in np.ndindex(self.values.shape[2:]):
                own = self.matrix @ self.values[:, draws, *k]
                powers = own.reshape(DEGREE + 1, self.cells * width)
                total = powers[-1].take(cell)
                for power in powers[-2::-1]:
                    total *= place
                    total += power.take(cell)
                out[:, draws, *k] = total
        return out


def node_count(low: Array, high: Array, distance: float) -> int:
    """How often a function has to be computed for each draw."""
    near = distance / max(float(np.max(high - low)) / 2, distance / 100)
    return math.ceil(36 / math.log(near + math.hypot(1, near))) + 1
