"""Posterior summaries: one row a parameter."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from partialpool.arrays import Array, quantiles, tails
from partialpool.draws.diagnostics import diagnose

if TYPE_CHECKING:
    import pandas as pd


CHUNK = 500_000  # draws × parameters that are summarised at a time
COLUMNS = ("mean", "sd", "lower", "upper", "mcse", "ess_bulk", "ess_tail", "r_hat")

ROUNDING = 64 * float(np.finfo(float).eps)


class Summary(Struct, frozen=True):
    """Labels and one column of numbers for each of `COLUMNS`."""

    labels: tuple[str, ...]
    values: dict[str, Array]
    constant: NDArray[np.bool_]

    def to_frame(self, priors: Sequence[str] | None = None) -> pd.DataFrame:
        """As a pandas DataFrame with the labels as index, and the priors as last column."""
        import pandas as pd

        from partialpool.draws.frame import WholeFrame

        columns: dict[str, Any] = dict(self.values)
        if priors is not None:
            columns["prior"] = list(priors)
        return WholeFrame(columns, index=pd.Index(self.labels, name="parameter"))


def summarise(
    labels: Sequence[str], parts: Iterable[Array], interval: float, scale: Array | None = None
) -> Summary:
    """Summarise draws, arrays (chain, draw, parameter) one after the other.

    Intervals are equal-tailed. Some parameters at a time: memory does not grow with their number.
    Draws that differ by rounding alone have no R-hat, ESS or Monte Carlo error. They are rounded at
    the `scale` of what they were computed from, by default their own.
    """
    done, found = 0, []
    for part in parts:
        size = max(1, CHUNK // max(part.shape[0] * part.shape[1], 1))
        for first in range(0, part.shape[2], size):
            draws = part[:, :, first : first + size]
            apart = np.ascontiguousarray(np.moveaxis(draws, 2, 0))  # (parameter, chain, draw)
            every = apart.reshape(len(apart), -1)
            ends = quantiles(every, tails(interval))
            some = diagnose(np.moveaxis(apart, 0, 2))
            some |= dict(zip(("lower", "upper"), ends, strict=True))
            own = None if scale is None else scale[done : done + draws.shape[2]]
            still = _stands_still(every, own)
            for name in ("mcse", "ess_bulk", "ess_tail", "r_hat"):
                some[name] = np.where(still, np.nan, some[name])
            done += draws.shape[2]
            found.append(some)

    def column(name: str) -> Array:
        return np.concatenate([np.empty(0), *(some[name] for some in found)])

    values = {name: column(name) for name in COLUMNS}
    return Summary(tuple(labels), values, column("constant").astype(bool))


def _stands_still(draws: Array, scale: Array | None) -> NDArray[np.bool_]:
    """Which parameters (parameter, draw) move by no more than rounding."""
    if not draws.size:
        return np.ones(len(draws), dtype=bool)
    low, high = draws.min(axis=1), draws.max(axis=1)
    size = np.maximum(-low, high)
    if scale is not None:
        size = np.fmax(size, scale)
    return np.asarray(high - low <= ROUNDING * size)
