"""Whether all coefficients of a model integrate out in closed form and, if not, why."""

from __future__ import annotations

import math

from partialpool import called
from partialpool.engine.engine import Priors
from partialpool.engine.exact import LEAST_SHARE, too_little
from partialpool.model import Pooled
from partialpool.model.defaults import as_prior
from partialpool.priors import Flat, Normal, Uniform


def is_closed(pooled: Pooled) -> bool:
    """Whether levels integrate out in closed form, if their priors let them."""
    return pooled.family.conjugate and pooled.design.sigma is None


def not_integrable(pooled: Pooled, priors: Priors, left: float = math.nan) -> str | None:
    """Say why coefficients do not integrate out, if so.

    `left` is the residual sd over the sd of the response, where it is known.
    """
    design = pooled.design
    if not pooled.family.conjugate:
        return f"the {pooled.family.name} family is not Gaussian"
    if design.sigma is not None:
        return "log sigma has a formula of its own"
    for factor in design.factors:
        if factor.pooled:
            continue
        whole = called.coef(factor.name)
        keys = [called.coef(factor.name, term) for term in factor.terms]
        found = [priors.get(key, priors.get(whole)) for key in keys]
        own = [Normal() if one is None else as_prior(whole, one) for one in found]
        flat = [isinstance(prior, (Flat, Uniform)) for prior in own]
        normal = [isinstance(prior, Normal) for prior in own]
        if not (all(flat) or all(normal)):
            return f"the priors on `{whole}` are neither all normal nor all flat or uniform"
        if len(design.factors) > 1 and not all(normal):
            several = "with several grouping factors, coefficients without pooling integrate out"
            return f"{several} where their priors are normal, and those on `{whole}` are not"
    if left < LEAST_SHARE:
        return f"{too_little(left, design.response)}, which cross-products would lose"
    return None
