"""From a design as its pooling sees it to draws: choose an engine, build its model, run it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from partialpool.engine.choose import Choice, choose_method
from partialpool.engine.marginal import BoundsError, run_marginal
from partialpool.engine.metropolis import run_metropolis
from partialpool.engine.nuts import run_nuts
from partialpool.engine.run import Run
from partialpool.model import Model, Pooled, build_model
from partialpool.model.exact import check_left_over
from partialpool.priors import Prior

ENGINES = {"marginal": run_marginal, "metropolis": run_metropolis, "nuts": run_nuts}


class Sampled(NamedTuple):
    """A model, its draws, and the engine that drew them."""

    model: Model
    run: Run
    choice: Choice


def sample(
    method: str, pooled: Pooled, priors: Mapping[str, Prior | str] | None, **options: Any
) -> Sampled:
    """Sample a model by the engine that was asked for, or with "auto" by the one that can.

    Parameters
    ----------
    method : {"auto", "marginal", "nuts", "metropolis"}
        Which engine.
    pooled : Pooled
        The design as its pooling sees it.
    priors : mapping or None
        User priors by parameter name; defaults for the rest.
    **options
        Those of the engine: chains, draws, warmup, seed, threads, progress.

    Raises
    ------
    InputError
        If the engine cannot sample this model, there is no posterior, or priors do not fit it.
    BoundsError
        If uniform priors leave the engine that was asked for next to nothing of what it drew;
        with "auto", NUTS takes over.
    """
    left = check_left_over(pooled, priors)
    choice = choose_method(method, pooled, priors, left)
    model = build_model(pooled, priors, integrate=choice.method != "nuts")
    try:
        return Sampled(model, ENGINES[choice.method](model, **options), choice)
    except BoundsError as error:
        if method != "auto":
            raise
        choice = Choice("nuts", f"{error.what}, so NUTS samples all parameters")
    model = build_model(pooled, priors, integrate=False)
    return Sampled(model, run_nuts(model, **options), choice)
