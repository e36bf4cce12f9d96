"""Averages over a normal distribution, by the trapezoid rule."""

from __future__ import annotations

import math

import numpy as np

from partialpool.arrays import Array

# Of the trapezoid rule: an error of 1e-7 or less. Logit has poles at ±iπ, the others misbehave
# beyond ±iπ/2, or grow off the real line.
STEPS = {"logit": 1.0, "probit": 0.7, "cloglog": 0.6, "log": 0.6}
REACH = 6.0


def normal_nodes(sd: float, link: str, power: int = 1, reach: float = REACH) -> tuple[Array, Array]:
    """Nodes and weights for averages of f(eta + sd t) over a standard normal t.

    The trapezoid rule: where f has no singularity within d of the real line, its error is
    ``exp(-2π d / (sd h))`` with steps of h. Unlike that of Gauss and Hermite it stays small where
    the sd is large.

    Parameters
    ----------
    power : int
        The highest power of the mean of a response with this link in f.
    reach : float
        How far nodes go beyond the bulk of what is averaged.

    Examples
    --------
    >>> nodes, weights = normal_nodes(2.0, "logit")
    >>> len(nodes), bool(abs(weights @ nodes**2 - 1) < 1e-7)
    (25, True)
    """
    step = min(0.5, STEPS[link] / max(sd, 1e-9))
    # Exponentials move the bulk of what is averaged up by the sd.
    top = reach + (power * sd if link == "log" else 0.0)
    ends = -math.ceil(reach / step), math.ceil(top / step) + 1
    nodes = np.asarray(step * np.arange(*ends), dtype=np.float64)
    weights = np.exp(-(nodes**2) / 2)
    return nodes, weights * (step / math.sqrt(2 * math.pi))
