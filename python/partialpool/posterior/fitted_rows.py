"""The fitted rows again: draws of their linear predictors, densities, responses and means.

Draws are flattened over chains. Everything is made for some rows at a time, so that memory does not
grow with draws × rows; `chunks` gives rows in an order in which levels lie side by side.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from partialpool import _core
from partialpool.engine.conditional import coefficient_draws, deviation_draws
from partialpool.errors import InputError
from partialpool.model.defaults import predictors
from partialpool.model.families import FAMILIES, Family

if TYPE_CHECKING:
    from partialpool.design import Design, GroupFactor
    from partialpool.posterior.fit import Fit

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

CHUNK = 4_000_000
LOG_2PI = math.log(2 * math.pi)


class RowDraws(NamedTuple):
    """Linear predictors of rows: (draw, row).

    Attributes
    ----------
    eta : array
        That of the mean, offset included; of ordered categories, to be compared with thresholds.
    log_sigma : array or None
        Log residual sd of every row, weights and known errors included; None where the family has
        none.
    """

    eta: Array
    log_sigma: Array | None


def rows_of(fit: Fit) -> Design:
    """Return the rows that a fit was made from.

    Raises
    ------
    InputError
        If it was saved without them.
    """
    if fit.design is None:
        raise InputError(
            "this fit was saved without the rows that were fitted",
            remedy="compute this before saving, save with `rows=True`, or fit again",
        )
    return fit.design


def family_of_fit(fit: Fit) -> Family:
    """Return the record of the response family."""
    return FAMILIES[fit.model.family]


def n_draws(fit: Fit) -> int:
    """Return the number of draws of all chains."""
    return fit.run.chains * fit.run.draws


def thinned(fit: Fit, most: int) -> Ints:
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


def row_predictors(
    fit: Fit, rows: Ints | None = None, draws: Ints | None = None, design: Design | None = None
) -> RowDraws:
    """Draw the linear predictors of fitted rows.

    Parameters
    ----------
    fit : Fit
        Any family, any engine.
    rows, draws : arrays of int, optional
        Positions among the rows of the design, and among the draws of all chains; by default all.
    design : Design, optional
        Rows with the columns and levels of the fit's own, in place of them.
    """
    own = rows_of(fit)
    design = own if design is None else design
    rows = np.arange(design.n_rows) if rows is None else rows
    draws = np.arange(n_draws(fit)) if draws is None else draws
    found: dict[str, Array] = {}
    k = 0
    for predictor in predictors(design):
        b = fit.run.coefficients(predictor.name)
        b = b.reshape(n_draws(fit), b.shape[-1])[draws]
        eta = b @ predictor.X[rows].T
        for factor in predictor.factors:
            eta += _group_part(fit, k, factor, rows, draws)
            k += 1
        found[predictor.name] = eta
    offset = design.total_offset
    if offset is not None:
        found["mu"] = found["mu"] + offset[rows]
    return RowDraws(found["mu"], _log_sigma(fit, design, rows, draws, found.get("sigma")))


def _group_part(fit: Fit, k: int, factor: GroupFactor, rows: Ints, draws: Ints) -> Array:
    """What the coefficients of a factor add: deviations from b, or own ones without pooling."""
    codes, Z = factor.codes[rows], factor.Z[rows]
    total = np.zeros((len(draws), len(rows)))
    if not len(rows):
        return total
    drawn = deviation_draws if factor.pooled else coefficient_draws
    levels, place = np.unique(codes, return_inverse=True)
    first, last = int(levels[0]), int(levels[-1]) + 1
    # Levels far apart are drawn one by one, near ones in one go.
    if last - first <= 4 * len(levels):
        values = drawn(fit.model, fit.run, k, first, last)
        values = values.reshape(-1, *values.shape[2:])[draws]
        place = codes - first
    else:
        parts = [drawn(fit.model, fit.run, k, int(j), int(j) + 1) for j in levels]
        values = np.concatenate([p.reshape(-1, *p.shape[2:])[draws] for p in parts], axis=1)
    for term in range(Z.shape[1]):
        total += values[:, place, term] * Z[:, term]
    group = fit.model.groups[k]
    undetermined = ~group.estimable[codes]
    if group.is_flat and undetermined.any():
        from partialpool.posterior.integrated import undetermined_rows

        picked = np.flatnonzero(undetermined)
        total[:, picked] = undetermined_rows(fit, rows[picked], draws)
    return total


def _log_sigma(
    fit: Fit, design: Design, rows: Ints, draws: Ints, predictor: Array | None
) -> Array | None:
    if all(one.name != "sigma" for one in family_of_fit(fit).dispersion):
        return None
    if design.se is not None:
        log_sigma = np.broadcast_to(np.log(design.se[rows]), (len(draws), len(rows)))
    elif predictor is not None:
        log_sigma = predictor
    else:
        assert fit.run.sigma is not None
        single = np.log(fit.run.sigma.ravel()[draws])[:, None]
        log_sigma = np.broadcast_to(single, (len(draws), len(rows)))
    if design.weights is not None:
        log_sigma = log_sigma - 0.5 * np.log(design.weights[rows])
    return log_sigma


def dispersion_draws(fit: Fit, draws: Ints) -> dict[str, Array]:
    """Draws of the dispersion parameters but sigma: (draw, 1); thresholds: (draw, 1, threshold)."""
    scalars = fit.run.scalars
    names = [d.name for d in family_of_fit(fit).dispersion if d.name != "sigma"]
    found = {name: scalars[name].ravel()[draws][:, None] for name in names}
    cuts = [x.ravel()[draws] for name, x in scalars.items() if name.startswith("threshold[")]
    if cuts:
        found["threshold"] = np.stack(cuts, axis=-1)[:, None, :]
    return found


def log_densities(
    fit: Fit, predictors: RowDraws, rows: Ints, draws: Ints, design: Design | None = None
) -> Array:
    """Log density of each response given all parameters: (draw, row).

    Weights other than those of a precision multiply it.
    """
    design = rows_of(fit) if design is None else design
    eta, log_sigma = predictors
    y = design.y[rows]
    if fit.model.family == "gaussian":
        assert log_sigma is not None
        z = (y - eta) * np.exp(-log_sigma)
        return np.asarray(-0.5 * (LOG_2PI + z * z) - log_sigma)
    trials = np.empty(0) if design.trials is None else design.trials[rows]
    weighted = log_sigma is None and design.weights is not None
    weights = design.weights[rows] if weighted and design.weights is not None else np.empty(0)
    aux = dispersion_draws(fit, draws)
    parameters = [x.reshape(len(draws), -1) for x in aux.values()]
    nothing = np.empty(0)

    def densities(first: int, last: int, values: Array) -> Array:
        times = last - first
        own = nothing if log_sigma is None else np.ravel(log_sigma[first:last])
        return _core.family_rows(
            fit.model.family,
            fit.model.link,
            np.tile(y, times),
            np.tile(trials, times),
            np.tile(weights, times),
            np.ravel(eta[first:last]),
            own,
            values,
        )[0].reshape(times, len(rows))

    if not parameters:
        return densities(0, len(draws), nothing)
    values = np.ascontiguousarray(np.concatenate(parameters, axis=1))
    return np.concatenate([densities(s, s + 1, values[s]) for s in range(len(draws))])


def responses(
    fit: Fit,
    predictors: RowDraws,
    rows: Ints,
    draws: Ints,
    rng: np.random.Generator,
    design: Design | None = None,
) -> Array:
    """Draw responses of rows: (draw, row)."""
    return np.asarray(_ask(fit, "simulate", rng, predictors, rows, draws, design))


def means(
    fit: Fit, predictors: RowDraws, rows: Ints, draws: Ints, design: Design | None = None
) -> Array:
    """Expected responses of rows given all parameters: (draw, row)."""
    return np.asarray(_ask(fit, "mean", None, predictors, rows, draws, design))


def _ask(
    fit: Fit,
    what: str,
    rng: np.random.Generator | None,
    predictors: RowDraws,
    rows: Ints,
    draws: Ints,
    design: Design | None,
) -> Any:
    """Ask the family for means or responses of rows."""
    design = rows_of(fit) if design is None else design
    family = family_of_fit(fit)
    trials = None if design.trials is None else design.trials[rows]
    first = () if rng is None else (rng,)
    return getattr(family, what)(
        *first,
        predictors.eta,
        fit.model.link,
        dispersion_draws(fit, draws),
        trials,
        predictors.log_sigma,
    )
