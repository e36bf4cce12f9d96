"""Figures of a comparison: the three poolings in one figure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import Struct

from partialpool.arrays import mean_of
from partialpool.draws.poolings import Poolings
from partialpool.engine.conditional import covariances
from partialpool.figures.coefficients import coefficient_labels, draw_coefficients
from partialpool.figures.groups import (
    ALL,
    Shown,
    draw_groups,
    every_level,
    most_pulled,
    named_levels,
)
from partialpool.figures.levels import draw_levels
from partialpool.figures.named import check_title
from partialpool.figures.plots import Plots, drawn_by
from partialpool.figures.pooling_factor import pooling_factor
from partialpool.model import Group
from partialpool.words.parameters import POOLING_NAMES

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class ComparisonPlots(Struct, frozen=True, eq=False):
    """Figures of a comparison; each returns a matplotlib figure."""

    poolings: Poolings

    def __repr__(self) -> str:
        return drawn_by(type(self))

    def all(self) -> dict[str, Callable[[], Figure]]:
        """Give the figures that need no argument and suit the model by name, each to be called."""
        found: dict[str, Callable[[], Figure]] = {
            "shrinkage": self.shrinkage,
            "levels": self.levels,
        }
        if self.poolings.fits["partial"].design is not None:  # these show rows
            found |= {"groups": self.groups, "pooling_factor": self.pooling_factor}
        if any(coefficient_labels(fit) for fit in self.poolings.fits.values()):
            found["coefficients"] = self.coefficients
        return found

    def shrinkage(
        self, choose: tuple[str, str] | None = None, *, title: str | None = None
    ) -> Figure:
        """Draw every level's estimates under each pooling, with lines to where they come from.

        Parameters
        ----------
        choose : pair of str, optional
            The two terms to show where there are more; the first two by default.
        title : str, optional
            Title of the figure.

        Returns
        -------
        matplotlib.figure.Figure
            Lines lead to the truth where it is known, else to the no-pooling estimate.
        """
        from partialpool.plots import Panel, shrinkage

        own = self.poolings
        factor, partial = own.factor, own.fits["partial"]
        Sigma = covariances(partial.model, partial.run, own.position("partial")).mean(axis=0)
        b = {p: mean_of(mean_of(fit.run.b, axis=1)) for p, fit in own.fits.items()}
        panels = []
        for pooling, estimates in own.estimates.items():
            panels.append(
                Panel(
                    title=POOLING_NAMES[pooling].capitalize(),
                    estimates=estimates,
                    intervals=None if pooling == "complete" else own.summary(pooling)[..., 2:],
                    mean=None if pooling == "none" else factor.T @ b[pooling],
                    covariance=Sigma if pooling == "partial" else None,
                    note=_note(own, pooling),
                )
            )
        return shrinkage(
            panels,
            factor.terms,
            factor.levels.tolist(),
            factor.counts,
            factor=factor.name,
            truth=own.truth,
            reference=own.estimates["none"],
            choose=choose,
            interval=partial.provenance.interval,
            title=title,
        )

    def coefficients(self, exponentiate: bool | None = None, *, title: str | None = None) -> Figure:
        """Draw the population coefficients of the poolings side by side.

        Without pooling there are none of the columns that every level has for itself.

        Parameters
        ----------
        exponentiate, title
            As in :meth:`Fit.plot.coefficients`.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        InputError
            If no pooling has any, or exp(b) means nothing.
        """
        order = ("partial", "complete", "none")
        fits = {POOLING_NAMES[p]: self.poolings.fits[p] for p in order}
        kept = {name: fit for name, fit in fits.items() if coefficient_labels(fit)}
        return draw_coefficients(kept or fits, exponentiate, title)

    def groups(
        self, levels: Sequence[Any] | None = None, x: str | None = None, *, title: str | None = None
    ) -> Figure:
        """Draw the data of some levels with the lines of all three poolings, a panel each.

        Parameters
        ----------
        levels : sequence, optional
            Up to 24 levels by their labels. By default all, if there are at most 12, else eight:
            those with most and fewest rows, and those that partial pooling moves most.
        x : str, optional
            The predictor along the axis, as in :meth:`Fit.plot.groups`.
        title : str, optional
            Title of the figure.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        InputError
            If there is no such level or predictor.
        """
        own = self.poolings
        group = self._group()
        if levels is not None:
            shown = named_levels(group, levels)
        elif len(group.levels) <= ALL:
            shown = every_level(group)
        else:
            shown = self._extremes(group)
        fits = {p: own.fits[p] for p in ("partial", "none", "complete")}
        return draw_groups(fits, group, shown, x, title)

    def levels(self, term: str | None = None, *, title: str | None = None) -> Figure:
        """Draw every level's coefficients under partial pooling, and without pooling behind.

        Parameters
        ----------
        term : str, optional
            Only this coefficient; by default the first four, a panel each, sorted by the first.
        title : str, optional
            Title of the figure.

        Returns
        -------
        matplotlib.figure.Figure
            A caterpillar as of :meth:`Fit.plot.levels`, with the estimates that levels have without
            pooling as squares.

        Raises
        ------
        InputError
            If the levels have no such coefficient.
        """
        check_title(title)
        own = self.poolings
        left = int(np.sum(~own.estimable))
        return draw_levels(
            own.fits["partial"],
            own.position("partial"),
            own.summary("partial"),
            term,
            title,
            apart=own.estimates["none"],
            notes=[f"{left:,} levels have no estimate without pooling."] if left else [],
        )

    def pooling_factor(self, term: str | None = None, *, title: str | None = None) -> Figure:
        """Draw how far partial pooling pulls each level to the population, by its rows.

        Parameters
        ----------
        term, title
            As in :meth:`Fit.plot.pooling_factor`.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        InputError
            If the levels have no such coefficient.
        """
        return pooling_factor(
            Plots(self.poolings.fits["partial"]), self._group().name, term, title=title
        )

    def _group(self) -> Group:
        return self.poolings.fits["partial"].model.groups[self.poolings.position("partial")]

    def _extremes(self, group: Group) -> Shown:
        """Levels with most and fewest rows, and those that pooling moves most, in sds of levels."""
        estimates = self.poolings.estimates
        away = estimates["partial"] - estimates["none"]
        spread = np.nanstd(estimates["none"], axis=0) if self.poolings.estimable.any() else 1.0
        return most_pulled(
            group, np.sqrt(np.sum((away / np.where(spread > 0, spread, 1.0)) ** 2, axis=1))
        )


def _note(own: Poolings, pooling: str) -> str:
    notes = []
    left = int(np.sum(~own.estimable))
    if pooling == "none" and left:
        notes.append(f"{left} levels not estimable")
    if own.rmse is not None:
        notes.append("RMSE " + ", ".join(f"{value:.2f}" for value in own.rmse[pooling]))
    return "; ".join(notes)
