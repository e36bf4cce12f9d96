"""The links, and probabilities through them, accurate in both tails."""

from __future__ import annotations

import os
from typing import Literal

import numpy as np

from partialpool import _core
from partialpool.arrays import Array

LinkName = Literal["identity", "log", "logit", "probit", "cloglog"]


def probabilities(link: str, eta: Array) -> tuple[Array, Array]:
    """Return p and 1 − p, each with all its digits."""
    eta = np.asarray(eta, dtype=float)
    p, q = _core.link_probabilities(link, np.ravel(eta), os.cpu_count() or 1)
    return p.reshape(eta.shape), q.reshape(eta.shape)
