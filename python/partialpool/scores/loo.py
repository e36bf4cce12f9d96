"""How well a fit predicts what it has not seen: leave-one-out scores, and what to trust of them."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from msgspec import Struct, field
from numpy.typing import NDArray

from partialpool import _core, limits
from partialpool.arrays import Array, Ints
from partialpool.checks import A_FACTOR, check_text
from partialpool.design import GroupFactor
from partialpool.draws.crossed import (
    Crossed,
    crossed,
    crosses,
    drawn,
    leave_levels_out,
    leave_rows_out,
)
from partialpool.draws.integrated import blocks, integrates, level_scores, parameters, row_scores
from partialpool.draws.posterior import Posterior, n_draws, rows_of
from partialpool.draws.rows import (
    add_by_level,
    chunks,
    counting_weights,
    row_draws,
    thinned,
)
from partialpool.errors import InputError, did_you_mean
from partialpool.finding import Finding, about_all
from partialpool.findings.approximate import of_approximate_draws
from partialpool.memory import check_memory
from partialpool.words.page import Answer, Page

if TYPE_CHECKING:
    import pandas as pd


# Draws × rows to be evaluated; above it draws are thinned, to no fewer than these.
MOST, FEWEST = 4_000_000, 1000
# Operations that one answer may take where every draw of φ is an elimination of several factors,
# how many take a second, and the fewest draws that are worth it.
OPERATIONS, SPEED, LEAST = 5e11, 2e10, 100

# Seconds on one core: for each row and draw, and for each of its pairs of integrated coefficients.
ROW, PAIR = 4e-8, 1e-10

METHODS = {
    "integrated": "coefficients integrated out",
    "psis": "importance sampling",
    "kfold": "refits",
}


class Loo(Answer, Struct, frozen=True, eq=False):
    """Scores of predictions of what a posterior has not seen.

    Attributes
    ----------
    method : {"integrated", "psis", "kfold"}
        How the posteriors without a row were had: coefficients integrated out and the rest
        reweighted, all parameters reweighted, or refits.
    unit : str
        ``"row"``, or the grouping factor whose levels were left out.
    folds : int
        Number of refits.
    labels : array
        Positions of the rows in the table from 0, or the levels.
    elpd_i : array
        Log predictive density of each; NaN where nothing else determines it.
    log_score : array
        The same under the full posterior, which has seen it; NaN of levels without pooling.
    pareto_k : array
        Reliability of each: below 0.7 is fine. Empty for refits.
    y, mean : array
        Responses and their held-out predictive means; empty for levels.
    findings : tuple of Finding
        What cannot be trusted.
    weights : array
        How many rows each row counts as, which are left out together; empty where all count as
        one.
    """

    method: str
    unit: str
    folds: int
    labels: NDArray[Any]
    elpd_i: Array
    log_score: Array
    pareto_k: Array
    y: Array
    mean: Array
    findings: tuple[Finding, ...] = ()
    weights: Array = field(default_factory=lambda: np.empty(0))

    @property
    def used(self) -> NDArray[np.bool_]:
        """Which of them have a score."""
        return np.isfinite(self.elpd_i)

    @property
    def n(self) -> int:
        """How many have a score."""
        return int(self.used.sum())

    @property
    def elpd(self) -> float:
        """Expected log predictive density: the sum of the scores."""
        return float(self.elpd_i[self.used].sum())

    @property
    def se(self) -> float:
        """Standard error of `elpd`, from the spread of the scores."""
        return sum_error(self.elpd_i[self.used])

    @property
    def p_eff(self) -> float:
        """Effective number of parameters: how much better they are known by a fit that saw them."""
        return float((self.log_score - self.elpd_i)[self.used].sum())

    @property
    def rmse(self) -> float:
        """Root mean squared error of the held-out predictive means."""
        if not len(self.y) or not self.n:
            return math.nan
        squares = (self.y - self.mean)[self.used] ** 2
        weights = self.weights[self.used] if len(self.weights) else None
        return float(np.sqrt(np.average(squares, weights=weights)))

    @property
    def pointwise(self) -> pd.DataFrame:
        """A row for each: its score, Pareto k, response and held-out mean."""
        import pandas as pd

        columns = {"elpd": self.elpd_i, "log_score": self.log_score}
        others = {"pareto_k": self.pareto_k, "y": self.y, "mean": self.mean}
        columns |= {name: values for name, values in others.items() if len(values)}
        return pd.DataFrame(columns, index=pd.Index(self.labels, name=self.unit))

    @property
    def sentence(self) -> str:
        """The score, how it was had, and how far means miss, in plain words."""
        rows = "row" if self.unit == "row" else f"level of {self.unit}"
        if self.method == "kfold":
            left = "row by row" if self.unit == "row" else f"with levels of {self.unit} kept whole"
            how = f"{self.folds} refits without a part of the rows each, {left}"
            first = f"Held-out log predictive density of {self.n} rows"
        else:
            how = f"leaving out one {rows} at a time, {METHODS[self.method]}"
            first = f"Held-out log predictive density of {self.n} {rows.replace(' of', 's of')}"
            first += "s" if self.unit == "row" else ""
        text = f"{first}: {self.elpd:.1f} ± {self.se:.1f} ({how})."
        if math.isfinite(self.p_eff):
            text += f" The model has the freedom of {self.p_eff:.1f} parameters."
        if math.isfinite(self.rmse):
            text += f" Held-out means miss by {self.rmse:.4g} (root mean square)."
        if self.method != "kfold" and len(self.weights) and (self.weights != 1).any():
            text += " A row is left out together with all rows that its weight counts."
        return text

    @property
    def page(self) -> Page:
        """What it says."""
        names = ("method", "unit", "folds", "n", "elpd", "se", "p_eff", "rmse")
        return Page(
            notes=[self.sentence],
            findings=about_all(self.findings),
            facts={name: getattr(self, name) for name in names},
        )


def sum_error(values: Array) -> float:
    """Standard error of a sum of independent values."""
    return float(np.sqrt(len(values) * np.var(values, ddof=1))) if len(values) > 1 else math.nan


def loo(fit: Posterior, by: str | None = None) -> Loo:
    """Score predictions of rows, or of whole levels, by a posterior that has not seen them.

    Parameters
    ----------
    by : str, optional
        ``"group"`` or the name of the grouping factor: leave out one level after the other,
        and score all of its rows together. By default one row after the other.

    Returns
    -------
    Loo
        Sum of the log scores with its standard error, effective number of parameters,
        scores and held-out means row by row.

    Raises
    ------
    InputError
        If the fit was saved without its rows and this was not computed before, or levels
        are to be left out of a model whose group coefficients do not integrate out
        (:meth:`kfold` can do that).

    Notes
    -----
    In a Gaussian model, coefficients are integrated out: the
    held-out density given sds, correlations and sigma is exact, and only the posterior of
    these few is reweighted. In other models the posterior of all parameters is reweighted.
    Weights are smoothed (PSIS, Vehtari et al. 2024).

    Where weights count rows, all that a row stands for are left out together, as the answer says;
    :meth:`residuals` leaves out one of them.

    Examples
    --------
    >>> import partialpool as pp
    >>> fit = pp.fit("log_radon ~ floor + (1 | county)", pp.datasets.radon(), seed=1)
    >>> bool(fit.loo().elpd > fit.loo(by="county").elpd)
    True
    """
    factor = None
    check_text("by", by, A_FACTOR)
    if by is not None:
        names = {group.factor for group in fit.model.groups if group.predictor == "mu"}
        if by == "group" and len(names) == 1:
            by = names.pop()
        elif by not in names:
            raise _no_factor(by, sorted(names))
    key = "loo" if by is None else f"loo by {by}"
    if key not in fit.held_out:
        design = rows_of(fit)
        if by is not None:
            factor = design.factor(by)
        fit.held_out[key] = _rows(fit) if factor is None else leave_levels(fit, factor)
    found: Loo = fit.held_out[key]
    return found


def _no_factor(by: str, names: list[str]) -> InputError:
    if not names:
        return InputError(
            "the model has no group terms, so it has no levels to leave out",
            remedy="leave `by` out, or use compare(…).loo(by='group')",
        )
    remedy = f"say which of {', '.join(names)}" if by == "group" else did_you_mean(by, names)
    return InputError(f"`{by}` names no single grouping factor of the model", remedy=remedy)


def leave_levels(fit: Posterior, factor: GroupFactor) -> Loo:
    """Leave out one level of a factor after the other.

    The factor is the model's own, or any where it has none (complete pooling).
    """
    own = [f.name for f in rows_of(fit).factors]
    remedy = f'refit without them: `kfold(by="{factor.name}")`'
    wanted = max(FEWEST, MOST // len(factor.levels))
    if crosses(fit) and factor.name in own:
        every = crossed(fit)
        picked = affordable(fit, every, wanted, len(factor.levels), f"levels of `{factor.name}`")
        scores = leave_levels_out(every, drawn(fit, every, picked), factor)
    elif integrates(fit) and own in ([], [factor.name]):
        picked = thinned(fit, wanted)
        check_memory(len(picked), len(factor.levels), what="levels", copies=4, remedy=remedy)
        rows = blocks(fit, factor.codes, len(factor.levels))
        scores = level_scores(rows, parameters(fit, rows, picked))
    else:
        raise InputError(
            f"levels of `{factor.name}` can be left out one by one only where all group "
            "coefficients integrate out; reweighting the draws would not be reliable",
            remedy=remedy,
        )
    elpd, k, *_ = leave_out(scores, efficiency(fit))
    empty = np.empty(0)
    log_score = np.full(len(elpd), np.nan)
    found = [*_unreliable(k, elpd, f"levels of `{factor.name}`", f'kfold(by="{factor.name}")')]
    if any(not f.pooled for f in rows_of(fit).factors):
        found.append(
            Finding(
                "prior-only",
                "warning",
                f"Without pooling, the other levels say nothing about a level of `{factor.name}`: "
                "these scores tell only what the priors expect.",
                "Do not compare them with those of other models.",
            )
        )
    else:
        log_score = log_mean(_level_densities(fit, factor, picked))
    return Loo(
        "integrated", factor.name, 0, factor.levels, elpd, log_score, k, empty, empty, tuple(found)
    )


def _level_densities(fit: Posterior, factor: GroupFactor, draws: Ints) -> Array:
    """Log density of all rows of each level given all parameters: (draw, level)."""
    design = rows_of(fit)
    total = np.zeros((len(draws), len(factor.levels)))
    for rows in chunks(design, max(1, 2_000_000 // len(draws))):
        density = row_draws(fit, rows, draws).log_densities()
        add_by_level(total, density, factor.codes[rows])
    return total


def _rows(fit: Posterior) -> Loo:
    design = rows_of(fit)
    n, exact = design.n_rows, integrates(fit)
    elpd, log_score, k, mean = (np.full(n, np.nan) for _ in range(4))
    relative = efficiency(fit)
    draws = thinned(fit, max(FEWEST, MOST // n))
    if crosses(fit):
        every = crossed(fit)
        exact, draws = True, affordable(fit, every, len(draws), 3, "rows")
        check_memory(len(draws), n, what="rows", copies=8, remedy="use `kfold(5)`")
        density, expected, score = leave_rows_out(every, drawn(fit, every, draws))
        left = leave_out(density, relative)
        elpd, k, log_score = left.elpd, left.pareto_k, log_mean(score)
        mean = expected[0] + np.einsum("sr,sr->r", left.weights, expected - expected[0])
    elif exact:
        check_effort(n, len(draws), len(fit.model.columns))
        sorted_rows = blocks(fit)
        of_draws = parameters(fit, sorted_rows, draws)
        elpd, k, mean, log_score = row_scores(sorted_rows, of_draws, relative)
    else:
        check_effort(n, len(draws), 0)
        for at in chunks(design, max(1, 2_000_000 // len(draws))):
            of_rows = row_draws(fit, at, draws)
            left = leave_out(of_rows.log_densities(), relative)
            elpd[at], k[at], log_score[at] = left.elpd, left.pareto_k, left.log_mean
            expected = of_rows.means()
            first = np.where(np.isfinite(expected[0]), expected[0], 0.0)
            mean[at] = first + np.einsum("sr,sr->r", left.weights, expected - first)
    found = [*_unreliable(k, elpd, "rows", "kfold()"), *of_approximate_draws(fit, "These scores")]
    method = "integrated" if exact else "psis"
    return Loo(
        method,
        "row",
        0,
        design.rows,
        elpd,
        log_score,
        k,
        design.y,
        mean,
        tuple(found),
        counting_weights(fit),
    )


def affordable(fit: Posterior, rows: Crossed, wanted: int, times: int, what: str) -> Ints:
    """Draws of φ at which all rows may be evaluated so many times, `wanted` at most; or refuse."""
    effort = times * rows.operations
    seconds = LEAST * effort / SPEED
    if seconds > limits.LOO_SECONDS:
        raise InputError(
            f"leaving out {what} one by one would take about {seconds / 3600:.1f} hours",
            remedy="use `kfold(5)`, which takes five fits",
        )
    return thinned(fit, int(min(wanted, max(LEAST, OPERATIONS / effort))))


def check_effort(rows: int, draws: int, columns: int) -> None:
    """Refuse what would take hours, before any work."""
    remedy = "use `kfold(5)`, which takes five fits"
    seconds = rows * draws * (ROW + PAIR * columns**2) / (os.cpu_count() or 1)
    if seconds > limits.LOO_SECONDS:
        model = f" of a model with {columns} coefficients" if columns > 30 else ""
        raise InputError(
            f"leaving out {rows:,} rows{model} one by one would take about "
            f"{seconds / 3600:.0f} hours",
            remedy=remedy,
        )
    pairs = columns * columns
    check_memory(draws, pairs, what="covariances of coefficients", copies=1.5, remedy=remedy)


def efficiency(fit: Posterior) -> float:
    """Effective draws per draw, on average over the parameters."""
    ess = fit.parameter_summary.values["ess_bulk"]
    ess = ess[np.isfinite(ess)]
    return float(np.clip(np.mean(ess) / n_draws(fit), 0.01, 1.0)) if len(ess) else 1.0


def log_mean(values: Array) -> Array:
    """Log of the mean over draws (first axis) of what is given by its logarithm."""
    most = np.max(values, axis=0)
    most = np.where(np.isfinite(most), most, 0.0)  # where no draw allows it, the log is −∞
    with np.errstate(divide="ignore"):
        return np.asarray(most + np.log(np.mean(np.exp(values - most), axis=0)))


class LeftOut(NamedTuple):
    """Of each column of draws (draw, row), reweighted to a posterior that has not seen it.

    Attributes
    ----------
    elpd, pareto_k : (row,) arrays
        NaN for columns with a density that is not finite; k is infinite where no tail can be
        fitted.
    log_mean : (row,) array
        Log mean density of the draws as they are.
    weights : (draw, row) array
        Normalised.
    """

    elpd: Array
    pareto_k: Array
    log_mean: Array
    weights: Array


def leave_out(log_density: Array, relative: float) -> LeftOut:
    """Weigh draws by one over their density (draw, row), the largest weights smoothed (PSIS).

    `relative`: effective draws a draw.
    """
    columns = np.ascontiguousarray(log_density.T)
    scores, weights = _core.leave_out(
        log_density=columns, relative=relative, threads=os.cpu_count() or 1
    )
    elpd, k, log_mean = scores.T
    return LeftOut(elpd, k, log_mean, weights.T)


def _unreliable(k: Array, elpd: Array, what: str, remedy: str) -> list[Finding]:
    found = []
    count, total = int(np.sum(k > limits.PARETO_K)), len(k)
    if count:
        found.append(
            Finding(
                "pareto-k",
                "warning",
                f"The scores of {count} of {total} {what} cannot be trusted (Pareto k up to "
                f"{np.nanmax(k):.2f}, should be at most {limits.PARETO_K}): without them the "
                "posterior would be a different one.",
                f"Use {remedy}, which fits again without them.",
            )
        )
    lost = int(np.sum(~np.isfinite(elpd)))
    if lost:
        found.append(
            Finding(
                "not-predictable",
                "warning",
                f"{lost} of {total} {what} have no score: nothing else determines them, because "
                "priors are flat. They are left out.",
                "Give coefficients proper priors.",
            )
        )
    return found
