"""Statistics of the data among those of replicated data sets, a panel each."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from partialpool.arrays import Array
from partialpool.drawing.canvas import TEXT, canvas, titled
from partialpool.drawing.style import (
    BLUE,
    INK,
    RED,
    SMALL,
    plain,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANEL = 2.5  # inches


def statistics(
    names: Sequence[str],
    observed: Sequence[float],
    replicated: Sequence[Array],
    p: Sequence[float],
    *,
    label: str,
) -> Figure:
    """Draw statistics, a panel each: replicates as a histogram, the data as a line.

    Parameters
    ----------
    names : sequence of str
        What they are called.
    observed, replicated : sequences of float and of arrays
        Of the data, and of each replicate.
    p : sequence of float
        Predictive p-values.
    label : str
        Name of the response.
    """
    columns = min(3, len(names))
    rows = math.ceil(len(names) / columns)
    fig, axes = canvas(rows, PANEL * columns + 0.3, 1.9 * rows + 0.6, columns)
    for ax in axes[len(names) :]:
        ax.set_visible(False)
    for ax, name, value, made, share in zip(axes, names, observed, replicated, p, strict=False):
        draw_replicates(ax, value, made)
        failed = share < 0.01 or share > 0.99
        ax.axvline(value, color=RED if failed else INK, linewidth=2)
        ax.set_yticks([])
        ax.spines["left"].set_visible(False)
        title = "\n".join([*textwrap.wrap(name, 30), p_text(share)])
        weight = "bold" if failed else "normal"
        ax.set_title(plain(title), fontsize=SMALL + 0.5, fontweight=weight, **TEXT)
        ax.locator_params(axis="x", nbins=4)
    return titled(fig, f"{label}: the model (bars) and the data (line)")


def draw_replicates(ax: Axes, value: float, made: Array) -> None:
    """Draw the replicates of a statistic into axes, as a histogram."""
    finite = made[np.isfinite(made)]
    if len(finite):
        # A few wild data sets must not squeeze the rest.
        low, high = np.quantile(finite, [0.005, 0.995])
        low, high = min(low, value), max(high, value)
        shown = finite[(finite >= low) & (finite <= high)]
        distinct = np.unique(shown)
        if len(distinct) <= 25:
            times = [(shown == d).sum() for d in distinct]
            step = float(np.min(np.diff(distinct))) if len(distinct) > 1 else 1.0
            ax.bar(distinct, times, width=0.8 * step, color=BLUE, alpha=0.5)
        else:
            ax.hist(shown, bins=25, color=BLUE, alpha=0.5)


def p_text(p: float) -> str:
    """Write a p-value.

    Examples
    --------
    >>> p_text(0.25), p_text(0.0)
    ('p = 0.250', 'p < 0.001')
    """
    if p < 0.001:
        return "p < 0.001"
    return "p > 0.999" if p > 0.999 else f"p = {p:.3f}"
