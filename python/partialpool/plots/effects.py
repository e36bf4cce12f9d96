"""Effects: average predictions by one predictor, with the data behind them."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import Struct, field

from partialpool.arrays import Array, Ints
from partialpool.drawing.canvas import TEXT, canvas, for_notebooks
from partialpool.drawing.frame import handle, surround
from partialpool.drawing.places import dodge, spread
from partialpool.drawing.scales import Limits, central, frame
from partialpool.drawing.style import (
    BLUE,
    COLOURS,
    DASHES,
    FONT,
    GREY,
    INK,
    MARKS,
    NORMAL,
    PALE,
    SMALL,
    plain,
    shorten,
    shorten_all,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH, HEIGHT = 6.6, 3.9  # inches, of one panel by itself
PANEL, LOW = 3.3, 3.1  # of one among several
NAMED = 30  # categories at most that are named on the axis
WHITE = "white"


class Curve(Struct, frozen=True, eq=False):
    """Average predictions along the x axis, with their intervals.

    Attributes
    ----------
    name : str
        What tells it from the others of its panel; empty where it is alone.
    at, mean, low, high : (m,) arrays
        Numbers, or places of categories; the predictions there.
    """

    name: str
    at: Array
    mean: Array
    low: Array
    high: Array


class Behind(Struct, frozen=True, eq=False):
    """Data behind the curves: rows, or means of some.

    Attributes
    ----------
    x, y : (n,) arrays
        Where they are.
    curve : (n,) array of int
        The curve that each belongs to.
    label : str
        What the legend says of them.
    """

    x: Array
    y: Array
    curve: Ints
    label: str = ""


NOTHING = Behind(np.empty(0), np.empty(0), np.empty(0, dtype=np.int64))


class Panel(Struct, frozen=True, eq=False):
    """What one panel shows.

    Attributes
    ----------
    title : str
        Empty where it is alone.
    curves : tuple of Curve
        By the values of the second predictor, in the same order in all panels.
    rows, means : Behind
        Rows of the data, and means of them.
    rug, top : arrays
        Where along the x axis there are data: marks at the bottom, and at the top (where the
        response is 1 rather than 0).
    """

    title: str
    curves: tuple[Curve, ...]
    rows: Behind = NOTHING
    means: Behind = NOTHING
    rug: Array = field(default_factory=lambda: np.empty(0))
    top: Array = field(default_factory=lambda: np.empty(0))


class Words(Struct, frozen=True, eq=False):
    """What is written around the panels.

    Attributes
    ----------
    title, x, y : str
        Of the figure and its axes.
    caption : tuple of str
        Sentences.
    curves : str
        What the curves differ in; empty where there is one.
    categories : tuple of str
        Names along the x axis; empty where it has numbers.
    interval : float
        Mass of the intervals.
    """

    title: str
    x: str
    y: str
    caption: tuple[str, ...]
    curves: str = ""
    categories: tuple[str, ...] = ()
    interval: float = 0.95


def effects(panels: Sequence[Panel], words: Words) -> Figure:
    """Draw average predictions: curves with bands of numbers, points with intervals of categories.

    Parameters
    ----------
    panels : sequence of Panel
        With the same axes.
    words : Words
        What is written.

    Examples
    --------
    >>> x = np.array([0.0, 1.0])
    >>> fig = effects([Panel("", (Curve("", x, x, x - 1, x + 1),))], Words("y by x", "x", "y", ()))
    >>> fig.axes[0].get_xlabel(), fig.axes[0].lines[0].get_ydata().tolist()
    ('x', [0.0, 1.0])
    """
    alone = len(panels) == 1
    columns = min(3, len(panels))
    rows = math.ceil(len(panels) / columns)
    size = (WIDTH, HEIGHT) if alone else (max(PANEL * columns, WIDTH), LOW * rows)
    fig, axes = canvas(rows, *size, columns)
    for ax in axes[len(panels) :]:
        ax.set_visible(False)
    limits, cut = y_limits(panels)
    legend: dict[str, Any] = {}
    for k, (ax, panel) in enumerate(zip(axes, panels, strict=False)):
        _behind(ax, panel, words, legend)
        if words.categories:
            _points(ax, panel, words, legend)
        else:
            _lines(ax, panel, words, legend)
        _rugs(ax, panel)
        ax.set_ylim(*limits)
        ax.grid(True, axis="y", color=PALE, linewidth=0.6)
        lowest = k + columns >= len(panels)
        _axis(ax, words, bottom=lowest, left=k % columns == 0)
        if panel.title:
            title = "\n".join(textwrap.wrap(shorten(panel.title, 60), 32))
            ax.set_title(plain(title), fontsize=NORMAL, **TEXT)
    x_limits(axes[: len(panels)], panels, words)
    named = len(panels[0].curves) > 1
    if named and alone and not words.categories:
        _named_at_the_end(axes[0], panels[0], limits)
    elif named:
        legend = _named_in_the_legend(panels[0], words) | legend
    caption = list(words.caption)
    outside = sum(_outside(panel.rows, limits) for panel in panels)
    if outside:
        caption.append(f"{outside:,} row{'s' * (outside != 1)} outside the frame.")
    if cut:
        caption.append("Predictions go on outside the frame.")
    said = " ".join(caption)
    return for_notebooks(surround(fig, size, words.title, said, list(legend.values())))


def y_limits(panels: Sequence[Panel]) -> tuple[Limits, bool]:
    """A frame that holds predictions and data, which a few wild ones cannot stretch.

    Returns
    -------
    limits : pair of float
        The frame.
    cut : bool
        Whether predictions go on outside of it: where they are further from all else than all else
        is wide, as at the ends of splines.
    """
    curves = [curve for panel in panels for curve in panel.curves]
    drawn = np.concatenate([np.concatenate([c.mean, c.low, c.high]) for c in curves])
    means = np.concatenate([panel.means.y for panel in panels])
    rows = np.concatenate([panel.rows.y for panel in panels])
    low, high = frame(np.concatenate([central(drawn, 0.9), central(means, 1.0)]), rows)
    near = drawn[(drawn >= 2 * low - high) & (drawn <= 2 * high - low)]
    pad = 0.04 * (high - low)
    low, high = min(low, float(near.min()) - pad), max(high, float(near.max()) + pad)
    return (low, high), len(near) < int(np.isfinite(drawn).sum())


def x_limits(axes: Sequence[Axes], panels: Sequence[Panel], words: Words) -> None:
    """Limits along the x axis, a little beyond the ends."""
    if words.categories:
        low, high = -0.6, len(words.categories) - 0.4
    else:
        every = np.concatenate([curve.at for panel in panels for curve in panel.curves])
        low, high = float(every.min()), float(every.max())
        pad = 0.03 * (high - low) or 0.5
        low, high = low - pad, high + pad
    for ax in axes:
        ax.set_xlim(low, high)


def _outside(rows: Behind, limits: Limits) -> int:
    return int(((rows.y < limits[0]) | (rows.y > limits[1])).sum())


def _behind(ax: Axes, panel: Panel, words: Words, legend: dict[str, Any]) -> None:
    """Draw the data: rows as small dots, means of some as hollow marks."""
    several = len(panel.curves) > 1
    aside = dodge(len(panel.curves)) if words.categories else np.zeros(len(panel.curves))
    for which, kind in ((panel.rows, "rows"), (panel.means, "means")):
        for k in np.unique(which.curve).tolist():
            own = which.curve == k
            style: dict[str, Any] = {"marker": MARKS[k % len(MARKS)], "linestyle": "none"}
            colour = COLOURS[k % len(COLOURS)] if several else GREY
            if kind == "rows":
                many = len(which.x) > 500
                style |= {"color": colour, "markersize": 2.0 if many else 3.0}
                style |= {"alpha": 0.25 if many else 0.45, "markeredgewidth": 0}
            else:
                style |= {"markerfacecolor": WHITE, "markeredgecolor": colour if several else INK}
                # Around a point that agrees with it there is still a ring.
                wide = 10.0 if words.categories and len(words.categories) <= NAMED else 5.0
                style |= {"markersize": wide, "markeredgewidth": 1.0 if wide > 5 else 0.7}
            at = which.x[own] + (aside[k] if len(aside) else 0.0)
            style["zorder"] = 2 if kind == "rows" else 3.5
            ax.plot(at, which.y[own], rasterized=len(which.x) > 500, **style)
            if kind not in legend and which.label:
                grey = {"color": GREY} if kind == "rows" else {"markeredgecolor": INK}
                marks = {"marker": "o", "markersize": 4.0, "alpha": 1.0}
                legend[kind] = handle(which.label, **style | grey | marks)


def _lines(ax: Axes, panel: Panel, words: Words, legend: dict[str, Any]) -> None:
    """Draw curves with bands."""
    for k, curve in enumerate(panel.curves):
        colour, dashes = COLOURS[k % len(COLOURS)], DASHES[k % len(DASHES)]
        alpha = 0.22 if len(panel.curves) == 1 else 0.13
        ax.fill_between(
            curve.at, curve.low, curve.high, color=colour, alpha=alpha, linewidth=0, zorder=2.5
        )
        if len(panel.curves) > 1:  # where bands overlap, their edges tell them apart
            for edge in (curve.low, curve.high):
                ax.plot(curve.at, edge, color=colour, linewidth=0.5, alpha=0.6, zorder=2.6)
        style: dict[str, Any] = {"color": colour, "linestyle": dashes, "linewidth": 2.0}
        ax.plot(curve.at, curve.mean, **style, zorder=4, label=curve.name or "_")
    many = len(panel.curves) > 1
    colour = GREY if many else BLUE
    legend.setdefault("line", handle("average prediction", color=colour, linewidth=2.0))
    legend.setdefault("band", _patch(f"{100 * words.interval:g}% interval", colour))


def _points(ax: Axes, panel: Panel, words: Words, legend: dict[str, Any]) -> None:
    """Draw points with intervals."""
    many = len(words.categories) > NAMED
    aside = dodge(len(panel.curves))
    for k, curve in enumerate(panel.curves):
        colour, at = COLOURS[k % len(COLOURS)], curve.at + aside[k]
        width = 0.8 if many else 2.0
        ax.vlines(at, curve.low, curve.high, color=colour, linewidth=width, zorder=4)
        ax.plot(
            *(at, curve.mean),
            marker=MARKS[k % len(MARKS)],
            linestyle="none",
            color=colour,
            markersize=2.5 if many else 6.5,
            markeredgecolor=colour if many else WHITE,
            markeredgewidth=0 if many else 0.6,
            zorder=5,
            label=curve.name or "_",
        )
    colour = GREY if len(panel.curves) > 1 else BLUE
    label = f"average prediction, {100 * words.interval:g}% interval"
    style = {"color": colour, "linewidth": 2.0, "marker": "o", "markersize": 5}
    legend.setdefault("line", handle(label, **style))


def _rugs(ax: Axes, panel: Panel) -> None:
    """Mark on the edge of the panel where there are data."""
    for at, low, high in ((panel.rug, 0.0, 0.025), (panel.top, 0.975, 1.0)):
        if len(at):
            alpha = float(np.clip(60 / len(at), 0.15, 0.8))
            style: dict[str, Any] = {"color": INK, "linewidth": 0.7, "alpha": alpha, "zorder": 3}
            style |= {"transform": ax.get_xaxis_transform(), "rasterized": len(at) > 1000}
            ax.vlines(at, low, high, **style)


def _axis(ax: Axes, words: Words, *, bottom: bool, left: bool) -> None:
    """Name the axes and the categories."""
    if words.categories:
        _name_categories(ax, words)
    if bottom:
        ax.set_xlabel(plain(_wrapped(words.x)), fontsize=NORMAL, **TEXT)
    if left:
        ax.set_ylabel(plain(_wrapped(words.y)), fontsize=NORMAL, **TEXT)
    else:
        ax.tick_params(labelleft=False)


def _name_categories(ax: Axes, words: Words) -> None:
    count = len(words.categories)
    if count > NAMED:
        ax.set_xticks([])
        return
    names = [plain(name) for name in shorten_all(words.categories)]
    room = ax.get_figure().get_size_inches()[0] / 0.085  # type: ignore[union-attr]
    turned = sum(len(name) + 2 for name in names) * (3 if words.x and not _alone(ax) else 1) > room
    style: dict[str, Any] = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"}
    ax.set_xticks(np.arange(count), names, **(style if turned else {}))


def _alone(ax: Axes) -> bool:
    figure = ax.get_figure()
    return figure is not None and len(figure.axes) == 1


def _wrapped(label: str) -> str:
    return "\n".join(textwrap.wrap(shorten(label, 90), 46))


def _named_at_the_end(ax: Axes, panel: Panel, limits: Limits) -> None:
    """Write the name of each curve beside its end, so far apart that they can be read."""
    ends = np.array([curve.mean[-1] for curve in panel.curves])
    apart = 1.25 * SMALL / 72 / (HEIGHT - 0.6) * (limits[1] - limits[0])
    places = spread(ends, apart)
    right = max(float(curve.at[-1]) for curve in panel.curves)
    for k, (curve, y) in enumerate(zip(panel.curves, places, strict=True)):
        ax.annotate(
            plain(shorten(curve.name, 28)),
            (right, y),
            xytext=(8, 0),
            textcoords="offset points",
            va="center",
            fontsize=SMALL,
            family=FONT,
            color=COLOURS[k % len(COLOURS)],
            fontweight="bold",
            annotation_clip=False,
        )


def _named_in_the_legend(panel: Panel, words: Words) -> dict[str, Any]:
    """Entries of the legend for the curves."""
    found: dict[str, Any] = {}
    for k, curve in enumerate(panel.curves):
        colour = COLOURS[k % len(COLOURS)]
        style: dict[str, Any] = {"color": colour, "linewidth": 2.0}
        if words.categories:
            style |= {"marker": MARKS[k % len(MARKS)], "linestyle": "none", "markersize": 6}
        else:
            style["linestyle"] = DASHES[k % len(DASHES)]
        found[f"curve {k}"] = handle(shorten(curve.name, 40), **style)
    return found


def _patch(label: str, colour: str) -> Any:
    from matplotlib.patches import Patch

    return Patch(facecolor=colour, alpha=0.25, linewidth=0, label=plain(label))
