"""Words around panels: a title above; a legend and a caption below."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from partialpool.plots.canvas import TEXT, for_notebooks
from partialpool.plots.shrinkage.shrinkage import balanced, legend_columns
from partialpool.plots.style import FONT, INK, LARGE, SMALL, plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Inches: a line of the title, of the caption, a row of the legend, and what lies between.
TITLE, LINE, ROW, GAP = 0.24, 0.152, 0.165, 0.065


def surrounded(fig: Figure, title: str, caption: Sequence[str], handles: Sequence[Any]) -> Figure:
    """Give a figure its title, legend and caption, and the height that they take.

    Parameters
    ----------
    fig : Figure
        Whose height is that of its panels, with titles and labels.
    title : str
        Written above.
    caption : sequence of str
        Sentences, written below.
    handles : sequence of artists
        What the legend explains, by their labels.
    """
    width, panels = fig.get_size_inches()
    heading = balanced(title, int(10.5 * width)) or [""]
    lines = balanced(" ".join(filter(None, caption)), int(13.2 * width))
    labels = [str(handle.get_label()) for handle in handles]
    columns = legend_columns(labels, width)
    rows = math.ceil(len(labels) / columns) if labels else 0
    above = TITLE * len(heading) + GAP
    below = LINE * len(lines) + ROW * rows + GAP * (1 + bool(lines) + bool(rows))
    height = above + panels + below
    fig.set_size_inches(width, height)
    text: dict[str, Any] = TEXT | {"ha": "center"}
    words = plain("\n".join(heading))
    fig.text(0.5, 1 - GAP / height, words, va="top", fontsize=LARGE, **text)
    if lines:
        words = plain("\n".join(lines))
        fig.text(0.5, GAP / height, words, va="bottom", fontsize=SMALL, **text)
    if rows:
        fig.legend(
            handles,
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
    rect = (0, (below + 0.05) / height, 1, (panels - 0.05) / height)
    fig.set_layout_engine("constrained", rect=rect, wspace=0.04, hspace=0.05)
    return for_notebooks(fig)
