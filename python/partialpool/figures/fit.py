"""FitPlots: ``fit.plot``, a list of the figures of a fit."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from partialpool.figures.chains import pairs, rank, trace
from partialpool.figures.coefficients import coefficients
from partialpool.figures.diagnostics import check
from partialpool.figures.effects import effects
from partialpool.figures.forest import forest
from partialpool.figures.groups import groups
from partialpool.figures.levels import levels
from partialpool.figures.plots import Plots
from partialpool.figures.pooling_factor import pooling_factor
from partialpool.figures.posterior import posterior

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EFFECTS = 12  # predictors whose effects are among all figures


class FitPlots(Plots):
    """Figures of a fit; each returns a matplotlib figure."""

    levels = levels
    coefficients = coefficients
    groups = groups
    posterior = posterior
    pooling_factor = pooling_factor
    pairs = pairs
    trace = trace
    rank = rank
    forest = forest
    effects = effects
    check = check

    def all(self) -> dict[str, Callable[[], Figure]]:
        """Give the figures that need no argument and suit the model by name, each to be called.

        The first shows most. Effects of predictors, such as ``"effects-floor"``, are those of the
        first twelve; they and ``"check"`` need the fitted rows.
        """
        found: dict[str, Callable[[], Figure]] = {}
        if self.fit.design is not None:
            for name in self.fit.model.plan.predictors[:EFFECTS]:
                found[f"effects-{name}"] = partial(self.effects, name)
            found["check"] = self.check
        return found
