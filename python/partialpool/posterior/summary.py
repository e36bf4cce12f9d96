"""Posterior summaries: one row a parameter."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from partialpool.posterior.diagnostics import diagnose

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

CHUNK = 500_000  # draws × parameters that are summarised at a time
COLUMNS = ("mean", "sd", "lower", "upper", "mcse", "ess_bulk", "ess_tail", "r_hat")


@dataclass(frozen=True)
class Summary:
    """Labels and one column of numbers for each of `COLUMNS`."""

    labels: tuple[str, ...]
    values: dict[str, Array]
    constant: NDArray[np.bool_]

    def to_frame(self) -> pd.DataFrame:
        """As a pandas DataFrame with the labels as index."""
        import pandas as pd

        return pd.DataFrame(self.values, index=pd.Index(self.labels, name="parameter"))


def summarise(labels: Sequence[str], parts: Iterable[Array], interval: float) -> Summary:
    """Summarise draws, arrays (chain, draw, parameter) one after the other.

    Intervals are equal-tailed. Some parameters at a time: memory does not grow with their number.
    """
    tail = (1 - interval) / 2
    found = []
    for part in parts:
        size = max(1, CHUNK // max(part.shape[0] * part.shape[1], 1))
        for first in range(0, part.shape[2], size):
            draws = part[:, :, first : first + size]
            ends = np.quantile(draws, [tail, 1 - tail], axis=(0, 1))
            found.append(diagnose(draws) | dict(zip(("lower", "upper"), ends, strict=True)))

    def column(name: str) -> Array:
        return np.concatenate([np.empty(0), *(some[name] for some in found)])

    values = {name: column(name) for name in COLUMNS}
    return Summary(tuple(labels), values, column("constant").astype(bool))
