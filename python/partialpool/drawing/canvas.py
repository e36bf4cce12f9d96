"""An empty figure, its legend and its title; what notebooks show of it."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from partialpool.drawing.style import (
    FONT,
    GREY,
    INK,
    LARGE,
    RED,
    SMALL,
    plain,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH, HEIGHT = 6.6, 4.2  # inches
TEXT: dict[str, Any] = {"family": FONT, "color": INK}


def canvas(
    rows: int,
    width: float,
    height: float,
    columns: int = 1,
    *,
    heights: Sequence[float] | None = None,
) -> tuple[Figure, list[Axes]]:
    """Give an empty figure, so large in inches, and its axes; `heights`: of rows, by each other."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    fig = Figure(figsize=(width, height), facecolor="white", layout="constrained")
    FigureCanvasAgg(fig)
    grid = {} if heights is None else {"height_ratios": list(heights)}
    axes = list(np.ravel(fig.subplots(rows, columns, squeeze=False, gridspec_kw=grid)))
    for ax in axes:
        ax.set_facecolor("white")
        ax.set_axisbelow(True)
        ax.tick_params(labelsize=SMALL, labelfontfamily=FONT, color=GREY, labelcolor=INK)
        ax.spines[:].set_color(GREY)
        ax.spines[["top", "right"]].set_visible(False)
    return fig, axes


def legend(ax: Axes) -> None:
    """Put what has a label below the figure."""
    ax.figure.legend(
        *ax.get_legend_handles_labels(),
        loc="outside lower center",
        ncols=3,
        frameon=False,
        labelcolor=INK,
        prop={"family": FONT, "size": SMALL},
    )


def titled(fig: Figure, title: str) -> Figure:
    """Give the figure its title."""
    wide = int(9 * fig.get_size_inches()[0])  # letters that fit
    fig.suptitle(plain("\n".join(textwrap.wrap(title, wide))), fontsize=LARGE, **TEXT)
    return for_notebooks(fig)


def headed(
    ax: Axes, title: str, note: str, *, size: float, pad: float, failed: bool = False
) -> None:
    """Give a panel its title, and below it what it shows; lines are broken already."""
    lines = note.count("\n") + 1 if note else 0
    ax.set_title(plain(title), fontsize=size, pad=pad + 11.5 * lines, **TEXT)
    if not note:
        return
    ax.annotate(
        plain(note),
        (0.5, 1),
        xytext=(0, 1 + pad / 2),
        xycoords="axes fraction",
        textcoords="offset points",
        ha="center",
        va="bottom",
        fontsize=size - 1.5,
        family=FONT,
        color=RED if failed else GREY,
        fontweight="bold" if failed else "normal",
        annotation_clip=False,
    )


def for_notebooks(fig: Figure) -> Figure:
    """Let notebooks show the figure."""
    fig._repr_png_ = partial(_png, fig)  # type: ignore[attr-defined]
    return fig


def _png(fig: Figure) -> bytes:
    file = io.BytesIO()
    fig.savefig(file, format="png", dpi=110, facecolor="white")
    return file.getvalue()
