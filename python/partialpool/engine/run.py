"""What every engine returns: draws by parameter, and how the sampling went."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from msgspec import Struct, field
from msgspec.structs import astuple
from numpy.typing import NDArray

from partialpool import called
from partialpool.arrays import Array


class GroupDraws(Struct, frozen=True):
    """Draws that belong to the group terms of one factor.

    Attributes
    ----------
    sd : (chain, draw, q) array
        Scales of the group coefficients; no columns where they are not sampled.
    cor : (chain, draw, pairs) array
        Their correlations.
    own : (chain, draw, q + pairs) array or None
        Sds and correlations of the working coefficients r̃, where those are others.
    levels : (chain, draw, level, term) array, what gives one, or None
        The levels' own coefficients where the engine draws them itself, at once or when they are
        first asked for; otherwise they are drawn from their exact conditionals.
    """

    sd: Array
    cor: Array
    levels: Array | Callable[[], Array] | None = None
    own: Array | None = None

    @property
    def has_coef(self) -> bool:
        """Whether the engine draws the levels' own coefficients itself."""
        return self.levels is not None

    @property
    def coef(self) -> Array | None:
        """The levels' own coefficients as the engine draws them, if it does."""
        return self.levels() if callable(self.levels) else self.levels

    def __reduce__(self) -> tuple[Any, ...]:  # copies have them
        return GroupDraws, (self.sd, self.cor, self.coef, self.own)


class Certificate(Struct, frozen=True):
    """What vouches for independent draws: that polynomials met the density they stood in for.

    Attributes
    ----------
    evaluations : int
        Evaluations of the density in all.
    checked : int
        Fresh draws at which the polynomials and the density were compared.
    sd, largest : float
        Sd of the differences of log densities there, and the largest from their mean.
    moved : float
        How far sigma and coefficients given the other scales were off at most, in their sds.
    outside : float
        Share of the mass, about, outside the region that the polynomials cover.
    pareto_k : float
        Of the weights by which proposals were taken.
    taken : float
        Share of the proposals that were taken.
    """

    evaluations: int
    checked: int
    sd: float
    largest: float
    moved: float
    outside: float
    pareto_k: float
    taken: float

    @property
    def words(self) -> str:
        """What was done, and how exact it is."""
        return (
            f"draws are independent, of polynomials through {self.evaluations} exact evaluations "
            f"of the density, whose logarithm they met at {self.checked} fresh draws within "
            f"{self.largest:.1g}"
        )


class Run(Struct, frozen=True):
    """Draws of the population-level parameters and sampler statistics.

    Attributes
    ----------
    b : (chain, draw, p) array
        Population coefficients on the user's scale.
    groups : tuple of GroupDraws
        In the order of the model's groups.
    scalars : dict of (chain, draw) arrays
        Every other parameter by its full name, in the order in which they are shown: ``sigma``,
        ``nu``, ``threshold[1]``, ``b_sigma[x]``.
    working : (chain, draw, p) array or None
        Coefficients as the core has them, from which an engine that integrates draws those of the
        groups.
    stats : dict of (chain, draw) arrays
        ``lp``, and from NUTS ``diverging``, ``energy``, ``tree_depth``.
    warmup : int
        Warm-up draws of each chain, at most; of independent draws, which need none, those asked
        for.
    warmups : tuple of int
        Those of each chain, where it walks; of fits of earlier versions, none.
    acceptance_rate : tuple of float
        Share of accepted proposals in each chain (Metropolis).
    certificate : Certificate or None
        What vouches for the draws where they are independent, and no walk.
    window : dict
        Draws of coefficients that were asked for, while they are likely to be asked for again.
    """

    method: str
    seed: int
    warmup: int
    b: Array
    groups: tuple[GroupDraws, ...]
    scalars: dict[str, Array]
    working: Array | None
    stats: dict[str, NDArray[np.generic]]
    step_size: tuple[float, ...] = ()
    acceptance_rate: tuple[float, ...] = ()
    seconds_warmup: float = 0.0
    seconds_sampling: float = 0.0
    interrupted: bool = False
    failures: tuple[str, ...] = ()
    certificate: Certificate | None = None
    warmups: tuple[int, ...] = ()
    window: dict[str, Any] = field(default_factory=dict)

    @property
    def warmup_words(self) -> str:
        """How long chains warmed up, in words; those that decide by themselves may differ.

        Examples
        --------
        >>> import partialpool as pp
        >>> counts = {"x": [1, 2, 3, 4], "y": [0, 2, 1, 4]}
        >>> fit = pp.fit("y ~ x", counts, family="poisson", draws=4, warmup=4, seed=1)
        >>> fit.run.warmup_words
        '4 of warm-up'
        """
        shortest = min(self.warmups, default=self.warmup)
        count = f"{self.warmup}" if shortest == self.warmup else f"{shortest} to {self.warmup}"
        return f"{count} of warm-up"

    @property
    def chains(self) -> int:
        """Number of chains."""
        return int(self.b.shape[0])

    @property
    def draws(self) -> int:
        """Draws kept of each chain."""
        return int(self.b.shape[1])

    @property
    def sigma(self) -> Array | None:
        """Draws of the residual sd: (chain, draw); None where it is not estimated."""
        return self.scalars.get("sigma")

    def coefficients(self, predictor: str) -> Array:
        """Population coefficients of a linear predictor, ``"mu"`` or ``"sigma"``: (…, column)."""
        if predictor == "mu":
            return self.b
        array = called.b(predictor=predictor)
        found = [x for name, x in self.scalars.items() if called.array_of(name) == array]
        return np.stack(found, axis=-1) if found else np.empty((*self.b.shape[:2], 0))

    def __reduce__(self) -> tuple[Any, ...]:  # copies begin with no window
        return Run, astuple(self)[:-1]

    def __repr__(self) -> str:
        return f"Run({self.method}: {self.chains} chains × {self.draws} draws, seed {self.seed})"
