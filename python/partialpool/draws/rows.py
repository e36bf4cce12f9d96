"""The fitted rows again: their linear predictors, log densities, responses and means, draw by draw.

What the parameters say of rows is computed in `evaluate.py`; here it meets the responses. Draws are
flattened over chains. Everything is made for some rows at a time, so that memory does not grow with
draws × rows; `chunks` gives rows in an order in which levels lie side by side.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from partialpool import _core
from partialpool.arrays import Array, Ints
from partialpool.design import Design, GroupFactor
from partialpool.design.design import Part
from partialpool.draws.evaluate import Evaluator
from partialpool.draws.integrated import undetermined_rows
from partialpool.draws.new_rows import design_rows, without_levels
from partialpool.draws.posterior import Posterior, n_draws, rows_of
from partialpool.families import Family, Given
from partialpool.families.tails import Tails


class RowDraws(Struct, frozen=True, eq=False):
    """Rows and what some draws of the parameters say of them: (draw, row).

    Attributes
    ----------
    y : (row,) array
        The responses.
    weights : (row,) array or None
        Those that count rows, not those of a precision.
    eta : array
        Linear predictor of the mean, offset included; of ordered categories, to be compared with
        thresholds.
    given : Given
        Dispersion parameters (draw, 1), thresholds (draw, 1, threshold); log residual sd of every
        row, weights and known errors included, or None where the family has none; trials (row,).
    """

    family: Family
    y: Array
    weights: Array | None
    eta: Array
    given: Given

    def log_densities(self) -> Array:
        """Log density of each response given all parameters; weights multiply it."""
        link, aux, trials, log_sigma = self.given
        names = [one.name for one in self.family.dispersion if one.name != "sigma"]
        names += ["threshold"] if "threshold" in aux else []
        values = [aux[name].reshape(len(self.eta), -1) for name in names]
        nothing = np.empty((len(self.eta), 0))
        return _core.row_densities(
            family=self.family.density,
            link=link,
            y=self.y,
            trials=nothing[0] if trials is None else trials,
            weights=nothing[0] if self.weights is None else self.weights,
            eta=np.ascontiguousarray(self.eta.T),
            log_sigma=np.ascontiguousarray((nothing if log_sigma is None else log_sigma).T),
            aux=np.hstack([nothing, *values]),
            threads=os.cpu_count() or 1,
        ).T

    def responses(self, rng: np.random.Generator) -> Array:
        """Draw responses."""
        return np.asarray(self.family.simulate(rng, self.eta, self.given))

    def means(self) -> Array:
        """Expected responses given all parameters."""
        return np.asarray(self.family.mean(self.eta, self.given))

    def variances(self) -> Array:
        """Variances of the responses around these."""
        found = self.family.variance(self.eta, self.given)
        return np.broadcast_to(found, self.eta.shape)

    def log_tails(self, y: Array) -> Tails:
        """Log probabilities of responses up to y (row,), and of those beyond: (draw, row)."""
        found = self.family.log_tails(y, self.eta, self.given)
        return Tails(*(np.broadcast_to(tail, self.eta.shape) for tail in found))

    def pearson(self, *responses: Array) -> tuple[Array, ...] | None:
        """Squares of the distances of responses from their means, in units of their variances.

        Where the model holds they are 1 on average. None where they could not be more.
        """
        if not may_scatter(self.family, self.given.trials):
            return None
        variance = self.family.variance(self.eta, self.given)
        mean, least = self.means(), np.finfo(float).tiny
        with np.errstate(over="ignore", invalid="ignore"):
            return tuple((y - mean) ** 2 / np.maximum(variance, least) for y in responses)

    def squares(self, *responses: Array) -> tuple[Array, ...] | None:
        """Squares of residuals in units of the residual sd; None in families that have none."""
        if self.given.log_sigma is None:
            return None
        with np.errstate(over="ignore", invalid="ignore"):
            scale = np.exp(-self.given.log_sigma)
            return tuple(((self.family.linear(y) - self.eta) * scale) ** 2 for y in responses)


def may_scatter(family: Family, trials: Array | None) -> bool:
    """Whether responses could scatter more than their means say; those of single trials cannot."""
    return family.variance_from_mean and not (trials is not None and bool(np.all(trials == 1)))


def counting_weights(fit: Posterior) -> Array:
    """Return how many rows each row counts as; those of a precision count as one."""
    design = rows_of(fit)
    if design.weights is None or not fit.model.family.weights_count_rows:
        return np.ones(design.n_rows)
    return design.weights


def thinned(fit: Posterior, most: int) -> Ints:
    """Positions of at most so many draws, spread evenly over the chains."""
    total = n_draws(fit)
    if total <= most:
        return np.arange(total)
    return np.asarray(np.linspace(0, total - 1, most).round(), dtype=np.int64)


def chunks(design: Design, size: int) -> Iterator[Ints]:
    """Positions of all rows, at most `size` at a time, levels of the largest factor together."""
    order = np.arange(design.n_rows)
    if design.factors:
        largest = max(design.factors, key=lambda factor: len(factor.levels))
        order = np.argsort(largest.codes, kind="stable")
    for first in range(0, design.n_rows, max(size, 1)):
        yield order[first : first + max(size, 1)]


def take_rows(design: Design, rows: Ints) -> Design:
    """Some rows of a design; levels stay, those without rows among them."""

    def factors(of: tuple[GroupFactor, ...]) -> tuple[GroupFactor, ...]:
        return tuple(
            replace(
                factor,
                Z=np.ascontiguousarray(factor.Z[rows]),
                codes=np.ascontiguousarray(factor.codes[rows]),
                counts=np.bincount(factor.codes[rows], minlength=len(factor.levels)),
            )
            for factor in of
        )

    sigma: Part | None = None
    if design.sigma is not None:
        own = design.sigma
        X = np.ascontiguousarray(own.X[rows])
        sigma = replace(own, X=X, factors=factors(own.factors))
    return replace(
        design,
        y=np.ascontiguousarray(design.y[rows]),
        X=np.ascontiguousarray(design.X[rows]),
        factors=factors(design.factors),
        sigma=sigma,
        roles={role: np.ascontiguousarray(own[rows]) for role, own in design.roles.items()},
        n_rows=len(rows),
        rows=np.ascontiguousarray(design.rows[rows]),
        table=design.table.rows(rows),
    )


def add_by_level(totals: Array, values: Array, codes: Ints) -> None:
    """Add what rows have (draw, row) to the totals of their levels (draw, level), in place.

    Examples
    --------
    >>> totals = np.zeros((1, 3))
    >>> add_by_level(totals, np.array([[1.0, 2.0, 4.0]]), np.array([2, 0, 2]))
    >>> totals
    array([[2., 0., 5.]])
    """
    if (np.diff(codes) < 0).any():
        order = np.argsort(codes, kind="stable")
        codes, values = codes[order], values[:, order]
    levels, starts = np.unique(codes, return_index=True)
    totals[:, levels] += np.add.reduceat(values, starts, axis=1)


def row_draws(
    fit: Posterior,
    rows: Ints | None = None,
    draws: Ints | None = None,
    design: Design | None = None,
    *,
    deviations: bool = True,
) -> RowDraws:
    """Compute what draws of the parameters say of fitted rows.

    Parameters
    ----------
    fit : Posterior
        Any family, any engine.
    rows, draws : arrays of int, optional
        Positions among the rows of the design, and among the draws of all chains; by default all.
    design : Design, optional
        Rows with the columns and levels of the fit's own, in place of them. Predictors are NaN in
        levels that the fit's own rows do not determine under flat priors.
    deviations : bool
        Whether levels deviate from their population.
    """
    own = rows_of(fit)
    design = own if design is None else design
    rows = np.arange(design.n_rows) if rows is None else rows
    draws = np.arange(n_draws(fit)) if draws is None else draws
    model = fit.model
    every = design_rows(model, design)
    evaluator = Evaluator(
        model,
        fit.run,
        every if deviations else without_levels(model, every),
        new_levels="sample" if deviations else "population",
        seed=fit.run.seed,
        picked=draws,
    )
    eta = evaluator.linear(rows).T
    if design is own:
        _fill_undetermined(fit, design, eta, rows, draws)
    log_sigma, weights = evaluator.log_sigma(rows), design.weights
    if log_sigma is not None:
        log_sigma = log_sigma.T
    elif "sigma" in evaluator.aux:
        log_sigma = np.log(evaluator.aux["sigma"])[:, None]
    given = Given(
        model.link,
        {name: values[:, None] for name, values in evaluator.aux.items()},
        None if design.trials is None else design.trials[rows],
        None if log_sigma is None else np.broadcast_to(log_sigma, eta.shape),
    )
    counting = None if weights is None or log_sigma is not None else weights[rows]
    return RowDraws(fit.model.family, design.y[rows], counting, eta, given)


def _fill_undetermined(fit: Posterior, design: Design, eta: Array, rows: Ints, draws: Ints) -> None:
    """Put in the rows of levels that do not determine their coefficients under flat priors.

    The rows determine their own linear predictors all the same.
    """
    for k, group in enumerate(fit.model.groups):
        if group.is_flat:  # the model's only group
            picked = np.flatnonzero(~group.estimable[design.factors[k].codes[rows]])
            if len(picked):
                eta[:, picked] = undetermined_rows(fit, rows[picked], draws)
