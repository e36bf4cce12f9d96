"""Working coordinates of coefficients: each has one prior, by itself.

    M b = X̃ c + level + E_outer (Φ b),      b = back c + level · ones

X̃ are the working columns, of mean square one. Where priors are default ones, these are the own
parts of the terms (`own/`), centred and uncorrelated within a term. A prior that the user sets on
a coefficient itself makes that coefficient a coordinate, and the others of its term keep what their
joint prior says of them alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from partialpool.arrays import Array
from partialpool.own.parts import Block, Outer, OwnParts
from partialpool.priors import Flat, Normal, NormalAtMean, Prior


class Coordinates(Struct, frozen=True):
    """How working coefficients c and those of the user are related, and the priors.

    Attributes
    ----------
    back : (p, p) array
        ``b = back c + level ones``.
    forward : (p, p) array
        Its inverse.
    ones : (p,) array
        Coefficients with which the columns make the constant; zeros where they do not.
    level : float
        What the working response lacks.
    outer : (m, p) array
        Φ: the part of the columns that others take up.
    priors : tuple of Prior
        Of ``v = unit c + shift``, one a coordinate.
    unit, shift : (p,) arrays
        See there.
    log_measure : float
        Log of the volume of b's with flat priors that a unit of their v's stands for.
    """

    back: Array
    forward: Array
    ones: Array
    level: float
    outer: Array
    priors: tuple[Prior, ...]
    unit: Array
    shift: Array
    log_measure: float

    def to_working(self, b: Array) -> Array:
        """Working coefficients from those of the user (last axis)."""
        c: Array = (b - self.level * self.ones) @ self.forward.T
        return c

    def from_working(self, c: Array) -> Array:
        """Coefficients of the user from working ones (last axis)."""
        b: Array = c @ self.back.T + self.level * self.ones
        return b

    def values(self, b: Array) -> Array:
        """What the priors are about, from coefficients of the user (last axis)."""
        v: Array = self.to_working(b) * self.unit + self.shift
        return v

    def from_values(self, v: Array) -> Array:
        """Coefficients of the user that have these values."""
        return self.from_working((v - self.shift) / self.unit)


class Working(NamedTuple):
    """Working columns with their coordinates."""

    columns: Array
    at: Coordinates


def coordinates(
    parts: OwnParts,
    priors: Sequence[Prior],
    *,
    level: float = 0.0,
    outer: Outer | None = None,
    taken: NDArray[np.bool_] | None = None,
) -> Working:
    """Choose the working coordinates for columns with these priors.

    Parameters
    ----------
    parts : OwnParts
        The columns.
    priors : sequence of Prior
        Of each coefficient: of its own part for :class:`NormalAtMean`, else of itself.
    level : float
        Is taken out of the response; of no effect where the columns do not make the constant.
    outer : Outer, optional
        What `parts` was made with.
    taken : (m,) array of bool, optional
        Which of outer's coordinates take up their part of the columns; all by default.

    Examples
    --------
    >>> from partialpool.formula import expand
    >>> from partialpool.own.build import own_parts
    >>> x = np.array([2004.0, 2005.0, 2006.0, 2009.0])
    >>> parts = own_parts(np.column_stack([np.ones(4), x]), expand("x"))
    >>> priors = [NormalAtMean(3, 10), Normal(0, 2)]
    >>> columns, at = coordinates(parts, priors, level=3.0)
    >>> b = at.from_working(np.array([0.0, 1.0]))
    >>> round(b @ [1, 2006], 9)  # at the mean of x nothing is added
    np.float64(3.0)
    """
    A, true, own, simple = _map(parts, priors)
    p = len(parts.terms)
    phi = parts.outer
    basis, described = parts.basis, parts.described
    if outer is not None and taken is not None and not taken.all():
        # What nobody takes up stays in the columns.
        left = phi[~taken] @ parts.back
        basis = basis + outer.basis[:, ~taken] @ left
        if described is not None:
            described = described + outer.of_table.basis[:, ~taken] @ left
        phi = np.where(taken[:, None], phi, 0.0)
    inverse = np.diag(1 / np.diagonal(A)) if simple else np.linalg.inv(A)
    columns = basis * np.diagonal(inverse) if simple else basis @ inverse
    rows = columns if described is None else described @ inverse
    unit = 1 / np.sqrt(np.mean(rows**2, axis=0)) if len(rows) else np.ones(p)
    if not parts.ones.any():
        level = 0.0
    shift = np.zeros(p)
    if parts.constant is not None:
        shift = A[:, parts.constant] * level
    back = parts.back @ (inverse * unit)
    measure = 0.0
    if any(isinstance(prior, Flat) for prior in own):
        measure = float(np.linalg.slogdet(true)[1] - np.linalg.slogdet(A)[1])
    at = Coordinates(
        back=back,
        forward=(A @ parts.forward) / unit[:, None],
        ones=parts.ones,
        level=level,
        outer=phi,
        priors=tuple(own),
        unit=unit,
        shift=shift,
        log_measure=measure,
    )
    return Working(np.ascontiguousarray(columns * unit), at)


def _map(parts: OwnParts, priors: Sequence[Prior]) -> tuple[Array, Array, list[Prior], bool]:
    """Give A with ``v = A κ``, A with flat coefficients themselves, priors of v, A is diagonal."""
    p = len(parts.terms)
    A = np.zeros((p, p))
    own = list(priors)
    simple = True
    true = A
    for block in parts.blocks:
        columns = block.columns
        means = [prior for prior in priors_of(priors, block) if isinstance(prior, NormalAtMean)]
        if len(means) == len(columns) and _in_proportion(means, block.sizes):
            rows = np.eye(len(columns)) * (block.sizes[0] / means[0].sd)
            centre = rows @ np.linalg.solve(block.own, [prior.mean for prior in means])
            A[np.ix_(columns, columns)] = rows
            for k, mean in zip(columns, centre, strict=True):
                own[k] = Normal(float(mean), 1.0)
            continue
        if len(columns) == 1 and parts.alone(int(columns[0])):
            k = int(columns[0])
            A[k, k] = parts.back[k, k]
            continue
        if all(isinstance(prior, Flat) for prior in priors_of(priors, block)):
            A[np.ix_(columns, columns)] = np.eye(len(columns))
            continue
        simple = False
        _mixed(A, parts, block, priors, own)
    if any(isinstance(prior, Flat) for prior in priors):
        true = A.copy()
        for k, prior in enumerate(priors):
            if isinstance(prior, Flat):
                true[k] = parts.back[k]
    return A, true, own, simple


def priors_of(priors: Sequence[Prior], block: Block) -> list[Prior]:
    """Priors of the columns of a block."""
    return [priors[k] for k in block.columns]


def _in_proportion(priors: Sequence[Normal], sizes: Array) -> bool:
    """Whether priors differ from the default ones by one factor."""
    ratio = np.array([prior.sd for prior in priors]) / sizes
    return bool(np.ptp(ratio) <= 1e-9 * ratio[0])


def _mixed(
    A: Array, parts: OwnParts, block: Block, priors: Sequence[Prior], own: list[Prior]
) -> None:
    """Fill the rows of a block of which some coefficients have priors of their own."""
    columns = block.columns
    given = priors_of(priors, block)
    at_mean = [k for k, prior in enumerate(given) if isinstance(prior, NormalAtMean)]
    flat = [k for k, prior in enumerate(given) if isinstance(prior, Flat)]
    rows = np.zeros((len(columns), len(columns)))
    if at_mean:
        means = [prior for prior in given if isinstance(prior, NormalAtMean)]
        ratio = np.array([prior.sd for prior in means]) / block.sizes[at_mean]
        # Their joint distribution without the others: covariance L Lᵀ, L lower triangular.
        lower = np.linalg.qr((block.own[at_mean] * ratio[:, None]).T).R.T
        rows[at_mean] = np.linalg.solve(lower, block.own[at_mean])
        centre = np.linalg.solve(lower, [prior.mean for prior in means])
        for k, mean in zip(at_mean, centre, strict=True):
            own[columns[k]] = Normal(float(mean), 1.0)
    for k in range(len(columns)):
        if k not in at_mean and k not in flat:
            A[columns[k]] = parts.back[columns[k]]
            rows[k] = parts.back[columns[k], columns]
    if flat:
        # Any coordinates that complete the others.
        settled = [k for k in range(len(columns)) if k not in flat]
        rows[flat] = (
            np.linalg.svd(rows[settled])[2][len(settled) :] if settled else np.eye(len(columns))
        )
    for k in [*at_mean, *flat]:
        A[np.ix_([columns[k]], columns)] = rows[[k]]


def log_volume(at: Coordinates) -> float:
    """Log of the volume of b's that a unit of c's stands for."""
    return -float(np.linalg.slogdet(at.forward)[1]) if len(at.forward) else 0.0


def implied_priors(at: Coordinates) -> list[Normal | None]:
    """Prior of each coefficient as written; None where not all that it depends on is normal."""
    moments, normal = np.zeros((len(at.priors), 2)), np.zeros(len(at.priors), dtype=bool)
    for k, prior in enumerate(at.priors):
        if isinstance(prior, Normal):
            moments[k], normal[k] = prior.typical, True
    weights = at.back / at.unit
    found: list[Normal | None] = []
    for k, row in enumerate(weights):
        if np.any(row[~normal] != 0):
            found.append(None)
            continue
        mean = float(row @ (moments[:, 0] - at.shift)) + at.level * float(at.ones[k])
        found.append(Normal(mean, float(np.sqrt(np.sum((row * moments[:, 1]) ** 2)))))
    return found


def integrable(prior: Prior) -> bool:
    """Whether a coordinate with this prior can be integrated out of a Gaussian model."""
    return isinstance(prior, (Normal, Flat))


def bounded(prior: Prior) -> bool:
    """Whether a prior has bounds."""
    low, high = prior.support
    return math.isfinite(low) or math.isfinite(high)
