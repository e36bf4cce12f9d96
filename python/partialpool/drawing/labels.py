"""Names beside their points, where there is room."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from partialpool.arrays import Array
from partialpool.drawing.style import FONT, INK, SMALL

if TYPE_CHECKING:
    from matplotlib.axes import Axes

AWAY = 7.0  # points between a dot and its name
SIDES = [(1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1)]
ALIGN = {-1: "right", 0: "center", 1: "left"}
OUTSIDE = 12.0  # points that a name may reach over the frame
UPRIGHT = {-1: "top", 0: "center", 1: "bottom"}
Box = tuple[float, float, float, float]  # left, bottom, right, top
STEPS = np.linspace(0, 1, 25)[:, None]


def place_labels(ax: Axes, points: Array, names: Sequence[str], lines: Sequence[Array]) -> None:
    """Write each name on the side of its point where it hides least; none over another name.

    A name for which there is no room, next to its point and in the frame, is left out.

    Parameters
    ----------
    ax : Axes
        Axes with settled limits and place in the figure.
    points : array, n × 2
        In the units of the axes.
    names : sequence of str
        Names of the points.
    lines : sequence of array, 2 × 2
        Lines that names should not cross.
    """
    from matplotlib.patheffects import withStroke

    figure = ax.get_figure()
    assert figure is not None
    scale = figure.dpi / 72
    dots = ax.transData.transform(points) / scale
    along = [ax.transData.transform(line[0] + STEPS * (line[1] - line[0])) for line in lines]
    crossed = np.concatenate([np.empty((0, 2)), *along]) / scale
    left, bottom, right, top = (ax.bbox.get_points() / scale).ravel()
    frame = (left, bottom, right, top)
    taken: list[Box] = []
    for k, (dot, name) in enumerate(zip(dots, names, strict=True)):
        width, height = 0.62 * SMALL * len(name), 1.1 * SMALL
        best, best_cost, best_box = SIDES[0], np.inf, (0.0, 0.0, 0.0, 0.0)
        for side in SIDES:
            reach = AWAY if 0 in side else 0.7 * AWAY
            x = dot[0] + side[0] * reach + (side[0] - 1) / 2 * width
            y = dot[1] + side[1] * reach + (side[1] - 1) / 2 * height
            box = (x, y, x + width, y + height)
            out = _outside(box, frame)
            if out > OUTSIDE or any(_overlap(_core(box), _core(other)) for other in taken):
                continue
            cost = (
                100 * (out > 0)
                + 40 * sum(_overlap(box, other) for other in taken)
                + 60 * _held(box, np.delete(dots, k, axis=0), 6)
                + _held(box, crossed, 2)
            )
            if cost < best_cost:
                best, best_cost, best_box = side, cost, box
        if not np.isfinite(best_cost):
            continue
        taken.append(best_box)
        reach = AWAY if 0 in best else 0.7 * AWAY
        ax.annotate(
            name,
            tuple(points[k]),
            xytext=(best[0] * reach, best[1] * reach),
            textcoords="offset points",
            ha=ALIGN[best[0]],
            va=UPRIGHT[best[1]],
            fontsize=SMALL,
            family=FONT,
            color=INK,
            zorder=7,
            path_effects=[withStroke(linewidth=2.5, foreground="white", alpha=0.85)],
        )


def _outside(box: Box, frame: Box) -> float:
    """How far a box reaches over a frame."""
    return max(0.0, frame[0] - box[0], box[2] - frame[2], frame[1] - box[1], box[3] - frame[3])


def _core(box: Box) -> Box:
    """What letters surely cover of the box of a name, which has some air around them."""
    aside, above = 0.4 * SMALL, 0.2 * SMALL
    return box[0] + aside, box[1] + above, box[2] - aside, box[3] - above


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _held(box: Box, points: Array, margin: float) -> int:
    """How many points a box covers or almost covers."""
    low, high = np.array(box[:2]) - margin, np.array(box[2:]) + margin
    return int(((points >= low) & (points <= high)).all(axis=1).sum())
