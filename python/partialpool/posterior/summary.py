"""Posterior summaries: one row a parameter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from partialpool.posterior.diagnostics import diagnose

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

COLUMNS = ("mean", "sd", "lower", "upper", "mcse", "ess_bulk", "ess_tail", "r_hat")

ROUNDING = 64 * float(np.finfo(float).eps)


@dataclass(frozen=True)
class Summary:
    """Labels and one column of numbers for each of `COLUMNS`."""

    labels: tuple[str, ...]
    values: dict[str, Array]
    constant: NDArray[np.bool_]

    def to_frame(self, priors: Sequence[str] | None = None) -> pd.DataFrame:
        """As a pandas DataFrame with the labels as index, and the priors as last column."""
        import pandas as pd

        from partialpool.posterior.frame import WholeFrame

        columns: dict[str, Any] = dict(self.values)
        if priors is not None:
            columns["prior"] = list(priors)
        return WholeFrame(columns, index=pd.Index(self.labels, name="parameter"))


def summarise(
    labels: Sequence[str], draws: Array, interval: float, scale: Array | None = None
) -> Summary:
    """Summarise draws of shape (chain, draw, parameter); intervals are equal-tailed.

    Draws that differ by rounding alone have no R-hat, ESS or Monte Carlo error. They are rounded at
    the `scale` of what they were computed from, by default their own.
    """
    found = diagnose(draws)
    flat = draws.reshape(draws.shape[0] * draws.shape[1], draws.shape[2])
    if flat.size:
        own = np.max(np.abs(flat), axis=0)
        still = np.ptp(flat, axis=0) <= ROUNDING * (own if scale is None else np.fmax(own, scale))
        for name in ("mcse", "ess_bulk", "ess_tail", "r_hat"):
            found[name] = np.where(still, np.nan, found[name])
    tail = (1 - interval) / 2
    lower, upper = np.quantile(flat, [tail, 1 - tail], axis=0)
    values = {**found, "lower": lower, "upper": upper}
    return Summary(
        tuple(labels), {name: values[name] for name in COLUMNS}, found["constant"].astype(bool)
    )
