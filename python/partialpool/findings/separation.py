"""Findings where a predictor, a category or a level separates the responses.

There only priors keep estimates finite. It is read off the data column by column; what only several
columns do together is not found.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from partialpool import called
from partialpool.arrays import Array, Ints
from partialpool.design import Design
from partialpool.families import Ends
from partialpool.finding import Finding
from partialpool.model import Pooled
from partialpool.model.defaults import INTERCEPT

Mask = NDArray[np.bool_]

FIRST = 200  # rows that tell most columns of many values


def separation(pooled: Pooled) -> Iterator[Finding]:
    """Find what separates the responses of a binary, binomial, ordered or count model."""
    design = pooled.design
    ends = pooled.family.ends(design.y, design.trials, design.categories)
    if ends is None:
        return
    alone = _one_end(ends)
    if alone:
        yield Finding(
            "one-outcome",
            "warning",
            f"The response is {alone} in every row: the data alone would make the intercept "
            "infinite, so the prior decides how far from it the estimate is, and there is nothing "
            "that predictors could explain.",
            "Choose the prior on the intercept from what you know.",
        )
        return
    done: set[int] = set()
    for name, block in _categories(design):
        done |= set(block)
        yield from _separated_categories(name, block, design, ends)
    if ends.high:
        for k, name in enumerate(design.columns):
            if name != INTERCEPT and k not in done:
                yield from _separating_column(name, design.X[:, k], design, ends)
    for factor in design.factors:
        if factor.pooled or INTERCEPT not in factor.terms:
            continue
        n = len(factor.levels)
        alike = int(np.sum(_only_low(ends, factor.codes, n) | _only_high(ends, factor.codes, n)))
        if alike:
            kinds = f"only {ends.low}" + f" or only {ends.high}" * bool(ends.high)
            yield Finding(
                "separated-levels",
                "warning",
                f"In {alike} of {n} levels of `{factor.name}` the response is {kinds}: without "
                "pooling, the prior alone decides how extreme their coefficients are.",
                "Partial pooling estimates them from all levels.",
            )


def _one_end(ends: Ends) -> str:
    """Say which kind of response is the only one, if so."""
    if not np.any(ends.rows[1:]):
        return ends.low
    return ends.high if ends.high and not np.any(ends.rows[:-1]) else ""


def _only_low(ends: Ends, codes: Ints, n: int) -> Mask:
    """Tell which of `n` sets of rows have only responses of the lowest kind."""
    return np.asarray(np.bincount(codes, np.any(ends.rows[1:], axis=0), n) == 0)


def _only_high(ends: Ends, codes: Ints, n: int) -> Mask:
    """Tell which of `n` sets of rows have only responses of the highest kind."""
    if not ends.high:
        return np.zeros(n, dtype=bool)
    return np.asarray(np.bincount(codes, np.any(ends.rows[:-1], axis=0), n) == 0)


def _categories(design: Design) -> Iterator[tuple[str, list[int]]]:
    """Columns that code one factor, and single columns with two values.

    The columns of a polynomial or a spline go together too, and take more values than categories
    could.
    """
    blocks: dict[str, list[int]] = {}
    for k, name in enumerate(design.columns):
        if name != INTERCEPT and ":" not in name:
            blocks.setdefault(called.array_of(name), []).append(k)
    for name, block in blocks.items():
        most = len(block) + 1
        few = len(np.unique(_mixed(design, block, FIRST))) <= most
        if few and len(_kinds(design, block)[0]) <= most:
            yield name, block


def _kinds(design: Design, block: Sequence[int]) -> tuple[Ints, Ints]:
    """Rows by what these columns hold together: the first of each kind, and the kind of each."""
    mixed = _mixed(design, block, len(design.X))
    _, first, codes = np.unique(mixed, return_index=True, return_inverse=True)
    return first, codes


def _mixed(design: Design, block: Sequence[int], n: int) -> Array:
    """One number for what these columns hold together in each of the first rows.

    Column by column: products of matrices may round equal rows differently.
    """
    mixed = np.zeros(min(n, len(design.X)))
    for weight, k in zip(np.cos(1.0 + np.arange(len(block))), block, strict=True):
        mixed += weight * design.X[:n, k]
    return mixed


def _separated_categories(
    name: str, block: Sequence[int], design: Design, ends: Ends
) -> Iterator[Finding]:
    X = design.X[:, block]
    first, codes = _kinds(design, block)
    n = len(first)
    if not 2 <= n <= 1000:
        return
    for kind, alike in (
        (ends.low, _only_low(ends, codes, n)),
        (ends.high, _only_high(ends, codes, n)),
    ):
        for which in np.flatnonzero(alike):
            rows = int(np.sum(codes == which))
            where = _category(name, block, X[first[which]], design)
            yield Finding(
                "separation",
                "warning",
                f"The response is {kind} in {'the only row' if rows == 1 else f'all {rows} rows'} "
                f"with {where}: the data alone would make its effect infinite, so the prior "
                "decides how large the estimate is.",
                f"Choose the prior on `{_parameter(block, X[first[which]], design)}` from "
                "what you know, or join this category with another.",
            )


def _parameter(block: Sequence[int], values: Array, design: Design) -> str:
    own = np.flatnonzero(values)
    if len(block) == 1:
        return called.b(design.columns[block[0]])
    return called.b(design.columns[block[int(own[0])]]) if len(own) == 1 else "b"


def _category(name: str, block: Sequence[int], values: Array, design: Design) -> str:
    """Name a category by its column, where it has one."""
    own = np.flatnonzero(values)
    label = design.columns[block[0]]
    if len(block) == 1 and "[" not in label:
        return f"`{label}` = {values[0]:g}"
    if len(own) == 1 and values[own[0]] == 1:
        return f"`{design.columns[block[int(own[0])]]}`"
    return f"the reference category of `{name}`" if not len(own) else f"one category of `{name}`"


def _separating_column(name: str, x: Array, design: Design, ends: Ends) -> Iterator[Finding]:
    lows = np.array([x[rows].min() for rows in ends.rows])
    highs = np.array([x[rows].max() for rows in ends.rows])
    # Without an intercept the border is at 0. (An ordered response has thresholds.)
    at_zero = highs[0] <= 0 <= lows[1] or highs[1] <= 0 <= lows[0]
    if not at_zero and not _has_constant(design):
        return
    rising, falling = bool(np.all(highs[:-1] <= lows[1:])), bool(np.all(lows[:-1] >= highs[1:]))
    if rising == falling:
        return
    overlap = highs[:-1] == lows[1:] if rising else lows[:-1] == highs[1:]
    above, below = (ends.high, ends.low) if rising else (ends.low, ends.high)
    if len(lows) > 2:
        how = f"the categories of `{design.response}` follow one another along it"
    else:
        border = (lows[1], highs[0]) if rising else (lows[0], highs[1])
        how = f"the response is {above} only from {border[0]:.4g} on, {below} only up to "
        how += f"{border[1]:.4g}"
    yield Finding(
        "separation",
        "warning",
        f"`{name}` separates the responses{' but for ties' if overlap.any() else ''}: {how}. The "
        "data alone would make its coefficient infinite, so the prior decides how large the "
        "estimate is.",
        f"Choose the prior on `b[{name}]` from what you know, or leave the predictor out.",
    )


def _has_constant(design: Design) -> bool:
    """Whether some combination of coefficients shifts all rows alike."""
    if INTERCEPT in design.columns or design.categories:
        return True
    if any(INTERCEPT in factor.terms for factor in design.factors):
        return True
    ones = np.ones(len(design.X))
    found = np.linalg.lstsq(design.X, ones, rcond=None)[0]
    return bool(np.allclose(design.X @ found, ones))
