"""Held-out densities of a Gaussian model with coefficients integrated out, given the rest.

Given φ = (sds, correlations, sigma, and coefficients whose prior is not normal or flat), the rows
are jointly normal. With V block-diagonal by level and A = XᵀV⁻¹X + P (P: prior precision of b),
the precision of y is ``Q = V⁻¹ − V⁻¹X A⁻¹XᵀV⁻¹``, and ``α = V⁻¹(y − X b̂)`` is Q times the deviation
of y from its prior mean. Then, of row i given all others, the mean is ``y_i − α_i/Q_ii`` and the
variance ``1/Q_ii``; of a whole level given the others, Q's block says the same, here by way of
``A − X_jᵀV_j⁻¹X_j``, so that nothing is larger than (p, p). And of row i given all rows, itself
included, the linear predictor has mean ``y_i − σ²α_i`` and variance ``σ² − σ⁴Q_ii``.

All levels' cross-products are computed once. Rows are scaled to the same residual variance.
"""

from __future__ import annotations

import os
from functools import cached_property
from typing import NamedTuple

import numpy as np
from msgspec import Struct

from partialpool import _core, called
from partialpool.arrays import LOG_2PI, Array, Ints
from partialpool.draws.evaluate import CHUNK
from partialpool.draws.posterior import Posterior, n_draws, rows_of
from partialpool.engine.conditional import covariances
from partialpool.model.marginal import prior_rows, working_rows
from partialpool.priors import Flat, Normal, Uniform

# Of its own precision σ⁻², what others leave a row: below this, nothing else determines it.
UNDETERMINED = 1e-9


def integrates(fit: Posterior) -> bool:
    """Whether the group coefficients of a fit integrate out, so that this file applies.

    Uniform priors without pooling count as flat where no draw had to be dropped for them.
    """
    design = rows_of(fit)
    if not fit.model.family.conjugate or design.sigma is not None or len(design.factors) > 1:
        return False
    for factor in design.factors:
        if factor.pooled:
            continue
        own = [fit.model.priors[called.coef(factor.name, term)] for term in factor.terms]
        normal = all(isinstance(prior, Normal) for prior in own)
        flat = all(isinstance(prior, (Flat, Uniform)) for prior in own)
        bounded = any(isinstance(prior, Uniform) for prior in own)
        dropped = fit.run.groups[0].has_coef
        if not (normal or (flat and not (bounded and dropped))):
            return False
    return True


class Parameters(Struct, frozen=True):
    """Draws of φ and what they give: (draw, …).

    Attributes
    ----------
    Sigma : (s, q, q) array or None
        Covariance of the group coefficients; None where their priors are flat.
    core : Integrated
        Coefficients in the core.
    """

    Sigma: Array | None
    sigma: Array
    core: _core.Integrated

    @property
    def coefficients(self) -> tuple[Array, Array]:
        """What the columns ``[X y]`` are multiplied with to give the residuals, and A⁻¹.

        (s, m); over the integrated columns (s, p, p).
        """
        contrast, root = self.core.coefficients()
        return contrast, np.swapaxes(root, -1, -2) @ root


class RowScores(NamedTuple):
    """Of every row, in the order of the design: (row,) each.

    Attributes
    ----------
    elpd, pareto_k : array
        log p(y_i | all other rows), φ reweighted; NaN where other rows say nothing and priors are
        flat.
    mean : array
        Mean of y_i given all other rows.
    log_score : array
        log density of a second response like y_i, given all rows, at y_i.
    """

    elpd: Array
    pareto_k: Array
    mean: Array
    log_score: Array


class Blocks(Struct, frozen=True, dict=True):
    """The rows, sorted by level and scaled.

    Attributes
    ----------
    B : (n, p + 1) array
        Working columns: integrated, sampled, response.
    Z : (n, q) array
        Group columns, for coefficients with the covariance that `Sigma` has.
    codes : (n,) array of int
        Level of every row.
    order : (n,) array of int
        Position of every row in the design.
    scale : (n,) array
        What rows were multiplied with.
    P : (p + 1, p + 1) array
        Normal priors of b, as the cross-product of rows.
    """

    B: Array
    Z: Array
    codes: Ints
    n_levels: int
    order: Ints
    scale: Array
    P: Array
    n_integrated: int
    y: Array

    @cached_property
    def counts(self) -> Ints:
        """Rows of each level."""
        return np.bincount(self.codes, minlength=self.n_levels)

    def _sum(self, left: Array, right: Array) -> Array:
        """Cross-products level by level: (level, columns, columns)."""
        shape = (self.n_levels, left.shape[1], right.shape[1])
        sums = np.zeros(shape)
        present = np.flatnonzero(self.counts)
        starts = (np.cumsum(self.counts) - self.counts)[present]
        for k in range(left.shape[1]):
            products = left[:, k, None] * right
            if len(present):
                sums[present, k] = np.add.reduceat(products, starts, axis=0)
        return sums

    @cached_property
    def ZZ(self) -> Array:
        """ZᵀZ by level."""
        return self._sum(self.Z, self.Z)

    @cached_property
    def ZB(self) -> Array:
        """ZᵀB by level."""
        return self._sum(self.Z, self.B)

    @cached_property
    def BB(self) -> Array:
        """BᵀB by level."""
        return self._sum(self.B, self.B)

    @cached_property
    def flat_W(self) -> Array:
        """W under flat priors: (ZᵀZ)⁻¹, or the pseudo-inverse where rows do not determine all."""
        return np.asarray(np.linalg.pinv(self.ZZ, rcond=1e-12, hermitian=True))

    def W(self, draws: Parameters, first: int, last: int) -> Array:
        """W with ``V_j⁻¹ = (I − Z W Zᵀ)/σ²``, for levels first..last: (draw or 1, level, q, q)."""
        if draws.Sigma is None:
            return self.flat_W[None, first:last]
        Sigma = draws.Sigma[:, None]
        q = Sigma.shape[-1]
        if q == 1:
            return np.asarray(
                Sigma / (draws.sigma[:, None, None, None] ** 2 + Sigma * self.ZZ[first:last])
            )
        system = Sigma @ self.ZZ[first:last]
        system[..., np.arange(q), np.arange(q)] += draws.sigma[:, None, None] ** 2
        solved = np.linalg.solve(system, np.broadcast_to(Sigma, system.shape))
        return np.asarray((solved + np.swapaxes(solved, -1, -2)) / 2)

    def residual_products(self, draws: Parameters, first: int, last: int) -> Array:
        """``B_jᵀ V_j⁻¹ B_j`` for levels first..last: (draw, level, m, m)."""
        ZB = self.ZB[first:last]
        inside = np.swapaxes(ZB, -1, -2) @ self.W(draws, first, last) @ ZB
        return np.asarray((self.BB[first:last] - inside) / draws.sigma[:, None, None, None] ** 2)


def blocks(fit: Posterior, codes: Ints | None = None, n_levels: int = 0) -> Blocks:
    """Prepare the rows of a fit; `codes` group them where the model itself does not."""
    design = rows_of(fit)
    working = working_rows(design, fit.model.priors)
    scale = np.ones(len(working.y)) if working.row_scale is None else working.row_scale
    Z = np.empty((len(scale), 0))
    if working.group is not None:
        codes, n_levels = working.codes, working.n_levels
        Z = working.group.columns
    elif codes is None:
        codes, n_levels = np.zeros(len(scale), dtype=np.int64), 1
    order = np.argsort(codes, kind="stable")
    B = np.column_stack([working.X[:, working.order], working.y]) * scale[:, None]
    P, _ = prior_rows(working.at, working.order)
    return Blocks(
        B=np.ascontiguousarray(B[order]),
        Z=np.ascontiguousarray((Z * scale[:, None])[order]),
        codes=codes[order],
        n_levels=n_levels,
        order=order,
        scale=scale[order],
        P=P,
        n_integrated=len(working.order) - working.n_sampled,
        y=design.y[order],
    )


def parameters(fit: Posterior, rows: Blocks, picked: Ints) -> Parameters:
    """Draws of φ, and b̂ and A⁻¹ for each."""
    design, run = rows_of(fit), fit.run
    working = working_rows(design, fit.model.priors)
    s = len(picked)
    sigma = np.ones(s) if run.sigma is None else run.sigma.ravel()[picked]
    Sigma: Array | None = np.empty((s, 0, 0))
    if working.group is not None:
        Sigma = _covariances(fit, working.group.known_sd, picked)
    p, m = rows.n_integrated, rows.B.shape[1]
    u = np.zeros((s, m))
    u[:, -1] = 1.0
    if working.n_sampled:
        b = run.b.reshape(n_draws(fit), -1)[picked]
        u[:, p:-1] = -working.at.to_working(b)[:, working.order[p:]]
    q, nothing = rows.Z.shape[1], np.empty((0, 0, 0))
    core = _core.Integrated(
        zz=rows.ZZ,
        zb=rows.ZB,
        sigma=sigma,
        covariance=nothing if Sigma is None else Sigma,
        flat_w=rows.flat_W if Sigma is None or not q else nothing,
        contrast=u,
        total=rows.B.T @ rows.B,
        prior=rows.P,
        n_integrated=p,
        threads=os.cpu_count() or 1,
    )
    return Parameters(Sigma, sigma, core)


def _system(rows: Blocks) -> int:
    """Size of a level's system of equations."""
    return max(1, int(rows.Z.shape[1]) ** 2)


def _covariances(fit: Posterior, known_sd: Array | None, picked: Ints) -> Array | None:
    """Covariance of the group coefficients for each draw; None where their priors are flat."""
    if known_sd is not None:
        if np.isinf(known_sd).all():
            return None
        q = len(known_sd)
        return np.broadcast_to(np.diag(known_sd**2), (len(picked), q, q))

    return covariances(fit.model, fit.run, 0)[picked]


def row_scores(rows: Blocks, draws: Parameters, relative: float) -> RowScores:
    """Leave out one row after the other; `relative`: effective draws a draw."""
    found = draws.core.leave_rows_out(
        z=rows.Z,
        b=rows.B,
        level=rows.codes,
        scale=rows.scale,
        y=rows.y,
        relative=relative,
        threads=os.cpu_count() or 1,
    )
    placed = np.empty_like(found)
    placed[rows.order] = found
    return RowScores(*placed.T)


def standardised(rows: Blocks, draws: Parameters, at: slice) -> tuple[Array, Array]:
    """Leave out one row after the other, of those in some places of the order.

    Returns
    -------
    z, log_density : (draw, row) arrays
        How far y_i is from its mean given all other rows and φ, in its sds then; and its log
        density. NaN where other rows do not determine it.
    """
    level, Z = rows.codes[at], rows.Z[at]
    first, last = int(level[0]), int(level[-1]) + 1
    p, sigma = rows.n_integrated, draws.sigma[:, None]
    u, inverse = draws.coefficients
    W = rows.W(draws, first, last)[:, level - first]
    WZ = np.einsum("srqk,rk->srq", W, Z)
    rest = rows.B[at] - np.einsum("srq,rqm->srm", WZ, rows.ZB[level])
    # In units of 1/sigma²: what levels leave of the row's own precision, less what b takes.
    half = np.einsum("srp,spk->srk", rest[..., :p], inverse)
    own = 1.0 - np.einsum("srq,rq->sr", WZ, Z)
    own = own - np.einsum("srk,srk->sr", half, rest[..., :p]) / sigma**2
    own = np.where(own > UNDETERMINED, own, np.nan)
    z = np.einsum("srm,sm->sr", rest, u) / (sigma * np.sqrt(own))
    log_density = np.log(rows.scale[at] / sigma) + 0.5 * (np.log(own) - LOG_2PI - z**2)
    return z, log_density


def level_scores(rows: Blocks, draws: Parameters) -> Array:
    """Log p(rows of a level | all other rows, φ): (draw, level).

    NaN where other rows do not determine coefficients with flat priors.
    """
    s, m, p = len(draws.sigma), rows.B.shape[1], rows.n_integrated
    q, J = rows.Z.shape[1], rows.n_levels
    log_scale = np.bincount(rows.codes, np.log(rows.scale), minlength=J)
    scores = np.empty((s, J))
    u, inverse = draws.coefficients
    size = max(1, CHUNK // (s * (2 * m * m + 2 * _system(rows))))
    log_variance = 2 * np.log(draws.sigma)[:, None]
    for first in range(0, J, size):
        last = min(first + size, J)
        products = rows.residual_products(draws, first, last)
        within = np.einsum("si,sjik,sk->sj", u, products, u, optimize=True)
        log_det = rows.counts[first:last] * log_variance
        if draws.Sigma is None:
            scores[:, first:last] = np.nan
            continue
        if q:
            system = draws.Sigma[:, None] @ rows.ZZ[first:last]
            system = system / draws.sigma[:, None, None, None] ** 2 + np.eye(q)
            log_det = log_det + np.linalg.slogdet(system)[1]
        between = np.zeros_like(within)
        if p:
            G = products[..., :p, :p]
            share = np.eye(p) - inverse[:, None] @ G
            sign, log_left = np.linalg.slogdet(share)
            determined = (sign > 0) & (log_left > p * np.log(UNDETERMINED))
            share[~determined] = np.eye(p)
            t = np.einsum("sjik,sk->sji", products[..., :p, :], u)
            # (A − G)⁻¹ = (I − A⁻¹G)⁻¹ A⁻¹
            solved = np.linalg.solve(share, inverse[:, None] @ t[..., None])[..., 0]
            between = np.einsum("sji,sji->sj", t, solved)
            log_det = log_det - np.where(determined, log_left, np.nan)
        counts = rows.counts[first:last]
        scores[:, first:last] = -0.5 * (counts * LOG_2PI + log_det + within + between)
    return scores + log_scale


def undetermined_rows(fit: Posterior, picked: Ints, draws: Ints) -> Array:
    """Draw linear predictors of rows in levels that do not determine all flat coefficients.

    Their rows determine their own linear predictors all the same: (draw, row), offset included.
    """
    design = rows_of(fit)
    working = working_rows(design, fit.model.priors)
    columns, factor = working.group, design.factors[0]
    assert columns is not None
    scale = np.ones(design.n_rows) if working.row_scale is None else working.row_scale
    b = fit.run.b.reshape(n_draws(fit), fit.run.b.shape[-1])[draws]
    c = working.at.to_working(b)
    sigma = np.ones(n_draws(fit)) if fit.run.sigma is None else fit.run.sigma.ravel()
    out = np.empty((len(draws), len(picked)))
    for level in np.unique(factor.codes[picked]):
        rows = np.flatnonzero(factor.codes == level)
        Z = columns.Z[rows] * scale[rows, None]
        left, size, _ = np.linalg.svd(Z, full_matrices=False)
        basis = left[:, size > 1e-9 * max(size[0], 1e-300)]
        rest = (working.y[rows] - c @ working.X[rows].T) * scale[rows]
        rng = np.random.default_rng([fit.run.seed, 2, int(level)])
        noise = rng.normal(size=(n_draws(fit), basis.shape[1]))[draws]
        fitted = (rest @ basis + sigma[draws, None] * noise) @ basis.T / scale[rows]
        # What the working response lacks.
        shift = working.at.level + columns.level + columns.Z[rows] @ columns.mean
        if design.offset is not None:
            shift = shift + design.offset[rows]
        fitted += shift + c @ working.X[rows].T
        place = {int(row): k for k, row in enumerate(rows)}
        mine = np.flatnonzero(factor.codes[picked] == level)
        out[:, mine] = fitted[:, [place[int(row)] for row in picked[mine]]]
    return out
