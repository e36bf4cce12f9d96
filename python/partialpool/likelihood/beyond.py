"""How far the maximum by Laplace's formula is from that of the likelihood itself, nearly.

What the formula leaves out of the integrals over the levels of a factor, those of all others being
at their mode, is found by quadrature. Its slope by the parameters over the curvature of the
deviance is the step that the maximum would make. With few yes/no rows a level and large sds that is
a long one.
"""

from __future__ import annotations

import math

import numpy as np

from partialpool.arrays import Array, Ints
from partialpool.likelihood.generalised import Generalised
from partialpool.likelihood.maximum import Moved
from partialpool.likelihood.place import Place

# Coefficients a level at most, and nodes for each.
NODES = {1: 11, 2: 5}

# Deviance that is left out, below which no parameter would move.
NOTHING = 0.1

# Shares of a long step, of which the best is taken.
SHARES = (1.0, 0.5, 0.25, 0.125)

# Step of differences, in distances over which the deviance changes by one.
STEP = 0.1


def moved(of: Generalised, place: Place, free: Ints, hessian: Array) -> Moved | None:
    """Tell which parameter would move by most, if any.

    Parameters
    ----------
    place : Place
        The maximum by Laplace's formula.
    free, hessian : arrays
        Coordinates that may move, and second derivatives of the deviance by them.
    """
    if of.quadrature > 1:
        return None
    here = _left_out(of, place)
    if not sum(map(abs, here)) > NOTHING:
        return None
    inverse = np.asarray(np.linalg.pinv(hessian, hermitian=True), dtype=np.float64)
    steps = STEP / np.sqrt(np.maximum(np.diagonal(hessian), 1e-300))
    slope = np.empty(len(free))
    for k, step in enumerate(steps):
        v = place.whole.copy()
        v[free[k]] += step
        slope[k] = (sum(_left_out(of, Place(place.search, v))) - sum(here)) / step
    if not np.isfinite(slope).all():
        return None
    along, error = np.zeros((2, len(place.whole)))
    along[free] = -inverse @ slope
    error[free] = np.sqrt(np.maximum(2 * np.diagonal(inverse), 0.0))
    if (np.abs(along) > error).any():  # too far for one step
        along *= min(SHARES, key=lambda share: _total(of, place, place.whole + share * along))
    joint = np.zeros((len(along),) * 2)
    joint[np.ix_(free, free)] = 2 * inverse
    return _farthest(of, place, along, error, joint)


def _total(of: Generalised, place: Place, v: Array) -> float:
    there = Place(place.search, v)
    total = there.value + sum(_left_out(of, there))
    return total if math.isfinite(total) else math.inf


def _left_out(of: Generalised, place: Place) -> list[float]:
    """Deviance that is left out, of each factor with few coefficients a level."""
    found = []
    for k, unit in enumerate(of.units):
        n = NODES.get(len(unit))
        if n is None:
            continue
        nodes, weights = (own.tolist() for own in np.polynomial.hermite.hermgauss(n))
        own = None
        if place.mode is not None:
            own = of.core.left_out(mode=place.mode, factor=k, nodes=nodes, weights=weights)
        found.append(math.nan if own is None else -2 * float(own))
    return found


def _farthest(
    of: Generalised, place: Place, along: Array, error: Array, joint: Array
) -> Moved | None:
    """Of population coefficients as written, sds and dispersion."""
    found = []
    here, there = of.coefficients(place.whole), of.coefficients(place.whole + along)
    for one in of.predicted:
        ends = [one.at.from_working(c[one.place]) for c in (here, there)]
        back = one.at.back * of.sizes[one.place]
        errors = np.sqrt(np.diagonal(back @ joint[one.place, one.place] @ back.T))
        found += list(zip(one.labels, *ends, errors, strict=True))
    sds = [
        [np.linalg.norm(L, axis=1) for L in of.factors(v)]
        for v in (place.whole, place.whole + along)
    ]
    for at, (k, i, j) in enumerate(of.entries, of.n_c):
        if i == j and error[at] > 0:
            ends = [own[k][i] for own in sds]
            own = abs(ends[1] - ends[0]) / (abs(along[at]) / error[at] + 1e-300)
            found.append((of.model.groups[k].sd_labels[i], *ends, own))
    shifts = [
        Moved(label, float(a), float(b), float(abs(b - a) / e)) for label, a, b, e in found if e > 0
    ]
    return max(shifts, key=lambda shift: shift.errors, default=None)
