"""Engines: from a model to a run of draws, or to the maximum of its likelihood."""

from typing import Any

from partialpool.engine.choose import (
    MAXIMISED,
    METHODS,
    Choice,
    check_maximised,
    choose_method,
)
from partialpool.engine.marginal import BoundsError, run_marginal
from partialpool.engine.maximum import Maximum, maximise
from partialpool.engine.metropolis import run_metropolis
from partialpool.engine.nuts import run_nuts
from partialpool.engine.run import GroupDraws, Run
from partialpool.model import Model

__all__ = [
    "MAXIMISED",
    "METHODS",
    "BoundsError",
    "Choice",
    "GroupDraws",
    "Maximum",
    "Run",
    "check_maximised",
    "choose_method",
    "maximise",
    "run",
    "run_marginal",
    "run_metropolis",
    "run_nuts",
]

ENGINES = {"marginal": run_marginal, "metropolis": run_metropolis, "nuts": run_nuts}


def run(choice: Choice, model: Model, **options: Any) -> Run:
    """Run the chosen engine."""
    return ENGINES[choice.method](model, **options)
