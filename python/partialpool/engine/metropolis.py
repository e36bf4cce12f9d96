"""Random-walk Metropolis on the joint density of all parameters: the textbook's sampler.

It walks on (b, coef, sd, cor, sigma) on their natural scales, moving all of them at once by normal
steps of size `proposal_sd`. It is here to be compared with: prefer the default engine.
"""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import Any

from partialpool.engine.chains import Chains, check_draws, usable_chains
from partialpool.engine.conditional import written_scales
from partialpool.engine.progress import Progress
from partialpool.engine.run import GroupDraws, Run
from partialpool.engine.start import Start, starting_points
from partialpool.errors import InputError, shown
from partialpool.model import Model
from partialpool.model.joint import Layout, build_joint

DEFAULT_PROPOSAL_SD = 0.1


def run_metropolis(
    model: Model,
    *,
    chains: int,
    draws: int,
    warmup: int,
    seed: int,
    threads: int,
    proposal_sd: float | None = None,
    start: Start | None = None,
    progress: bool | None = None,
) -> Run:
    """Sample a Gaussian model by random-walk Metropolis.

    Parameters
    ----------
    model : Model
        What to sample.
    chains, draws, warmup, seed, threads, progress
        As for the marginal engine; warm-up draws are dropped, nothing is adapted.
    proposal_sd : float, optional
        Sd of the normal step of every parameter, 0.1 by default.
    start : dict, list of dicts, or callable, optional
        Where the chains start; see ``starting_points``.

    Raises
    ------
    InputError
        If `proposal_sd` is not a positive number, `start` cannot be used, or draws of all
        parameters do not fit in memory.
    EngineError
        If no starting point has positive density.
    """
    step = _check_proposal_sd(proposal_sd)
    layout = Layout.of(model)
    check_draws(chains, draws, layout.dim, layout.dim - (layout.coef.stop - layout.coef.start))
    joint = build_joint(model)
    starts = starting_points(model, layout, seed, chains, start)
    began = time.perf_counter()
    with Progress(chains * (draws + warmup), progress) as bar:
        raw = joint.metropolis(
            starts, [step] * layout.dim, draws, warmup, seed, threads, bar.update
        )
    seconds = time.perf_counter() - began
    return _unpack(
        model,
        layout,
        usable_chains(raw),
        seed=seed,
        warmup=warmup,
        seconds_sampling=seconds,
        seconds_warmup=seconds * warmup / (warmup + draws),
    )


def _check_proposal_sd(value: float | None) -> float:
    if value is None:
        return DEFAULT_PROPOSAL_SD
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InputError(f"`proposal_sd` is {shown(value)}", remedy="give a positive number")
    if not (math.isfinite(value) and value > 0):
        raise InputError(f"`proposal_sd` is {value:g}", remedy="give a number above 0")
    return float(value)


def _unpack(model: Model, layout: Layout, usable: Chains, **facts: Any) -> Run:
    theta = usable.take("outputs")
    group = model.sole_group
    groups: tuple[GroupDraws, ...] = ()
    if group is not None:
        coef = theta[..., layout.coef]
        coef = coef.reshape(*theta.shape[:2], len(group.levels), len(group.terms))
        drawn = written_scales(group, theta[..., layout.sd], theta[..., layout.cor])
        groups = (replace(drawn, coef=coef),)
    sigma = theta[..., layout.sigma]
    return Run(
        method="metropolis",
        b=theta[..., layout.b],
        groups=groups,
        scalars={} if model.known_errors else {"sigma": sigma[..., 0]},
        working=None,
        stats={"lp": usable.take("logp")},
        acceptance_rate=tuple(c["acceptance"] for c in usable.good),
        failures=usable.failures,
        interrupted=usable.interrupted,
        **facts,
    )
