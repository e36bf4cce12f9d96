"""The maximum of a likelihood that is nearly integrated: search, exact zeros, the user's scale."""

from __future__ import annotations

import math

import numpy as np
from msgspec.structs import replace

from partialpool import called
from partialpool.arrays import Array, Ints
from partialpool.errors import EngineError
from partialpool.likelihood.beyond import moved
from partialpool.likelihood.descent import CONVERGED, Minimum, by_differences, minimise
from partialpool.likelihood.generalised import Generalised, Predicted
from partialpool.likelihood.maximum import GroupMaximum, Maximum, correlation
from partialpool.likelihood.place import Place, Searched

# An sd below this share of where the search started is held against 0.
SMALL = 0.05

# Of the deviance: what counts as the same.
SAME = 1e-6

# Curvature of the deviance, in units in which every parameter's own is 1, below which it is flat.
FLAT = 1e-6

# Standard error of the logarithm or logit of a dispersion parameter above which its values are all
# alike on one side.
EDGE = 4.0

_SAMPLE = "leave `method` out to sample the posterior"
_NOWHERE = f"the likelihood cannot be computed where the search has led; {_SAMPLE}"

# Share of a flat direction that makes a parameter one that is not determined.
PART = 0.3


def maximise_generalised(of: Generalised) -> Maximum:
    """Find the maximum of a likelihood.

    Raises
    ------
    EngineError
        If the likelihood cannot be computed where the search begins.
    """
    try:
        found, steps = _climbed(of)
    except np.linalg.LinAlgError:
        raise EngineError(_NOWHERE) from None
    return _result(of, found, steps)


def _climbed(of: Generalised) -> tuple[Minimum[Place], int]:
    free = np.arange(len(of.start))
    found = _search(of, of.start, free)
    steps = found.steps
    for _ in range(2 * len(of.entries)):
        held = _held_at_zero(of, found)
        if held is None:
            break
        found = _search(of, held.place.whole, _free_of(of, held.place.whole))
        steps += found.steps
    return found, steps


def _search(of: Generalised, start: Array, free: Ints) -> Minimum[Place]:
    search = Searched(of, free, start)
    place = search.at(start[free])
    if not (math.isfinite(place.value) and np.isfinite(place.by_entries).all()):
        raise EngineError(
            "the likelihood cannot be computed where the search begins: the coefficients of the "
            f"levels have no mode there; {_SAMPLE}"
        )
    guess = np.diag(np.maximum(np.abs(place.by_entries), 1.0))
    around = by_differences(search.at, start[free], place, guess)
    values, vectors = np.linalg.eigh(around if np.isfinite(around).all() else guess)
    # Updates keep positive what is positive, and no more.
    sizes = np.maximum(np.abs(values), 1e-6 * np.abs(values).max(initial=1.0))
    curvature = (vectors * sizes) @ vectors.T
    noise = 1e-10 * (1 + abs(place.value))
    return minimise(search.at, start[free], curvature, noise=noise, place=place, reach=1e4)


def _free_of(of: Generalised, whole: Array) -> Ints:
    """Coordinates but for the entries of Λ that are 0."""
    zero = {of.n_c + k for k in range(len(of.entries)) if whole[of.n_c + k] == 0}
    return np.array([k for k in range(len(whole)) if k not in zero], dtype=np.int64)


def _held_at_zero(of: Generalised, found: Minimum[Place]) -> Minimum[Place] | None:
    """Put an sd, or what a correlation leaves of one, to exactly 0 where nothing speaks for it."""
    whole, place = found.place.whole, found.place
    for k, (_, i, j) in enumerate(of.entries):
        at = of.n_c + k
        if i != j or whole[at] == 0 or abs(whole[at]) > SMALL * of.start[at]:
            continue
        moved = whole.copy()
        moved[at] = 0.0
        search = Searched(of, _free_of(of, moved), moved, place.mode)
        there = search.at(moved[search.free])
        if there.value <= place.value + SAME:
            return replace(found, v=moved[search.free], place=there, measured=None)
    return None


def _result(of: Generalised, found: Minimum[Place], steps: int) -> Maximum:
    """Bring the estimates to the user's scale."""
    place = found.place
    free = place.search.free
    hessian = found.measured
    if hessian is None:
        hessian = by_differences(place.search.at, found.v, place, found.curvature)
    if not np.isfinite(hessian).all():
        hessian = np.zeros_like(hessian)
    inside, edges = _inside(of, free, hessian)
    free, hessian = free[inside], hessian[np.ix_(inside, inside)]
    size = np.sqrt(np.maximum(np.diagonal(hessian), 1e-300))
    scaled = hessian / np.outer(size, size)  # whatever the units
    loose = _undetermined(of, free, scaled, size)
    joint = np.zeros((len(place.whole),) * 2)
    joint[np.ix_(free, free)] = 2 * np.linalg.pinv(scaled, hermitian=True) / np.outer(size, size)
    # Of coefficients on the scale of the core.
    sizes = np.concatenate([of.sizes, np.ones(len(joint) - of.n_c)])
    joint *= np.outer(sizes, sizes)
    c = of.coefficients(place.whole)
    scalars, errors = _scalars(of, place, joint)
    (b, vcov), *others = (_written(one, c, joint) for one in of.predicted)
    for one, (own, own_vcov) in zip(of.predicted[1:], others, strict=True):
        error = np.sqrt(np.maximum(np.diagonal(own_vcov), 0.0))
        scalars = dict(zip(one.labels, own.tolist(), strict=True)) | scalars
        errors = dict(zip(one.labels, error.tolist(), strict=True)) | errors
    errors |= {name: math.nan for name in [*loose, *edges] if name in errors}
    for k, name in enumerate(of.predicted[0].labels):
        if name in loose:
            vcov[k] = vcov[:, k] = math.nan
    return Maximum(
        b=b,
        vcov=vcov,
        groups=_groups(of, place, c, joint),
        sigma=None,
        deviance=place.value,
        n_parameters=len(b) + len(scalars) + len(of.entries),
        steps=steps,
        converged=found.gain < 1e4 * CONVERGED * (1 + abs(place.value)),
        determined=not loose,
        several=False,
        scalars=scalars,
        errors=errors,
        quadrature=of.quadrature,
        loose=tuple(loose),
        edges=tuple(edges),
        moved=None if loose else moved(of, place, free, hessian),
    )


def _inside(of: Generalised, free: Ints, hessian: Array) -> tuple[Ints, list[str]]:
    """Tell which coordinates lie inside of what they may be, and what is at an edge of it."""
    reach = np.sqrt(2 / np.maximum(np.diagonal(hessian), 1e-300))
    far = (free >= of.n_c + len(of.entries)) & (reach > EDGE)
    return np.flatnonzero(~far), [of.names[k] for k in free[far]]


def _undetermined(of: Generalised, free: Ints, scaled: Array, size: Array) -> list[str]:
    """Name the parameters along which a scaled Hessian is flat."""
    values, vectors = np.linalg.eigh(scaled)
    loose = []
    for vector in vectors[:, values <= FLAT].T:
        along, shares = np.zeros((2, len(of.start)))
        along[free], shares[free] = vector / size, np.abs(vector)
        for one in of.predicted:
            # Coefficients as written, whatever their units, in place of working ones.
            own = np.abs(one.at.back @ (along[one.place] * of.sizes[one.place]))
            own /= np.linalg.norm(one.at.back, axis=1) + 1e-300
            largest = shares[one.place].max(initial=0.0)
            shares[one.place] = own * largest / (own.max(initial=0.0) + 1e-300)
        loose += [name for name, share in zip(of.names, shares, strict=True) if share > PART]
    return list(dict.fromkeys(loose))


def _written(of: Predicted, c: Array, joint: Array) -> tuple[Array, Array]:
    """Coefficients of a predictor on the user's scale, and their covariance."""
    at, place = of.at, of.place
    return at.from_working(c[place]), at.back @ joint[place, place] @ at.back.T


def _scalars(
    of: Generalised, place: Place, joint: Array
) -> tuple[dict[str, float], dict[str, float]]:
    """Dispersion parameters or thresholds by name, and their standard errors."""
    first = of.n_c + len(of.entries)
    by_v = np.zeros((len(place.values), len(place.whole)))
    by_v[:, first:] = place.jacobian
    values = place.values
    names = of.names[first:]
    if of.thresholds:
        # The core's intercept is minus the first threshold where predictors are at their means.
        main, c = of.predicted[0], of.coefficients(place.whole)
        shift = main.at.outer[0] @ main.at.back
        values = values - c[0] + shift @ c[main.place]
        by_v[:, 0] = -1.0
        by_v[:, main.place] = shift
        names = [called.threshold(k + 1) for k in range(of.thresholds)]
    error = np.sqrt(np.maximum(np.einsum("ka,ab,kb->k", by_v, joint, by_v), 0.0))
    return (
        dict(zip(names, values.tolist(), strict=True)),
        dict(zip(names, error.tolist(), strict=True)),
    )


def _groups(of: Generalised, place: Place, c: Array, joint: Array) -> tuple[GroupMaximum, ...]:
    assert place.mode is not None
    known = of.core.conditionals(place.mode)
    if known is None:
        raise EngineError("the coefficients of the levels could not be computed")
    predicted = {one.name: one for one in of.predicted}
    of_c = joint[: of.n_c, : of.n_c]
    found = []
    given = zip(of.model.groups, place.lambdas, place.mode.r, known, strict=True)
    for group, L, r, (covariance, by_c) in given:
        own = predicted[group.predictor]
        sd = np.linalg.norm(L, axis=1)
        cor = np.array([correlation(L[i], L[j]) for i, j in group.pairs])
        moves = by_c.copy()
        moves[:, :, own.place] += group.T @ own.at.back
        variance = np.einsum("jaa->ja", covariance) + np.einsum(
            "jak,kl,jal->ja", moves, of_c, moves, optimize=True
        )
        coef = group.T @ own.at.from_working(c[own.place]) + r
        rank = int(np.linalg.matrix_rank(L)) if L.any() else 0
        found.append(GroupMaximum(sd, cor, rank, coef, np.sqrt(np.maximum(variance, 0.0))))
    return tuple(found)
