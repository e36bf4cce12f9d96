"""Nodes of φ: a few weighted draws that stand for all of them.

φ is what is left when coefficients are integrated out: sds, correlations, sigma, and coefficients
whose prior is neither normal nor flat. What is smooth in φ is averaged over draws spread out along
a space-filling curve, with weights at which all monomials have the means that they have over all
draws. Among such weights they are those nearest to equal ones in the sense of Kullback and Leibler
(Hainmueller 2012, *Entropy balancing*), which are never negative.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

import numpy as np
from msgspec import Struct

from partialpool.arrays import Array, Ints
from partialpool.engine.conditional import own_scales
from partialpool.engine.run import Run
from partialpool.model import Model

At = TypeVar("At")

TOLERANCE = 0.01  # by which summaries may differ from those of twice the nodes, in sds
LEAST, MOST = 32, 120
FEWEST = 12
PER_MONOMIAL, PER_LINEAR = 4, 2
DEGREES = (3, 2, 1)
# Coefficients × nodes that take no time to speak of, and coefficients whose nodes take long: of so
# many levels φ is known so well that few nodes do, which have to agree as much better.
CHEAP = 40_000
MANY = 500_000
CLOSER = 10.0
# Directions with less than this variance, of coordinates with variance 1, are rounding.
SINGULAR = 1e-8
# Correlations are kept this far from ±1, where their coordinate has no end.
EDGE = 1e-9
BALANCED = 1e-9  # difference of means, in sds
STEPS = 50
# Weights are refused where so many nodes are worth no more than one equally weighted.
MOST_UNEQUAL = 4.0


class Nodes(Struct, frozen=True):
    """Some of the draws.

    Attributes
    ----------
    picked : (m,) array of int
        Their positions among the draws, flattened over chains.
    weights : (m,) array
        Positive, of sum 1.
    coarse : (m,) array or None
        Weights of every other node, and 0 for the rest; None where all draws are nodes.
    """

    picked: Ints
    weights: Array
    coarse: Array | None


def tame(model: Model, run: Run, sampled: Array) -> Array:
    """Draws of φ in coordinates in which densities are tame, standardised: (draw, dimension).

    Parameters
    ----------
    sampled : (draw, …) array
        Coefficients that are not integrated.
    """
    parts = [sampled]
    for group, drawn in zip(model.groups, run.groups, strict=True):
        if group.known_sd is None:
            sd, cor = own_scales(group, drawn)
            middle = np.median(sd, axis=0)
            parts.append(np.arcsinh(sd / np.where(middle > 0, middle, 1.0)))
            parts.append(np.arctanh(np.clip(cor, EDGE - 1, 1 - EDGE)))
    if run.sigma is not None:
        parts.append(np.log(run.sigma.reshape(-1, 1)))
    return _standardised(np.concatenate(parts, axis=1))


def _standardised(phi: Array) -> Array:
    """Principal components with variance 1, the largest first."""
    phi = phi - phi[0]
    phi = phi - phi.mean(axis=0)
    size = np.sqrt(np.mean(phi**2, axis=0))
    phi = phi[:, size > 0] / size[size > 0]
    values, vectors = np.linalg.eigh(phi.T @ phi / len(phi))
    kept = values > SINGULAR
    return np.asarray((phi @ vectors[:, kept] / np.sqrt(values[kept]))[:, ::-1])


def first_count(phi: Array, coefficients: int) -> int:
    """Give the number of nodes to begin with, for so many coefficients of levels."""
    dims = phi.shape[1]
    if coefficients > MANY:
        return max(FEWEST, PER_LINEAR * monomial_count(dims, 1))
    linear, square = (PER_MONOMIAL * monomial_count(dims, degree) for degree in (1, 2))
    return max(LEAST, linear, min(square, MOST), CHEAP // max(coefficients, 1))


def settle(
    phi: Array,
    count: int,
    most: int,
    prepare: Callable[[Ints], At],
    summarise: Callable[[At, Array], Array],
) -> tuple[At, Array]:
    """Find weighted nodes that give the same summary as twice as many of them.

    Parameters
    ----------
    phi : (draw, dimension) array
        As :func:`tame` gives it.
    count : int
        How many nodes to begin with.
    most : int
        Beyond so many, all draws are taken.
    prepare : function
        What is to be known at some of the draws.
    summarise : function
        The same with weights → summaries (…, 4) of mean, sd and two quantiles.

    Returns
    -------
    what was prepared, and weights, some of which may be 0
    """
    while True:
        nodes = choose(phi, count, most)
        if nodes is not None:
            at = prepare(nodes.picked)
            if nodes.coarse is None:
                return at, nodes.weights
            fine, coarse = summarise(at, nodes.weights), summarise(at, nodes.coarse)
            if _apart(fine, coarse) <= (TOLERANCE if count >= LEAST else TOLERANCE / CLOSER):
                return at, nodes.coarse
        count *= 2


def _apart(fine: Array, coarse: Array) -> float:
    """How far two summaries are from each other at most, in sds."""
    sd = fine[..., 1:2]
    off = np.abs(fine - coarse) / np.where(sd > 0, sd, 1.0)
    return float(off[np.isfinite(off)].max(initial=0.0))


def choose(phi: Array, count: int, most: int) -> Nodes | None:
    """Choose twice `count` nodes, which every other of them can be held against.

    All draws, equally weighted, where they are no more, or `most` are fewer; None where no weights
    do.
    """
    draws = len(phi)
    if 2 * count >= min(draws, most + 1):
        return Nodes(np.arange(draws), np.full(draws, 1 / draws), None)
    places = (2 * np.arange(2 * count) + 1) * draws // (4 * count)
    picked = along_a_curve(phi)[places]
    weights, some = _balanced(phi, picked), _balanced(phi, picked[::2])
    if weights is None or some is None:
        return None
    coarse = np.zeros(len(picked))
    coarse[::2] = some
    return Nodes(picked, weights, coarse)


def along_a_curve(phi: Array) -> Ints:
    """Order of the draws along Morton's curve: those in one stretch of it are near each other."""
    draws, dims = phi.shape
    bits = min(10, 62 // max(dims, 1))
    if not bits:
        bits, dims = 1, 62
    ranks = np.argsort(np.argsort(phi[:, :dims], axis=0, kind="stable"), axis=0, kind="stable")
    cells = (ranks << bits) // draws
    code = np.zeros(draws, dtype=np.int64)
    for bit in reversed(range(bits)):
        for k in range(dims):
            code = (code << 1) | ((cells[:, k] >> bit) & 1)
    return np.argsort(code, kind="stable")


def monomial_count(dims: int, degree: int) -> int:
    """Count monomials up to a degree."""
    return math.comb(dims + degree, degree)


def monomials(phi: Array, degree: int) -> Array:
    """All monomials up to a degree, but the constant: (draw, monomial)."""
    dims = phi.shape[1]
    # Of one degree, by the first of their coordinates.
    found, last = [phi], [phi[:, [k]] for k in range(dims)]
    for _ in range(1, degree):
        last = [
            np.concatenate([phi[:, [k]] * part for part in last[k:]], axis=1) for k in range(dims)
        ]
        found += last
    return np.concatenate(found, axis=1)


def _balanced(phi: Array, picked: Ints) -> Array | None:
    """Weights by which means over the nodes are those over all draws; None if there are none."""
    count, dims = len(picked), phi.shape[1]
    nodes = {d: (PER_MONOMIAL if d > 1 else PER_LINEAR) * monomial_count(dims, d) for d in DEGREES}
    allowed = [d for d in DEGREES if nodes[d] <= count]
    if not allowed or not dims:
        return np.full(count, 1 / count)
    every = monomials(phi, allowed[0])
    columns = (every[picked] - every.mean(axis=0)) / every.std(axis=0)
    # Nodes may not reach far enough for cubes.
    found = _tilted(columns)
    if found is None and allowed[0] > 2:
        found = _tilted(columns[:, : monomial_count(dims, 2) - 1])
    return found


def _tilted(columns: Array) -> Array | None:
    """Weights proportional to ``exp(columns λ)`` by which all columns have mean 0, by Newton."""
    tilt = np.zeros(columns.shape[1])
    value, weights = _exponential(columns, tilt)
    for _ in range(STEPS):
        slope = weights @ columns
        if np.abs(slope).max() < BALANCED:
            return weights
        # Not by BLAS, whose threads take longer to wake than this takes.
        curvature = np.einsum("s,si,sj->ij", weights, columns, columns, optimize=False)
        curvature -= np.outer(slope, slope)
        step = -np.linalg.lstsq(curvature, slope, rcond=1e-12)[0]
        share = 1.0
        while True:
            lower, found = _exponential(columns, tilt + share * step)
            if lower <= value + 1e-4 * share * float(slope @ step):
                break
            share /= 2
            if share < 1e-6:
                return None
        tilt, value, weights = tilt + share * step, lower, found
        if np.sum(weights**2) * len(weights) > MOST_UNEQUAL:
            return None
    return None


def _exponential(columns: Array, tilt: Array) -> tuple[float, Array]:
    """Log of the sum of ``exp(columns λ)``, and its terms as shares."""
    exponent = columns @ tilt
    top = float(exponent.max())
    terms = np.exp(exponent - top)
    total = float(terms.sum())
    return top + math.log(total), terms / total
