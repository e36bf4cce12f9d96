"""Held-out densities of a Gaussian model with several factors, coefficients integrated out.

Of row i given all others, and of a level's rows given all others, as in `integrated.py`; here
levels are left out by the difference of two log densities, of all rows and of all but the level's.
"""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import numpy as np
from msgspec import Struct

from partialpool import _core, called
from partialpool.arrays import LOG_2PI, Array, Ints
from partialpool.design import Design, GroupFactor
from partialpool.draws.posterior import Posterior, n_draws, rows_of
from partialpool.engine.conditional import covariances
from partialpool.model.blocks import BlockRows, block_rows
from partialpool.model.marginal import prior_rows
from partialpool.priors import Normal


def crosses(fit: Posterior) -> bool:
    """Whether the coefficients of several factors integrate out, so that this file applies."""
    design = rows_of(fit)
    if not fit.model.family.conjugate or design.sigma is not None or len(design.factors) < 2:
        return False
    own = [
        fit.model.priors[called.coef(factor.name, term)]
        for factor in design.factors
        if not factor.pooled
        for term in factor.terms
    ]
    return all(isinstance(prior, Normal) for prior in own)


class Drawn(NamedTuple):
    """Draws of φ: sds and correlations as covariances, sigma, sampled coefficients."""

    covariance: list[Array]
    sigma: list[float]
    sampled: Array


class Crossed(Struct, frozen=True):
    """The rows of a fit in working coordinates.

    Attributes
    ----------
    data : _core.Blocks
        The same, reduced.
    prior : (p + 1, p + 1) array
        Normal priors of b, as the cross-product of rows.
    """

    design: Design
    work: BlockRows
    data: _core.Blocks
    prior: Array

    @property
    def operations(self) -> float:
        """Operations that a draw of φ takes."""
        return self.data.cost[0]


def crossed(fit: Posterior) -> Crossed:
    """Prepare the rows of a fit."""
    design = rows_of(fit)
    work = block_rows(design, fit.model.priors)
    prior, _ = prior_rows(work.at, work.order)
    return Crossed(design, work, work.reduce(design.factors, design.n_rows), prior)


def drawn(fit: Posterior, rows: Crossed, picked: Ints) -> Drawn:
    """Take some draws of φ."""
    model, run, work = fit.model, fit.run, rows.work
    covariance = [
        np.ascontiguousarray(covariances(model, run, k)[picked]) for k in range(len(run.groups))
    ]
    sigma = [1.0] * len(picked) if run.sigma is None else run.sigma.ravel()[picked].tolist()
    b = run.b.reshape(n_draws(fit), -1)[picked]
    columns = work.order[len(work.order) - work.n_sampled :]
    return Drawn(covariance, sigma, np.ascontiguousarray(work.at.to_working(b)[:, columns]))


def leave_rows_out(rows: Crossed, draws: Drawn) -> tuple[Array, Array, Array]:
    """Leave out one row after the other.

    Returns
    -------
    log_density, mean, log_score : (draw, row) arrays
        log p(y_i | all other rows, φ), the mean of y_i then, and the log density of a second
        response like y_i, given all rows, at y_i.
    """
    work, design = rows.work, rows.design
    scale = np.ones(len(work.y)) if work.row_scale is None else work.row_scale
    found = rows.data.leave_rows_out(
        z=[np.ascontiguousarray(group.Z) for group in work.groups],
        codes=[factor.codes for factor in design.factors],
        xy=work.xy,
        row_scale=np.ascontiguousarray(scale),
        **_named(rows, draws),
    )
    log_scale = np.log(scale)
    density, away, score = np.moveaxis(found, 2, 0)
    return density + log_scale, design.y - away / scale, score + log_scale


def standardised(rows: Crossed, draws: Drawn) -> tuple[Array, Array]:
    """How far each y_i is from its mean given all other rows, in its sds then, and its log density.

    The sds do not depend on the responses, so densities at 0 of responses that are all 0 tell them.
    """
    log_density, mean, _ = leave_rows_out(rows, draws)
    work = rows.work._replace(y=np.zeros_like(rows.work.y))
    prior = rows.prior.copy()
    prior[-1], prior[:, -1] = 0.0, 0.0
    at_zero = Crossed(
        rows.design, work, work.reduce(rows.design.factors, rows.design.n_rows), prior
    )
    flat, _, _ = leave_rows_out(at_zero, draws._replace(sampled=np.zeros_like(draws.sampled)))
    return (rows.design.y - mean) * np.exp(flat + LOG_2PI / 2), log_density


def leave_levels_out(rows: Crossed, draws: Drawn, factor: GroupFactor) -> Array:
    """Log p(rows of a level | all other rows, φ): (draw, level).

    NaN where other rows do not determine coefficients with flat priors.
    """
    scale = np.ones(len(rows.work.y)) if rows.work.row_scale is None else rows.work.row_scale
    own = np.bincount(factor.codes, np.log(scale), minlength=len(factor.levels))
    whole = rows.data.log_densities(**_named(rows, draws))
    scores = np.empty((len(draws.sigma), len(factor.levels)))
    for level in range(len(factor.levels)):
        rest = _without(rows, factor.codes != level)
        scores[:, level] = whole - rest.log_densities(**_named(rows, draws))
    return scores + own


def _named(rows: Crossed, draws: Drawn) -> dict[str, Any]:
    return {
        "covariance": draws.covariance,
        "sigma": draws.sigma,
        "prior": rows.prior,
        "sampled": draws.sampled,
        "threads": os.cpu_count() or 1,
    }


def _without(rows: Crossed, kept: Array) -> _core.Blocks:
    """Reduce some of the rows."""
    work = rows.work
    return _core.Blocks(
        z=[np.ascontiguousarray(group.Z[kept]) for group in work.groups],
        codes=[np.ascontiguousarray(factor.codes[kept]) for factor in rows.design.factors],
        n_levels=[len(factor.levels) for factor in rows.design.factors],
        unscale=[np.ascontiguousarray(group.unscale) for group in work.groups],
        xy=np.ascontiguousarray(work.xy[kept]),
        row_scale=None if work.row_scale is None else np.ascontiguousarray(work.row_scale[kept]),
    )
