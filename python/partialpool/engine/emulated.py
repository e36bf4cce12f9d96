"""Moments of levels' coefficients at many φ, from polynomials through their values at some.

Where a node of φ costs an elimination of several factors. Moments are smooth in φ, so that a
polynomial of low degree foretells them; how well is told by leaving out each node in turn.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from msgspec import Struct

from partialpool.arrays import Array, Ints
from partialpool.engine.blocks import Moments
from partialpool.engine.nodes import along_a_curve, monomial_count, monomials

LEAST, LAST = 16, 200  # nodes, at least and at most
LEAST_MANY, MANY_NUMBERS = 300, 3_000_000  # draws at which polynomials are evaluated
PER_MONOMIAL = 1.6
FIRST_DEGREE = 2  # what there are nodes enough for, to begin with
DEGREES = (4, 3, 2, 1)
# Root mean square of the errors at nodes left out, in sds: averages over φ are off by far less.
GOOD = 0.05


class Polynomials(Struct, frozen=True):
    """Means and log variances of many coefficients as polynomials in φ.

    Attributes
    ----------
    mean, log_variance : (monomial, coefficient) arrays
    error : float
        The largest root mean square error at nodes left out, in sds.
    """

    degree: int
    mean: Array
    log_variance: Array
    error: float

    def at(self, phi: Array) -> tuple[Array, Array]:
        """Means and variances at some φ: (φ, coefficient)."""
        columns = _columns(phi, self.degree)
        return columns @ self.mean, np.exp(columns @ self.log_variance)


def emulated(
    phi: Array, moments: Callable[[Ints], list[Moments]]
) -> tuple[list[Moments], Ints] | None:
    """Moments of all factors at some draws spread over φ; None where polynomials do not do.

    Parameters
    ----------
    phi : (draw, dimension) array
        As ``tame`` gives it.
    moments : function
        Exact moments at some of the draws.

    Returns
    -------
    moments of every factor, and the draws that they belong to
    """
    order, most = along_a_curve(phi), min(LAST, len(phi))
    count = max(LEAST, _enough(phi.shape[1], FIRST_DEGREE))
    if count > most:
        return None
    picked = _spread(order, count)
    exact = moments(picked)
    while True:
        found = _fitted(phi[picked], exact)
        if found is not None and found.error < GOOD:
            width = sum(one.mean[0].size for one in exact)
            many = _spread(order, min(max(LEAST_MANY, MANY_NUMBERS // width), len(phi)))
            return _apart(found.at(phi[many]), exact), many
        # Half as many again, between those that are known.
        fresh = np.setdiff1d(_spread(order, (len(picked) + 1) // 2), picked)
        if not len(fresh) or len(picked) + len(fresh) > most:
            return None
        exact = [one.joined(more) for one, more in zip(exact, moments(fresh), strict=True)]
        picked = np.append(picked, fresh)


def _enough(dims: int, degree: int) -> int:
    """Nodes for polynomials of some degree."""
    return math.ceil(PER_MONOMIAL * monomial_count(dims, degree))


def _spread(order: Ints, count: int) -> Ints:
    """So many draws, spread evenly along a curve through all of them."""
    return np.asarray(order[(2 * np.arange(count) + 1) * len(order) // (2 * count)])


def _columns(phi: Array, degree: int) -> Array:
    return np.concatenate([np.ones((len(phi), 1)), monomials(phi, degree)], axis=1)


def _fitted(phi: Array, exact: list[Moments]) -> Polynomials | None:
    """Polynomials through values at nodes, of the degree that foretells best."""
    nodes, dims = phi.shape
    mean = np.concatenate([one.mean.reshape(nodes, -1) for one in exact], axis=1)
    variance = np.concatenate([one.variance.reshape(nodes, -1) for one in exact], axis=1)
    if not dims or not (variance > 0).all():
        return None
    allowed = [degree for degree in DEGREES if _enough(dims, degree) <= nodes]
    fits = [_of_degree(degree, phi, mean, variance) for degree in allowed]
    return min((one for one in fits if one is not None), key=lambda one: one.error, default=None)


def _of_degree(degree: int, phi: Array, mean: Array, variance: Array) -> Polynomials | None:
    """Least squares, with errors at each node in turn from the fit to all others.

    A node far out is hardly foretold by the others, but the fit to all nodes has it: errors count
    by the share of a node that the others tell, and these shares add up to the nodes that there are
    beyond the monomials.
    """
    columns = _columns(phi, degree)
    basis, root = np.linalg.qr(columns)
    leverage = np.sum(basis**2, axis=1)
    if (leverage > 0.999).any():
        return None
    told = 1 - leverage

    def fit(values: Array) -> tuple[Array, Array]:
        along = basis.T @ values
        squares = (values - basis @ along) ** 2 / told[:, None]
        return np.linalg.solve(root, along), np.sqrt(np.sum(squares, axis=0) / np.sum(told))

    of_mean, off = fit(mean)
    of_variance, off_variance = fit(np.log(variance))
    sd = np.sqrt(variance.mean(axis=0))
    error = max(float((off / sd).max()), float((off_variance / 2).max()))
    return Polynomials(degree, of_mean, of_variance, error)


def _apart(found: tuple[Array, Array], exact: list[Moments]) -> list[Moments]:
    """Moments by factor again."""
    shapes = [one.mean.shape[1:] for one in exact]
    ends = np.cumsum([levels * terms for levels, terms in shapes])[:-1]
    parts = zip(*(np.split(one, ends, axis=1) for one in found), shapes, strict=True)
    return [
        Moments(mean.reshape(-1, *shape), variance.reshape(-1, *shape))
        for mean, variance, shape in parts
    ]
