"""What users may say of the sampling, in one list, checked before any data are read."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from typing import Any, Literal, TypedDict

from msgspec import Struct, field

from partialpool import limits
from partialpool.checks import check_choice, check_counts, check_flag, check_interval, check_seed
from partialpool.engine.sample import MAXIMISED, METHODS, Method
from partialpool.engine.sampling import Sampling
from partialpool.errors import InputError, shown

Auto = Literal["auto"]
COUNTS = ("chains", "draws", "warmup", "threads")
MOST_NODES = 100
OF_METROPOLIS = ("proposal_sd", "start")
AUTO: Auto = "auto"
"""Draws in rounds until there are enough effective ones."""


class SamplingOptions(TypedDict, total=False):
    """Options of :func:`partialpool.fit` that are about the engine; None is as if not given.

    But for `start` and `quadrature`, which `fit` alone takes: the poolings of a comparison have
    other parameters, and it has no estimates.
    """

    method: Method
    chains: int | None
    draws: int | Auto | None
    ess: float | None
    warmup: int | None
    seed: int | None
    interval: float
    proposal_sd: float | None
    threads: int | None
    progress: bool | None


class Asked(Struct, frozen=True):
    """What is asked of the engine: which, how it samples, and the mass of the intervals.

    Attributes
    ----------
    ess : float or None
        The effective sample size until which chains go on; None where `draws` were counted.
    quadrature : int
        Nodes a level by which ``method="ml"`` integrates; 1 is Laplace's formula.
    given : mapping
        The options of :func:`partialpool.fit` that say so, as they were given.
    """

    method: str
    interval: float
    sampling: Sampling
    ess: float | None = None
    quadrature: int = 1
    given: Mapping[str, Any] = field(default_factory=dict)

    @property
    def maximises(self) -> bool:
        """Whether nothing is drawn, but the maximum of the likelihood is found."""
        return self.method in MAXIMISED


def asked(method: str = "auto", interval: float = 0.95, **options: Any) -> Asked:
    """Check what was said of the sampling.

    Parameters
    ----------
    method, interval
        As in :func:`partialpool.fit`.
    **options
        The others of `SamplingOptions`, and `start`.

    Raises
    ------
    InputError
        If a value is none that an option can have, or an option has no part in the method.

    Examples
    --------
    >>> asked(chains=2, draws=None).sampling.chains
    2
    """
    check_choice("method", method, METHODS)
    given = {name: value for name, value in options.items() if value is not None}
    counted = {name: given[name] for name in COUNTS if name in given}
    ess = _enough(method, given)
    if isinstance(given.get("draws"), str):
        del counted["draws"]
    check_counts(**counted)
    check_flag("progress", options.get("progress"))
    if method in MAXIMISED:
        for name in (*COUNTS, "ess", "seed", "progress"):
            if name in given:
                raise InputError(
                    f'`{name}` is given with method="{method}", which draws nothing',
                    remedy="leave it out",
                )
    given |= {name: int(value) for name, value in counted.items()}
    as_given = {"method": method, "interval": interval, **given}
    for name in ("draws", "ess") if ess is not None else ():
        given.pop(name, None)
    quadrature = _quadrature(method, given.pop("quadrature", None))
    given["seed"] = check_seed(options.get("seed"))
    for name in OF_METROPOLIS if method != "metropolis" else ():
        if name in given:
            raise InputError(
                f"`{name}` is given", remedy='it belongs to method="metropolis"; leave it out'
            )
    if "proposal_sd" in given and not _is_positive(given["proposal_sd"]):
        raise InputError(
            f"`proposal_sd` is {shown(given['proposal_sd'])}", remedy="give a number above 0"
        )
    given["warmup_given"] = "warmup" in given
    sampling = Sampling(**given)
    return Asked(method, check_interval(interval), sampling, ess, quadrature, as_given)


def _enough(method: str, given: Mapping[str, Any]) -> float | None:
    """Give the effective sample size until which chains go on, if that is asked for.

    Raises
    ------
    InputError
        If it is none, nothing asks for it, or the method draws as many as it is told.
    """
    draws, ess = given.get("draws"), given.get("ess")
    if method in MAXIMISED:
        return None  # it draws nothing, and says so
    if isinstance(draws, str) and draws != AUTO:
        raise InputError(f"`draws` is {shown(draws)}", remedy=f'give a number, or "{AUTO}"')
    if not isinstance(draws, str):
        if ess is not None:
            raise InputError(
                f'`ess` is given without draws="{AUTO}", so that it decides nothing',
                remedy="ask for that, or leave it out",
            )
        return None
    if method == "metropolis":
        raise InputError(
            f'draws="{AUTO}" is given with method="metropolis", which walks as far as it is told',
            remedy="say how many draws, or leave `method` out",
        )
    if ess is not None and not _is_positive(ess):
        raise InputError(f"`ess` is {shown(ess)}", remedy="give a number above 0, such as 400")
    return limits.ESS if ess is None else float(ess)


def _quadrature(method: str, asked: Any) -> int:
    if asked is None:
        return 1
    check_counts(quadrature=asked)
    if method != "ml":
        raise InputError(
            f'`quadrature` is given with method="{method}"',
            remedy='it belongs to method="ml"; leave it out',
        )
    if asked > MOST_NODES:
        raise InputError(
            f"`quadrature` is {shown(asked)}", remedy=f"give a number up to {MOST_NODES}"
        )
    return int(asked)


def _is_positive(value: Any) -> bool:
    real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    return real and math.isfinite(value) and value > 0
