"""Draws of parameters, two by two, with each by itself on the diagonal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from partialpool.arrays import Array, Flags
from partialpool.drawing.canvas import TEXT, canvas, for_notebooks
from partialpool.drawing.frame import handle, surround
from partialpool.drawing.style import BLUE, INK, RED, SMALL, plain, shorten_within
from partialpool.numerals import minus

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

POINTS = 2_000  # more draws are shown by hexagons
CELL = 1.45  # inches
BINS = 24  # hexagons across


def pairs(
    names: Sequence[str],
    draws: Array,
    diverging: Flags,
    ends: Array,
    *,
    title: str,
    notes: Sequence[str] = (),
) -> Figure:
    """Draw parameters two by two: below the diagonal their draws, above it their correlations.

    Parameters
    ----------
    names : sequence of str
        Of the parameters.
    draws : (draw, parameter) array
        Their draws.
    diverging : (draw,) array of bool
        Which of these end a trajectory that diverged.
    ends : (parameter, 2) array
        Between which values each is shown.
    title : str
        The title.
    notes : sequence of str
        Sentences of the caption.
    """
    n = len(names)
    size = (max(4.4, CELL * n + 0.8), max(3.2, CELL * n + 0.3))
    fig, axes = canvas(n, *size, n)
    grid = np.array(axes, dtype=object).reshape(n, n)
    for i in range(n):
        for j in range(n):
            ax = grid[i, j]
            if j > i:
                _write_correlation(ax, draws[:, i], draws[:, j])
                continue
            ax.set_xlim(*ends[j])
            if i == j:
                inside = (draws[:, j] >= ends[j, 0]) & (draws[:, j] <= ends[j, 1])
                ax.hist(draws[inside, j], bins=30, color=BLUE, alpha=0.5)
                ax.set_yticks([])
                ax.spines["left"].set_visible(False)
            else:
                ax.set_ylim(*ends[i])
                _draw(
                    ax,
                    draws[:, [j, i]],
                    diverging,
                    (ends[j, 0], ends[j, 1], ends[i, 0], ends[i, 1]),
                )
            _label(ax, names, (i, j), n)
    many = len(draws) > POINTS
    words = list(notes)
    if many:
        words.insert(0, f"The darker a hexagon, the more of {len(draws):,} draws lie in it.")
    words.append("Above the diagonal: correlations.")
    handles = []
    if not many:
        dot: dict[str, Any] = {"marker": "o", "markersize": 3, "linestyle": "none"}
        handles.append(handle("one draw", color=BLUE, **dot))
    if diverging.any():
        label = f"diverged ({int(diverging.sum()):,} draws)"
        handles.append(handle(label, color=RED, marker="D", markersize=4, linestyle="none"))
    return for_notebooks(surround(fig, size, title, " ".join(words), handles))


def _draw(
    ax: Axes, points: Array, diverging: Flags, extent: tuple[float, float, float, float]
) -> None:
    """Draw two parameters against each other."""
    from matplotlib.colors import LinearSegmentedColormap

    x, y = points.T
    low_x, high_x, low_y, high_y = extent
    inside = (x >= low_x) & (x <= high_x) & (y >= low_y) & (y <= high_y)
    if len(points) > POINTS:
        shades = LinearSegmentedColormap.from_list("pale to blue", ["#E3EEF6", BLUE, "#003A5C"])
        ax.hexbin(
            x[inside], y[inside], gridsize=BINS, extent=extent, mincnt=1, cmap=shades,
            linewidths=0.1,
        )  # fmt: skip
    else:
        ax.plot(x, y, "o", color=BLUE, markersize=1.6, alpha=0.4, markeredgewidth=0,
                rasterized=True)  # fmt: skip
    ax.plot(x[diverging], y[diverging], "D", color=RED, markersize=3, markeredgecolor="white",
            markeredgewidth=0.3, zorder=5)  # fmt: skip


def _write_correlation(ax: Axes, x: Array, y: Array) -> None:
    """Write the correlation of two parameters, the larger the stronger."""
    ax.set_axis_off()
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return
    value = float(np.corrcoef(x, y)[0, 1])
    ax.text(
        0.5, 0.5, minus(f"{value:.2f}"), ha="center", va="center",
        transform=ax.transAxes, fontsize=SMALL + 5 * abs(value), **TEXT,
    )  # fmt: skip


def _label(ax: Axes, names: Sequence[str], place: tuple[int, int], n: int) -> None:
    """Name the axes at the left and at the bottom; a diagonal panel has its name above."""
    i, j = place
    ax.locator_params(nbins=3)
    ax.tick_params(labelbottom=i == n - 1, labelleft=j == 0 and i > 0, labelsize=SMALL - 1.5)
    if i == j:
        ax.set_title(plain(broken(names[j])), fontsize=SMALL - 0.5, **TEXT)
    if j == 0 and i > 0:
        ax.set_ylabel(plain(broken(names[i])), fontsize=SMALL - 0.5, **TEXT)
    if i == n - 1 and n > 1:
        ax.set_xlabel(plain(broken(names[j])), fontsize=SMALL - 0.5, **TEXT)
    ax.tick_params(color=INK)


def broken(name: str, longest: int = 20) -> str:
    r"""Break the name of a parameter before its bracket, and cut what is too long.

    Examples
    --------
    >>> broken("cor_county[Intercept,floor]"), broken("sigma")
    ('cor_county\n[Intercept,floor]', 'sigma')
    """
    if len(name) <= longest:
        return name
    array, bracket, place = name.partition("[")
    lines = [array, bracket + place] if bracket else [name]
    return "\n".join(shorten_within(line, longest) for line in lines)
