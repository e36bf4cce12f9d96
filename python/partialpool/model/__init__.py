"""Priors and the model: from a design to the density to sample."""

from partialpool.model.defaults import default_priors, resolve_priors
from partialpool.model.model import Group, Model, build_model

__all__ = ["Group", "Model", "build_model", "default_priors", "resolve_priors"]
