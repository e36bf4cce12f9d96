"""Priors and the model: from a design to the density to sample."""

from partialpool.model.defaults import default_priors, known_keys, resolve_priors
from partialpool.model.model import Group, Integrable, Model, Reduced
from partialpool.model.pooling import POOLINGS, Pooled, pool

__all__ = [
    "POOLINGS",
    "Group",
    "Integrable",
    "Model",
    "Pooled",
    "Reduced",
    "default_priors",
    "known_keys",
    "pool",
    "resolve_priors",
]
