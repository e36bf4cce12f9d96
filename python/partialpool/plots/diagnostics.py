"""A panel of diagnostics: each beside where it should lie if the model holds."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import Struct

from partialpool.arrays import Array, Ints
from partialpool.drawing.canvas import TEXT, canvas, for_notebooks, headed
from partialpool.drawing.frame import surround
from partialpool.drawing.places import jittered
from partialpool.drawing.style import BLUE, GREY, INK, RED, SMALL, plain, shorten, shorten_all
from partialpool.plots.statistics import draw_replicates

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANEL, HEIGHT = 3.3, 2.75  # inches
CROWD = 3_000  # more points are drawn as the hexagons that they fall into
FURTHEST = 4.5  # residuals beyond lie on the edge
BAND = "#DADADA"


class Panel(Struct, frozen=True, eq=False):
    """One diagnostic.

    Attributes
    ----------
    title, x, y : str
        Of the panel and its axes.
    draw : callable
        Draws into axes.
    note : str
        What it shows, in a few words; written below the title.
    failed : bool
        Whether it does not lie where it should.
    """

    title: str
    x: str
    y: str
    draw: Callable[[Axes], None]
    note: str = ""
    failed: bool = False


def diagnostics(panels: Sequence[Panel], title: str, caption: Sequence[str]) -> Figure:
    """Draw diagnostics, a panel each, in three columns."""
    from matplotlib.ticker import AutoLocator, MaxNLocator

    columns = min(3, len(panels))
    rows = math.ceil(len(panels) / columns)
    size = max(PANEL * columns, 6.6), HEIGHT * rows
    fig, axes = canvas(rows, *size, columns)
    for ax in axes[len(panels) :]:
        ax.set_visible(False)
    for ax, panel in zip(axes, panels, strict=False):
        panel.draw(ax)
        ax.set_xlabel(plain(shorten(panel.x, 40)), fontsize=SMALL, **TEXT)
        ax.set_ylabel(plain(shorten(panel.y, 34)), fontsize=SMALL, **TEXT)
        for axis, count in ((ax.xaxis, 5), (ax.yaxis, 6)):
            if isinstance(axis.get_major_locator(), AutoLocator):
                axis.set_major_locator(MaxNLocator(count, steps=[1, 2, 2.5, 5, 10]))
        _head(ax, panel)
    said = " ".join(filter(None, caption))
    return for_notebooks(surround(fig, size, title, said, _handles()))


def _head(ax: Axes, panel: Panel) -> None:
    """Title of a panel, and below it what it shows."""
    title = "\n".join(textwrap.wrap(shorten(panel.title, 80), 38))
    note = "\n".join(textwrap.wrap(panel.note, 44))
    headed(ax, title, note, size=SMALL + 1, pad=6, failed=panel.failed)


def _handles() -> list[Any]:
    """What the legend explains."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    return [
        Line2D([], [], color=INK, linewidth=1.8, label="the data, or their trend"),
        Line2D([], [], color=BLUE, linewidth=1.2, alpha=0.7, label="the model"),
        Patch(facecolor=BAND, label="where the whole line lies in 95% of data sets"),
    ]


def draw_sorted(ax: Axes, expected: Array, low: Array, high: Array, lines: Sequence[Array]) -> None:
    """Draw sorted values over those of a standard normal variable, with their band.

    Of several lines, draws of what is not observed, each is thin.
    """
    ax.fill_between(expected, low, high, color=BAND, linewidth=0, zorder=1)
    ends = np.array([expected[0], expected[-1]])
    ax.plot(ends, ends, color=GREY, linewidth=1.0, linestyle=(0, (4, 3)), zorder=2)
    alone = len(lines) == 1
    for line in lines:
        if alone:
            size = 4.0 if len(expected) <= 30 else 2.6
            ax.plot(expected, line, "o", color=INK, markersize=size, markeredgewidth=0, zorder=3)
        else:
            ax.plot(expected, line, color=BLUE, linewidth=0.7, alpha=0.5, zorder=3)
    reach = max(1.0, *(float(np.max(np.abs(v))) for v in (low, high, *lines)))
    ax.set_ylim(-1.05 * min(reach, 8.0), 1.05 * min(reach, 8.0))


def draw_trend(
    ax: Axes,
    x: Array,
    values: Array,
    line: tuple[Array, Array],
    band: tuple[float, Array],
    *,
    failed: bool,
) -> None:
    """Draw values by x with their smooth trend, and the band where it should lie.

    `line`: the trend (x, y); `band`: what is expected, and half the width around it.
    """
    expected, half = band
    low, high = value_limits(values, expected)
    _cloud(ax, x, values, low, high)
    at = line[0]
    ax.fill_between(at, expected - half, expected + half, color=BAND, linewidth=0, zorder=2.2)
    ax.axhline(expected, color=GREY, linewidth=1.0, linestyle=(0, (4, 3)), zorder=2.4)
    colour, dashes = (RED, (0, (5, 1.5))) if failed else (INK, "-")
    style: dict[str, Any] = {"color": colour, "linestyle": dashes, "linewidth": 1.8}
    ax.plot(*line, zorder=4, **style)
    ax.set_ylim(low, high)


def value_limits(values: Array, expected: float) -> tuple[float, float]:
    """Limits of an axis of residuals, or of the roots of their sizes."""
    if expected > 0:
        return 0.0, max(2.0, min(float(values.max(initial=0.0)), math.sqrt(FURTHEST)) * 1.05)
    reach = max(3.0, min(float(np.abs(values).max(initial=0.0)), FURTHEST)) * 1.06
    return -reach, reach


def _cloud(ax: Axes, x: Array, values: Array, low: float, high: float) -> None:
    """Draw points; many as hexagons that are darker the more fall into them."""
    from matplotlib.colors import LinearSegmentedColormap

    inside = np.clip(values, low, high)
    if len(x) > CROWD:
        shades = LinearSegmentedColormap.from_list("blues", ["#DCE9F3", BLUE])
        extent = (float(x.min()), float(x.max()) or 1.0, low, high)
        if extent[0] == extent[1]:
            extent = (extent[0] - 0.5, extent[1] + 0.5, low, high)
        ax.hexbin(
            *(x, inside),
            gridsize=(34, 18),
            bins="log",
            cmap=shades,
            mincnt=1,
            linewidths=0.1,
            extent=extent,
            zorder=1.5,
        )
        return
    size = point_size(len(x))
    alpha = float(np.clip(250 / max(len(x), 1), 0.25, 0.7))
    beyond = inside != values
    style: dict[str, Any] = {"color": BLUE, "markeredgewidth": 0, "zorder": 2.3, "alpha": alpha}
    ax.plot(x[~beyond], values[~beyond], "o", markersize=size, **style)
    for mark, which in (("^", values > high), ("v", values < low)):
        if which.any():  # the layout makes room for lines without points too
            at = x[which], inside[which]
            ax.plot(*at, mark, color=RED, markersize=4, clip_on=False, zorder=5)


def point_size(n: int) -> float:
    """How large so many points are drawn."""
    return 4.0 if n <= 50 else 3.0 if n <= 300 else 2.0


def draw_categories(
    ax: Axes, names: Sequence[str], codes: Ints, values: Array, means: Array, reach: Array
) -> None:
    """Draw the values of each category with their mean, and how far from 0 that may lie.

    A mean that lies further is a diamond.
    """
    low, high = value_limits(values, 0.0)
    at = np.arange(len(names))
    if len(values) <= CROWD:
        style: dict[str, Any] = {"color": BLUE, "markersize": point_size(len(values)), "alpha": 0.3}
        inside = np.clip(values, low, high)
        x = codes + 0.28 * jittered(len(codes))
        ax.plot(x, inside, "o", markeredgewidth=0, zorder=1.5, rasterized=True, **style)
    ax.bar(at, 2 * reach, 0.7, -reach, color=BAND, alpha=0.95, linewidth=0, zorder=2.2)
    ax.axhline(0, color=GREY, linewidth=1.0, linestyle=(0, (4, 3)), zorder=2.4)
    ax.hlines(means, at - 0.35, at + 0.35, color=INK, linewidth=1.8, zorder=4)
    far = np.abs(means) > reach
    ax.plot(at[far], means[far], "D", color=RED, markersize=5, zorder=5)
    every = max(1, math.ceil(len(names) / 10))
    shown = [plain(name) for name in shorten_all(names[::every], 12)]
    turned = sum(map(len, shown)) + 2 * len(shown) > 34
    style = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"}
    ax.set_xticks(at[::every], shown, **(style if turned else {}))
    ax.set_xlim(-0.6, len(names) - 0.4)
    ax.set_ylim(low, high)


def draw_dispersion(ax: Axes, value: float, made: Array, *, failed: bool) -> None:
    """Draw a statistic of the data as a line, and of the replicates as a histogram."""
    draw_replicates(ax, value, made)
    ax.axvline(value, color=RED if failed else INK, linewidth=1.8)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)


def draw_influence(ax: Axes, row: Ints, k: Array, most: float) -> None:
    """Draw Pareto k of every row, with the value above which it has too much influence."""
    low, high = min(-0.2, float(k.min())), max(most, float(k.max())) * 1.1
    bad = k > most
    if (~bad).sum() > CROWD:
        _cloud(ax, row[~bad].astype(np.float64), k[~bad], low, high)
    else:
        style: dict[str, Any] = {"markersize": point_size(len(k)), "markeredgewidth": 0}
        style["alpha"] = 0.5
        ax.plot(row[~bad], k[~bad], "o", color=BLUE, **style)
    ax.plot(row[bad], k[bad], "D", color=RED, markersize=3.5, zorder=4)
    ax.axhline(most, color=RED, linewidth=1.0, linestyle=(0, (5, 2)), zorder=3)
    ax.set_ylim(low, high)
    ax.set_xlim(0, float(row[-1]) + 1)
