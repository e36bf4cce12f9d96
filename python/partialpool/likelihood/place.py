"""The deviance of a model that is nearly integrated at one point, with its slope."""

from __future__ import annotations

import math
from functools import cache, cached_property

import numpy as np
from msgspec import Struct, field

from partialpool import _core
from partialpool.arrays import Array, Ints
from partialpool.likelihood.generalised import Generalised

# Step of differences of deviances, where slopes are not known.
STEP = 1e-4


@cache
def gauss(n: int) -> tuple[list[float], list[float]]:
    """Nodes and weights of Gauss-Hermite quadrature."""
    nodes, weights = np.polynomial.hermite.hermgauss(n)
    return nodes.tolist(), weights.tolist()


class Searched(Struct):
    """The deviance along a search, each mode found from that before."""

    of: Generalised
    free: Ints
    base: Array
    mode: _core.Mode | None = field(default=None)

    def at(self, v: Array) -> Place:
        """Evaluate at values of the free coordinates."""
        whole = self.base.copy()
        whole[self.free] = v
        place = Place(self, whole)
        self.mode = place.mode or self.mode
        return place


class Place:
    """The deviance at one point."""

    def __init__(self, search: Searched, whole: Array) -> None:
        self.search, self.whole = search, whole
        of = search.of
        self.lambdas = of.factors(whole)
        try:
            self.values, self.jacobian = of.aux(whole)
        except OverflowError:
            self.mode = None
            return
        self.mode = of.core.mode(
            c=of.coefficients(whole).tolist(),
            factors=self.lambdas,
            aux=self.values.tolist(),
            start=search.mode,
        )

    @cached_property
    def value(self) -> float:
        """Minus twice the log likelihood."""
        if self.mode is None:
            return math.inf
        of = self.search.of
        value = -2 * (float(self.mode.value) + of.constant)
        if of.quadrature > 1:
            value += self.left_out(0, of.quadrature)
        return math.inf if math.isnan(value) else value

    def left_out(self, factor: int, nodes: int) -> float:
        """What Laplace's formula leaves out of the deviance, by so many nodes; NaN where unknown.

        Of a factor with one or two coefficients a level, those of all others at their mode.
        """
        if self.mode is None:
            return math.nan
        x, weights = gauss(nodes)
        core = self.search.of.core
        found = core.left_out(mode=self.mode, factor=factor, nodes=x, weights=weights)
        return math.nan if found is None else -2 * float(found)

    @cached_property
    def by_entries(self) -> Array:
        """Slope of the deviance by the free coordinates."""
        of, search = self.search.of, self.search
        if of.quadrature > 1:
            return self._by_differences()
        found = None if self.mode is None else of.core.slopes(self.mode)
        if found is None:
            return np.full(len(search.free), math.nan)
        by_c, by_g, by_aux = found
        by_lambda = [2 * S @ L for S, L in zip(by_g, self.lambdas, strict=True)]
        entries = [by_lambda[k][i, j] / of.units[k][i] for k, i, j in of.entries]
        whole = np.concatenate([by_c * of.sizes, entries, by_aux @ self.jacobian])
        return np.asarray(-2 * whole[search.free])

    def _by_differences(self) -> Array:
        slope, own = np.empty(len(self.search.free)), self.whole[self.search.free]
        for k in range(len(own)):
            step = np.zeros(len(own))
            step[k] = STEP * max(1.0, abs(own[k]))
            up, down = self.search.at(own + step), self.search.at(own - step)
            slope[k] = (up.value - down.value) / (2 * step[k])
        return slope
