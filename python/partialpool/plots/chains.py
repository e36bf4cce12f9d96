"""Chains of draws: their traces, and how their ranks are spread."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from partialpool.arrays import Array, Flags, Ints
from partialpool.drawing.canvas import TEXT, canvas, for_notebooks
from partialpool.drawing.frame import handle, surround
from partialpool.drawing.scales import spread_out
from partialpool.drawing.style import BLUE, GREY, INK, PALE, RED, SMALL, plain
from partialpool.plots.pairs import broken

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

COLOURS = (BLUE, RED, INK, "#56B4E9", "#E69F00", GREY)  # of chains, then again from the first
POINTS = 1_000  # of a trace
ROW = 0.95  # inches


def trace(
    names: Sequence[str],
    draws: Array,
    diverging: Flags,
    *,
    title: str,
    notes: Sequence[str] = (),
) -> Figure:
    """Draw the chains of each parameter one draw after the other, over one another.

    Parameters
    ----------
    names : sequence of str
        Of the parameters.
    draws : (chain, draw, parameter) array
        Their draws.
    diverging : (chain, draw) array of bool
        Which draws end a trajectory that diverged.
    title : str
        The title.
    notes : sequence of str
        Sentences of the caption.
    """
    chains, n, _ = draws.shape
    size = (7.2, 0.6 + ROW * len(names))
    fig, axes = canvas(len(names), *size)
    shown = spread_out(n, POINTS)
    for k, (ax, name) in enumerate(zip(axes, names, strict=True)):
        for chain in range(chains):
            colour = COLOURS[chain % len(COLOURS)]
            ax.plot(
                shown + 1, draws[chain, shown, k], color=colour, linewidth=0.5, alpha=0.75,
                rasterized=True,
            )  # fmt: skip
        at = np.flatnonzero(diverging.any(axis=0)) + 1
        if len(at):
            ax.plot(at, np.zeros(len(at)), "|", color=RED, markersize=9, clip_on=False,
                    transform=ax.get_xaxis_transform())  # fmt: skip
        ax.set_xlim(1, max(n, 2))
        _label(ax, name, last=k == len(names) - 1)
    words = list(notes)
    if len(shown) < n:
        words.append(f"Every chain has {n:,} draws, of which {POINTS:,} are drawn.")
    handles = _chain_handles(chains)
    if diverging.any():
        handles.append(handle("diverged", color=RED, marker="|", markersize=9, linestyle="none"))
    return for_notebooks(surround(fig, size, title, " ".join(words), handles, x_label="Draw"))


def rank(
    names: Sequence[str],
    counts: Ints,
    expected: tuple[float, float, float],
    *,
    title: str,
    notes: Sequence[str] = (),
) -> Figure:
    """Draw how the ranks of each chain's draws are spread: evenly, where chains agree.

    Parameters
    ----------
    names : sequence of str
        Of the parameters.
    counts : (parameter, chain, bin) array
        Draws of each chain by their rank among those of all chains.
    expected : tuple of float
        How many a bin has on average, and between which numbers 95% of the bins lie.
    title : str
        The title.
    notes : sequence of str
        Sentences of the caption.
    """
    n, chains, bins = counts.shape
    size = (max(4.6, 1.5 * chains + 1.0), 0.6 + ROW * n)
    fig, axes = canvas(n, *size, chains)
    mean, low, high = expected
    top = 1.15 * max(float(counts.max()), high)
    for place, ax in enumerate(axes):
        k, chain = divmod(place, chains)
        ax.axhspan(low, high, color=PALE, linewidth=0, zorder=0)
        ax.stairs(
            counts[k, chain], np.arange(bins + 1) - 0.5, fill=True, color=BLUE, alpha=0.7, zorder=2
        )
        ax.axhline(mean, color=INK, linewidth=1.0, linestyle=(0, (5, 2)), zorder=3)
        ax.set_xlim(-0.6, bins - 0.4)
        ax.set_ylim(0, top)
        ax.set_xticks([])
        ax.set_yticks([])
        ax.spines["left"].set_visible(False)
        if k == 0:
            ax.set_title(f"chain {chain + 1}", fontsize=SMALL, **TEXT)
        if chain == 0:
            _label(ax, names[k], last=False)
    handles = [
        handle("as many as expected", color=INK, linewidth=1.0, linestyle=(0, (5, 2))),
        handle("95% of bars end here, where chains agree", color=PALE, linewidth=6),
    ]
    words = "Rank among the draws of all chains"
    return for_notebooks(surround(fig, size, title, " ".join(notes), handles, x_label=words))


def _label(ax: Axes, name: str, *, last: bool) -> None:
    """Name a parameter at the left, upright."""
    ax.set_ylabel(
        plain(broken(name, 22)), rotation=0, ha="right", va="center", fontsize=SMALL, **TEXT
    )
    ax.tick_params(labelbottom=last, labelsize=SMALL - 1)
    ax.locator_params(axis="y", nbins=3)


def _chain_handles(chains: int) -> list[Line2D]:
    """Name the colours of the chains; more than there are colours are not told apart."""
    if chains > len(COLOURS):
        return []
    return [handle(f"chain {k + 1}", color=COLOURS[k], linewidth=1.6) for k in range(chains)]
