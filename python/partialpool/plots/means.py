"""The mean response of every level: the data, and what the model makes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from partialpool.arrays import Array
from partialpool.drawing.canvas import HEIGHT, TEXT, WIDTH, canvas, legend, titled
from partialpool.drawing.style import (
    BLUE,
    INK,
    NORMAL,
    RED,
    plain,
    shorten,
    shorten_all,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAMED = 30  # levels at most that are named on the axis


def level_means(
    levels: Sequence[object],
    counts: NDArray[Any],
    observed: Array,
    middle: Array,
    low: Array,
    high: Array,
    *,
    factor: str,
    label: str,
) -> Figure:
    """Draw the mean response of every level: the data as dots, the model as intervals.

    Parameters
    ----------
    levels : sequence
        Names of the levels.
    counts : array
        Rows of each.
    observed, middle, low, high : arrays
        Mean of the data; mean and 95% interval of the replicates.
    factor, label : str
        Names of the grouping factor and the response.
    """
    fig, (ax,) = canvas(1, WIDTH + 1.0, HEIGHT)
    order = np.argsort(observed, kind="stable")
    at = np.arange(len(order))
    outside = (observed < low) | (observed > high)
    ax.vlines(at, low[order], high[order], color=BLUE, linewidth=1.4, alpha=0.5)
    ax.plot(at, middle[order], "_", color=BLUE, markersize=6, label="the model: mean and 95%")
    inside = ~outside[order]
    ax.plot(at[inside], observed[order][inside], "o", color=INK, markersize=3.5, label="the data")
    if outside.any():
        name = f"outside ({int(outside.sum())} of {len(order)} levels)"
        ax.plot(at[~inside], observed[order][~inside], "D", color=RED, markersize=4, label=name)
    if len(order) <= NAMED:
        short = shorten_all([str(levels[k]) for k in order])
        names = [f"{name} ({counts[k]})" for name, k in zip(short, order, strict=True)]
        turned: dict[str, Any] = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"}
        ax.set_xticks(at, [plain(name) for name in names], **turned)
        ax.set_xlabel(plain(f"{factor} (rows)"), fontsize=NORMAL, **TEXT)
    else:
        ax.set_xticks([])
        words = f"{len(order):,} levels of {factor}, sorted by their mean"
        ax.set_xlabel(plain(words), fontsize=NORMAL, **TEXT)
    ax.set_ylabel(plain(f"Mean {shorten(label, 40)}"), fontsize=NORMAL, **TEXT)
    legend(ax)
    return titled(fig, f"Mean {label} by {factor}")
