"""Priors and the model: from a design to the density to sample."""

from partialpool.model.defaults import default_priors, known_keys, resolve_priors
from partialpool.model.model import Group, Model, Reduced, build_model
from partialpool.model.pooling import POOLINGS, Pooled, pool

__all__ = [
    "POOLINGS",
    "Group",
    "Model",
    "Pooled",
    "Reduced",
    "build_model",
    "default_priors",
    "known_keys",
    "pool",
    "resolve_priors",
]
