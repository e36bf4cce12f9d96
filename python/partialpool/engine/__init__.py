"""Engines: from a model to a run of draws, or to the maximum of its likelihood."""

from partialpool.engine.maximum import Maximum, check_maximised, maximise
from partialpool.engine.run import GroupDraws, Run
from partialpool.engine.sample import ENGINES, MAXIMISED, METHODS, Sampled, sample
from partialpool.engine.sampling import Sampling

__all__ = [
    "ENGINES",
    "MAXIMISED",
    "METHODS",
    "GroupDraws",
    "Maximum",
    "Run",
    "Sampled",
    "Sampling",
    "check_maximised",
    "maximise",
    "sample",
]
