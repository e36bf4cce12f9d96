"""The forest plot: studies one below the other, the mean as a diamond."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct

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
from partialpool.numerals import decimals, minus
from partialpool.plots.levels import ENDS, NAMED

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROW = 0.27  # inches
WIDTH = 7.4
Ends = tuple[float, float]


class Study(Struct, frozen=True):
    """One study: its own estimate, and the shrunken one, each with its interval."""

    name: str
    own: float
    own_ends: Ends
    shrunken: float
    ends: Ends


class Summary(Struct, frozen=True):
    """The mean over studies with its interval, and where a new study's true effect is expected."""

    mean: float
    ends: Ends
    new: Ends


def forest(
    studies: Sequence[Study],
    summary: Summary | None,
    *,
    label: str,
    factor: str,
    interval: float,
    title: str,
    notes: Sequence[str] = (),
) -> Figure:
    """Draw studies with their own and their shrunken estimates, sorted by the former.

    Up to 50 are drawn; of more, the 15 highest and lowest and 20 between.

    Parameters
    ----------
    studies : sequence of Study
        All studies.
    summary : Summary, optional
        What stands below them.
    label : str
        Name of the effect.
    factor : str
        What studies are called.
    interval : float
        Mass of the intervals.
    title : str
        The title.
    notes : sequence of str
        Sentences of the caption.
    """
    order = np.argsort([-study.own for study in studies], kind="stable")
    words = list(notes)
    if len(order) > NAMED:
        between = np.linspace(ENDS, len(order) - 1 - ENDS, NAMED - 2 * ENDS).astype(int)
        kept = np.unique(
            np.concatenate([np.arange(ENDS), between, len(order) - 1 - np.arange(ENDS)])
        )
        words.insert(
            0,
            f"{len(kept)} of {len(order):,} are drawn: the {ENDS} highest and lowest, "
            f"and some between.",
        )
        order = order[kept]
    shown = [studies[k] for k in order]
    size = (WIDTH, 0.7 + ROW * (len(shown) + (2.4 if summary else 0)))
    fig, (ax,) = canvas(1, *size)
    at: list[float] = [float(k) for k in range(len(shown))[::-1]]
    _draw_studies(ax, shown, at)
    names = shorten_all([study.name for study in shown], 26)
    places = _decimals([study.ends for study in shown])
    texts = [_numbers(study.shrunken, study.ends, places) for study in shown]
    if summary is not None:
        _draw_summary(ax, summary)
        at += [-1.4, -2.4]
        names += ["mean", f"a new {shorten(factor, 18)}"]
        texts += [_numbers(summary.mean, summary.ends, places), _range(summary.new, places)]
    _frame(ax, shown, summary, at, [plain(name) for name in names])
    ax.set_xlabel(plain(shorten(label, 60)), fontsize=NORMAL, **TEXT)
    side = ax.secondary_yaxis("right")
    side.set_yticks(at, texts)
    side.tick_params(labelsize=SMALL, labelfontfamily=FONT, length=0, labelcolor=INK)
    side.spines["right"].set_visible(False)
    percent = f"{100 * interval:g}%"
    handles = [
        handle(f"own estimate and {percent} interval", color=GREY, marker="s", markersize=4,
               markerfacecolor="white", linewidth=1.2),
        handle(f"partially pooled and {percent} interval", color=BLUE, marker="o", markersize=5,
               linewidth=2.2),
    ]  # fmt: skip
    if summary is not None:
        handles += [
            handle(f"mean and {percent} interval", color=RED, marker="D", markersize=6,
                   linestyle="none"),
            handle(f"{percent} of new true effects", color=RED, linewidth=1.4,
                   linestyle=(0, (5, 2))),
        ]  # fmt: skip
    words.append("Numbers are the partially pooled estimates.")
    return for_notebooks(surround(fig, size, title, " ".join(words), handles))


def _draw_studies(ax: Axes, shown: Sequence[Study], at: Sequence[float]) -> None:
    """Own estimates above shrunken ones."""
    up = np.asarray(at) + 0.17
    down = np.asarray(at) - 0.17
    own, low, high = np.array([(s.own, *s.own_ends) for s in shown]).T
    ax.hlines(up, low, high, color=GREY, linewidth=1.2, zorder=2)
    ax.plot(own, up, "s", color=GREY, markerfacecolor="white", markersize=4, zorder=3)
    mean, low, high = np.array([(s.shrunken, *s.ends) for s in shown]).T
    ax.hlines(down, low, high, color=BLUE, linewidth=2.2, alpha=0.6, zorder=2)
    ax.plot(mean, down, "o", color=BLUE, markersize=5, zorder=4)


def _draw_summary(ax: Axes, summary: Summary) -> None:
    """The mean as a diamond as wide as its interval, and a bar for a new study."""
    low, high = summary.ends
    x = [low, summary.mean, high, summary.mean]
    ax.fill(x, [-1.4, -1.08, -1.4, -1.72], color=RED, linewidth=0, zorder=3)
    ax.axvline(summary.mean, color=RED, linewidth=0.9, alpha=0.6, zorder=1)
    ax.hlines([-2.4], *summary.new, color=RED, linewidth=1.4, linestyle=(0, (5, 2)), zorder=3)
    for end in summary.new:
        ax.plot([end, end], [-2.55, -2.25], color=RED, linewidth=1.4, zorder=3)


def _frame(
    ax: Axes,
    shown: Sequence[Study],
    summary: Summary | None,
    at: Sequence[float],
    names: Sequence[str],
) -> None:
    """Limits, names at the left, and a line at 0."""
    may = [end for study in shown for end in (*study.own_ends, *study.ends)]
    must = [value for study in shown for value in (study.own, study.shrunken)]
    must += [] if summary is None else [*summary.ends, *summary.new]
    left, right = frame(np.array(must), np.array(may))
    ax.set_xlim(left, right)
    ax.set_ylim(min(at) - 0.7, len(shown) - 0.4)
    ax.set_yticks(list(at), list(names))
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.grid(True, axis="x", color=PALE, linewidth=0.6)
    if left < 0 < right:
        ax.axvline(0, color=INK, linewidth=0.8, linestyle=(0, (1, 2)), zorder=1)


def _decimals(every: Sequence[Ends]) -> int:
    """As many decimals as half the width of an interval deserves, for all numbers alike."""
    width = float(np.median([high - low for low, high in every]))
    known = decimals(width / 4)
    return 2 if known is None else min(6, known)


def _numbers(mean: float, ends: Ends, places: int) -> str:
    return minus(f"{mean:.{places}f} ({_range(ends, places)})")


def _range(ends: Ends, places: int) -> str:
    return minus(f"{ends[0]:.{places}f} to {ends[1]:.{places}f}")
