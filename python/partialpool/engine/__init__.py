"""Engines: from a model to a run of draws."""

from typing import Any

from partialpool.engine.choose import Choice, choose_method
from partialpool.engine.marginal import run_marginal
from partialpool.engine.metropolis import run_metropolis
from partialpool.engine.run import GroupDraws, Run
from partialpool.model import Model

__all__ = ["Choice", "GroupDraws", "Run", "choose_method", "run", "run_marginal", "run_metropolis"]


def run(choice: Choice, model: Model, **options: Any) -> Run:
    """Run the chosen engine."""
    engine = run_metropolis if choice.method == "metropolis" else run_marginal
    return engine(model, **options)
