"""Models without priors: the maximum of their likelihood, and profiles around it."""

from partialpool.likelihood.climb import maximise_generalised
from partialpool.likelihood.criterion import build_likelihood
from partialpool.likelihood.generalised import build_generalised
from partialpool.likelihood.maximum import Maximum, check_maximised, maximise
from partialpool.likelihood.profile import intervals

__all__ = [
    "Maximum",
    "build_generalised",
    "build_likelihood",
    "check_maximised",
    "intervals",
    "maximise",
    "maximise_generalised",
]
