"""Where things stand that would else lie on each other."""

from __future__ import annotations

import numpy as np

from partialpool.arrays import Array

DODGED = 0.7  # how wide the curves of one category stand, of the room that it has


def dodge(curves: int) -> Array:
    """How far aside of its category each curve stands.

    Examples
    --------
    >>> dodge(1).tolist(), dodge(2).round(3).tolist()
    ([0.0], [-0.175, 0.175])
    """
    return (np.arange(curves) - (curves - 1) / 2) * DODGED / curves


def jittered(n: int) -> Array:
    """Places between -1 and 1 that look random and are well spread (multiples of the golden ratio).

    Examples
    --------
    >>> jittered(3).round(2).tolist()
    [0.24, -0.53, 0.71]
    """
    golden = (np.sqrt(5) - 1) / 2
    return np.asarray(2 * ((golden * np.arange(1, n + 1)) % 1.0) - 1)


def spread(values: Array, apart: float) -> Array:
    """Move values as little as it takes to be so far apart, in their order.

    Examples
    --------
    >>> spread(np.array([0.0, 5.0, 0.5]), 1.0).tolist()
    [-0.25, 5.0, 0.75]
    """
    order = np.argsort(values, kind="stable")
    steps = apart * np.arange(len(values))
    # Least squares under order constraints on values without the steps: pool adjacent violators.
    blocks: list[list[float]] = []
    for value in (values[order] - steps).tolist():
        blocks.append([value, 1.0])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (a, n), (b, m) = blocks[-2:]
            blocks[-2:] = [[(a * n + b * m) / (n + m), n + m]]
    placed = np.concatenate([np.full(int(n), value) for value, n in blocks]) + steps
    out = np.empty(len(values))
    out[order] = placed
    return out
