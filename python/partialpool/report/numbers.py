"""Numbers as the page writes them: as many decimals as their uncertainty deserves."""

from __future__ import annotations

import math
from typing import Any

from partialpool.arrays import Array, mean_of, quantiles, tails
from partialpool.numerals import decimals, minus

DIGITS = 5  # of numbers that figures are drawn from


def decimals_of(width: float) -> int:
    """Give the decimals that an interval of this width deserves: two digits of its half.

    Examples
    --------
    >>> decimals_of(0.6), decimals_of(120.0), decimals_of(float("nan"))
    (2, 0, 3)
    """
    known = decimals(width / 2)
    return 3 if known is None else min(6, known)


def rounded(x: float, places: int) -> str:
    """Write a number with so many decimals; a huge one by its power of ten.

    Examples
    --------
    >>> rounded(-0.5, 2), rounded(-0.001, 2), rounded(1e9, 0)
    ('−0.50', '0.00', '1e+09')
    """
    return minus(f"{x:.{places}f}" if abs(x) < 1e8 else f"{x:.3g}")


def between(low: float, high: float, places: int | None = None) -> str:
    """Write an interval.

    Examples
    --------
    >>> between(-0.5, 0.25)
    '−0.50 to 0.25'
    """
    places = decimals_of(high - low) if places is None else places
    return f"{rounded(low, places)} to {rounded(high, places)}"


def estimate_text(mean: float, low: float, high: float) -> str:
    """Write an estimate with its interval.

    Examples
    --------
    >>> estimate_text(1.23456, 0.9, 1.5), estimate_text(3.29, 3.29, 3.29)
    ('1.23 (0.90 to 1.50)', '3.29')
    >>> estimate_text(float("nan"), 0, 0)
    'not estimable'
    """
    if not math.isfinite(mean):
        return "not estimable"
    if low == high:
        return value_text(mean)
    return f"{rounded(mean, decimals_of(high - low))} ({between(low, high)})"


def value_text(value: float) -> str:
    """Write a value of a predictor: three digits, or all those before the point.

    Examples
    --------
    >>> value_text(0.61312), value_text(2011.0), value_text(-2.0)
    ('0.613', '2011', '−2')
    """
    return minus(f"{value:.3g}" if abs(value) < 1000 else f"{value:.6g}")


def short(value: Any) -> float | None:
    """Round a number to the digits that a figure shows; None where there is none."""
    number = float(value)
    return float(f"{number:.{DIGITS}g}") if math.isfinite(number) else None


def mean_and_ends(draws: Array, interval: float) -> tuple[float, float, float]:
    """Mean of draws, and the ends of their equal-tailed interval."""
    low, high = quantiles(draws, tails(interval))
    return float(mean_of(draws)), float(low), float(high)
