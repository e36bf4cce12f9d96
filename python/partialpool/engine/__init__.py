"""Engines: from a model to a run of draws, or to the maximum of its likelihood."""

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
from partialpool.engine.sample import Sampled, sample

__all__ = [
    "MAXIMISED",
    "METHODS",
    "BoundsError",
    "Choice",
    "GroupDraws",
    "Maximum",
    "Run",
    "Sampled",
    "check_maximised",
    "choose_method",
    "maximise",
    "run_marginal",
    "run_metropolis",
    "run_nuts",
    "sample",
]
