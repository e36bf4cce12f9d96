"""Engines: from a model to a run of draws."""

from partialpool.engine.choose import Choice, choose_method
from partialpool.engine.marginal import run_marginal
from partialpool.engine.metropolis import run_metropolis
from partialpool.engine.run import Run

__all__ = ["Choice", "Run", "choose_method", "run_marginal", "run_metropolis"]
