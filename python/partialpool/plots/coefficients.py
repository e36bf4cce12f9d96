"""Coefficients with their intervals, those of alike size on one axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct

from partialpool.arrays import Array
from partialpool.drawing.canvas import TEXT, canvas, for_notebooks
from partialpool.drawing.frame import handle, surround
from partialpool.drawing.scales import Limits, frame
from partialpool.drawing.style import (
    BLUE,
    GREY,
    INK,
    NORMAL,
    PALE,
    RED,
    plain,
    shorten_all,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

APART = 20.0  # how many times larger than others coefficients on the same axis may be
ROW, AXIS = 0.3, 0.62  # inches: a row, and what an axis takes beside its rows
WIDTH = 6.8
STYLES = ((BLUE, "o"), (RED, "D"), (GREY, "s"))


class Estimates(Struct, frozen=True, eq=False):
    """What a fit says of some parameters: NaN of those that it has not.

    Attributes
    ----------
    name : str
        Of the fit, where there are several.
    mean : (parameter,) array
        Posterior means.
    inner, outer : (parameter, 2) arrays
        50% intervals, and wider ones.
    """

    name: str
    mean: Array
    inner: Array
    outer: Array


class Section(Struct, frozen=True, eq=False):
    """Parameters of one kind.

    Attributes
    ----------
    label : str
        Name of the axis.
    rows : sequence of str
        Names of the parameters.
    estimates : sequence of Estimates
        Of each fit.
    reference : float, optional
        Where no effect is: 0, or of ratios 1, which stand on a log axis.
    """

    label: str
    rows: Sequence[str]
    estimates: Sequence[Estimates]
    reference: float | None = None

    @property
    def ratio(self) -> bool:
        return self.reference == 1.0

    def take(self, at: Sequence[int]) -> Section:
        """Keep some of the rows."""
        picked = [
            Estimates(one.name, one.mean[at], one.inner[at], one.outer[at])
            for one in self.estimates
        ]
        return Section(self.label, [self.rows[k] for k in at], picked, self.reference)


def by_size(section: Section) -> list[Section]:
    """Part a section so that none of its coefficients is lost beside much larger ones.

    Examples
    --------
    >>> mean = np.array([100.0, 0.1, 90.0])
    >>> ends = np.stack([mean, mean], axis=1)
    >>> parts = by_size(Section("", ["a", "b", "c"], [Estimates("", mean, ends, ends)], 0.0))
    >>> [part.rows for part in parts]
    [['a', 'c'], ['b']]
    """
    ends = np.concatenate([np.abs(_scaled(section, one.outer)) for one in section.estimates], 1)
    size = np.nanmax(ends, axis=1)
    groups: list[list[int]] = []
    for k in np.argsort(-size, kind="stable").tolist():
        if groups and size[groups[-1][0]] <= APART * size[k]:
            groups[-1].append(k)
        else:
            groups.append([k])
    return [section.take(sorted(group)) for group in sorted(groups, key=min)]


def _scaled(section: Section, values: Array) -> Array:
    return np.log(values) if section.ratio else values


def coefficients(
    sections: Sequence[Section],
    *,
    interval: float,
    title: str,
    notes: Sequence[str] = (),
) -> Figure:
    """Draw parameters with 50% and wider intervals, kinds and sizes apart.

    Parameters
    ----------
    sections : sequence of Section
        Parameters of one kind each, with the same fits.
    interval : float
        Mass of the wider intervals.
    title : str
        The title.
    notes : sequence of str
        Sentences of the caption.
    """
    parts: list[Section] = []
    words = list(notes)
    for section in sections:
        own = by_size(section) if section.reference is not None else [section]
        parts += own
        if len(own) > 1:
            words.append("Coefficients of very different size stand on axes of their own.")
    fits = sections[0].estimates
    row = ROW * max(1.0, 0.55 * len(fits))
    tall = [AXIS + row * len(part.rows) for part in parts]
    fig, axes = canvas(len(parts), WIDTH, sum(tall), heights=tall)
    beyond = sum(_draw(ax, part) for ax, part in zip(axes, parts, strict=True))
    if beyond:
        words.append(f"{beyond} interval{'s' * (beyond > 1)} reach beyond the frame.")
    handles = []
    for one, (colour, marker) in zip(fits, STYLES, strict=False):
        name = one.name or "posterior mean"
        handles.append(handle(name, color=colour, marker=marker, markersize=6, linestyle="none"))
    colour = BLUE if len(fits) == 1 else INK
    handles.append(handle("50% interval", color=colour, linewidth=4))
    handles.append(handle(f"{100 * interval:g}% interval", color=colour, linewidth=1.4))
    return for_notebooks(surround(fig, (WIDTH, sum(tall)), title, " ".join(words), handles))


def _draw(ax: Axes, part: Section) -> int:
    """Draw one axis, and return how many intervals reach beyond it."""
    n, fits = len(part.rows), part.estimates
    at = np.arange(n)[::-1].astype(float)
    left, right = _limits(part)
    if part.ratio:
        ax.set_xscale("log")
    ax.set_xlim(left, right)
    ax.set_ylim(-0.6, n - 0.4)
    beyond = 0
    for k, (one, (colour, marker)) in enumerate(zip(fits, STYLES, strict=False)):
        y = at + (0.0 if len(fits) == 1 else 0.25 * ((len(fits) - 1) / 2 - k))
        ax.hlines(y, *one.outer.T, color=colour, linewidth=1.4, zorder=3)
        ax.hlines(y, *one.inner.T, color=colour, linewidth=4, zorder=3)
        ax.plot(
            one.mean,
            y,
            marker,
            color=colour,
            markersize=7 if len(fits) == 1 else 5.5,
            markeredgecolor="white",
            zorder=4,
        )
        beyond += int(np.sum((one.outer[:, 0] < left) | (one.outer[:, 1] > right)))
    if part.reference is not None and left <= part.reference <= right:
        ax.axvline(part.reference, color=INK, linewidth=1.0, linestyle=(0, (5, 2)), zorder=2)
    _ticks(ax, part, (left, right))
    ax.set_yticks(at, [plain(row) for row in shorten_all(part.rows, 34)])
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.grid(True, axis="x", color=PALE, linewidth=0.6)
    ax.set_xlabel(plain(part.label), fontsize=NORMAL, **TEXT)
    return beyond


def _limits(part: Section) -> Limits:
    """A frame around all intervals but wild ones, and around the reference."""
    means, ends = (
        np.concatenate([_scaled(part, getattr(one, name)).ravel() for one in part.estimates])
        for name in ("mean", "outer")
    )
    at = [] if part.reference is None else [math.log(part.reference) if part.ratio else 0.0]
    left, right = frame(np.concatenate([means, at]), ends)
    return (math.exp(left), math.exp(right)) if part.ratio else (left, right)


def _ticks(ax: Axes, part: Section, limits: Limits) -> None:
    from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

    if not part.ratio:
        ax.locator_params(axis="x", nbins=7)
        return
    ticks = ratio_ticks(*limits)
    ax.xaxis.set_major_locator(FixedLocator(ticks))
    ax.xaxis.set_major_formatter(FixedFormatter([f"{tick:g}" for tick in ticks]))
    ax.xaxis.set_minor_locator(NullLocator())


def ratio_ticks(low: float, high: float) -> list[float]:
    """Ratios to mark on a log axis.

    Examples
    --------
    >>> ratio_ticks(0.4, 12.0)
    [0.5, 1.0, 2.0, 5.0, 10.0]
    >>> ratio_ticks(0.93, 1.12)
    [0.95, 1.0, 1.05, 1.1]
    """
    if high / low < 8:
        gap = (high - low) / 4
        power = 10.0 ** math.floor(math.log10(gap))
        step = next(m * power for m in (1, 2, 5, 10) if m * power >= gap * 0.99)
        first, last = math.ceil(low / step), math.floor(high / step)
        return [float(f"{k * step:.6g}") for k in range(first, last + 1)]
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    steps = (1, 2, 5) if last - first <= 3 else (1,)
    every = max(1, (last - first) // 7) if len(steps) == 1 else 1
    found = [float(f"{m}e{p}") for p in range(first, last + 1) if p % every == 0 for m in steps]
    return [tick for tick in found if low <= tick <= high]
