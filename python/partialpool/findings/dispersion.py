"""Whether responses scatter as the model says around their means: in all, and level by level.

Of counts and successes the variance follows from the mean, so they may scatter too much.

Pearson's dispersion, the mean over rows of (y − mean)²/variance, is 1 where the model holds, given
the parameters. How far it strays by chance depends on the means (with a mean of 0.01, a single 1
adds 100), so it is compared with that of responses that the model makes.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from partialpool import limits
from partialpool.arrays import Array, Ints
from partialpool.design import Design
from partialpool.draws.posterior import Posterior, n_draws, rows_of
from partialpool.draws.rows import (
    RowDraws,
    add_by_level,
    counting_weights,
    may_scatter,
    row_draws,
    thinned,
)
from partialpool.draws.statistic import Statistic
from partialpool.finding import Finding

DISPERSION, RESIDUAL_SDS = "dispersion", "sd of residual sds by "

# Rows are as many as tell a dispersion of 1.1 from 1.
DRAWS, ROWS = 400, 5000
# Draws × levels whose residual sds are kept, for the data and for what the model makes.
MOST = 10_000_000

OTHERS = (
    "Look for single large responses, for a predictor or group that is missing, and at check()."
)


def overdispersion(fit: Posterior) -> Iterator[Finding]:
    """Find responses that scatter clearly more than the family allows."""
    if fit.design is None:
        return
    possible = may_scatter(fit.model.family, rows_of(fit).trials)
    rows = _some_rows(fit) if possible and n_draws(fit) >= limits.REPLICATES else None
    if rows is None:
        return
    drawn = row_draws(fit, rows, thinned(fit, DRAWS))
    (squares,) = drawn.pearson(drawn.y) or (np.ones((1, 1)),)
    observed = squares.mean(axis=1)
    ratio = float(observed.mean())
    if not ratio > limits.DISPERSED_RATIO:
        return  # the usual end: nothing had to be made
    made = drawn.responses(np.random.default_rng([fit.run.seed, 5]))
    replicated = np.concatenate([one.mean(axis=1) for one in drawn.pearson(made) or ()])
    if np.mean(replicated >= observed) < limits.P_LOW:
        low, high = np.quantile(replicated, [0.025, 0.975])
        yield overdispersed(fit, ratio, float(low), float(high))


def overdispersed(fit: Posterior, ratio: float, low: float, high: float) -> Finding:
    """Say how much more responses scatter than in data that the model makes."""
    return Finding(
        "overdispersion",
        "warning",
        f"`{fit.model.response}` scatters more than the {fit.model.family.name} family allows: "
        f"Pearson's dispersion is {ratio:.3g} where the model's own data have {low:.3g} to "
        f"{high:.3g}, so intervals are too narrow, by a factor of about {np.sqrt(ratio):.2g}.",
        fit.model.family.remedies.get("overdispersion", OTHERS),
    )


def _some_rows(fit: Posterior) -> Ints | None:
    """Positions of rows to look at, as often as they count; None where none can be made."""
    design, weights = rows_of(fit), counting_weights(fit)
    if np.any(weights != np.floor(weights)):
        return None
    ends = np.cumsum(weights)
    total = int(ends[-1])
    rng = np.random.default_rng([fit.run.seed, 6])
    places = np.arange(min(total, ROWS))
    if total > ROWS:
        places = np.sort(rng.choice(total, ROWS, replace=False))
    return np.searchsorted(ends, places, side="right") if total > design.n_rows else places


class Scatter:
    """Running sums of squared residuals, of the data and of replicates, over rows that come."""

    def __init__(self, design: Design, weights: Array, draws: int) -> None:
        self._design, self._weights = design, weights
        self._pearson: list[Array] = []
        self._factors = [
            (factor, [np.zeros((-(-draws // step), len(factor.levels))) for _ in range(2)], step)
            for factor in design.factors
            if np.sum(np.bincount(factor.codes, weights) >= 2) >= 2
            for step in [-(-draws * len(factor.levels) // MOST)]
        ]
        self._has_sd = False

    def add(self, drawn: RowDraws, made: Array, rows: Ints) -> None:
        """Count in some rows, with the responses (draw, row) that were made for them."""
        weights = self._weights[rows]
        pearson = drawn.pearson(drawn.y, made)
        if pearson is not None:
            before = self._pearson or [np.zeros(len(made)) for _ in pearson]
            pairs = zip(before, pearson, strict=True)
            self._pearson = [total + squares @ weights for total, squares in pairs]
        squares = drawn.squares(drawn.y, made)
        if squares is not None:
            self._has_sd = True
            for factor, sums, step in self._factors:
                for total, own in zip(sums, squares, strict=True):
                    add_by_level(total, own[::step] * weights, factor.codes[rows])

    def statistics(self) -> Iterator[Statistic]:
        """What was summed up."""
        what = self._design.response
        if self._pearson:
            own, made = (total / self._weights.sum() for total in self._pearson)
            words = f"the dispersion of {what} (variance beside that of the family)"
            yield Statistic(DISPERSION, words, float(own.mean()), made, own)
        for factor, sums, _ in self._factors if self._has_sd else ():
            counts = np.bincount(factor.codes, self._weights, len(factor.levels)).astype(float)
            own, made = (_spread(total, counts) for total in sums)
            words = (
                f"the sd of the residual sds of the levels of {factor.name} (in units of the "
                "model's own)"
            )
            yield Statistic(f"{RESIDUAL_SDS}{factor.name}", words, float(own.mean()), made, own)


def _spread(squares: Array, counts: Array) -> Array:
    """Sd over levels of their residual sds, for each draw; levels count by their rows."""
    several = counts >= 2
    weights = counts[several] / counts[several].sum()
    sd = np.sqrt(squares[:, several] / counts[several])
    mean = sd @ weights
    return np.asarray(np.sqrt((sd - mean[:, None]) ** 2 @ weights))
