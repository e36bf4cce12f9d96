"""Whether the levels of each factor are normal: draws of their effects in units of their sd."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from partialpool import limits
from partialpool.arrays import Array
from partialpool.draws.evaluate import Evaluator
from partialpool.draws.new_rows import design_rows
from partialpool.draws.posterior import Posterior, rows_of
from partialpool.draws.rows import thinned
from partialpool.figures.bands import outside, sorted_normals
from partialpool.model import Group

if TYPE_CHECKING:
    from partialpool.plots.diagnostics import Panel

DRAWS = 100  # that are judged
LINES = 20  # of them that are drawn
LEVELS = 2_000  # of a factor, chosen at random
PANELS = 4
HALF = 0.5  # share of the draws that leave the band; where the model holds it averages 0.05


def level_panels(fit: Posterior) -> tuple[list[Panel], str]:
    """Give a panel for each factor and term whose levels have a distribution, and what is left out.

    Factors with fewer than five levels tell nothing of its shape.
    """
    found = [
        (k, group, j)
        for k, group in enumerate(fit.model.groups)
        if group.known_sd is None and len(group.levels) >= limits.LEVELS_FEW
        for j in range(len(group.terms))
    ]
    panels = [_panel(fit, k, group, j) for k, group, j in found[:PANELS]]
    left = f"Levels: {PANELS} of {len(found)} coefficients are drawn." if found[PANELS:] else ""
    return panels, left


def _panel(fit: Posterior, k: int, group: Group, j: int) -> Panel:
    from partialpool.plots.diagnostics import Panel, draw_sorted

    z = np.sort(standardised(fit, k)[:, j], axis=0)
    band = sorted_normals(len(z))
    left = sum(outside(line, band) > 0 for line in z.T)
    lines = [line[band.ranks] for line in z.T[:: max(1, z.shape[1] // LINES)][:LINES]]
    levels = (
        f"{len(z):,}" if len(z) == len(group.levels) else f"{len(z):,} of {len(group.levels):,}"
    )
    term = "" if group.terms == ("Intercept",) else f", {group.terms[j]}"
    of = " (log sigma)" if group.predictor == "sigma" else ""
    return Panel(
        title=f"Levels of {group.factor}{term}{of}",
        x="Standard normal",
        y="Draws, in units of their sd",
        draw=partial(
            draw_sorted, expected=band.expected, low=band.low, high=band.high, lines=lines
        ),
        note=f"{levels} levels; {left} of {z.shape[1]} draws leave the band",
        failed=left > HALF * z.shape[1],
    )


def standardised(fit: Posterior, k: int) -> Array:
    """Draws of the deviations of the levels of a group, in units of their sds: (level, term, draw).

    If parameters come from their priors and data from the model, draws from the posterior have the
    joint distribution of the parameters: given the sds, deviations of different levels are
    independent and normal. Draws whose sd is 0 are left out.
    """
    group = fit.model.groups[k]
    rng = np.random.default_rng([fit.seed, 15])
    levels = np.arange(len(group.levels))
    if len(levels) > LEVELS:
        levels = np.sort(rng.choice(len(levels), LEVELS, replace=False))
    evaluator = Evaluator(
        fit.model,
        fit.run,
        design_rows(fit.model, rows_of(fit)),
        new_levels="population",
        seed=fit.seed,
        picked=thinned(fit, DRAWS),
    )
    sd = np.sqrt(np.einsum("saa->as", evaluator.covariance(k)))
    some = (sd > 0).all(axis=0)
    return np.asarray(evaluator.known(k, levels)[:, :, some] / sd[:, some])
