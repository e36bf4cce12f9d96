"""Numbers so large or small that squares of them overflow: refused by the name of their column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from partialpool.errors import InputError, short

from .design import Floats

# Largest magnitudes; their reciprocals are the smallest. Columns are scaled before they are used,
# so they may reach further than what is squared as it is.
_RESPONSE, _ROLE, _COLUMN = 1e60, 1e60, 1e140


def check_sizes(
    response: str, y: Floats, roles: Mapping[str, Floats], parts: Sequence[tuple[str, Floats]]
) -> None:
    """Refuse numbers beyond what can be computed with.

    Parameters
    ----------
    response : str
        What the response is called.
    y : numpy.ndarray
        The response.
    roles : mapping of str to numpy.ndarray
        Weights, errors and the like.
    parts : sequence of (name, values)
        Columns of predictors.

    Examples
    --------
    >>> check_sizes("y", np.array([1e100, 0.0]), {}, [])
    Traceback (most recent call last):
    ...
    partialpool.errors.InputError: `y` reaches 1e+100, which is too large to be computed with: \
change its unit.
    """
    _check(response, y, _RESPONSE, spread=False)
    for role, values in roles.items():
        if role == "offset":  # in which small numbers are as good as none
            values = np.where(np.abs(values) < 1, 0.0, values)
        _check(role, values, _ROLE, spread=role != "offset")
    for name, values in parts:
        _check(name, values, _COLUMN, spread=False)


def _check(name: str, values: Floats, limit: float, *, spread: bool) -> None:
    sizes = np.abs(values)
    largest = float(sizes.max(initial=0.0))
    smallest = float(sizes.min(initial=np.inf)) if spread else largest
    if largest > limit:
        size, word = largest, "large"
    elif 0 < smallest < 1 / limit:
        size, word = smallest, "small"
    else:
        return
    verb = "reaches" if word == "large" or spread else "reaches only"
    raise InputError(
        f"`{short(name)}` {verb} {size:.3g}, which is too {word} to be computed with",
        remedy="change its unit",
    )
