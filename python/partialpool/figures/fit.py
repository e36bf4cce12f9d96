"""FitPlots: ``fit.plot``, a list of the figures of a fit."""

from __future__ import annotations

from partialpool.figures.coefficients import coefficients
from partialpool.figures.groups import groups
from partialpool.figures.levels import levels
from partialpool.figures.diagnostics import check
from partialpool.figures.effects import effects
from partialpool.figures.plots import Plots
from partialpool.figures.posterior import posterior


class FitPlots(Plots):
    """Figures of a fit; each returns a matplotlib figure."""

    levels = levels
    coefficients = coefficients
    groups = groups
    posterior = posterior
    effects = effects
    check = check
