"""Numbers of one hypothesis, from the draws of its difference and of whether it holds."""

from __future__ import annotations

import math

import numpy as np

from partialpool.arrays import Array, quantiles, tails
from partialpool.draws.diagnostics import diagnose
from partialpool.draws.summary import summarise
from partialpool.hypotheses.statement import Statement


def facts_of(
    statement: Statement,
    difference: Array,
    holds: Array,
    interval: float,
    rope: tuple[float, float] | None,
) -> dict[str, float]:
    """Numbers of one row of the table."""
    defined = np.isfinite(difference)
    # Diagnostics need whole chains: draws that are undefined say nothing, as if they were average.
    filled = np.where(defined, difference, np.mean(difference[defined]))
    summary = summarise([statement.text], [filled[:, :, None]], interval)
    ess = float(np.fmin(summary.values["ess_bulk"], summary.values["ess_tail"])[0])
    n = int(defined.sum())
    effective = n if math.isnan(ess) else min(ess, n)
    facts = {
        "undefined": defined.size - n,
        "ess": ess,
        "r_hat": float(summary.values["r_hat"][0]),
        "bound": min(3 / effective, 0.95) if effective else math.nan,
    }
    facts |= _probability(holds[defined], np.where(defined, holds, np.nan), effective)
    own = difference[defined]
    none = statement.joined
    low, high = tails(interval)
    ends = quantiles(own[None, :], [low, 0.5, high])[:, 0].tolist()
    names = ("lower", "median", "upper")
    facts |= dict.fromkeys((*names, "mean", "sd"), math.nan)
    if not none:
        facts |= dict(zip(names, ends, strict=True))
        facts |= {"mean": float(np.mean(own)), "sd": _sd(own)}
    if rope is not None:
        low, high = rope
        facts["inside"] = math.nan if none else float(np.mean((own >= low) & (own <= high)))
    return facts


def _sd(values: Array) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else math.nan


def _probability(holds: Array, whole: Array, effective: float) -> dict[str, float]:
    """Share of draws that hold, its Monte Carlo error, and odds."""
    p = float(np.mean(holds))
    if math.isnan(p):
        return {"probability": p, "mcse": p, "odds": p}
    if p in (0.0, 1.0):
        return {"probability": p, "mcse": 1 / effective, "odds": math.inf if p else 0.0}
    # The mean, where it is undefined, leaves the share as it is.
    filled = np.where(np.isnan(whole), p, whole)
    error = float(diagnose(filled[:, :, None])["mcse"][0])
    least = math.sqrt(p * (1 - p) / len(holds))
    error = least if math.isnan(error) else error
    return {"probability": p, "mcse": error, "odds": p / (1 - p)}
