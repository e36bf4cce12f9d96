"""Draws of correlation matrices from an LKJ prior."""

from __future__ import annotations

import numpy as np

from partialpool.arrays import Array


def lkj_roots(rng: np.random.Generator, eta: float, size: int, draws: int) -> Array:
    """Cholesky factors of correlation matrices with an LKJ prior: (draw, size, size).

    Canonical partial correlations are independent and beta-distributed (Lewandowski, Kurowicka &
    Joe 2009).

    Examples
    --------
    >>> L = lkj_roots(np.random.default_rng(1), 2.0, 3, 4)
    >>> bool(np.allclose(np.sum(L**2, axis=2), 1))
    True
    """
    root = np.zeros((draws, size, size))
    root[:, 0, 0] = 1.0
    for i in range(1, size):
        left = np.ones(draws)
        for k in range(i):
            shape = eta + (size - 2 - k) / 2
            partial = 2 * rng.beta(shape, shape, draws) - 1
            root[:, i, k] = partial * np.sqrt(left)
            left = left * (1 - partial**2)
        root[:, i, i] = np.sqrt(left)
    return root
