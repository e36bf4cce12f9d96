"""What every engine returns: draws by parameter, and how the sampling went."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Run:
    """Draws of the population-level parameters and sampler statistics.

    Attributes
    ----------
    b : (chain, draw, p) array
        Population coefficients on the user's scale.
    sd, cor : (chain, draw, q) and (chain, draw, pairs) arrays
        Scales and correlations of the group coefficients (no columns without a group).
    sigma : (chain, draw) array or None
        Residual sd; None where it is not estimated.
    working : (chain, draw, p) array
        Coefficients as the core has them, from which group coefficients are drawn.
    coef : (chain, draw, level, term) array or None
        Group coefficients where the engine draws them itself; otherwise they are drawn on demand.
    stats : dict of (chain, draw) arrays
        ``lp``, and from NUTS ``diverging``, ``energy``, ``tree_depth``.
    acceptance_rate : tuple of float
        Share of accepted proposals in each chain (Metropolis).
    """

    method: str
    seed: int
    warmup: int
    b: Array
    sd: Array
    cor: Array
    sigma: Array | None
    working: Array
    stats: dict[str, NDArray[np.generic]]
    coef: Array | None = None
    step_size: tuple[float, ...] = ()
    acceptance_rate: tuple[float, ...] = ()
    seconds_warmup: float = 0.0
    seconds_sampling: float = 0.0
    interrupted: bool = False
    failures: tuple[str, ...] = field(default=())

    @property
    def chains(self) -> int:
        """Number of chains."""
        return int(self.b.shape[0])

    @property
    def draws(self) -> int:
        """Draws kept of each chain."""
        return int(self.b.shape[1])

    def __repr__(self) -> str:
        return f"Run({self.method}: {self.chains} chains × {self.draws} draws, seed {self.seed})"
