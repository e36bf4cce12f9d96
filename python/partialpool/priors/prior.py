"""What a prior is: where it has mass, its density in the core, draws from it, and how it reads."""

from __future__ import annotations

import math
from numbers import Real

import numpy as np
from msgspec import Struct
from msgspec.structs import asdict, astuple, force_setattr

from partialpool.arrays import Array
from partialpool.errors import InputError, shown

Kernel = tuple[str, list[float]]


class Prior(Struct, frozen=True):
    """Base class of all priors."""

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            what = f"`{name}` of {type(self).__name__} is "
            if isinstance(value, bool) or not isinstance(value, Real):
                raise InputError(what + shown(value), remedy="give a number")
            try:
                number = float(value)
            except OverflowError:
                number = math.inf
            what += f"{number:g}"
            force_setattr(self, name, number)
            if not math.isfinite(number):
                raise InputError(what, remedy="give a finite number")
            if name in _POSITIVE and number <= 0:
                raise InputError(what, remedy="it must be above 0")
            low, high = _POSSIBLE if name in _POSITIVE else (0.0, _POSSIBLE[1])
            if name == "mu":  # a logarithm
                high = math.log(high)
            if not low <= abs(number) <= high:
                raise InputError(what, remedy="no quantity is that large or small; check the unit")
        width = {"mean": "sd", "loc": "scale"}
        for centre, own in width.items():
            if hasattr(self, centre) and getattr(self, own) < 1e-18 * abs(getattr(self, centre)):
                raise InputError(
                    f"`{own}` of {self} is smaller than what numbers near its centre can differ by",
                    remedy="give a larger one",
                )

    @property
    def support(self) -> tuple[float, float]:
        """Lowest and highest value with mass."""
        return (-math.inf, math.inf)

    def kernel(self) -> Kernel:
        """Name and numbers of the density in the core."""
        raise NotImplementedError

    @property
    def typical(self) -> tuple[float, float]:
        """A central value and a typical deviation, to start chains from."""
        raise NotImplementedError

    def _draw(self, rng: np.random.Generator, size: int) -> Array:
        """Draws from the density before any cut."""
        raise InputError(
            f"{self} is improper", remedy="nothing can be drawn from it; use a proper prior"
        )

    def draw(
        self,
        rng: np.random.Generator,
        size: int,
        low: float = -math.inf,
        high: float = math.inf,
    ) -> Array:
        """Independent draws from the prior, restricted to its support and [low, high].

        Raises
        ------
        InputError
            If the prior is improper, or has almost no mass within the bounds.

        Examples
        --------
        >>> from partialpool.priors import Normal
        >>> x = Normal(0, 1).draw(np.random.default_rng(1), 100, low=0)
        >>> bool(x.min() > 0), len(x)
        (True, 100)
        """
        low, high = max(low, self.support[0]), min(high, self.support[1])
        kept = np.empty(0)
        for _ in range(1000):
            with np.errstate(all="ignore"):
                x = self._draw(rng, 2 * size)
            # Those beyond all floating-point numbers come from tails that nothing bounds.
            kept = np.concatenate([kept, x[(x >= low) & (x <= high) & np.isfinite(x)]])
            if len(kept) >= size:
                return kept[:size]
        raise InputError(f"{self} has almost no mass between {low:g} and {high:g}")

    def reaches(self, low: float, high: float) -> bool:
        """Tell whether it has mass within bounds: one draw in a million at least.

        Examples
        --------
        >>> from partialpool.priors import Normal
        >>> Normal(3, 1).reaches(0, 1), Normal(5, 0.1).reaches(0, 1)
        (True, False)
        """
        rng = np.random.default_rng(0)
        with np.errstate(all="ignore"):
            parts = (self._draw(rng, 20_000) for _ in range(100))
            return any(bool(((x >= low) & (x <= high)).any()) for x in parts)

    def __str__(self) -> str:
        numbers = ", ".join(f"{number:.4g}" for number in astuple(self))
        return f"{type(self).__name__.removesuffix('AtMean')}({numbers})"


_POSITIVE = {"sd", "scale", "rate", "shape", "df", "eta"}
_POSSIBLE = (1e-150, 1e150)
"""Smallest and largest numbers of a prior; their squares are finite."""


def log_density(prior: Prior, x: Array) -> Array:
    """Log density of a prior, up to a constant, where it has mass.

    A half or truncated prior differs from the whole one by a constant there.

    Examples
    --------
    >>> from partialpool.priors import HalfNormal
    >>> log_density(HalfNormal(2), np.array([0.0, 2.0]))
    array([-0. , -0.5])
    """
    kind, numbers = prior.kernel()
    if kind == "flat":
        return np.zeros_like(x)
    if kind == "normal":
        mean, sd = numbers
        return np.asarray(-0.5 * ((x - mean) / sd) ** 2)
    if kind == "student_t":
        df, loc, scale = numbers
        return np.asarray(-0.5 * (df + 1) * np.log1p(((x - loc) / scale) ** 2 / df))
    if kind == "gamma":
        shape, rate = numbers
        # The exponential is finite at 0, where 0 · log 0 would not be.
        return np.asarray((0.0 if shape == 1 else (shape - 1) * np.log(x)) - rate * x)
    if kind == "inverse_gamma":
        shape, scale = numbers
        return np.asarray(-(shape + 1) * np.log(x) - scale / x)
    assert kind == "log_normal"
    mu, sd = numbers
    return np.asarray(-np.log(x) - 0.5 * ((np.log(x) - mu) / sd) ** 2)


def has_mass_at_zero(prior: Prior) -> bool:
    """Whether the density at 0 is finite and positive."""
    name, numbers = prior.kernel()
    return name in ("flat", "normal", "student_t") or (name == "gamma" and numbers[0] == 1.0)


def vanishes_at_zero(prior: Prior) -> bool:
    """Whether the density goes to 0 there faster than any power."""
    return prior.kernel()[0] in ("inverse_gamma", "log_normal")
