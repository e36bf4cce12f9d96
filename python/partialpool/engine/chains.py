"""From a sampler in the core to chains that can be used, some of them failed or interrupted."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from partialpool import _core
from partialpool.engine.progress import Progress
from partialpool.errors import EngineError, InputError

MAX_TREE_DEPTH = 10
MEMORY_LIMIT = 8e9  # bytes of kept draws


def check_memory(
    rows: int,
    width: int,
    *,
    what: str = "parameters",
    remedy: str = "ask for fewer draws or chains",
) -> None:
    """Refuse to keep more draws than a machine is likely to hold.

    Raises
    ------
    InputError
        If `rows` draws of `width` things (`what` they are) are too many.
    """
    size = 8.0 * rows * width
    if size > MEMORY_LIMIT:
        raise InputError(
            f"every draw of all {width} {what} would be kept, {size / 1e9:.0f} GB in all",
            remedy=remedy,
        )


class Chains(NamedTuple):
    """Chains that can be used, the draws that all of them have, and why others failed."""

    good: list[dict[str, Any]]
    kept: int
    failures: tuple[str, ...]
    interrupted: bool

    def stack(self, name: str) -> NDArray[Any]:
        """What every draw has under a name: (chain, draw, …)."""
        return np.stack([chain[name][: self.kept] for chain in self.good])


def usable_chains(raw: dict[str, Any]) -> Chains:
    """Sort what the core returned.

    Raises
    ------
    EngineError
        If no chain could be run.
    KeyboardInterrupt
        If interrupted before anything worth keeping was drawn.
    """
    good = [chain for chain in raw["chains"] if chain["failure"] is None]
    # One line each: what follows are stacks, where the environment asks for them.
    reasons = (c["failure"] for c in raw["chains"] if c["failure"] is not None)
    failures = tuple(str(reason).partition("\n")[0] for reason in reasons)
    if not good:
        raise EngineError(f"no chain could be sampled: {failures[0].rstrip('.')}.")
    if raw["interrupted"]:
        # Chains that hardly began would cost all others most of their draws.
        longest = max(len(c["outputs"]) for c in good)
        good = [c for c in good if len(c["outputs"]) >= max(4, longest // 2)]
        if not good:
            raise KeyboardInterrupt
    kept = min(len(c["outputs"]) for c in good)
    return Chains(good, kept, failures, bool(raw["interrupted"]))


def sample_nuts(
    core: _core.Marginal | _core.General,
    *,
    chains: int,
    draws: int,
    warmup: int,
    seed: int,
    threads: int,
    progress: bool | None,
) -> tuple[NDArray[np.float64], dict[str, Any]]:
    """Run NUTS on a density of the core.

    Returns
    -------
    outputs : (chain, draw, …) array
        Rows as the density gives them.
    facts : dict
        All that a ``Run`` says of the sampling but its name.

    Raises
    ------
    EngineError
        If no chain could be run.
    KeyboardInterrupt
        If interrupted before anything worth keeping was drawn.
    """
    began = time.perf_counter()
    with Progress(chains * (draws + warmup), progress) as bar:
        raw = core.sample(chains, draws, warmup, seed, threads, MAX_TREE_DEPTH, bar.update)
    seconds = time.perf_counter() - began
    usable = usable_chains(raw)
    warm = sum(chain["warmup_seconds"] for chain in usable.good)
    busy = warm + sum(chain["sampling_seconds"] for chain in usable.good)
    return usable.stack("outputs"), {
        "seed": seed,
        "warmup": warmup,
        "stats": {
            "diverging": usable.stack("diverging"),
            "energy": usable.stack("energy"),
            "lp": usable.stack("logp"),
            "tree_depth": usable.stack("depth"),
        },
        "step_size": tuple(chain["step_size"] for chain in usable.good),
        "failures": usable.failures,
        "interrupted": usable.interrupted,
        "seconds_warmup": seconds * warm / busy if busy else 0.0,
        "seconds_sampling": seconds,
    }
