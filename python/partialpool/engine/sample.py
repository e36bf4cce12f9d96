"""From a design as its pooling sees it to draws: choose an engine, build its model, run it."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple, get_args

from partialpool.engine.engine import BoundsError, Engine, Priors
from partialpool.engine.exact import check_left_over
from partialpool.engine.laplace import LAPLACE
from partialpool.engine.marginal import MARGINAL
from partialpool.engine.metropolis import METROPOLIS
from partialpool.engine.nuts import NUTS
from partialpool.engine.run import Run
from partialpool.engine.sampling import Sampling
from partialpool.errors import InputError, NeedsRowsError
from partialpool.model import Model, Pooled

# With "auto", the first that can and is not only taken if asked for.
ENGINES: dict[str, Engine] = {one.name: one for one in (MARGINAL, NUTS, LAPLACE, METROPOLIS)}

# Methods that maximise the likelihood instead of sampling the posterior.
MAXIMISED = ("reml", "ml")

Method = Literal["auto", "marginal", "nuts", "laplace", "metropolis", "reml", "ml"]
METHODS: tuple[Method, ...] = get_args(Method)


class Choice(NamedTuple):
    """An engine and the reason for it."""

    engine: Engine
    reason: str


class Sampled(NamedTuple):
    """A model, its draws, and why the engine that drew them was taken."""

    model: Model
    run: Run
    reason: str


def sample(method: str, pooled: Pooled, priors: Priors | None, sampling: Sampling) -> Sampled:
    """Sample a model by the engine that was asked for, or with "auto" by the one that can.

    Parameters
    ----------
    method : str
        "auto" or the name of an engine.
    pooled : Pooled
        The design as its pooling sees it.
    priors : mapping or None
        User priors by parameter name; defaults for the rest.
    sampling : Sampling
        What is asked of the engine.

    Raises
    ------
    InputError
        If the engine cannot sample this model, there is no posterior, or priors do not fit it.
    BoundsError
        If uniform priors leave the engine that was asked for next to nothing of what it drew;
        with "auto", NUTS takes over.
    """
    left = check_left_over(pooled, priors)
    engine, reason = choose(method, pooled, priors, left)
    try:
        model = engine.build(pooled, priors)
        run = engine.run(model, sampling)
    except BoundsError as error:
        if method != "auto":
            raise
        _check_rows(pooled, error.what)
        reason = NUTS.why.format(obstacle=error.what)
        model = NUTS.build(pooled, priors)
        run = NUTS.run(model, sampling)
    if run.certificate is not None:
        reason = f"{reason}; {run.certificate.words}"
    return Sampled(model, run, reason)


def choose(
    method: str, pooled: Pooled, priors: Priors | None = None, left: float = math.nan
) -> Choice:
    """Choose the engine for a design as its pooling sees it.

    `left` is the residual sd over the sd of the response, where it is known.

    Raises
    ------
    InputError
        If the engine that was asked for cannot sample this model.

    Examples
    --------
    >>> from partialpool.design import build_design
    >>> from partialpool.formula import parse_formula
    >>> from partialpool.model import pool
    >>> design = build_design(parse_formula("y ~ x"), {"y": [1.0, 3.0, 2.0], "x": [0, 1, 2]})
    >>> choose("auto", pool(design, "partial")).engine.name
    'marginal'
    """
    asked = ENGINES.get(method)
    if asked is not None:
        obstacle = asked.obstacle(pooled, priors or {}, left)
        if obstacle is not None:
            if asked is NUTS:
                raise NeedsRowsError(obstacle)
            other = choose("auto", pooled, priors, left).engine
            words = "NUTS" if other is NUTS else f"the {other.name} engine"
            raise InputError(
                f'method="{method}" cannot sample this model: {obstacle}',
                remedy=f"leave `method` out, and {words} will",
            )
        return Choice(asked, asked.asked)
    before = ""
    for engine in ENGINES.values():
        obstacle = engine.obstacle(pooled, priors or {}, left)
        if engine.why and obstacle is None:
            return Choice(engine, engine.why.format(obstacle=before))
        before = before or obstacle or ""
        _check_rows(pooled, before)
    raise AssertionError("NUTS samples any model")


def _check_rows(pooled: Pooled, obstacle: str) -> None:
    """Refuse rows that were added up where the engine that needs no others cannot sample."""
    if pooled.design.condensed is not None:
        raise NeedsRowsError(f"what one pass over the table adds up does not suffice: {obstacle}")
