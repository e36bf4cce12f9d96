"""What stands around the panels of a figure: heading, legend, and a caption in sentences."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from partialpool.drawing.canvas import TEXT
from partialpool.drawing.style import FONT, INK, LARGE, NORMAL, SMALL, plain, shorten

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

# Inches.
LINE, ROW = 0.17, 0.19  # a line of the caption, a row of the legend
HEADING, HEADING_LINE = 0.45, 0.24  # one line of it, each further one
GAP = 0.12
AXIS_LABEL = 0.2


def surround(
    fig: Figure,
    size: tuple[float, float],
    heading: str,
    words: str = "",
    handles: Sequence[Line2D] = (),
    *,
    x_label: str = "",
) -> Figure:
    """Put a heading above the panels, and below them the legend and a caption.

    Parameters
    ----------
    fig : Figure
        Whose axes are the panels.
    size : pair of float
        Width and height of all panels with their labels, in inches.
    heading, words : str
        What stands above and below.
    handles : sequence of Line2D
        What the legend explains, each with its label.
    x_label : str
        The name of the x axis, where all panels share one.
    """
    width, panels = size
    heads = balanced(heading, max(20, int(9.5 * width)))
    lines = balanced(words, int(13 * width)) if words else []
    labels = [str(handle.get_label()) for handle in handles]
    columns = legend_columns(labels, width)
    rows = math.ceil(len(labels) / columns)
    above = HEADING + HEADING_LINE * (len(heads) - 1)
    gaps = 1.2 + (1.0 if lines else 0.0) if lines or rows else 0.0
    below = LINE * len(lines) + ROW * rows + gaps * GAP
    under = below + (AXIS_LABEL if x_label else 0.0)
    height = above + panels + under
    fig.set_size_inches(width, height)
    text: dict[str, Any] = TEXT | {"ha": "center"}
    head = plain("\n".join(heads))
    fig.text(0.5, 1 - GAP / height, head, va="top", fontsize=LARGE, **text)
    if lines:
        said = plain("\n".join(lines))
        fig.text(0.5, GAP / height, said, va="bottom", fontsize=SMALL, **text)
    if handles:
        fig.legend(
            list(handles),
            labels,
            loc="upper center",
            bbox_to_anchor=(0.5, below / height),
            ncols=columns,
            frameon=False,
            borderaxespad=0,
            borderpad=0,
            columnspacing=1.6,
            handletextpad=0.5,
            labelcolor=INK,
            prop={"family": FONT, "size": SMALL},
        )
    if x_label:
        name = plain(shorten(x_label, 60))
        fig.text(0.5, (below + 0.06) / height, name, va="bottom", fontsize=NORMAL, **text)
    fig.set_layout_engine(
        "constrained",
        rect=(0, (under + 0.1) / height, 1, 1 - (under + 0.1 + above) / height),
        wspace=0.03,
    )
    return fig


def handle(label: str, **style: Any) -> Line2D:
    """Explain a mark in the legend."""
    from matplotlib.lines import Line2D

    return Line2D([0, 1], [0, 0], label=plain(label), **style)


def balanced(words: str, width: int) -> list[str]:
    """Wrap into as few lines as can be, of about the same length.

    Examples
    --------
    >>> balanced("Each dot is one level.", 20)
    ['Each dot is', 'one level.']
    """
    lines = textwrap.wrap(words, width, break_on_hyphens=False)
    for narrower in range(width - 1, width // 2, -1):
        tried = textwrap.wrap(words, narrower, break_on_hyphens=False)
        if len(tried) > len(lines):
            break
        lines = tried
    return lines


def legend_columns(labels: Sequence[str], width: float) -> int:
    """Find how many columns of a legend fit; they are filled one after the other.

    Examples
    --------
    >>> legend_columns(["a dot", "a line", "a mark", "a ring"], 10.8), legend_columns(["x" * 60], 7)
    (4, 1)
    """
    for columns in range(len(labels), 1, -1):
        rows = math.ceil(len(labels) / columns)
        longest = [max(map(len, labels[k : k + rows])) for k in range(0, len(labels), rows)]
        if 0.072 * sum(longest) + 0.65 * len(longest) <= width:
            return len(longest)
    return 1
