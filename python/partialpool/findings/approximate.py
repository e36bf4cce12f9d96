"""What to know of an approximate posterior: where Laplace's formula does not do."""

from __future__ import annotations

import math
from collections.abc import Iterator

from partialpool import limits
from partialpool.draws.approximate import Approximation, approximation
from partialpool.draws.posterior import Posterior
from partialpool.engine import Run
from partialpool.finding import Finding
from partialpool.model import Model

CODES = ("approximation", "approximate-levels")
_AT_MOST = f"should be at most {100 * math.expm1(limits.APPROXIMATE_WIDENING):.0f}%"
REMEDY = 'Use `method="nuts"`, which samples the posterior itself.'


def approximate_findings(model: Model, run: Run) -> list[Finding]:
    """Judge the draws of an approximate posterior; nothing for draws of the posterior itself."""
    found = approximation(model, run)
    return [] if found is None else [*_of_population(found), *_of_levels(found)]


def of_approximate_draws(fit: Posterior, answers: str) -> list[Finding]:
    """Say of answers that take the draws of an approximate posterior for the posterior's.

    Nothing where the draws are the posterior's.
    """
    found = approximation(fit.model, fit.run)
    if found is None:
        return []
    about = [f for f in fit.findings if f.code in CODES and f.level == "warning"]
    if not about:
        text = (
            f"{answers} take draws of Laplace's approximation for the posterior's; {found.words}."
        )
        return [Finding("approximate-draws", "info", text)]
    text = (
        f"{answers} take draws of Laplace's approximation for the posterior's, and it is not a "
        f"good one here. {about[0].message}"
    )
    return [Finding("approximate-draws", "warning", text, REMEDY)]


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
    elif found.shift.sure > limits.APPROXIMATE_SHIFT:
        yield Finding(
            "approximation",
            "warning",
            f"The posterior is Laplace's approximation, and the mean of `{found.shift.label}` is "
            f"off by some {found.shift.size:.2g} of its sd (should be at most "
            f"{limits.APPROXIMATE_SHIFT}).",
            REMEDY,
        )
    elif found.widening.sure > limits.APPROXIMATE_WIDENING:
        yield Finding(
            "approximation",
            "warning",
            f"The posterior is Laplace's approximation, and the sd of `{found.widening.label}` is "
            f"some {_too(found.widening.size)} ({_AT_MOST}).",
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
    elif abs(found.levels_wider) > limits.APPROXIMATE_WIDENING:
        yield Finding(
            "approximate-levels",
            "warning",
            "What is known of single levels is not normal, as Laplace's approximation has it: "
            f"their sds are {_too(found.levels_wider)} on the average ({_AT_MOST}).",
            REMEDY,
        )


def _too(wider: float) -> str:
    """How far an sd is off that should be wider by this logarithm."""
    off = 100 * math.expm1(-wider)
    return f"{abs(off):.0f}% too {'large' if off > 0 else 'small'}"
