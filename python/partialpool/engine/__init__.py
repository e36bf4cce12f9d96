"""Engines: from a model to a run of draws."""

from partialpool.engine.run import GroupDraws, Run
from partialpool.engine.sample import ENGINES, MAXIMISED, METHODS, Sampled, sample
from partialpool.engine.sampling import Sampling

__all__ = [
    "ENGINES",
    "MAXIMISED",
    "METHODS",
    "GroupDraws",
    "Run",
    "Sampled",
    "Sampling",
    "sample",
]
