"""A minimum of a smooth function whose slope is known: a quasi-Newton method (BFGS).

For criteria of several factors, whose values cost much and whose second derivatives are not known.
It trusts no curvature that updates have built up: where that promises nothing more, the curvature
is taken from differences of slopes, and the search ends only where that promises nothing either.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

import numpy as np
from msgspec import Struct

from partialpool.arrays import Array

MAX_STEPS = 200

# Decrease that a further step would bring: below, the point is the minimum to the last digits.
CONVERGED = 1e-11

# Step of differences of slopes, in units of the distance over which the function changes by one.
STEP = 1e-4


class Place(Protocol):
    """The function at one point."""

    @property
    def value(self) -> float:
        """What is to be small."""

    @property
    def by_entries(self) -> Array:
        """Its slope."""


P = TypeVar("P", bound=Place)


class Minimum(Generic[P], Struct, frozen=True):
    """Where a search ended.

    Attributes
    ----------
    v : (m,) array
        The point.
    place : Place
        The function there.
    steps : int
        Steps that it took.
    gain : float
        What another is expected to gain.
    curvature : (m, m) array
        Second derivatives, approximately.
    measured : (m, m) array or None
        The same from differences of slopes, taken so near that another step would gain nothing to
        speak of.
    """

    v: Array
    place: P
    steps: int
    gain: float
    curvature: Array
    measured: Array | None = None


def minimise(
    at: Callable[[Array], P],
    v: Array,
    curvature: Array,
    *,
    noise: float,
    reach: float = np.inf,
    place: P | None = None,
    verify: bool = True,
) -> Minimum[P]:
    """Descend from a point.

    Parameters
    ----------
    at : callable
        The function.
    v, curvature : arrays
        Where to start, and a guess of the second derivatives there.
    noise : float
        Rounding error of values.
    reach : float
        Largest number in `v` beyond which there is no minimum.
    place : optional
        The function at `v`, where it is known.
    verify : bool
        Whether the last step needs curvature from differences. Else the guess should have it.
    """
    place = at(v) if place is None else place
    checked, enough = False, CONVERGED if verify else 1e2 * CONVERGED
    measured = None
    for step in range(MAX_STEPS):
        slope = place.by_entries
        move, gain = newton(slope, curvature)
        if verify and gain < 1e3 * CONVERGED and not checked:
            curvature, checked = by_differences(at, v, place, curvature), True
            measured = curvature
            move, gain = newton(slope, curvature)
        if gain < enough or float(np.abs(v).max(initial=0.0)) > reach:
            last = at(v + move)
            if last.value <= place.value + noise:
                v, place = v + move, last
            return Minimum(v, place, step, gain, curvature, measured)
        length = float(np.linalg.norm(move))
        share = min(1.0, 2 * max(1.0, float(np.linalg.norm(v))) / length)
        for _ in range(30):
            there = at(v + share * move)
            fall = place.value - there.value
            if fall >= 1e-4 * share * gain - noise:
                break
            # The minimum of the parabola through both values and the slope.
            low = 0.5 * share * gain / (share * gain + max(-fall, 0.0) + 1e-300)
            share *= min(max(low, 0.1), 0.5) if np.isfinite(there.value) else 0.1
        else:
            if checked:
                return Minimum(v, place, step, gain, curvature, measured)
            curvature, checked = by_differences(at, v, place, curvature), True
            continue
        curvature = updated(curvature, share * move, there.by_entries - slope)
        # A step within the reach of checked curvature is Newton's, and needs no other check.
        checked = checked and gain < 1e3 * CONVERGED
        measured = measured if checked else None
        v, place = v + share * move, there
    return Minimum(v, place, MAX_STEPS, gain, curvature)


def newton(slope: Array, curvature: Array) -> tuple[Array, float]:
    """Step of Newton's method, against the slope wherever the curvature is negative; its gain."""
    if not len(slope):
        return slope, 0.0
    values, vectors = np.linalg.eigh(curvature)
    along = vectors.T @ slope
    values = np.maximum(np.abs(values), 1e-12 * float(np.abs(values).max()) + 1e-300)
    return -vectors @ (along / values), float(np.sum(along**2 / values))


def updated(curvature: Array, step: Array, change: Array) -> Array:
    """Curvature that has met a change of slope along a step (BFGS, damped as by Powell)."""
    along = curvature @ step
    size, met = float(step @ along), float(step @ change)
    if not size > 0 or not np.isfinite(change).all():
        return curvature
    if met < 0.1 * size:
        share = 0.9 * size / (size - met)
        change = share * change + (1 - share) * along
        met = float(step @ change)
    found: Array = curvature - np.outer(along, along) / size + np.outer(change, change) / met
    return found


def by_differences(at: Callable[[Array], P], v: Array, place: P, curvature: Array) -> Array:
    """Second derivatives from slopes at points around, whose distance a guess of them gives."""
    found = np.empty_like(curvature)
    for k, size in enumerate(np.abs(np.diagonal(curvature))):
        h = STEP / max(np.sqrt(size), 1e-8)
        moved = v.copy()
        moved[k] += h
        found[k] = (at(moved).by_entries - place.by_entries) / h
    return (found + found.T) / 2
