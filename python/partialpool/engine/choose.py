"""Which engine samples a model, and why."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal, NamedTuple, get_args

from partialpool import limits
from partialpool.errors import InputError
from partialpool.model import Pooled
from partialpool.model.defaults import as_prior
from partialpool.model.exact import LEAST_SHARE, too_little
from partialpool.priors import Flat, Normal, Prior, Uniform

# Methods that maximise the likelihood instead of sampling the posterior.
MAXIMISED = ("reml", "ml")

Method = Literal["auto", "marginal", "nuts", "metropolis", "reml", "ml"]
METHODS: tuple[Method, ...] = get_args(Method)


class Choice(NamedTuple):
    """An engine and the reason for it."""

    method: str
    reason: str


def choose_method(
    method: str,
    pooled: Pooled,
    priors: Mapping[str, Prior | str] | None = None,
    left: float = math.nan,
) -> Choice:
    """Choose the engine for a design as its pooling sees it.

    `left` is the residual sd over the sd of the response, where it is known.

    Raises
    ------
    InputError
        If the engine that was asked for cannot sample this model.

    Examples
    --------
    >>> from partialpool.design import build_design
    >>> from partialpool.formula import parse_formula
    >>> from partialpool.model import pool
    >>> design = build_design(parse_formula("y ~ x"), {"y": [1.0, 3.0, 2.0], "x": [0, 1, 2]})
    >>> choose_method("auto", pool(design, "partial")).method
    'marginal'
    """
    obstacle = _obstacle(pooled, priors or {})
    if obstacle is None and left < LEAST_SHARE:
        obstacle = f"{too_little(left, pooled.design.response)}, which cross-products would lose"
    if method == "nuts":
        return Choice("nuts", "you asked for it: NUTS on all parameters")
    if obstacle is None:
        if method == "metropolis":
            return Choice(
                "metropolis", "you asked for it: a random walk over all parameters at once"
            )
        asked = "you asked for it"
        why = "in a Gaussian model with one grouping factor, coefficients integrate out exactly"
        return Choice("marginal", asked if method == "marginal" else why)
    if method != "auto":
        raise InputError(
            f'method="{method}" cannot sample this model: {obstacle}',
            remedy="leave `method` out, and NUTS will",
        )
    return Choice("nuts", f"{obstacle}, so NUTS samples all parameters")


def check_maximised(
    method: str, pooled: Pooled, priors: Mapping[str, Prior | str] | None = None
) -> None:
    """Refuse what method "reml" or "ml" cannot fit.

    Raises
    ------
    InputError
        For priors, no pooling, or a model whose coefficients do not integrate out.
    """
    if priors:
        raise InputError(
            f'priors are given with method="{method}", and they have no part in it',
            remedy="leave them out, or leave `method` out to sample the posterior",
        )
    apart = [factor.name for factor in pooled.design.factors if not factor.pooled]
    if apart:
        raise InputError(
            f'method="{method}" estimates how much levels differ, and without pooling the levels '
            f"of `{apart[0]}` have no common distribution",
            remedy='use pooling="partial" or "complete", or leave `method` out',
        )
    for factor in pooled.design.factors:
        widest = max((stop - start for start, stop, tied in factor.blocks if tied), default=0)
        if widest > limits.CORRELATED_REML:
            raise InputError(
                f'method="{method}" takes at most {limits.CORRELATED_REML} correlated '
                f"coefficients a level, and those of `{factor.name}` have {widest}",
                remedy="write `||` for `|`, or leave `method` out to sample the posterior",
            )
    obstacle = _obstacle(pooled, {})
    if obstacle is not None:
        raise InputError(
            f'method="{method}" fits Gaussian models with one grouping factor or none, and '
            f"{obstacle}",
            remedy="leave `method` out to sample the posterior",
        )


def _obstacle(pooled: Pooled, priors: Mapping[str, Prior | str]) -> str | None:
    """Say why coefficients do not integrate out, if so."""
    design = pooled.design
    if not pooled.family.conjugate:
        return f"the {pooled.family.name} family is not Gaussian"
    if design.sigma is not None:
        return "log sigma has a formula of its own"
    if len(design.factors) > 1:
        return f"there are {len(design.factors)} grouping factors"
    for factor in design.factors:
        if factor.pooled:
            continue
        whole = f"coef_{factor.name}"
        keys = [f"{whole}[{term}]" for term in factor.terms]
        found = [priors.get(key, priors.get(whole)) for key in keys]
        own = [Normal() if one is None else as_prior(whole, one) for one in found]
        flat = [isinstance(prior, (Flat, Uniform)) for prior in own]
        normal = [isinstance(prior, Normal) for prior in own]
        if not (all(flat) or all(normal)):
            return f"the priors on `{whole}` are neither all normal nor all flat or uniform"
    return None
