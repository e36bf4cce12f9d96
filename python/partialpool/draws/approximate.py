"""How good an approximate posterior is, by the weights that some of its draws should have.

Some draws of Laplace's approximation come with the logarithm of the posterior over the density that
they were drawn from. Over whole draws these weights say little where levels are many: the
conditional of each is a little skewed, which adds up, though no estimate owes much to it. So the
posterior is judged by weights of draws whose levels are integrated out by quadrature (those of the
factor with most coefficients; ``src/laplace/posterior/draws.rs``): how well they could be
reweighted (Pareto's k: Vehtari et al. 2024; Yao et al. 2018), how far that would move means, and
how much wider it would make sds. What is left out so is said beside it: by how much the levels' own
means and sds are off.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from partialpool import _core
from partialpool.arrays import Array
from partialpool.draws.posterior import population_draws
from partialpool.engine import Run
from partialpool.engine.laplace import LEVELS, LEVELS_OFF, LEVELS_WIDER, WHOLE
from partialpool.model import Model
from partialpool.numerals import formatted

# Fewer judged draws have no tail.
FEW = 50


class Change(Struct, frozen=True):
    """How weights would change a summary: of which parameter most, and its Monte Carlo error."""

    size: float
    label: str
    error: float

    @property
    def sure(self) -> float:
        """What of its size is beyond two errors; 0 where there is none."""
        return max(0.0, abs(self.size) - 2 * self.error)


NO_CHANGE = Change(math.nan, "", math.nan)


class Approximation(Struct, frozen=True):
    """How good draws of an approximate posterior are.

    Attributes
    ----------
    judged : int
        Draws that were judged.
    pareto_k : float
        Of their weights, levels integrated out.
    effective : float
        Share of the judged draws that those weights leave effective; where it is nearly 1, k is of
        weights that are nearly equal, and says nothing.
    whole : float
        The same of the draws as they are, levels and all.
    shift : Change
        By how many posterior sds the weights would move a mean; NaN where there is no parameter.
    widening : Change
        By how much they would widen an sd, as a logarithm.
    levels_off, levels_wider : float
        By how many of their conditional sds the levels' means are off, in the root mean square, and
        the mean logarithm of what these sds should be over what they are; NaN where they are not
        known.
    """

    judged: int
    pareto_k: float
    effective: float
    whole: float
    shift: Change
    widening: Change
    levels_off: float
    levels_wider: float

    @property
    def words(self) -> str:
        """What it is, and how good."""
        text = (
            f"an approximation: Laplace's; Pareto k {formatted(self.pareto_k, '.2f')} over "
            f"{self.judged} draws"
        )
        moved, wider = self.shift, self.widening
        if math.isfinite(moved.size):
            text += (
                f", whose weights would move means by at most {abs(moved.size):.2g} sd "
                f"({moved.label}; Monte Carlo error {moved.error:.1g}) and sds by "
                f"{100 * math.expm1(wider.size):+.0f}% ({wider.label}; {100 * wider.error:.0f}%)"
            )
        if math.isfinite(self.levels_off):
            text += f"; means of levels given the rest are off by {self.levels_off:.2g} sd"
        if math.isfinite(self.levels_wider):
            text += f", their sds should be {math.exp(self.levels_wider):.2f} times as large"
        return text


def approximation(model: Model, run: Run) -> Approximation | None:
    """Judge the draws of an approximate posterior; None for draws of the posterior itself."""
    if LEVELS not in run.stats:
        return None
    weights = np.asarray(run.stats[LEVELS], dtype=float)
    at = np.isfinite(weights)
    judged = int(at.sum())

    def mean_of(name: str) -> float:
        return float(np.asarray(run.stats[name], dtype=float)[at].mean()) if judged else math.nan

    # Files of earlier versions know nothing of sds.
    wider = mean_of(LEVELS_WIDER) if LEVELS_WIDER in run.stats else math.nan
    k, smoothed = _smoothed(weights[at])
    effective = 1 / (judged * float(np.sum(smoothed**2))) if judged else math.nan
    labels, draws = population_draws(model, run)
    shift, widening = NO_CHANGE, NO_CHANGE
    if labels and judged >= FEW:
        shift, widening = _changes(smoothed, draws[at], labels)
    return Approximation(
        judged=judged,
        pareto_k=k,
        effective=effective,
        whole=_smoothed(np.asarray(run.stats[WHOLE], dtype=float)[at])[0],
        shift=shift,
        widening=widening,
        levels_off=mean_of(LEVELS_OFF),
        levels_wider=wider,
    )


def _changes(weights: Array, drawn: Array, labels: Sequence[str]) -> tuple[Change, Change]:
    """How weights of draws (draw, parameter) would change means, and sds."""
    n = len(weights)
    varies = np.ptp(drawn, axis=0) > 0
    sd = np.where(varies, drawn.std(axis=0), np.inf)
    z = (drawn - drawn.mean(axis=0)) / sd
    extra = (weights - 1 / n)[:, None]
    moved = extra * z
    means, errors = moved.sum(axis=0), math.sqrt(n) * moved.std(axis=0)
    worst = int(np.argmax(np.abs(means)))
    shift = Change(float(abs(means[worst])), labels[worst], float(errors[worst]))
    # Around the mean that the weights give, and half of it, as of a logarithm of an sd.
    wider = extra * (z - means) ** 2
    variances = np.where(varies, weights @ (z - means) ** 2, 1.0)
    logs = 0.5 * np.log(variances)
    errors = 0.5 * math.sqrt(n) * wider.std(axis=0) / variances
    worst = int(np.argmax(np.abs(logs) - 2 * errors))
    return shift, Change(float(logs[worst]), labels[worst], float(errors[worst]))


def _smoothed(log_weights: Array) -> tuple[float, Array]:
    """Pareto's k, and weights that sum to 1, the largest of them smoothed."""
    n = len(log_weights)
    if n < FEW or not np.isfinite(log_weights).all():
        return math.inf if n >= FEW else math.nan, np.full(n, 1 / max(n, 1))
    if np.ptp(log_weights) < 1e-10:  # rounding
        return 0.0, np.full(n, 1 / n)
    found, weights = _core.leave_out(
        log_density=np.ascontiguousarray(-log_weights[None]), relative=1.0, threads=1
    )
    return float(found[0, 1]), np.asarray(weights[0])
