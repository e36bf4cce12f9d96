"""The density of the data over those of replicated data sets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from partialpool.arrays import Array
from partialpool.drawing.canvas import HEIGHT, TEXT, WIDTH, canvas, legend, titled
from partialpool.drawing.style import (
    BLUE,
    INK,
    NORMAL,
    plain,
    shorten,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def densities(grid: Array, observed: Array, replicated: Array, *, label: str) -> Figure:
    """Draw the density of the data over those of replicated data sets.

    Parameters
    ----------
    grid : (m,) array
        Where the densities are known.
    observed, replicated : (m,) and (draw, m) arrays
        The densities.
    label : str
        Name of the response.
    """
    fig, (ax,) = canvas(1, WIDTH, HEIGHT)
    draw_densities(ax, grid, observed, replicated)
    ax.set_xlabel(plain(shorten(label, 60)), fontsize=NORMAL, **TEXT)
    legend(ax)
    return titled(fig, f"Can the model make data like {label}?")


def draw_densities(ax: Axes, grid: Array, observed: Array, replicated: Array) -> None:
    """Draw them into axes."""
    for k, line in enumerate(replicated):
        name = f"{len(replicated)} data sets from the model" if k == 0 else "_"
        ax.plot(grid, line, color=BLUE, linewidth=0.7, alpha=0.35, label=name)
    ax.plot(grid, observed, color=INK, linewidth=2, label="the data")
    ax.set_ylim(bottom=0)
    ax.set_xlim(grid[0], grid[-1])
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
