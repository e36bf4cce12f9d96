"""Numbers so large or small that squares of them overflow: refused by the name of their column."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from partialpool.arrays import Array
from partialpool.errors import InputError, short

# Largest magnitudes; their reciprocals are the smallest. Columns are scaled before they are used,
# so they may reach further than what is squared as it is.
_RESPONSE, _COLUMN = 1e60, 1e140


def check_sizes(response: str, y: Array, parts: Sequence[tuple[str, Array]]) -> None:
    """Refuse numbers beyond what can be computed with.

    Parameters
    ----------
    response : str
        What the response is called.
    y : numpy.ndarray
        The response.
    parts : sequence of (name, values)
        Columns of predictors.

    Examples
    --------
    >>> check_sizes("y", np.array([1e100, 0.0]), [])
    Traceback (most recent call last):
    ...
    partialpool.errors.InputError: `y` reaches 1e+100, which is too large to be computed with: \
change its unit.
    """
    for name, values, limit in [(response, y, _RESPONSE), *((n, x, _COLUMN) for n, x in parts)]:
        largest = float(np.abs(values).max(initial=0.0))
        if 0 < largest < 1 / limit or largest > limit:
            verb, word = ("reaches", "large") if largest > 1 else ("reaches only", "small")
            raise InputError(
                f"`{short(name)}` {verb} {largest:.3g}, which is too {word} to be computed with",
                remedy="change its unit",
            )
