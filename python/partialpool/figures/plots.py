"""What the figures of a fit are made from."""

from __future__ import annotations

from dataclasses import dataclass

from partialpool.draws.posterior import Posterior


@dataclass(frozen=True, eq=False)
class Plots:
    """A fit whose figures are asked for.

    Attributes
    ----------
    fit : Posterior
        What they show.
    """

    fit: Posterior
