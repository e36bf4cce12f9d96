"""Figures of posterior predictive checks: the data over what the model makes."""

from __future__ import annotations

import io
import math
import textwrap
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from partialpool.arrays import Array
from partialpool.plots.style import (
    BLUE,
    FONT,
    GREY,
    INK,
    LARGE,
    NORMAL,
    PALE,
    RED,
    SMALL,
    plain,
    shorten,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


WIDTH, HEIGHT, PANEL = 6.6, 4.2, 2.5  # inches
NAMED = 30  # levels at most that are named on the axis
TEXT: dict[str, Any] = {"family": FONT, "color": INK}


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
    fig, (ax,) = _figure(1, WIDTH, HEIGHT)
    for k, line in enumerate(replicated):
        name = f"{len(replicated)} data sets from the model" if k == 0 else "_"
        ax.plot(grid, line, color=BLUE, linewidth=0.7, alpha=0.35, label=name)
    ax.plot(grid, observed, color=INK, linewidth=2, label="the data")
    ax.set_ylim(bottom=0)
    ax.set_xlim(grid[0], grid[-1])
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    ax.set_xlabel(plain(shorten(label, 60)), fontsize=NORMAL, **TEXT)
    _legend(ax)
    return _finish(fig, f"Can the model make data like {label}?")


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
    fig, (ax,) = _figure(1, WIDTH, HEIGHT)
    at = np.arange(len(categories))
    ax.bar(at, observed, width=0.8, color=PALE, edgecolor=GREY, linewidth=0.6, label="the data")
    ax.vlines(at, low, high, color=BLUE, linewidth=1.6)
    ax.plot(at, middle, "o", color=BLUE, markersize=4, label="the model: mean and 95%")
    every = max(1, math.ceil(len(categories) / 15))
    names = [plain(shorten(name)) for name in categories]
    long = max(len(name) for name in names[::every]) > 5 and len(names) > 6
    turned: dict[str, Any] = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"}
    ax.set_xticks(at[::every], names[::every], **(turned if long else {}))
    ax.set_ylim(bottom=0)
    ax.set_ylabel("Rows", fontsize=NORMAL, **TEXT)
    ax.set_xlabel(plain(shorten(label, 60)), fontsize=NORMAL, **TEXT)
    _legend(ax)
    return _finish(fig, f"Can the model make data like {label}?")


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
    fig, axes = _figure(rows, PANEL * columns + 0.3, 1.9 * rows + 0.6, columns)
    for ax in axes[len(names) :]:
        ax.set_visible(False)
    for ax, name, value, made, share in zip(axes, names, observed, replicated, p, strict=False):
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
        failed = share < 0.01 or share > 0.99
        ax.axvline(value, color=RED if failed else INK, linewidth=2)
        ax.set_yticks([])
        ax.spines["left"].set_visible(False)
        title = "\n".join([*textwrap.wrap(name, 30), p_text(share)])
        weight = "bold" if failed else "normal"
        ax.set_title(plain(title), fontsize=SMALL + 0.5, fontweight=weight, **TEXT)
        ax.locator_params(axis="x", nbins=4)
    return _finish(fig, f"{label}: the model (bars) and the data (line)")


def groups(
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
    fig, (ax,) = _figure(1, WIDTH + 1.0, HEIGHT)
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
        names = [f"{shorten(str(levels[k]))} ({counts[k]})" for k in order]
        turned: dict[str, Any] = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"}
        ax.set_xticks(at, [plain(name) for name in names], **turned)
        ax.set_xlabel(plain(f"{factor} (rows)"), fontsize=NORMAL, **TEXT)
    else:
        ax.set_xticks([])
        words = f"{len(order):,} levels of {factor}, sorted by their mean"
        ax.set_xlabel(plain(words), fontsize=NORMAL, **TEXT)
    ax.set_ylabel(plain(f"Mean {shorten(label, 40)}"), fontsize=NORMAL, **TEXT)
    _legend(ax)
    return _finish(fig, f"Mean {label} by {factor}")


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


def _figure(rows: int, width: float, height: float, columns: int = 1) -> tuple[Figure, list[Axes]]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    fig = Figure(figsize=(width, height), facecolor="white", layout="constrained")
    FigureCanvasAgg(fig)
    axes = list(np.ravel(fig.subplots(rows, columns, squeeze=False)))
    for ax in axes:
        ax.set_facecolor("white")
        ax.set_axisbelow(True)
        ax.tick_params(labelsize=SMALL, labelfontfamily=FONT, color=GREY, labelcolor=INK)
        ax.spines[:].set_color(GREY)
        ax.spines[["top", "right"]].set_visible(False)
    return fig, axes


def _legend(ax: Axes) -> None:
    ax.figure.legend(
        *ax.get_legend_handles_labels(),
        loc="outside lower center",
        ncols=3,
        frameon=False,
        labelcolor=INK,
        prop={"family": FONT, "size": SMALL},
    )


def _finish(fig: Figure, title: str) -> Figure:
    wide = int(12 * fig.get_size_inches()[0])
    fig.suptitle(plain("\n".join(textwrap.wrap(title, wide))), fontsize=LARGE, **TEXT)
    fig._repr_png_ = partial(_png, fig)  # type: ignore[attr-defined]  # what notebooks show
    return fig


def _png(fig: Figure) -> bytes:
    file = io.BytesIO()
    fig.savefig(file, format="png", dpi=110, facecolor="white")
    return file.getvalue()
