"""How often each value occurs: the data, and what the model makes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from partialpool.arrays import Array
from partialpool.drawing.canvas import HEIGHT, TEXT, WIDTH, canvas, legend, titled
from partialpool.drawing.style import (
    BLUE,
    GREY,
    NORMAL,
    PALE,
    plain,
    shorten,
    shorten_all,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def bars(
    categories: Sequence[str],
    observed: Array,
    middle: Array,
    low: Array,
    high: Array,
    *,
    label: str,
) -> Figure:
    """Draw how often each value occurs: bars for the data, points with intervals for the model.

    Parameters
    ----------
    categories : sequence of str
        Names of the values or bins.
    observed, middle, low, high : arrays
        Rows of the data with each; mean and 95% interval of the replicates.
    label : str
        Name of the response.
    """
    fig, (ax,) = canvas(1, WIDTH, HEIGHT)
    draw_bars(ax, categories, observed, (middle, low, high))
    ax.set_ylabel("Rows", fontsize=NORMAL, **TEXT)
    ax.set_xlabel(plain(shorten(label, 60)), fontsize=NORMAL, **TEXT)
    legend(ax)
    return titled(fig, f"Can the model make data like {label}?")


def draw_bars(
    ax: Axes,
    categories: Sequence[str],
    observed: Array,
    made: tuple[Array, Array, Array],
    named: int = 15,
) -> None:
    """Draw them into axes: `made` are mean, lower and upper end; at most so many are named."""
    middle, low, high = made
    at = np.arange(len(categories))
    ax.bar(at, observed, width=0.8, color=PALE, edgecolor=GREY, linewidth=0.6, label="the data")
    ax.vlines(at, low, high, color=BLUE, linewidth=1.6)
    ax.plot(at, middle, "o", color=BLUE, markersize=4, label="the model: mean and 95%")
    every = max(1, math.ceil(len(categories) / named))
    names = [plain(name) for name in shorten_all(categories)]
    long = max(len(name) for name in names[::every]) > 5 and len(names) > 6
    turned: dict[str, Any] = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"}
    ax.set_xticks(at[::every], names[::every], **(turned if long else {}))
    ax.set_ylim(bottom=0)
