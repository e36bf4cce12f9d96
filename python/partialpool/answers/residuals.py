"""Residuals: where each response lies beside what the other rows lead to expect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from msgspec.structs import asdict

from partialpool import limits
from partialpool.arrays import Array, Ints, mean_of
from partialpool.checks import check_choice, check_seed
from partialpool.draws.evaluate import Evaluator, stream
from partialpool.draws.new_rows import design_rows
from partialpool.draws.posterior import Posterior, rows_of
from partialpool.draws.rows import counting_weights
from partialpool.families.tails import Tails
from partialpool.findings.residuals import residual_findings
from partialpool.scores.left_out import Places, places

if TYPE_CHECKING:
    import pandas as pd

MOST = 200_000  # rows that weights stand for, by which a model is judged
KINDS = ("quantile", "pit", "response", "pearson")


def residuals(
    fit: Posterior,
    kind: Literal["quantile", "pit", "response", "pearson"] = "quantile",
    *,
    seed: int | None = None,
) -> pd.DataFrame:
    """Residuals of the rows that were fitted.

    Parameters
    ----------
    kind : {"quantile", "pit", "response", "pearson"}
        What the column `residual` holds.

        * ``"pit"``: the probability, given all other rows, of a response up to this one
          (probability integral transform). Uniform between 0 and 1 where the model holds, whatever
          the family.
        * ``"quantile"``: the same on the scale of a standard normal variable (Dunn & Smyth 1996):
          beyond ±2 in 5% of the rows, beyond ±3 in 0.3%.
        * ``"response"``: the response less its fitted value.
        * ``"pearson"``: that in units of the sd which the model gives it there.
    seed : int, optional
        Where single responses have a probability (counts, yes or no, categories), quantile
        residuals and ``pit`` are drawn from within it, so that they are continuous; by default with
        the seed of the fit.

    Returns
    -------
    DataFrame
        A row for each row that was fitted, called by its position in the table: response, fitted
        (its posterior mean), residual; with the first two kinds also pit, and pareto_k, which says
        how reliable they are (below 0.7 is fine). Ordered categories count as the numbers that they
        are, and as 0, 1, 2, … where they are none. ``attrs["notes"]`` says what to know, and
        ``attrs["findings"]`` whether quantile residuals are such that the model cannot hold.

    Raises
    ------
    InputError
        If the fit was saved without its rows, or leaving out its rows would take hours.

    Notes
    -----
    Each row is left out (Gelfand 1996): a model that bends to every row would else look right. In
    a Gaussian model, coefficients are integrated out, the predictive distribution given sds,
    correlations and sigma is exact, and only the posterior of these few is reweighted; in other
    models that of all parameters is, as in :meth:`loo`. Tails are kept as logarithms, so that a
    residual of ±8, or ±80, is a number. Where weights count rows, the residual is that of one of
    the rows that a row stands for, and findings look at all of them.

    Examples
    --------
    >>> import partialpool as pp
    >>> fit = pp.fit("log_radon ~ floor + (1 | county)", pp.datasets.radon(), seed=1)
    >>> found = fit.residuals()
    >>> found.columns.tolist()
    ['response', 'fitted', 'residual', 'pit', 'pareto_k']
    >>> round(float(found["residual"].std()), 2)
    1.0
    """
    check_choice("kind", kind, KINDS)
    seed = fit.run.seed if seed is None else check_seed(seed)
    if kind != "quantile":
        return _frame(fit, kind, seed, places(fit) if kind == "pit" else None)
    design, own = rows_of(fit), counted(fit, seed)
    found = residual_findings(fit.model.response, fit.model.family, own.z, design.rows[own.rows])
    own.frame.attrs["findings"] = [asdict(finding) for finding in found]
    return own.frame


def _frame(fit: Posterior, kind: str, seed: int, placed: Places | None) -> pd.DataFrame:
    """Residuals of one kind, with what is placed already where they need that."""
    import pandas as pd

    design, model = rows_of(fit), fit.model
    response = model.scores[design.y.astype(np.int64)] if model.categories else design.y
    expected, variance = _moments(fit, spread=kind == "pearson")
    columns = {"response": response, "fitted": expected}
    if placed is not None:
        at = _spread(fit, placed, seed)
        pit = np.where(at.below < at.above, np.exp(at.below), -np.expm1(at.above))
        columns["residual"] = normal_quantiles(at) if kind == "quantile" else pit
        columns |= {"pit": pit, "pareto_k": placed.pareto_k}
    else:
        with np.errstate(divide="ignore", invalid="ignore"):
            unit = np.sqrt(variance) if kind == "pearson" else 1.0
            columns["residual"] = (response - expected) / unit
    frame = pd.DataFrame(columns, index=pd.Index(design.rows, name="row"))
    frame.attrs |= {"kind": kind, "seed": seed, "notes": _notes(frame)}
    return frame


class Counted(NamedTuple):
    """Quantile residuals of all rows that the fitted rows count as.

    Attributes
    ----------
    frame : DataFrame
        Those of the fitted rows.
    rows : array of int
        Position of each among the fitted rows.
    z : array
        Its residual.
    """

    frame: pd.DataFrame
    rows: Ints
    z: Array


def counted(fit: Posterior, seed: int | None = None) -> Counted:
    """Give the residuals by which a model is judged: as many as rows count as.

    Rows of a table that was counted up, as of successes and of failures, are no sample: the rare
    response is in as many of them as the usual one.
    """
    seed = fit.run.seed if seed is None else seed
    weights, placed = counting_weights(fit), places(fit)
    frame = _frame(fit, "quantile", seed, placed)
    z = frame["residual"].to_numpy(np.float64)
    if (weights == 1).all():
        return Counted(frame, np.arange(len(z)), z)
    # Of weights that are no whole numbers, the fractions by chance; of very many rows, a part.
    weights = weights * min(1.0, MOST / weights.sum())
    times = np.floor(weights + stream(seed, "copies").random(len(weights))).astype(np.int64)
    rows = np.repeat(np.arange(len(weights)), times)
    return Counted(frame, rows, normal_quantiles(_spread(fit, placed.some(rows), seed)))


def _spread(fit: Posterior, placed: Places, seed: int) -> Tails:
    """Tails at the responses, or where single ones have a probability, at points within it."""
    if not fit.model.family.discrete:
        return placed.up_to
    return placed.spread(stream(seed, "residuals").random(len(placed.pareto_k)))


def normal_quantiles(at: Tails) -> Array:
    """Give the standard normal quantiles at probabilities, from both tails' logarithms.

    Examples
    --------
    >>> normal_quantiles(Tails(np.array([-50.0, 0.0]), np.array([0.0, -5000.0]))).round(2)
    array([-9.67, 99.94])
    """
    from scipy.special import ndtri_exp

    # Each tail has its digits where it is the smaller.
    lower = ndtri_exp(np.minimum(at.below, 0.0))
    return np.asarray(np.where(at.below < at.above, lower, -ndtri_exp(np.minimum(at.above, 0.0))))


def _moments(fit: Posterior, *, spread: bool) -> tuple[Array, Array]:
    """Posterior means of the expected response and, if asked, of the variance: (row,) each."""
    model = fit.model
    rows = design_rows(model, rows_of(fit))
    evaluator = Evaluator(model, fit.run, rows, new_levels="sample", seed=fit.run.seed)
    found = np.full((2, len(rows)), np.nan)
    for at in evaluator.chunks(max(1, 3 * len(model.categories))):
        with np.errstate(invalid="ignore", over="ignore"):
            eta = evaluator.linear(at)
            found[0, at] = mean_of(evaluator.mean(at, eta), axis=1)
            if spread:
                found[1, at] = evaluator.variance(at, eta).mean(axis=1)
    return found[0], found[1]


def _notes(frame: pd.DataFrame) -> list[str]:
    notes, n = [], len(frame)
    if "pareto_k" in frame:
        far = int((frame["pareto_k"] > limits.PARETO_K).sum())
        if far:
            notes.append(
                f"{far} of {n} residuals cannot be trusted (Pareto k up to "
                f"{frame['pareto_k'].max():.2f}, should be at most {limits.PARETO_K}): without "
                "their rows the posterior would be a different one"
            )
    lost = int(frame["residual"].isna().sum())
    if lost:
        notes.append(
            f"{lost} of {n} rows have no residual: nothing else determines what is expected there, "
            "because priors are flat"
        )
    endless = int(np.isinf(frame["residual"]).sum())
    if endless:
        notes.append(f"{endless} of {n} residuals are larger than can be computed with")
    return notes
