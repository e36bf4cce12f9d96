"""Densities of parameters over those of their priors, a panel each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct

from partialpool.arrays import Array
from partialpool.drawing.canvas import canvas, for_notebooks, headed
from partialpool.drawing.frame import balanced, handle, surround
from partialpool.drawing.style import BLUE, GREY, PALE, SMALL

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANEL, TALL = 2.5, 1.9  # inches


class Density(Struct, frozen=True, eq=False):
    """A parameter.

    Attributes
    ----------
    name, note : str
        Its name, and what to say below it.
    at, values : (m,) arrays
        Its density; of a parameter that is constant, one place and no density.
    prior : (m,) array, optional
        That of its prior there.
    mean : float
        Posterior mean.
    inner, outer : pair of float
        50% interval, and a wider one.
    """

    name: str
    note: str
    at: Array
    values: Array
    prior: Array | None
    mean: float
    inner: tuple[float, float]
    outer: tuple[float, float]


def posterior(
    panels: Sequence[Density], *, interval: float, title: str, notes: Sequence[str] = ()
) -> Figure:
    """Draw the density of each parameter with its intervals, its prior behind.

    Parameters
    ----------
    panels : sequence of Density
        The parameters.
    interval : float
        Mass of the wider intervals.
    title : str
        The title.
    notes : sequence of str
        Sentences of the caption.
    """
    n = len(panels)
    columns = n if n <= 3 else 2 if n == 4 else 3
    rows = math.ceil(n / columns)
    size = (max(4.6, PANEL * columns), TALL * rows)
    fig, axes = canvas(rows, *size, columns)
    for ax in axes[n:]:
        ax.set_visible(False)
    for ax, panel in zip(axes, panels, strict=False):
        _draw(ax, panel)
    handles = [
        handle("posterior", color=BLUE, linewidth=1.8),
        handle("mean", color=BLUE, marker="o", markersize=6, linestyle="none"),
        handle("50% interval", color=BLUE, linewidth=4),
        handle(f"{100 * interval:g}% interval", color=BLUE, linewidth=1.4),
    ]
    if any(panel.prior is not None for panel in panels):
        handles.insert(1, handle("prior", color=GREY, linewidth=1.2, linestyle=(0, (4, 2))))
    return for_notebooks(surround(fig, size, title, " ".join(notes), handles))


def _draw(ax: Axes, panel: Density) -> None:
    top = float(panel.values.max()) if len(panel.values) else 1.0
    if panel.prior is not None:
        ax.fill_between(panel.at, panel.prior, color=PALE, linewidth=0, zorder=1)
        ax.plot(panel.at, panel.prior, color=GREY, linewidth=1.2, linestyle=(0, (4, 2)), zorder=2)
    if len(panel.values):
        low, high = panel.outer
        inside = (panel.at >= low) & (panel.at <= high)
        ax.fill_between(
            panel.at,
            panel.values,
            where=inside.tolist(),
            color=BLUE,
            alpha=0.25,
            linewidth=0,
            zorder=3,
        )
        ax.plot(panel.at, panel.values, color=BLUE, linewidth=1.8, zorder=4)
        ax.set_xlim(panel.at[0], panel.at[-1])
    foot = -0.07 * top
    ax.hlines([foot], *panel.outer, color=BLUE, linewidth=1.4, zorder=4)
    ax.hlines([foot], *panel.inner, color=BLUE, linewidth=4, zorder=4)
    ax.plot([panel.mean], [foot], "o", color=BLUE, markeredgecolor="white", markersize=7, zorder=5)
    high = top if panel.prior is None else max(top, min(float(panel.prior.max()), 1.5 * top))
    ax.set_ylim(2.2 * foot, 1.06 * high)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    ax.locator_params(axis="x", nbins=5)
    note = "\n".join(balanced(panel.note, 40)) if panel.note else ""
    headed(ax, "\n".join(balanced(panel.name, 34)), note, size=SMALL + 0.5, pad=4)


def span(draws: Array, low: float, high: float, points: int = 400) -> Array:
    """Where to draw a density: around nearly all draws, within the range of the parameter.

    Examples
    --------
    >>> span(np.linspace(0.1, 1, 1000), 0.0, np.inf, 3).round(2).tolist()
    [0.03, 0.55, 1.07]
    """
    first, last = np.quantile(draws, [0.002, 0.998])
    pad = 0.08 * (last - first)
    return np.linspace(max(low, first - pad), min(high, last + pad), points)
