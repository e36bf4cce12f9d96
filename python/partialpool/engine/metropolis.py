"""Random-walk Metropolis on the joint density of all parameters: the textbook's sampler.

It walks on (b, coef, sd, cor, sigma) on their natural scales, moving all of them at once by normal
steps of size `proposal_sd`. It is here to be compared with: prefer the default engine.
"""

from __future__ import annotations

import math
import time
from typing import Any

from msgspec.structs import replace

from partialpool.engine.chains import Chains, check_draws, progress_of, usable_chains
from partialpool.engine.conditional import written_scales
from partialpool.engine.engine import Engine, Priors
from partialpool.engine.integrable import not_integrable
from partialpool.engine.joint import Layout, build_joint
from partialpool.engine.run import GroupDraws, Run
from partialpool.engine.sampling import Sampling
from partialpool.engine.start import starting_points
from partialpool.model import Model, Pooled
from partialpool.model.marginal import build_marginal

DEFAULT_PROPOSAL_SD = 0.1


def run_metropolis(model: Model, sampling: Sampling) -> Run:
    """Sample a Gaussian model by random-walk Metropolis.

    Warm-up draws are dropped, nothing is adapted.

    Raises
    ------
    InputError
        If `start` cannot be used, or draws of all parameters do not fit in memory.
    EngineError
        If no starting point has positive density.
    """
    step = DEFAULT_PROPOSAL_SD if sampling.proposal_sd is None else float(sampling.proposal_sd)
    layout = Layout.of(model)
    draws, warmup, seed = sampling.draws, sampling.warmup, sampling.seed
    check_draws(sampling, layout.dim, layout.dim - (layout.coef.stop - layout.coef.start))
    joint = build_joint(model)
    starts = starting_points(model, layout, seed, sampling.chains, sampling.start)
    began = time.perf_counter()
    with progress_of(sampling) as bar:
        raw = joint.metropolis(
            starts=starts,
            proposal_sd=[step] * layout.dim,
            draws=draws,
            warmup=warmup,
            seed=seed,
            threads=sampling.threads,
            progress=bar.update,
        )
        if not raw["interrupted"]:
            bar.finish()
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


def _unpack(model: Model, layout: Layout, usable: Chains, **facts: Any) -> Run:
    theta = usable.take("outputs")
    group = model.sole_group
    groups: tuple[GroupDraws, ...] = ()
    if group is not None:
        coef = theta[..., layout.coef]
        coef = coef.reshape(*theta.shape[:2], len(group.levels), len(group.terms))
        drawn = written_scales(group, theta[..., layout.sd], theta[..., layout.cor])
        groups = (replace(drawn, levels=coef),)
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


def _not_walked(pooled: Pooled, priors: Priors, left: float = math.nan) -> str | None:
    """Say why the walk does not take a model: its joint density knows one factor."""
    factors = pooled.design.factors
    if pooled.family.conjugate and len(factors) > 1:
        return f"there are {len(factors)} grouping factors"
    return not_integrable(pooled, priors, left)


METROPOLIS = Engine(
    "metropolis",
    obstacle=_not_walked,
    build=build_marginal,
    run=run_metropolis,
    asked="you asked for it: a random walk over all parameters at once",
    refit="auto",
)
