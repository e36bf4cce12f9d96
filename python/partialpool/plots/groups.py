"""The data of chosen levels with lines through them, a panel a level."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import Struct

from partialpool.arrays import Array
from partialpool.drawing.canvas import TEXT, canvas, for_notebooks
from partialpool.drawing.frame import handle, surround
from partialpool.drawing.scales import frame, spread_out
from partialpool.drawing.style import (
    BLUE,
    GREY,
    INK,
    NORMAL,
    PALE,
    RED,
    SMALL,
    plain,
    shorten,
    shorten_all,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

POINTS = 400  # of a level
PANEL, TALL = 2.0, 2.0  # inches
FEW = 8  # distinct values at most of what is moved apart
STYLES: dict[str, dict[str, Any]] = {
    "own": {"color": BLUE, "linewidth": 2.0},
    "population": {"color": RED, "linewidth": 1.6, "linestyle": (0, (5, 2))},
    "complete": {"color": RED, "linewidth": 1.6, "linestyle": (0, (5, 2))},
    "none": {"color": INK, "linewidth": 1.4, "linestyle": (0, (1, 1.2))},
    "partial": {"color": BLUE, "linewidth": 2.0},
}


class Line(Struct, frozen=True, eq=False):
    """What a fit expects of every level along the axis.

    Attributes
    ----------
    kind : str
        One of `STYLES`.
    label : str
        What the legend calls it.
    at : (value,) array
        Where it is known.
    mean : (level, value) array
        NaN where a level has none.
    lower, upper : arrays, optional
        A band around it.
    """

    kind: str
    label: str
    at: Array
    mean: Array
    lower: Array | None = None
    upper: Array | None = None


class Axis(Struct, frozen=True, eq=False):
    """An axis: its name, and the names of categories that stand one step apart on it."""

    label: str
    categories: Sequence[str] = ()


def groups(
    points: Sequence[tuple[Array, Array]],
    names: Sequence[str],
    lines: Sequence[Line],
    x: Axis,
    y: Axis,
    *,
    title: str,
    notes: Sequence[str] = (),
) -> Figure:
    """Draw the data of levels with lines through them, a panel a level, all with the same axes.

    Parameters
    ----------
    points : sequence of pair of arrays
        The data of each level.
    names : sequence of str
        What stands above each panel: the level and, in a second line, what to say of it.
    lines : sequence of Line
        What runs through them.
    x, y : Axis
        Names of the axes; without a name of `x`, lines are heights.
    title : str
        The title.
    notes : sequence of str
        Sentences of the caption.
    """
    n = len(points)
    columns = n if n <= 4 else 3 if n <= 6 else 4
    rows = math.ceil(n / columns)
    width, height = max(4.6, PANEL * columns + 0.7), TALL * rows + 0.5
    fig, axes = canvas(rows, width, height, columns)
    moves = _set_limits(axes, points, lines, (x, y))
    words = list(notes)
    if any(len(one) > POINTS for one, _ in points):
        words.append(f"Of levels with more rows, {POINTS} are drawn.")
    if x.label and any(move > 0 for move in moves):
        words.append("Points with equal values are moved a little apart.")
    for k, ax in enumerate(axes):
        if k >= n:
            ax.set_visible(False)
            continue
        _draw(ax, k, points[k], lines, moves)
        head, _, reason = names[k].partition("\n")
        head = shorten(head, 28) + (f"\n{reason}" if reason else "")
        ax.set_title(plain(head), fontsize=SMALL, **TEXT)
        ax.tick_params(labelleft=k % columns == 0, labelbottom=k + columns >= n)
    fig.supylabel(plain(shorten(y.label, 40)), fontsize=NORMAL, **TEXT)
    dot: dict[str, Any] = {"marker": "o", "markersize": 4, "linestyle": "none"}
    handles = [handle("one row of the data", color=GREY, **dot)]
    handles += [handle(line.label, **STYLES[line.kind]) for line in lines]
    size = (width, height)
    return for_notebooks(surround(fig, size, title, " ".join(words), handles, x_label=x.label))


def _set_limits(
    axes: Sequence[Axes],
    points: Sequence[tuple[Array, Array]],
    lines: Sequence[Line],
    named: tuple[Axis, Axis],
) -> tuple[float, float]:
    """Give all panels the same axes; return how far points may move to be seen: in x and y."""
    own_x, own_y = (np.concatenate([point[side] for point in points]) for side in (0, 1))
    none = np.empty(0)
    heights = np.concatenate([none, *(line.mean.ravel() for line in lines)])
    bands = [end.ravel() for line in lines for end in (line.lower, line.upper) if end is not None]
    at = np.concatenate([own_x, *(line.at for line in lines)])
    limits = [
        frame(at, none),
        frame(np.concatenate([heights, own_y]), np.concatenate([none, *bands])),
    ]
    for side, axis in enumerate(named):
        if axis.categories:
            low, high = limits[side]
            limits[side] = (min(low, -0.5), max(high, len(axis.categories) - 0.5))
    if not named[0].label:
        limits[0] = (-1.0, 1.0)
    for ax in axes:
        ax.set_xlim(*limits[0])
        ax.set_ylim(*limits[1])
        ax.grid(True, color=PALE, linewidth=0.6)
        ax.locator_params(nbins=4)
        for axis, set_ticks in zip(named, (ax.set_xticks, ax.set_yticks), strict=True):
            if axis.categories:
                _name_ticks(set_ticks, axis.categories, turned=axis is named[0])
        if not named[0].label:
            ax.set_xticks([])
    tied = len(np.unique(np.stack([own_x, own_y]), axis=1).T) < len(own_x)
    if not named[0].label:
        return 1.6, 0.0
    moves = [
        0.04 * (high - low) if tied and len(np.unique(own)) <= FEW else 0.0
        for (low, high), own in zip(limits, (own_x, own_y), strict=True)
    ]
    return moves[0], moves[1]


def _name_ticks(set_ticks: Any, categories: Sequence[str], *, turned: bool) -> None:
    """Name categories, every so-manieth of many."""
    every = max(1, math.ceil(len(categories) / 8))
    names = [plain(name) for name in shorten_all(categories[::every], 12)]
    turn: dict[str, Any] = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"}
    long = turned and sum(map(len, names)) > 16
    set_ticks(np.arange(len(categories))[::every], names, **(turn if long else {}))


def _draw(
    ax: Axes,
    k: int,
    point: tuple[Array, Array],
    lines: Sequence[Line],
    moves: tuple[float, float],
) -> None:
    """Draw the data of a level, and its lines."""
    shown = spread_out(len(point[0]), POINTS)
    # The golden ratio spreads any number of points evenly, and the same ones each time.
    place = np.arange(len(shown))
    x, y = (
        own[shown] + move * ((place * step + 0.5) % 1 - 0.5)
        for own, move, step in zip(point, moves, (0.6180339887, 0.7548776662), strict=True)
    )
    crowded = len(shown) > 60
    ax.plot(
        x,
        y,
        "o",
        color=GREY,
        markersize=2.5 if crowded else 3.5 if len(shown) > 10 else 5.0,
        alpha=0.45 if crowded else 0.75,
        markeredgewidth=0,
        zorder=2,
    )
    for line in lines:
        wide = np.array(ax.get_xlim()) if len(line.at) == 1 else line.at
        if line.lower is not None and line.upper is not None:
            low, high = (np.broadcast_to(end[k], len(wide)) for end in (line.lower, line.upper))
            colour = STYLES[line.kind]["color"]
            ax.fill_between(wide, low, high, color=colour, alpha=0.18, linewidth=0, zorder=1)
        ax.plot(wide, np.broadcast_to(line.mean[k], len(wide)), zorder=3, **STYLES[line.kind])
