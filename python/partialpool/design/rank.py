"""Which population columns are combinations of the others.

The danger is a false alarm: a column with a large offset and a small spread is nearly parallel to
the intercept, yet informative. So columns are centred and scaled first, and each is allowed the
rounding error of its own values.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from partialpool.errors import InputError

from .design import Floats

_TOLERANCE = 2e-13  # what a decomposition leaves of an exact combination is 100 times smaller
_EPS = float(np.finfo(np.float64).eps)


def check_rank(X: Floats, names: Sequence[str]) -> None:
    """Raise an error that names the first column which the earlier ones determine.

    Examples
    --------
    >>> check_rank(np.array([[1.0, 2.0], [1.0, 2.0]]), ["Intercept", "x"])
    Traceback (most recent call last):
    ...
    partialpool.errors.InputError: `x` has the same value in every row: take it out of the formula.
    """
    n, p = X.shape
    if p == 0:
        return
    for j, name in enumerate(names):
        if not X[:, j].any():
            raise InputError(f"`{name}` is 0 in every row", remedy="take it out of the formula")
    columns, noise, spare = _comparable(X, names)
    k = columns.shape[1]
    if n >= k:
        diagonal = np.abs(np.diagonal(np.linalg.qr(columns, mode="r")))
        if k == 0 or diagonal.min() > max(_TOLERANCE, 100 * noise.max()):
            return
    _find_dependent(X, names, columns, noise, spare)


def _comparable(X: Floats, names: Sequence[str]) -> tuple[Floats, Floats, bool]:
    """Return centred, scaled columns without the intercept, their rounding error, and a flag.

    The flag says that the columns have the constant in their span without containing it (as the
    full set of dummy columns has): then one of the centred columns must be dependent.
    """
    largest = np.abs(X).max(axis=0)
    unit = X / largest
    has_intercept = "Intercept" in names
    spare = False
    if has_intercept:
        keep = [j for j, name in enumerate(names) if name != "Intercept"]
        unit, names = unit[:, keep], [names[j] for j in keep]
        for j, name in enumerate(names):
            if np.ptp(unit[:, j]) <= 4 * _EPS:
                raise InputError(
                    f"`{name}` has the same value in every row", remedy="take it out of the formula"
                )
    else:
        ones = np.ones(len(X))
        fitted = unit @ np.linalg.lstsq(unit, ones, rcond=None)[0]
        spare = bool(np.abs(fitted - ones).max() < 1e-9)
    if has_intercept or spare:
        unit = unit - unit.mean(axis=0)
        unit = unit - unit.mean(axis=0)  # the first mean is itself rounded
    norms = np.sqrt((unit**2).sum(axis=0))
    flat = norms <= 4 * _EPS * np.sqrt(len(X))  # a constant where the constant is spare
    norms = np.where(flat, 1.0, norms)
    noise = np.where(flat, 1.0, 8 * _EPS * np.sqrt(len(X)) / norms)
    return unit / norms, noise, spare


def _find_dependent(
    X: Floats, names: Sequence[str], columns: Floats, noise: Floats, spare: bool
) -> None:
    """Take the columns in order; the first that the earlier ones leave nothing of is named."""
    outer = [j for j, name in enumerate(names) if name != "Intercept"]
    kept: list[int] = []
    for j in range(columns.shape[1]):
        v = columns[:, j]
        weights: Floats = np.zeros(0)
        if kept:
            solution = np.linalg.lstsq(columns[:, kept], v, rcond=1e-15)[0]
            weights = np.asarray(solution, dtype=np.float64)
            v = np.asarray(v - columns[:, kept] @ weights, dtype=np.float64)
        allowed = max(_TOLERANCE, float(noise[j] + np.abs(weights) @ noise[kept]))
        if np.sqrt(v @ v) > allowed:
            kept.append(j)
            continue
        if spare:  # the one dependence that the span of the constant brings
            spare = False
            continue
        used = [names[outer[k]] for k, w in zip(kept, weights, strict=True) if abs(w) > 1e-8]
        if "Intercept" in names:
            used.append("Intercept")
        shown = ", ".join(f"`{name}`" for name in used)
        if len(X) <= X.shape[1] and len(kept) + len(names) - len(outer) >= len(X):
            raise InputError(
                f"there are {X.shape[1]} population columns but only {len(X)} rows",
                remedy="use fewer terms",
            )
        name = names[outer[j]]
        spline = name.startswith(("cr(", "cs(", "cc(")) and "constraints" not in name
        raise InputError(
            f"`{name}` equals a combination of {shown or 'the others'}",
            remedy='write `constraints="center"` in the spline'
            if spline
            else "take one of them out of the formula",
        )
