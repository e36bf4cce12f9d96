"""What a user asked of `fit`, kept with what was found, so that it can be asked again."""

from __future__ import annotations

import numbers
from collections.abc import Mapping
from enum import Enum
from typing import Any

from msgspec import Struct

from partialpool.design.roles import ROLES


class Kept(Enum):
    """What stands for a value that is not kept itself."""

    ROWS = "one value a row"  # which the fitted rows have
    NOTHING = "a function"  # in a file


class Request(Struct, frozen=True):
    """A formula, and the options that were given with it.

    Attributes
    ----------
    options : mapping
        As in :func:`partialpool.fit`, by name; those that were not given are left out. Roles that
        were given as one value a row are `Kept.ROWS`.
    """

    formula: str
    options: Mapping[str, Any]


def requested(formula: str, options: Mapping[str, Any]) -> Request:
    """Keep what was asked, without what holds a value for every row.

    Examples
    --------
    >>> requested("y ~ x", {"weights": [1, 2], "seed": None, "draws": 500}).options
    {'weights': <Kept.ROWS: 'one value a row'>, 'draws': 500}
    """
    kept = {
        name: dict(value) if isinstance(value, Mapping) else value
        for name, value in options.items()
        if value is not None
    }
    for role in ROLES:
        if role in kept and not isinstance(kept[role], (str, numbers.Real)):
            kept[role] = Kept.ROWS
    return Request(formula, kept)
