"""One model under complete, no and partial pooling: what each says of the levels of a factor."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np
from msgspec import Struct

from partialpool.arrays import Array, Flags, mean_of
from partialpool.design import GroupFactor
from partialpool.draws.posterior import Posterior


class Poolings(Struct, frozen=True, eq=False, dict=True):
    """The posteriors of one model under three poolings of a factor.

    Attributes
    ----------
    fits : mapping of Posterior
        By pooling: ``"complete"``, ``"none"``, ``"partial"``.
    factor : GroupFactor
        The factor whose pooling differs.
    truth : (level, term) array or None
        The true coefficients, where they are known.
    """

    fits: Mapping[str, Posterior]
    factor: GroupFactor
    truth: Array | None = None

    @cached_property
    def estimates(self) -> dict[str, Array]:
        """Posterior means of every level's coefficients by pooling: (level, term).

        NaN where a level cannot determine its own coefficients and there is no pooling.
        """
        complete = self.fits["complete"]
        b = mean_of(mean_of(complete.run.b, axis=1))
        everywhere = np.tile(self.factor.T @ b, (len(self.factor.levels), 1))
        none = self.summary("none")[..., 0].copy()
        none[~self.estimable] = np.nan
        partial = self.summary("partial")[..., 0]
        return {"complete": everywhere, "none": none, "partial": partial}

    @property
    def estimable(self) -> Flags:
        """Whether a level's own rows determine its coefficients."""
        return self.fits["none"].model.groups[self.position("none")].estimable

    def position(self, pooling: str) -> int:
        """Position of the factor among the groups of a fit that has it."""
        groups = self.fits[pooling].model.groups
        return next(k for k, group in enumerate(groups) if group.factor == self.factor.name)

    def summary(self, pooling: str) -> Array:
        """Mean, sd, lower and upper of the levels' coefficients: (level, term, 4)."""
        return self.fits[pooling].level_summaries[self.position(pooling)]

    @cached_property
    def rmse(self) -> dict[str, Array] | None:
        """Root mean squared error of each term by pooling, over the estimable levels."""
        if self.truth is None or not self.estimable.any():
            return None
        own, truth = self.estimable, self.truth
        return {
            pooling: np.sqrt(np.mean((values[own] - truth[own]) ** 2, axis=0))
            for pooling, values in self.estimates.items()
        }
