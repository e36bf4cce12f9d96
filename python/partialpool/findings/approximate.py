"""What to know of an approximate posterior: where Laplace's formula does not do."""

from __future__ import annotations

import math
from collections.abc import Iterator

from partialpool import limits
from partialpool.draws.approximate import Approximation, approximation
from partialpool.engine import Run
from partialpool.finding import Finding
from partialpool.model import Model

REMEDY = 'Use `method="nuts"`, which samples the posterior itself.'


def approximate_findings(model: Model, run: Run) -> list[Finding]:
    """Judge the draws of an approximate posterior; nothing for draws of the posterior itself."""
    found = approximation(model, run)
    return [] if found is None else [*_of_population(found), *_of_levels(found)]


def _of_population(found: Approximation) -> Iterator[Finding]:
    if math.isnan(found.pareto_k):
        yield Finding(
            "approximation-unjudged",
            "info",
            f"The posterior is Laplace's approximation, and {found.judged} draws are too few to "
            "tell how good it is.",
            "Ask for some hundreds of draws.",
        )
    elif found.effective > limits.APPROXIMATE_EFFECTIVE:
        return  # weights are nearly equal, whatever their tail
    elif found.pareto_k > limits.PARETO_K:
        yield Finding(
            "approximation",
            "warning",
            "The posterior is Laplace's approximation, and not a good one here: its weights have "
            f"a Pareto k of {found.pareto_k:.2g} (should be at most {limits.PARETO_K}).",
            REMEDY,
        )
    elif found.shift - 2 * found.error > limits.APPROXIMATE_SHIFT:
        yield Finding(
            "approximation",
            "warning",
            f"The posterior is Laplace's approximation, and the mean of `{found.shifted}` is off "
            f"by some {found.shift:.2g} of its sd (should be at most {limits.APPROXIMATE_SHIFT}).",
            REMEDY,
        )
    elif found.pareto_k > limits.APPROXIMATE_K:
        yield Finding(
            "approximation",
            "info",
            "The posterior is Laplace's approximation, and it may be rough: its weights have a "
            f"Pareto k of {found.pareto_k:.2g} (below {limits.APPROXIMATE_K} it is good).",
            REMEDY,
        )


def _of_levels(found: Approximation) -> Iterator[Finding]:
    if found.levels_off > limits.APPROXIMATE_LEVELS:
        yield Finding(
            "approximate-levels",
            "warning",
            "What is known of single levels is skewed, and Laplace's approximation is normal: "
            f"their means are off by {found.levels_off:.2g} of their sds in the root mean square "
            f"(should be at most {limits.APPROXIMATE_LEVELS}).",
            REMEDY,
        )
