"""Which engine samples a model, and why."""

from __future__ import annotations

from typing import NamedTuple

from partialpool.errors import InputError, NotYetError, did_you_mean

METHODS = ("auto", "marginal", "nuts", "metropolis")


class Choice(NamedTuple):
    """An engine and the reason for it."""

    method: str
    reason: str


def choose_method(method: str) -> Choice:
    """Choose the engine for a Gaussian model with at most one grouping factor.

    Raises
    ------
    InputError
        For an unknown method.
    NotYetError
        For one that this version lacks.

    Examples
    --------
    >>> choose_method("auto").method
    'marginal'
    """
    if method not in METHODS:
        raise InputError(f"unknown method `{method}`", remedy=did_you_mean(str(method), METHODS))
    if method == "nuts":
        raise NotYetError('`method="nuts"` is not available yet', remedy='use method="marginal"')
    if method == "metropolis":
        return Choice("metropolis", "you asked for it: a random walk over all parameters at once")
    return Choice(
        "marginal",
        "you asked for it"
        if method == "marginal"
        else "in a Gaussian model with one grouping factor, coefficients integrate out exactly",
    )
