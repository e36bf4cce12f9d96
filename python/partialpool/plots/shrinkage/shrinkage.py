"""The shrinkage figure: the estimates of every level, one panel a pooling."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from partialpool.arrays import Array
from partialpool.drawing.canvas import for_notebooks
from partialpool.drawing.frame import surround
from partialpool.drawing.scales import logarithmic, row_ticks
from partialpool.drawing.style import FONT, GREY, INK, NORMAL, PALE, SMALL, plain, shorten_all
from partialpool.plots.shrinkage.marks import LEGEND, draw_panel, label_panel, target_name
from partialpool.plots.shrinkage.scene import (
    LINES,
    SHOWN,
    Goals,
    Panel,
    Scene,
    chosen_columns,
    make_scene,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Inches.
PANEL_WIDTH, PANEL_HEIGHT = 3.4, 3.9  # with titles and labels


def shrinkage(
    panels: Sequence[Panel],
    terms: Sequence[str],
    levels: Sequence[object],
    counts: NDArray[Any],
    *,
    factor: str,
    truth: Array | None = None,
    reference: Array | None = None,
    choose: tuple[str, str] | None = None,
    interval: float = 0.95,
    title: str | None = None,
) -> Figure:
    """Draw the estimates of every level, one panel a pooling, with the same axes.

    Two coefficients span the plane; with one, the levels stand by their number of rows. A thin
    line leads from each estimate to its truth or, where that is not known, to its no-pooling
    estimate.

    Parameters
    ----------
    panels : sequence of Panel
        The poolings, from left to right.
    terms : sequence of str
        Names of the coefficients.
    levels : sequence
        Names of the levels.
    counts : array
        Rows of each level.
    factor : str
        What the levels are levels of.
    truth : array, levels × coefficients, optional
        The true coefficients.
    reference : array, levels × coefficients, optional
        The no-pooling estimates; rows of NaN have none.
    choose : pair of str, optional
        The two terms to draw; by default the first two.
    interval : float
        Mass of the intervals, and of the ellipse around the population mean.
    title : str, optional
        Another title.

    Returns
    -------
    Figure
        A matplotlib figure.

    Raises
    ------
    InputError
        If `choose` does not name two of the terms.

    Examples
    --------
    >>> estimates = np.array([[1.0, 2.0], [2.0, 1.0]])
    >>> panels = [Panel("No pooling", estimates), Panel("Partial pooling", 0.5 * estimates)]
    >>> fig = shrinkage(
    ...     panels,
    ...     ["Intercept", "x"],
    ...     ["a", "b"],
    ...     np.array([3, 4]),
    ...     factor="id",
    ...     reference=estimates,
    ... )
    >>> [ax.get_xlabel() for ax in fig.axes]
    ['Intercept', 'Intercept']
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    scene = make_scene(
        panels,
        chosen_columns(terms, choose),
        levels,
        np.asarray(counts),
        Goals(truth, reference),
        factor=factor,
        interval=interval,
    )
    fig = Figure(facecolor="white")
    FigureCanvasAgg(fig)
    axes = list(fig.subplots(1, len(panels), squeeze=False, sharex=True, sharey=True)[0])
    _style(axes, scene, [axis_label(terms[k]) for k in scene.columns])
    notes = [draw_panel(ax, scene, panel) for ax, panel in zip(axes, panels, strict=True)]
    _head(axes, panels, notes)
    many = f"{len(levels):,} level{'s' if len(levels) > 1 else ''}"
    heading = title or f"What pooling does to each {scene.each}'s estimate ({many})"
    _lay_out(fig, scene, len(panels), heading, caption(scene, panels))
    for ax, panel in zip(axes, panels, strict=True):
        label_panel(ax, scene, panel)
    return for_notebooks(fig)


def axis_label(term: str) -> str:
    """Name a coefficient on an axis.

    Examples
    --------
    >>> axis_label("Intercept"), axis_label("floor")
    ('Intercept', 'Coefficient of floor')
    """
    words = term if term == "Intercept" else f"Coefficient of {term}"
    return "\n".join(textwrap.wrap(words, 40))


def rows_label(scene: Scene) -> str:
    """Name the axis along which levels stand by their rows."""
    low, high = int(scene.counts.min()), int(scene.counts.max())
    if low == high:
        rows = f"{high:,} row{'s' if high > 1 else ''} each"
        return rows if scene.target is None else f"{rows}, sorted by {target_name(scene)}"
    return f"Rows of the {scene.each}{' (log scale)' if logarithmic(scene.counts) else ''}"


def caption(scene: Scene, panels: Sequence[Panel]) -> str:
    """Say in a few sentences what is seen."""
    target = target_name(scene)
    if scene.position is None and len(scene.columns) == 2 and scene.knows_truth:
        target = "true coefficients"
    words = [f"Each dot is one {scene.each}'s estimate"]
    if "line" in scene.legend:
        words[0] += f"; the thin line leads to its {target}"
        words[0] += ", so short lines are good." if scene.knows_truth else "."
    else:
        words[0] += "."
    if scene.sized:
        words.append(f"The larger the dot, the more rows the {scene.each} has.")
    if any("partial" in panel.title.lower() for panel in panels):
        words.append("Partial pooling draws uncertain estimates towards the population mean.")
    if len(scene.shown) < len(scene.levels):
        words.append(f"{SHOWN:,} of the {len(scene.levels):,} levels are drawn.")
    if "line" in scene.legend and len(scene.lined) < len(scene.levels):
        words.append(f"Lines are drawn for {LINES:,} of the {len(scene.levels):,} levels.")
    return " ".join(words)


def _style(axes: Sequence[Axes], scene: Scene, labels: Sequence[str]) -> None:
    """Limits, ticks and labels, the same in all panels."""
    from matplotlib.ticker import FixedFormatter, FixedLocator, MaxNLocator

    axes[0].set_xlim(*scene.xlim)
    axes[0].set_ylim(*scene.ylim)
    text: dict[str, Any] = {"fontsize": NORMAL, "family": FONT, "color": INK}
    for k, ax in enumerate(axes):
        ax.set_facecolor("white")
        ax.set_axisbelow(True)
        ax.grid(True, color=PALE, linewidth=0.6, linestyle="-")
        ax.tick_params(
            labelsize=SMALL, labelfontfamily=FONT, color=GREY, labelcolor=INK, labelleft=k == 0
        )
        ax.spines[:].set_color(GREY)
        ax.spines[:].set_linewidth(0.8)
        ax.spines[["top", "right"]].set_visible(False)
        ax.yaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 5, 10]))
        if scene.position is None:
            ax.xaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 5, 10]))
            ax.set_xlabel(plain(labels[0]), **text)
        else:
            ticks = row_ticks(scene.counts)
            at = [math.log10(n) if logarithmic(scene.counts) else n for n in ticks]
            ax.xaxis.set_major_locator(FixedLocator(at))
            ax.xaxis.set_major_formatter(FixedFormatter([f"{n:,}" for n in ticks]))
            ax.set_xlabel(plain(rows_label(scene)), **text)
            if scene.named_below and scene.position is not None:
                names = [plain(name) for name in shorten_all(scene.levels)]
                ax.set_xticks(
                    scene.position, names, rotation=35, ha="right", rotation_mode="anchor"
                )
    axes[0].set_ylabel(plain(labels[-1]), **text)


def _head(axes: Sequence[Axes], panels: Sequence[Panel], said: Sequence[list[str]]) -> None:
    """Title of each panel, and under it what it leaves out."""
    notes = [[line for note in notes for line in textwrap.wrap(note, 46)] for notes in said]
    lines = max(len(note) for note in notes)
    for ax, panel, wrapped in zip(axes, panels, notes, strict=True):
        ax.set_title(
            plain(panel.title),
            fontsize=NORMAL + 1,
            family=FONT,
            color=INK,
            fontweight="bold",
            pad=6 + 12 * lines,
        )
        if wrapped:
            ax.annotate(
                plain("\n".join(wrapped)),
                (0.5, 1),
                xytext=(0, 5 + 12 * (lines - len(wrapped))),
                xycoords="axes fraction",
                textcoords="offset points",
                ha="center",
                va="bottom",
                fontsize=SMALL,
                family=FONT,
                color=GREY,
                annotation_clip=False,
            )


def _lay_out(fig: Figure, scene: Scene, n_panels: int, heading: str, words: str) -> None:
    """Heading above, panels, and below them the legend and the caption."""
    width = PANEL_WIDTH * max(2, n_panels) + 0.6
    handles = [scene.legend[kind] for kind in LEGEND if kind in scene.legend]
    surround(fig, (width, PANEL_HEIGHT), heading, words, handles)
    fig.draw_without_rendering()  # settles where the axes are, so that names find free places
    fig.set_layout_engine("none")
