"""The marginal engine: NUTS over φ in the core, coefficients drawn from exact conditionals."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from partialpool.engine.progress import Progress
from partialpool.engine.run import Run
from partialpool.errors import EngineError
from partialpool.model import Model

MAX_TREE_DEPTH = 10


def run_marginal(
    model: Model,
    *,
    chains: int,
    draws: int,
    warmup: int,
    seed: int,
    threads: int,
    progress: bool | None = None,
) -> Run:
    """Sample a Gaussian model.

    Parameters
    ----------
    model : Model
        The density.
    chains, draws, warmup : int
        Number of chains, and of kept and warm-up draws of each.
    seed : int
        Same seed, same draws, on any number of threads.
    threads : int
        Chains that run at the same time.
    progress : bool, optional
        Show progress on stderr; by default on runs longer than a second in a terminal.

    Raises
    ------
    EngineError
        If no chain could be run.
    KeyboardInterrupt
        If interrupted before any draw was kept; later, the run holds what there was.
    """
    assert model.core is not None
    began = time.perf_counter()
    with Progress(chains * (draws + warmup), progress) as bar:
        raw = model.core.sample(chains, draws, warmup, seed, threads, MAX_TREE_DEPTH, bar.update)
    seconds = time.perf_counter() - began
    good = [chain for chain in raw["chains"] if chain["failure"] is None]
    failures = tuple(c["failure"] for c in raw["chains"] if c["failure"] is not None)
    if raw["interrupted"]:
        # Chains that hardly began would cost all others most of their draws.
        longest = max((len(c["outputs"]) for c in good), default=0)
        good = [c for c in good if len(c["outputs"]) >= max(4, longest // 2)]
        if not good:
            raise KeyboardInterrupt
    if not good:
        raise EngineError(f"no chain could be sampled: {failures[0]}")
    kept = min(len(c["outputs"]) for c in good)
    warm = sum(c["warmup_seconds"] for c in good)
    busy = warm + sum(c["sampling_seconds"] for c in good)
    return _unpack(
        model,
        good,
        kept,
        seed=seed,
        warmup=warmup,
        seconds_warmup=seconds * warm / busy if busy else 0.0,
        seconds_sampling=seconds,
        interrupted=bool(raw["interrupted"]),
        failures=failures,
    )


def _unpack(model: Model, chains: list[dict[str, Any]], kept: int, **facts: Any) -> Run:
    """Split rows of output into parameters on the user's scale."""
    outputs = np.stack([c["outputs"][:kept] for c in chains])
    # With flat priors of the group coefficients the core has no group at all.
    q = len(model.group.terms) if model.group and not model.group.is_flat else 0
    n_cor = len(model.group.pairs) if model.group else 0
    sd, cor, sigma, working = np.split(outputs, [q, q + n_cor, q + n_cor + 1], axis=2)
    if model.group is not None and model.group.known_sd is not None:
        sd = sd[..., :0]
    c = np.empty_like(working)
    c[..., list(model.order)] = working
    return Run(
        method="marginal",
        b=model.standardisation.from_working(c),
        sd=sd,
        cor=cor,
        sigma=None if model.known_errors else sigma[..., 0],
        working=working,
        stats={
            "diverging": np.stack([c["diverging"][:kept] for c in chains]),
            "energy": np.stack([c["energy"][:kept] for c in chains]),
            "lp": np.stack([c["logp"][:kept] for c in chains]),
            "tree_depth": np.stack([c["depth"][:kept] for c in chains]),
        },
        step_size=tuple(c["step_size"] for c in chains),
        **facts,
    )
