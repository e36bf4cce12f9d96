"""The caterpillar: a coefficient of every level with its interval, sorted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from partialpool.arrays import Array, Ints
from partialpool.drawing.canvas import TEXT, canvas, for_notebooks
from partialpool.drawing.frame import handle, surround
from partialpool.drawing.scales import frame
from partialpool.drawing.style import (
    BLUE,
    FONT,
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

NAMED = 50  # up to as many levels are named
ENDS = 15  # of more, as many at each end
BETWEEN = 20  # rows of the figure that all levels between these take
LINES = 300  # up to as many of these have their intervals drawn; more are summed up by a band
BINS = 150  # of the band
ROW = 0.165  # inches
NAMES, PANEL, MARGIN = 1.7, 3.3, 0.75  # inches: names, a panel, and what is above and below


class Caterpillar(Struct, frozen=True, eq=False):
    """One coefficient of every level.

    Attributes
    ----------
    label : str
        Name of the axis.
    mean, lower, upper : (level,) arrays
        Estimates with their intervals; NaN where there are none.
    population : float, optional
        The mean of the population.
    apart : (level,) array, optional
        Estimates without pooling.
    """

    label: str
    mean: Array
    lower: Array
    upper: Array
    population: float | None = None
    apart: Array | None = None


class Places(Struct, frozen=True, eq=False):
    """Where levels stand: the lowest at the bottom.

    Attributes
    ----------
    order : array
        Levels that have estimates, from the bottom to the top.
    at : array
        Height of each of these, in rows.
    named : array of bool
        Which of these are named; all others stand between two runs of named ones.
    """

    order: Ints
    at: Array
    named: NDArray[np.bool_]

    @property
    def between(self) -> NDArray[np.bool_]:
        return ~self.named

    @property
    def rows(self) -> float:
        return float(self.at[-1] + 1) if len(self.at) else 1.0


def places(values: Array) -> Places:
    """Sort levels, and give those at both ends a row each.

    Examples
    --------
    >>> found = places(np.array([3.0, np.nan, 1.0]))
    >>> found.order.tolist(), found.at.tolist(), found.named.tolist()
    ([2, 0], [0.0, 1.0], [True, True])
    """
    known = np.flatnonzero(np.isfinite(values))
    order = known[np.argsort(values[known], kind="stable")]
    n = len(order)
    if n <= NAMED:
        return Places(order, np.arange(n, dtype=float), np.ones(n, dtype=bool))
    inner = ENDS - 0.5 + (np.arange(n - 2 * ENDS) + 0.5) * BETWEEN / (n - 2 * ENDS)
    low = np.arange(ENDS, dtype=float)
    at = np.concatenate([low, inner, low + ENDS + BETWEEN])
    named = np.ones(n, dtype=bool)
    named[ENDS : n - ENDS] = False
    return Places(order, at, named)


def caterpillar(
    panels: Sequence[Caterpillar],
    levels: Sequence[str],
    counts: NDArray[Any],
    *,
    factor: str,
    interval: float,
    title: str | None = None,
    notes: Sequence[str] = (),
) -> Figure:
    """Draw the coefficients of every level with their intervals, a panel a coefficient.

    Levels are sorted by the first panel. Up to 50 are named; of more, the 15 at each end.

    Parameters
    ----------
    panels : sequence of Caterpillar
        The coefficients.
    levels : sequence of str
        Names of the levels.
    counts : array
        Rows of each.
    factor : str
        What the levels are levels of.
    interval : float
        Mass of the intervals.
    title : str, optional
        Another title.
    notes : sequence of str
        Sentences to add to the caption.
    """
    found = places(panels[0].mean)
    width = NAMES + PANEL * max(1.3, len(panels))
    height = MARGIN + ROW * max(6.0, found.rows)
    fig, axes = canvas(1, width, height, len(panels))
    beyond = 0
    for ax, panel in zip(axes, panels, strict=True):
        beyond += _draw(ax, panel, found)
        ax.set_xlabel(plain(panel.label), fontsize=NORMAL, **TEXT)
    _name(axes, levels, counts, found, factor)
    handles = [
        handle("posterior mean", color=BLUE, marker="o", markersize=4, linestyle="none"),
        handle(f"{100 * interval:g}% interval", color=BLUE, alpha=0.5, linewidth=2),
    ]
    if any(panel.population is not None for panel in panels):
        handles.append(handle("population mean", color=RED, linewidth=1.4))
    if any(panel.apart is not None for panel in panels):
        square: dict[str, Any] = {"marker": "s", "markersize": 4, "markerfacecolor": "white"}
        handles.append(handle("without pooling", color=INK, linestyle="none", **square))
    if int(found.between.sum()) > LINES:
        handles.append(
            handle("middle levels: means, and a band for their intervals", color=BLUE, linewidth=1)
        )
    words = _caption(panels, found, factor, len(levels))
    if beyond:
        one = beyond == 1
        words.append(f"{beyond:,} interval{'' if one else 's'} reach{'es' * one} beyond the frame.")
    heading = title or f"Every {shorten(factor, 28)}'s estimate, sorted"
    return for_notebooks(
        surround(fig, (width, height), heading, " ".join([*words, *notes]), handles)
    )


def _draw(ax: Axes, panel: Caterpillar, found: Places) -> int:
    """Draw a panel, and return how many intervals reach beyond it."""
    mean, low, high = (x[found.order] for x in (panel.mean, panel.lower, panel.upper))
    must = mean if panel.population is None else np.append(mean, panel.population)
    apart = np.empty(0) if panel.apart is None else panel.apart[found.order]
    left, right = frame(must, np.concatenate([low, high, apart]))
    ax.set_xlim(left, right)
    ax.set_ylim(-0.8, found.rows - 0.2)
    ax.locator_params(axis="x", nbins=6)
    ax.grid(True, axis="x", color=PALE, linewidth=0.6)
    if panel.population is not None:
        ax.axvline(panel.population, color=RED, linewidth=1.4, zorder=2)
    if len(apart):
        few = found.named | (int(found.between.sum()) <= LINES)
        style: dict[str, Any] = {"markersize": 4, "zorder": 3.5, "markerfacecolor": "white"}
        ax.plot(apart[few], found.at[few], "s", color=INK, **style)
    own = found.named
    ax.hlines(found.at[own], low[own], high[own], color=BLUE, alpha=0.5, linewidth=2.2, zorder=3)
    ax.plot(mean[own], found.at[own], "o", color=BLUE, markersize=4, zorder=4)
    if found.between.any():
        _draw_between(ax, found, mean, low, high)
    return int(np.sum((low < left) | (high > right)))


def _draw_between(ax: Axes, found: Places, mean: Array, low: Array, high: Array) -> None:
    """Draw the levels that are not named, each by a thin line, or all by a band."""
    rest = np.flatnonzero(found.between)
    at = found.at[rest]
    ax.axhspan(ENDS - 0.5, ENDS - 0.5 + BETWEEN, color=GREY, alpha=0.07, linewidth=0, zorder=0)
    if len(rest) <= LINES:
        thin = 1.2 if len(rest) < 100 else 0.7
        ax.hlines(at, low[rest], high[rest], color=BLUE, linewidth=thin, alpha=0.5, zorder=3)
        ax.plot(mean[rest], at, "o", color=BLUE, markersize=2 if len(rest) < 100 else 1.2, zorder=4)
        return
    bins = np.array_split(rest, BINS)
    middle = np.array([found.at[one].mean() for one in bins])
    left, right = (np.array([side[one].mean() for one in bins]) for side in (low, high))
    ax.fill_betweenx(middle, left, right, color=BLUE, alpha=0.25, linewidth=0, zorder=3)
    ax.plot([mean[one].mean() for one in bins], middle, color=BLUE, linewidth=1.4, zorder=4)


def _name(
    axes: Sequence[Axes], levels: Sequence[str], counts: NDArray[Any], found: Places, factor: str
) -> None:
    """Write names to the left of the first panel, and rows to the right of the last."""
    own = found.order[found.named]
    at = list(found.at[found.named])
    names = [plain(name) for name in shorten_all([levels[k] for k in own], 24)]
    rows = [f"{counts[k]:,}" for k in own]
    rest = found.order[found.between]
    if len(rest):
        at.append(ENDS - 0.5 + BETWEEN / 2)
        names.append(f"{len(rest):,} levels\nbetween")
        low, high = counts[rest].min(), counts[rest].max()
        rows.append(f"{low:,}" if low == high else f"{low:,} to\n{high:,}")
    for ax in axes:
        ax.set_yticks(at, names)
        ax.tick_params(axis="y", length=0, labelleft=ax is axes[0])
        ax.spines["left"].set_visible(False)
    axes[0].set_ylabel(plain(shorten(factor, 40)), fontsize=NORMAL, **TEXT)
    side = axes[-1].secondary_yaxis("right")
    side.set_yticks(at, rows)
    side.tick_params(labelsize=SMALL, labelfontfamily=FONT, length=0, labelcolor=INK)
    side.spines["right"].set_visible(False)
    side.set_ylabel("rows", fontsize=NORMAL, **TEXT)


def _caption(panels: Sequence[Caterpillar], found: Places, factor: str, n_levels: int) -> list[str]:
    """Say how levels are sorted, and which are not named or not there."""
    words = []
    if len(panels) > 1:
        words.append(f"Levels are sorted by {panels[0].label} in all panels.")
    rest = int(found.between.sum())
    if rest:
        many = f"Of {len(found.order):,} levels of {factor}, the {ENDS} highest and the {ENDS}"
        words.append(f"{many} lowest are named.")
    if rest > LINES:
        words.append("Between them, line and band are averages over neighbours.")
    lost = n_levels - len(found.order)
    if lost:
        words.append(
            f"{lost:,} of {n_levels:,} levels cannot determine their own coefficients and are "
            "left out."
        )
    return words
