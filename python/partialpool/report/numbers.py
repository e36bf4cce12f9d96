"""Numbers as the page writes them: as many decimals as their uncertainty deserves."""

from __future__ import annotations

import math
import re
from typing import Any

from partialpool.arrays import Array, mean_of, quantiles, tails

DIGITS = 5  # of numbers that figures are drawn from


def minus(text: str) -> str:
    """Set the signs of negative numbers as print has them; a zero has none.

    Examples
    --------
    >>> minus("-0.5 to 1e-05, a-1, -0.00")
    '−0.5 to 1e−05, a-1, 0.00'
    """
    text = re.sub(r"(?<![\w.)-])-(0(?:\.0+)?)(?![\d.e])", r"\1", text)
    return re.sub(r"(?<![A-Za-df-z0-9_.)-])-(?=[0-9])", "−", text)


def decimals_of(width: float) -> int:
    """Give the decimals that an interval of this width deserves: two digits of its half.

    Examples
    --------
    >>> decimals_of(0.6), decimals_of(120.0), decimals_of(float("nan"))
    (2, 0, 3)
    """
    if not (math.isfinite(width) and width > 0):
        return 3
    return min(6, max(0, 1 - math.floor(math.log10(width / 2))))


def rounded(x: float, decimals: int) -> str:
    """Write a number with so many decimals; a huge one by its power of ten.

    Examples
    --------
    >>> rounded(-0.5, 2), rounded(-0.001, 2), rounded(1e9, 0)
    ('−0.50', '0.00', '1e+09')
    """
    return minus(f"{x:.{decimals}f}" if abs(x) < 1e8 else f"{x:.3g}")


def between(low: float, high: float, decimals: int | None = None) -> str:
    """Write an interval.

    Examples
    --------
    >>> between(-0.5, 0.25)
    '−0.50 to 0.25'
    """
    decimals = decimals_of(high - low) if decimals is None else decimals
    return f"{rounded(low, decimals)} to {rounded(high, decimals)}"


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
