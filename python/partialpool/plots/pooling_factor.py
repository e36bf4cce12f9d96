"""How far each level is pulled to the population, by its number of rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from partialpool.arrays import Array
from partialpool.drawing.canvas import TEXT, canvas, for_notebooks
from partialpool.drawing.frame import surround
from partialpool.drawing.labels import place_labels
from partialpool.drawing.scales import frame, logarithmic, positions, row_ticks, spread_out
from partialpool.drawing.style import BLUE, GREY, NORMAL, PALE, SMALL, plain, shorten, shorten_all
from partialpool.plots.shrinkage.scene import CROWD, LABELLED, SHOWN

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANEL, TALL = 3.4, 3.6  # inches


def pooling_factor(
    factors: Array,
    terms: Sequence[str],
    levels: Sequence[str],
    counts: NDArray[Any],
    *,
    factor: str,
    title: str | None = None,
    notes: Sequence[str] = (),
) -> Figure:
    """Draw pooling factors by rows, a panel a coefficient.

    Parameters
    ----------
    factors : (level, term) array
        Between 0, a level's own estimate, and 1, the population's.
    terms : sequence of str
        Names of the coefficients.
    levels : sequence of str
        Names of the levels.
    counts : array
        Rows of each.
    factor : str
        What the levels are levels of.
    title : str, optional
        Another title.
    notes : sequence of str
        Sentences to add to the caption.
    """
    n = len(levels)
    size = (0.8 + PANEL * max(1.4, len(terms)), TALL)
    fig, axes = canvas(1, *size, len(terms))
    x = positions(counts, -factors[:, 0])
    shown = spread_out(n, SHOWN)
    for k, (ax, term) in enumerate(zip(axes, terms, strict=True)):
        crowd = n >= CROWD
        ax.scatter(
            x[shown],
            factors[shown, k],
            s=5 if crowd else 24,
            color=BLUE,
            alpha=0.3 if crowd else 0.85,
            edgecolors="none" if crowd else "white",
            linewidths=0.5,
            zorder=3,
            rasterized=crowd,
        )
        _style(ax, x, counts, factor)
        ax.set_title(plain("\n".join([shorten(term, 44)])), fontsize=NORMAL, **TEXT)
        ax.tick_params(labelleft=k == 0)
    axes[0].set_ylabel("Pooling factor", fontsize=NORMAL, **TEXT)
    each = shorten(factor, 28)
    words = [
        f"Each dot is one {each}: at 1 its estimate is the population's, at 0 its own. Between, "
        "the factor is the share of the population's variance that its rows leave open."
    ]
    if len(shown) < n:
        words.append(f"{SHOWN:,} of the {n:,} levels are drawn.")
    heading = title or f"How far each {each} is pulled to the population"
    surround(fig, size, heading, " ".join([*words, *notes]))
    if n <= LABELLED:
        fig.draw_without_rendering()  # settles where the axes are
        names = [plain(level) for level in shorten_all(levels)]
        for k, ax in enumerate(axes):
            place_labels(ax, np.column_stack([x, factors[:, k]]), names, [])
    return for_notebooks(fig)


def _style(ax: Axes, x: Array, counts: NDArray[Any], factor: str) -> None:
    """Axes from own estimate to population, and over rows."""
    ax.set_ylim(-0.06, 1.06)
    ax.set_xlim(*frame(x, np.empty(0)))
    ax.grid(True, color=PALE, linewidth=0.6)
    for at, words, side, up in ((1.0, "the population's", 1, -1), (0.0, "its own rows'", 0, 1)):
        ax.axhline(at, color=GREY, linewidth=0.9, linestyle=(0, (5, 2)), zorder=1)
        ax.annotate(
            words,
            (side, at),
            xycoords=("axes fraction", "data"),
            xytext=(2 - 4 * side, 3 * up),
            textcoords="offset points",
            ha="right" if side else "left",
            va="top" if up < 0 else "bottom",
            fontsize=SMALL - 0.5,
            **TEXT | {"color": GREY},
        )
    low, high = int(counts.min()), int(counts.max())
    ticks = row_ticks(counts)
    if low == high:
        ax.set_xticks([])
        words = f"{high:,} row{'s' if high > 1 else ''} each"
    else:
        log = logarithmic(counts)
        ax.set_xticks([math.log10(t) if log else t for t in ticks], [f"{t:,}" for t in ticks])
        words = f"Rows of the {shorten(factor, 28)}{' (log scale)' if log else ''}"
    ax.set_xlabel(plain(words), fontsize=NORMAL, **TEXT)
