"""Group columns as the core works with them: shifted, scaled, and with known priors taken out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from partialpool import _core
from partialpool.design import GroupFactor
from partialpool.errors import InputError, NotYetError
from partialpool.model.defaults import INTERCEPT, column_sd
from partialpool.model.priors import Flat, Normal, NormalAtMean, Prior, Uniform

Array = NDArray[np.float64]

# The same threshold as the core's: a smaller diagonal means that rows do not determine it.
SINGULAR = 1e-9


@dataclass(frozen=True)
class WorkingGroup:
    """Columns for the core, and how its coefficients r̃ become those of the user.

    ``coef = T b + y_shift on the intercept + back (mean + r̃)``; with partial pooling the last two
    are r.

    Attributes
    ----------
    y_shift : float
        Subtracted from the response before anything else (levels with intercepts, no pooling).
    absorbs : bool
        Whether the intercepts of the levels take up a shift of the population columns.
    """

    Z: Array
    codes: NDArray[np.int64]
    n_levels: int
    unscale: Array
    back: Array
    mean: Array
    y_shift: float = 0.0
    absorbs: bool = False
    known_sd: Array | None = None
    bounds: Array | None = None


def ranks(data: _core.CrossProducts) -> NDArray[np.int64]:
    """Number of coefficients that each level's rows determine."""
    R = data.parts()[0]
    size = np.sqrt(np.einsum("jac,jac->jc", R, R))
    diagonal = np.abs(np.einsum("jaa->ja", R))
    determined: NDArray[np.int64] = np.sum(diagonal > SINGULAR * size, axis=1)
    return determined


def working_group(
    factor: GroupFactor | None,
    priors: Mapping[str, Prior],
    *,
    n_rows: int,
    y_mean: float,
) -> WorkingGroup:
    """Prepare the group columns.

    With partial pooling the core knows r on the user's scale (`unscale` undoes the shift exactly).
    Without pooling, coefficients stay in shifted and scaled columns, where the default prior of
    the intercept (at the mean of the predictors) and flat priors are simple.

    Raises
    ------
    InputError
        If a column lies so far from 0 that intercepts at 0 cannot be computed.
    NotYetError
        Without pooling, for priors that are neither all normal nor all flat or uniform.
    """
    if factor is None:
        none, square = np.empty(0), np.empty((0, 0))
        codes = np.empty(0, dtype=np.int64)
        return WorkingGroup(np.empty((n_rows, 0)), codes, 0, square, square, none)
    q = len(factor.terms)
    centre, scale = _centre_and_scale(factor)
    Z = np.ascontiguousarray((factor.Z - centre) / scale)
    # Working coefficients from the user's: r̃ = unscale r.
    unscale = np.diag(scale)
    unscale[0] += centre
    zeros, identity = np.zeros(q), np.eye(q)
    place = (factor.codes, len(factor.levels))
    if factor.pooled:
        return WorkingGroup(Z, *place, unscale, identity, zeros)
    own = [priors[f"coef_{factor.name}[{term}]"] for term in factor.terms]
    back: Array = np.linalg.inv(unscale).astype(np.float64)
    has_intercept = factor.terms[0] == INTERCEPT
    y_shift = y_mean if has_intercept else 0.0
    if all(isinstance(prior, (Flat, Uniform)) for prior in own):
        limits = np.array([prior.support for prior in own])
        return WorkingGroup(
            Z,
            *place,
            identity,
            back,
            zeros,
            y_shift,
            has_intercept,
            np.full(q, np.inf),
            limits if np.isfinite(limits).any() else None,
        )
    normal = [prior for prior in own if isinstance(prior, Normal)]
    if len(normal) < q:
        raise NotYetError(
            f"without pooling, the priors on `coef_{factor.name}` must be all normal, or all flat "
            "or uniform",
            remedy="choose such priors",
        )
    mean = np.array([prior.mean for prior in normal])
    mean[0] -= y_shift
    sd = np.array([prior.sd for prior in normal])
    if isinstance(normal[0], NormalAtMean):
        # Independent in working columns: the intercept is at the mean of the others.
        return WorkingGroup(Z, *place, identity, back, scale * mean, y_shift, True, scale * sd)
    raw = np.ascontiguousarray(factor.Z)
    return WorkingGroup(raw, *place, identity, identity, mean, y_shift, False, sd)


def _centre_and_scale(factor: GroupFactor) -> tuple[Array, Array]:
    """Shift and unit of each group column; only an intercept in front allows a shift."""
    q = len(factor.terms)
    scale = np.array([column_sd(factor.Z[:, k]) for k in range(q)])
    centre = np.zeros(q)
    if q > 1 and factor.terms[0] == INTERCEPT:
        centre[1:] = factor.Z[0, 1:] + np.mean(factor.Z[:, 1:] - factor.Z[0, 1:], axis=0)
        scale[0] = 1.0
        far = np.abs(centre) > 1e6 * scale
        if far.any():
            term = factor.terms[int(np.argmax(far))]
            raise InputError(
                f"`{term}` lies very far from 0 ({centre[far][0]:.3g}, sd {scale[far][0]:.3g}), "
                f"and the intercepts of `{factor.name}` refer to 0",
                where=f"group term of `{factor.name}`",
                remedy=f"subtract its mean first, as in center({term})",
            )
    return centre, scale
