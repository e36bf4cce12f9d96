"""What a user gives as fits → fits by the names that columns have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from partialpool.checks import check_values
from partialpool.errors import InputError
from partialpool.posterior.comparison import Comparison
from partialpool.posterior.estimate import Estimate
from partialpool.posterior.fit import Fit
from partialpool.tables.side import Fitted
from partialpool.words.parameters import POOLING_NAMES


def named(fits: Any, names: Any) -> dict[str, Fitted]:
    """Name fits: as a dict does, as `names` do, or by numbers.

    Raises
    ------
    InputError
        If there are none, they are something else, or names do not tell them apart.
    """
    if isinstance(fits, Fit | Estimate | Comparison):
        fits = [fits]
    if isinstance(fits, Mapping):
        if names is not None:
            raise InputError("`names` is given with a dict, whose keys are names already",
                             remedy="leave it out, or give a list of fits")  # fmt: skip
        pairs = [(str(name), fit) for name, fit in fits.items()]
    else:
        given = _several(fits)
        pairs = list(zip(_names(names, given), given, strict=True))
    if not pairs:
        raise InputError("there is no fit to show", remedy="give one fit or more")
    found: dict[str, Fitted] = {}
    for name, fit in (one for pair in pairs for one in _each(*pair, alone=len(pairs) == 1)):
        if name in found:
            raise InputError(f"two fits are called `{name}`", remedy="give each its own name")
        found[name] = fit
    return found


def _several(fits: Any) -> list[Any]:
    try:
        return check_values("fits", fits)
    except InputError as error:
        remedy = "give a fit, a list of fits, or a dict of them by name"
        raise InputError(error.what, remedy=remedy) from None


def _names(names: Any, fits: list[Any]) -> list[str]:
    if names is None:
        alone = len(fits) == 1 and not isinstance(fits[0], Comparison)
        return ["estimate"] if alone else [f"({k + 1})" for k in range(len(fits))]
    found = [str(name) for name in check_values("names", names)]
    if len(found) != len(fits):
        raise InputError(
            f"`names` has {len(found)} names for {len(fits)} fits", remedy="give one for each"
        )
    return found


def _each(name: str, fit: Any, *, alone: bool) -> Iterator[tuple[str, Fitted]]:
    """Give a fit with its name, or the three of a comparison with theirs."""
    if isinstance(fit, Comparison):
        for pooling, one in fit.fits.items():
            words = POOLING_NAMES[pooling]
            yield words if alone else f"{name} {words}", one
    elif isinstance(fit, Fit | Estimate):
        yield name, fit
    else:
        raise InputError(f"`{name}` is {type(fit).__name__}", remedy="give what pp.fit returned")
