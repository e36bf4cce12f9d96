"""Numbers as text: decimals that they deserve, and the minus of print."""

from __future__ import annotations

import math
import re


def number(x: float, sd: float) -> str:
    """Write a number with as many decimals as its sd deserves (two significant digits of it).

    Examples
    --------
    >>> number(1.49213, 0.0529), number(-1234.5, 310.0)
    ('1.492', '-1234')
    """
    return fixed(x, decimals(sd))


def decimals(sd: float) -> int | None:
    """How many decimals a number with this sd deserves; None where there is no sd.

    Examples
    --------
    >>> decimals(0.0529), decimals(310.0), decimals(math.nan)
    (3, 0, None)
    """
    known = math.isfinite(sd) and sd > 0
    return max(0, 1 - math.floor(math.log10(sd))) if known else None


def fixed(x: float, places: int | None) -> str:
    """Write a number with so many decimals, without a word four digits; a dash where there is none.

    Examples
    --------
    >>> fixed(1.49213, 2), fixed(1.49213, None), fixed(math.nan, 2)
    ('1.49', '1.492', '–')
    """
    if not math.isfinite(x):
        return "–" if math.isnan(x) else str(x)
    if places is None:
        return f"{x:.4g}"
    return f"{x:.{places}f}" if places <= 6 and abs(x) < 1e7 else f"{x:.3g}"


def give_or_take(x: float, error: float) -> str:
    """Write a number with its standard error; alone where there is none, as of a single row.

    Examples
    --------
    >>> give_or_take(1.26, 0.5), give_or_take(0.2, math.nan)
    ('1.3 ± 0.5', '0.2')
    """
    return f"{x:.1f} ± {error:.1f}" if math.isfinite(error) else f"{x:.1f}"


def formatted(x: float, form: str) -> str:
    """Write a number in a form of Python's; a dash where there is none.

    Examples
    --------
    >>> formatted(0.12345, ".3f"), formatted(math.nan, ".3f")
    ('0.123', '–')
    """
    return "–" if math.isnan(x) else format(x, form)


def percent(interval: float) -> tuple[str, str]:
    """Head the interval columns: ``2.5%`` and ``97.5%``."""
    tail = 50 * (1 - interval)
    return f"{tail:.3g}%", f"{100 - tail:.3g}%"


def minus(text: str) -> str:
    """Set the signs of negative numbers as print has them; a zero has none.

    Examples
    --------
    >>> minus("-0.5 to 1e-05, a-1, -0.00")
    '−0.5 to 1e−05, a-1, 0.00'
    """
    text = re.sub(r"(?<![\w.)-])-(0(?:\.0+)?)(?![\d.e])", r"\1", text)
    return re.sub(r"(?<![A-Za-df-z0-9_.)-])-(?=[0-9])", "−", text)
