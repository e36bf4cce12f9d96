"""What complete, no and partial pooling make of a design."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from partialpool.design import Design
from partialpool.errors import InputError, NotYetError

POOLINGS = ("complete", "none", "partial")


@dataclass(frozen=True)
class Pooled:
    """A design as one pooling sees it.

    Attributes
    ----------
    design : Design
        Without group terms (complete), or without the population columns that the group columns
        replace (none).
    replaced : tuple of str
        Population columns that every level now has for itself.
    dropped : tuple of str
        Population columns that the levels' own coefficients make redundant.
    vanished : tuple of str
        Group columns that have no population twin to stand for them.
    """

    design: Design
    pooling: str
    replaced: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    vanished: tuple[str, ...] = ()


def pool(design: Design, pooling: str) -> Pooled:
    """Apply a pooling to a design.

    Raises
    ------
    InputError
        If there are no group terms to leave unpooled.

    Examples
    --------
    >>> from partialpool.formula import parse_formula
    >>> from partialpool.design import build_design
    >>> data = {"y": [1.0, 2.0, 4.0, 3.0], "x": [1, 2, 3, 5], "g": ["a", "b", "a", "b"]}
    >>> design = build_design(parse_formula("y ~ x + (1 | g)"), data)
    >>> pool(design, "none").design.columns, pool(design, "none").replaced
    (('x',), ('Intercept',))
    """
    if pooling == "partial" or (pooling == "complete" and not design.factors):
        return Pooled(design, pooling)
    if not design.factors:
        raise InputError(
            'pooling="none" leaves the levels of a group apart, and the formula has no group term',
            remedy='add one such as `(1 | group)`, or use pooling="complete"',
        )
    if pooling == "complete":
        vanished = [
            f"{term} of {factor.name}"
            for factor in design.factors
            for k, term in enumerate(factor.terms)
            if not factor.T[k].any()
        ]
        return Pooled(replace(design, factors=()), pooling, vanished=tuple(vanished))
    if len(design.factors) > 1:
        raise NotYetError('pooling="none" with more than one grouping factor is not available yet')
    (factor,) = design.factors
    twins: NDArray[np.bool_] = np.any(factor.T != 0, axis=0)
    left = [k for k in range(len(design.columns)) if not twins[k]]
    kept = _independent_within(factor.Z, factor.codes, len(factor.levels), design.X, left)
    names = design.columns
    unpooled = replace(factor, T=np.zeros((len(factor.terms), len(kept))))
    return Pooled(
        replace(
            design,
            X=np.ascontiguousarray(design.X[:, kept]),
            columns=tuple(names[k] for k in kept),
            factors=(unpooled,),
        ),
        pooling,
        replaced=tuple(name for name, twin in zip(names, twins, strict=True) if twin),
        dropped=tuple(names[k] for k in left if k not in kept),
    )


def _independent_within(
    Z: NDArray[np.float64],
    codes: NDArray[np.int64],
    n_levels: int,
    X: NDArray[np.float64],
    candidates: list[int],
) -> list[int]:
    """Columns of X that vary beyond what Z explains within every level, and beyond each other."""
    if not candidates:
        return []
    from partialpool import _core

    columns = X[:, candidates]
    if np.any(np.all(Z == 1.0, axis=0)):
        # Level intercepts absorb any shift, and without it nothing is lost to rounding.
        columns = columns - columns.mean(axis=0)
    size = np.abs(columns).max(axis=0)
    working = np.ascontiguousarray(columns / np.where(size > 0, size, 1.0))
    unscale = np.eye(Z.shape[1])
    reduced = _core.CrossProducts(Z, working, codes, n_levels, unscale).parts()[2]
    total = np.einsum("ij,ij->j", working, working)
    kept: list[int] = []
    for k in range(len(candidates)):
        rows = np.array(kept, dtype=int)
        rest = reduced[k, k]
        if kept:
            block = reduced[np.ix_(rows, rows)]
            rest -= reduced[k, rows] @ np.linalg.solve(block, reduced[rows, k])
        if rest > 1e-10 * max(total[k], 1e-300):
            kept.append(k)
    return [candidates[k] for k in kept]
