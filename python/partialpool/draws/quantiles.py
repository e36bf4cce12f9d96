"""Draws of rows → mean, sd and interval of each."""

from __future__ import annotations

import os

import numpy as np

from partialpool import _core
from partialpool.arrays import Array, tails


def summarise_rows(values: Array, interval: float, threads: int | None = None) -> Array:
    """Mean, sd, lower and upper over the draws of every row: (row, 4).

    Examples
    --------
    >>> summarise_rows(np.array([[1.0, 2.0, 3.0]]), 0.5)
    array([[2. , 1. , 1.5, 2.5]])
    """
    return _core.draw_summary(
        draws=np.ascontiguousarray(values),
        probabilities=tails(interval),
        threads=threads or os.cpu_count() or 1,
    )
