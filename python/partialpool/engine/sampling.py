"""How a posterior is sampled: what every engine is told."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from msgspec import Struct, field

from partialpool.engine.rounds import Rounds

if TYPE_CHECKING:
    import numpy as np

WARMUP = 1000  # draws of a chain, where nothing else is said

Values = Mapping[str, Any]
# As text: numpy's random numbers take a while to import.
Start: TypeAlias = "Values | Sequence[Values] | Callable[[np.random.Generator], Values]"


def all_cores() -> int:
    """Give the number of chains that can run at the same time."""
    return os.cpu_count() or 1


class Sampling(Struct, frozen=True):
    """How a posterior is sampled; all of it was checked.

    Attributes
    ----------
    chains, draws, warmup : int
        Number of chains, and of kept and warm-up draws of each.
    seed : int
        Same seed, same draws, on any number of threads.
    threads : int
        Chains that run at the same time.
    warmup_given : bool
        Whether the user said how long warm-up is; if not, `warmup` is the most that it may take.
    max_depth : int
        Of the trees of NUTS.
    progress : bool or None
        Show progress on stderr; by default on runs longer than a second in a terminal.
    proposal_sd : float or None
        Sd of the steps of Metropolis.
    start : Start or None
        Where its chains start.
    rounds : Rounds or None
        How long chains go on where that is not said by `draws`, which then is the first round.
    """

    chains: int = 4
    draws: int = 1000
    warmup: int = WARMUP
    seed: int = 0
    threads: int = field(default_factory=all_cores)
    warmup_given: bool = False
    max_depth: int = 10
    progress: bool | None = None
    proposal_sd: float | None = None
    start: Start | None = None
    rounds: Rounds | None = None
