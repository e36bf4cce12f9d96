"""How far the maximum would move, were levels integrated out better.

What Laplace's formula leaves out of the integrals over the levels of a factor, those of all others
being at their mode, is found by quadrature, and so is what few nodes leave out. Its slope by the
parameters over the curvature of the deviance is the step that the maximum would make. With few
yes/no rows a level and large sds that is a long one.
"""

from __future__ import annotations

import math

import numpy as np

from partialpool.arrays import Array, Ints
from partialpool.likelihood.generalised import Generalised
from partialpool.likelihood.maximum import Moved
from partialpool.likelihood.place import Place

# Coefficients a level at most, and nodes for each beyond those that were asked for.
MORE = {1: 10, 2: 4}

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
        more = MORE.get(len(unit))
        if more is None:
            continue
        own = 0.0 if of.quadrature == 1 else place.left_out(k, of.quadrature)
        found.append(place.left_out(k, of.quadrature + more) - own)
    return found


def _farthest(
    of: Generalised, place: Place, along: Array, error: Array, joint: Array
) -> Moved | None:
    """Of population coefficients as written, sds and dispersion, the one that moves by most."""
    ends = (place.whole, place.whole + along)
    found = []
    here, there = map(of.coefficients, ends)
    for one in of.predicted:
        b, moved_b = (one.at.from_working(c[one.place]) for c in (here, there))
        back = one.at.back * of.sizes[one.place]
        errors = np.sqrt(np.diagonal(back @ joint[one.place, one.place] @ back.T))
        shares = np.abs(moved_b - b) / np.maximum(errors, 1e-300)
        found += list(zip(one.labels, b, moved_b, shares * (errors > 0), strict=True))
    shares = np.abs(along) / np.maximum(error, 1e-300) * (error > 0)
    L, moved_L = map(of.factors, ends)
    for at, (k, i, j) in enumerate(of.entries, of.n_c):
        if i == j:
            sds = (float(np.linalg.norm(own[k][i])) for own in (L, moved_L))
            found.append((of.names[at], *sds, shares[at]))
    if not of.thresholds:
        first = of.n_c + len(of.entries)
        aux, moved_aux = (of.aux(v)[0] for v in ends)
        found += list(zip(of.names[first:], aux, moved_aux, shares[first:], strict=True))
    moves = (Moved(label, float(a), float(b), float(share)) for label, a, b, share in found)
    return max(moves, key=lambda move: move.errors, default=None)
