"""A number that sums up responses: of the data, and of data that a model made."""

from __future__ import annotations

import numpy as np
from msgspec import Struct

from partialpool.arrays import Array


class Statistic(Struct, frozen=True, eq=False):
    """A number that sums up the responses, of the data and of each replicate.

    Attributes
    ----------
    name : str
        As in the table.
    words : str
        As in a sentence.
    """

    name: str
    words: str
    observed: float
    replicated: Array
    realised: Array | None = None
    """Of the data, draw by draw, where it depends on the parameters; `observed` is the mean."""

    @property
    def p(self) -> float:
        """Share of replicates in which it is larger; ties count half."""
        own = self.observed if self.realised is None else self.realised
        return float(np.mean(self.replicated > own) + np.mean(self.replicated == own) / 2)

    @property
    def interval(self) -> tuple[float, float]:
        """Where 95% of the replicates lie."""
        low, high = np.quantile(self.replicated, [0.025, 0.975], method="nearest")
        return float(low), float(high)
