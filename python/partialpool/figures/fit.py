"""FitPlots: ``fit.plot``, a list of the figures of a fit."""

from __future__ import annotations

from partialpool.figures.chains import pairs, rank, trace
from partialpool.figures.coefficients import coefficients
from partialpool.figures.forest import forest
from partialpool.figures.groups import groups
from partialpool.figures.levels import levels
from partialpool.figures.plots import Plots
from partialpool.figures.pooling_factor import pooling_factor
from partialpool.figures.posterior import posterior


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
