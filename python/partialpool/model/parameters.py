"""Parameters by name: what is known of one by what it is called."""

from __future__ import annotations

from partialpool import called
from partialpool.model.defaults import bounds, is_truncated
from partialpool.model.model import Model
from partialpool.priors import Prior


def prior_of(model: Model, label: str) -> str:
    """Write the prior of a parameter, its own or that of the array it is in; empty without one."""
    prior = model.priors.get(label, model.priors.get(called.array_of(label)))
    return "" if prior is None else prior_words(label, prior)


def prior_words(name: str, prior: Prior) -> str:
    """Write a prior, with the bounds where the parameter's range cuts it off.

    Examples
    --------
    >>> from partialpool.priors import Gamma, Normal
    >>> prior_words("nu", Gamma(2, 0.1)), prior_words("b[x]", Normal(0, 1))
    ('Gamma(2, 0.1) above 1', 'Normal(0, 1)')
    """
    if not is_truncated(name, prior):
        return str(prior)
    low, high = bounds(name, prior)
    return f"{prior} above {low:g}" if high == float("inf") else f"{prior} in ({low:g}, {high:g})"
