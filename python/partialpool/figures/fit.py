"""FitPlots: ``fit.plot``, a list of the figures of a fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from partialpool import called
from partialpool.draws.posterior import population_draws
from partialpool.errors import InputError
from partialpool.figures.chains import pairs, rank, trace
from partialpool.figures.coefficients import coefficients
from partialpool.figures.diagnostics import check
from partialpool.figures.effects import effects
from partialpool.figures.forest import check_studies, forest
from partialpool.figures.groups import groups
from partialpool.figures.levels import levels
from partialpool.figures.plots import Plots
from partialpool.figures.pooling_factor import pooling_factor
from partialpool.figures.posterior import posterior

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EFFECTS = 12  # predictors whose effects are among all figures

Named = Iterator[tuple[str, Callable[[], "Figure"]]]


class FitPlots(Plots, frozen=True, eq=False):
    """Figures of a fit; each returns a matplotlib figure."""

    levels = levels
    coefficients = coefficients
    groups = groups
    effects = effects
    pooling_factor = pooling_factor
    forest = forest

    posterior = posterior
    pairs = pairs
    trace = trace
    rank = rank

    check = check

    def all(self) -> dict[str, Callable[[], Figure]]:
        """Give the figures that suit the fit and need no argument by name, each to be called.

        The first shows most. Effects are those of the first twelve predictors, each by itself, such
        as ``"effects-floor"``; where there are several factors, each has its figures, such as
        ``"levels-county"``.

        Examples
        --------
        >>> import partialpool as pp
        >>> fit = pp.fit("log_radon ~ floor + (1 | county)", pp.datasets.radon(), seed=1)
        >>> print(*fit.plot.all())
        levels groups pooling_factor coefficients effects-floor posterior pairs trace rank check
        """
        return dict([*self._of_levels(), *self._of_all()])

    def _of_levels(self) -> Named:
        """Figures of the levels of each factor; some need the rows that were fitted."""
        fit = self.fit
        try:
            check_studies(fit)
            yield "forest", self.forest
        except InputError:
            pass
        for group in fit.model.groups:
            of = f"-{group.name}" if len(fit.model.groups) > 1 else ""
            if group.estimable.any():
                yield f"levels{of}", partial(self.levels, group.name)
            if fit.design is not None and group.predictor == called.MEAN:
                yield f"groups{of}", partial(self.groups, group.name)
            if fit.design is not None and group.known_sd is None:
                yield f"pooling_factor{of}", partial(self.pooling_factor, group.name)

    def _of_all(self) -> Named:
        """Figures of parameters, predictors and rows."""
        fit = self.fit
        if fit.model.columns:
            yield "coefficients", self.coefficients
        if fit.design is not None:
            for name in fit.model.plan.predictors[:EFFECTS]:
                yield f"effects-{name}", partial(self.effects, name)
        labels, _ = population_draws(fit.model, fit.run)
        if labels:
            yield "posterior", self.posterior
        if len(labels) > 1:
            yield "pairs", self.pairs
        if labels and fit.run.certificate is None:  # else draws are independent
            yield "trace", self.trace
            if fit.run.chains > 1:
                yield "rank", self.rank
        if fit.design is not None:
            yield "check", self.check
