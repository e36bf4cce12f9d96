"""Quantile residuals that are not those of the model: in all, and single ones far out."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from partialpool import limits
from partialpool.arrays import Array, Ints
from partialpool.families import Family
from partialpool.finding import Finding

SHOWN = 5
LOOK = (
    "Plot residuals against predictors and fitted values: add what is missing there, or choose "
    "another family."
)


def residual_findings(
    response: str, family: Family, residual: Array, rows: Ints
) -> Iterator[Finding]:
    """Find residuals that are not standard normal.

    Parameters
    ----------
    response : str
        What the formula calls it.
    residual : (row,) array
        Quantile residuals; NaN where a row has none.
    rows : (row,) array of int
        What the rows are called.
    """
    from scipy.special import ndtr

    known = ~np.isnan(residual)
    z, rows = residual[known], rows[known]
    n = len(z)
    if n == 0:
        return
    if uniformity(ndtr(z)) < limits.RESIDUALS_UNIFORM:
        middle, high, far = (
            f"{np.mean(one):.0%}" for one in (np.abs(z) < 0.6745, z > 0, np.abs(z) > 1.96)
        )
        yield Finding(
            "residuals-not-uniform",
            "warning",
            f"`{response}` does not scatter as the model expects of a row from all others: "
            f"{middle} of {n} responses lie in the middle half of what it expects, {high} above "
            f"its middle and {far} outside of its 95%.",
            family.remedies.get("spread", LOOK),
        )
    # The chance that any of so many rows is as far out.
    out = np.flatnonzero(2 * n * ndtr(-np.abs(z)) < limits.OUTLIER)
    if len(out):
        first = out[np.argsort(-np.abs(z[out]), kind="stable")][:SHOWN]
        named = ", ".join(f"{rows[k]} (residual {z[k]:.1f})" for k in first)
        more = f" and {len(out) - SHOWN} more" if len(out) > SHOWN else ""
        several = len(out) > 1
        yield Finding(
            "outliers",
            "warning",
            f"{len(out)} response{'s lie' if several else ' lies'} further out than the model "
            f"expects of any in {n} rows: row{'s' * several} {named}{more}, counted from 0.",
            f"Look at these rows. If they are right: {family.remedies.get('spread', LOOK)}",
        )


def uniformity(pit: Array) -> float:
    """Give the chance that so many uniform numbers lie further from evenly spread than these.

    Kolmogorov's test with Stephens' (1970) correction for few. Those of a fitted model lie closer:
    its parameters have been drawn towards them.

    Examples
    --------
    >>> round(uniformity((np.arange(50) + 0.5) / 50), 3), uniformity(np.linspace(0, 0.5, 50)) < 1e-9
    (1.0, True)
    """
    from scipy.special import kolmogorov

    ordered, n = np.sort(pit), len(pit)
    steps = np.arange(n + 1) / n
    gap = max(float(np.max(steps[1:] - ordered)), float(np.max(ordered - steps[:-1])))
    root = np.sqrt(n)
    return float(kolmogorov(gap * (root + 0.12 + 0.11 / root)))
