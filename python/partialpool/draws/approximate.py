"""How good an approximate posterior is, by the weights that some of its draws should have.

Some draws of Laplace's approximation come with the logarithm of the posterior over the density that
they were drawn from. Over whole draws these weights say little where levels are many: the
conditional of each is a little skewed, which adds up, though no estimate owes much to it. So the
posterior is judged by weights of draws whose levels are integrated out by quadrature (those of the
factor with most coefficients; ``src/laplace/posterior/draws.rs``): how well they could be
reweighted (Pareto's k: Vehtari et al. 2024; Yao et al. 2018), and how far that would move means.
What is left out so is said beside it: by how much the levels' own means are off.
"""

from __future__ import annotations

import math

import numpy as np
from msgspec import Struct

from partialpool import _core
from partialpool.arrays import Array
from partialpool.draws.posterior import population_draws
from partialpool.engine import Run
from partialpool.engine.laplace import LEVELS, LEVELS_OFF, WHOLE
from partialpool.model import Model
from partialpool.numerals import formatted

# Fewer judged draws have no tail.
FEW = 50


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
    shift : float
        By how many posterior sds the weights would move the mean of a parameter, at most: of which,
        and the Monte Carlo error of that. NaN where there is no parameter.
    shifted : str
    error : float
    levels_off : float
        By how many of their conditional sds the levels' means are off, in the root mean square; NaN
        where it is not known.
    """

    judged: int
    pareto_k: float
    effective: float
    whole: float
    shift: float
    shifted: str
    error: float
    levels_off: float

    @property
    def words(self) -> str:
        """What it is, and how good."""
        text = (
            f"an approximation: Laplace's; Pareto k {formatted(self.pareto_k, '.2f')} over "
            f"{self.judged} draws"
        )
        if math.isfinite(self.shift):
            text += (
                f", whose weights would move means by at most {self.shift:.2g} sd "
                f"({self.shifted}; Monte Carlo error {self.error:.1g})"
            )
        if math.isfinite(self.levels_off):
            text += f"; means of levels given the rest are off by {self.levels_off:.2g} sd"
        return text


def approximation(model: Model, run: Run) -> Approximation | None:
    """Judge the draws of an approximate posterior; None for draws of the posterior itself."""
    if LEVELS not in run.stats:
        return None
    weights = np.asarray(run.stats[LEVELS], dtype=float)
    at = np.isfinite(weights)
    judged = int(at.sum())
    whole = _smoothed(np.asarray(run.stats[WHOLE], dtype=float)[at])[0]
    off = np.asarray(run.stats[LEVELS_OFF], dtype=float)[at]
    levels_off = float(off.mean()) if judged else math.nan
    k, smoothed = _smoothed(weights[at])
    effective = 1 / (judged * float(np.sum(smoothed**2))) if judged else math.nan
    labels, draws = population_draws(model, run)
    if not labels or judged < FEW:
        return Approximation(judged, k, effective, whole, math.nan, "", math.nan, levels_off)
    drawn = draws[at]
    around = drawn - drawn.mean(axis=0)
    sd = np.where(np.ptp(drawn, axis=0) > 0, drawn.std(axis=0), np.inf)
    extra = (smoothed - 1 / judged)[:, None] * around / sd
    shifts = extra.sum(axis=0)
    worst = int(np.argmax(np.abs(shifts)))
    error = math.sqrt(judged) * float(extra[:, worst].std())
    shift = float(abs(shifts[worst]))
    return Approximation(judged, k, effective, whole, shift, labels[worst], error, levels_off)


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
