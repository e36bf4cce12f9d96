"""The links: what coefficients do by them, and probabilities, accurate in both tails."""

from __future__ import annotations

import math
import os
from typing import Literal

import numpy as np

from partialpool import _core
from partialpool.arrays import Array

LinkName = Literal["identity", "log", "logit", "probit", "cloglog"]

COEFFICIENTS = {
    "logit": "exp(b) is an odds ratio",
    "probit": "near a probability of one half, b changes it by 0.4 b",
    "cloglog": "exp(b) multiplies -log(1 - probability)",
    "log": "exp(b) multiplies the mean",
}
"""What a coefficient does, where the link is about a probability or the mean."""


LATENT = {
    "logit": (math.pi**2 / 3, "π²/3, of a logistic variable"),
    "probit": (1.0, "1, of a standard normal variable"),
    "cloglog": (math.pi**2 / 6, "π²/6, of a Gumbel variable"),
}
"""The variance of the latent variable that is cut at a threshold, and what it is."""


SMALL = 100_000  # numbers for which it does not pay to start threads


def probabilities(link: str, eta: Array) -> tuple[Array, Array]:
    """Return p and 1 − p, each with all its digits."""
    eta = np.asarray(eta, dtype=float)
    threads = 1 if eta.size < SMALL else os.cpu_count() or 1
    # In the order in which they lie: turning them round takes as long as all the rest.
    order: Literal["C", "F"] = "F" if eta.flags.f_contiguous else "C"
    p, q = _core.link_probabilities(link=link, eta=eta.ravel(order), threads=threads)
    return p.reshape(eta.shape, order=order), q.reshape(eta.shape, order=order)
