"""Gaussian models without priors: the maximum of their likelihood, and profiles around it."""

from partialpool.likelihood.criterion import build_likelihood
from partialpool.likelihood.maximum import Maximum, check_maximised, maximise
from partialpool.likelihood.profile import intervals

__all__ = ["Maximum", "build_likelihood", "check_maximised", "intervals", "maximise"]
