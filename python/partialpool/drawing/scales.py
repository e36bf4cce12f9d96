"""Numbers behind the figure: where levels stand, and which frame holds what matters."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from partialpool.arrays import Array

Limits = tuple[float, float]

FEW = 200  # of so few points a frame keeps more, as each of them matters


def spread_out(n: int, most: int) -> NDArray[np.intp]:
    """At most so many of `n` levels, evenly spread."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).astype(np.intp))


def logarithmic(counts: NDArray[Any]) -> bool:
    """Whether rows need a log scale."""
    return bool(counts.max() >= 20 * max(1, counts.min()))


def positions(counts: NDArray[Any], order: Array) -> Array:
    """Where levels stand by their rows: those with the same number side by side.

    If all have the same number, they stand in the `order` of their no-pooling estimates or truth.

    Examples
    --------
    >>> positions(np.array([4, 2, 4]), np.zeros(3)).round(2).tolist()
    [3.99, 2.0, 4.01]
    """
    at: Array = counts.astype(np.float64)
    if logarithmic(counts):
        at = np.log10(np.maximum(at, 1))
    places, which, size = np.unique(at, return_inverse=True, return_counts=True)
    if len(places) == 1:
        order_rank = np.argsort(np.argsort(order, kind="stable"))
        return at + (order_rank - (len(at) - 1) / 2) / len(at)
    gaps = np.diff(places)
    room = np.minimum(np.append(gaps, np.inf), np.insert(gaps, 0, np.inf))
    step = np.minimum(0.7 * room / np.maximum(1, size - 1), 0.012 * (places[-1] - places[0]))
    rank = np.empty(len(at))
    rank[np.argsort(which, kind="stable")] = np.arange(len(at)) - np.repeat(
        np.cumsum(size) - size, size
    )
    aside: Array = step[which] * (rank - (size[which] - 1) / 2)
    return at + aside


def central(values: Array, mass: float) -> Array:
    """The central part of some values, without those far from the rest.

    Examples
    --------
    >>> central(np.array([1.0, 2.0, 3.0, 4.0, 500.0, np.nan]), 0.98).tolist()
    [1.0, 2.0, 3.0, 4.0]
    """
    values = values[np.isfinite(values)]
    if len(values) == 0:
        return values
    left_out = int((1 - mass) / 2 * len(values))  # on each side; none of a few
    values = np.sort(values)[left_out : len(values) - left_out]
    first, third = np.quantile(values, [0.25, 0.75])
    fence = 3 * (third - first)
    kept = (values >= first - fence) & (values <= third + fence)
    return np.asarray(values[kept])


def frame(must: Array, may: Array) -> Limits:
    """Limits around all of `must` and the central 98% of `may`, and what lies close to these.

    Examples
    --------
    >>> frame(np.array([0.0, 10.0]), np.array([-1.0, 1.0, 3.0, 5.0, 11.0, 500.0]))
    (-1.72, 11.72)
    """
    must, may = must[np.isfinite(must)], may[np.isfinite(may)]
    inner = np.concatenate([must, central(may, 0.98)])
    if len(inner) == 0:
        inner = may if len(may) else np.zeros(1)
    low, high = float(inner.min()), float(inner.max())
    reach = (0.5 if len(may) <= FEW else 0.2) * (high - low)
    near = may[(may >= low - reach) & (may <= high + reach)]
    if len(near):
        low, high = min(low, float(near.min())), max(high, float(near.max()))
    pad = 0.06 * (high - low) or 0.1 * abs(low) or 1.0
    return low - pad, high + pad


def row_ticks(counts: NDArray[Any]) -> list[int]:
    """Whole numbers of rows to mark on the axis.

    Examples
    --------
    >>> row_ticks(np.array([1, 3, 116])), row_ticks(np.array([5, 5])), row_ticks(np.array([2, 9]))
    ([1, 2, 5, 10, 20, 50, 100], [], [2, 4, 6, 8])
    """
    low, high = int(counts.min()), int(counts.max())
    if low == high:
        return []
    if not logarithmic(counts):
        step = next(
            s for p in range(20) for s in (10**p, 2 * 10**p, 5 * 10**p) if high - low <= 6 * s
        )
        return list(range(-(-low // step) * step, high + 1, step))
    ticks = [d * 10**p for p in range(20) for d in (1, 2, 5)]
    ticks = [n for n in ticks if max(1, low) <= n <= high]
    return ticks if len(ticks) <= 8 else [n for n in ticks if str(n)[0] == "1"]
