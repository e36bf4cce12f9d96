"""What parameters mean, in words: thresholds, dispersion parameters, scales of coefficients."""

from __future__ import annotations

import re
from collections.abc import Mapping

from partialpool import called
from partialpool.expressions.coding import AS_NUMBERS
from partialpool.expressions.evaluate import State
from partialpool.formula import Factor, expand
from partialpool.model import Model

POOLING_NAMES = {
    "complete": "complete pooling",
    "none": "no pooling",
    "partial": "partial pooling",
}


def scale_name(model: Model) -> str:
    """Name the scale of the coefficients; empty where it is that of the response.

    Examples
    --------
    >>> import partialpool as pp
    >>> counts = {"y": [0, 2, 1, 4], "x": [1, 2, 3, 4]}
    >>> scale_name(pp.fit("y ~ x", counts, family="poisson", draws=4, warmup=4, seed=1).model)
    'log'
    """
    return model.family.scale(model.link)


def pooling_words(pooling: str) -> str:
    """Name a pooling, also one that differs between factors.

    Examples
    --------
    >>> pooling_words("none"), pooling_words("none by item, partial by id")
    ('no pooling', 'pooling none by item, partial by id')
    """
    return POOLING_NAMES.get(pooling, f"pooling {pooling}")


def family_words(model: Model) -> str:
    """Name the family, and its link where it has one."""
    link = "" if model.link == "identity" else f" ({model.link} link)"
    return f"{model.family.name} family{link}"


def given_words(roles: Mapping[str, str]) -> str:
    """List what was given beside the formula: ``trials: n, weights: w``."""
    return ", ".join(f"{role}: {text}" for role, text in roles.items())


def scale_words(model: Model) -> str | None:
    """Say what a coefficient means where the response is not modelled on its own scale."""
    scale = scale_name(model)
    if not scale:
        return None
    return f"Coefficients are on the {scale} scale: {model.family.words[scale]}."


def ratio_words(model: Model) -> str | None:
    """Say of what exp(b) is a ratio; None where it is none.

    Examples
    --------
    >>> import partialpool as pp
    >>> answers = {"y": [0, 1, 1, 0], "x": [1, 2, 3, 4]}
    >>> quick = {"family": "bernoulli", "draws": 4, "warmup": 4, "seed": 1}
    >>> ratio_words(pp.fit("y ~ x", answers, **quick).model)
    'exp(b) is an odds ratio'
    >>> ratio_words(pp.fit("y ~ x", answers, link="probit", **quick).model) is None
    True
    """
    words = model.family.words.get(scale_name(model), "")
    return words if words.startswith("exp(b)") else None


def level_means(model: Model) -> tuple[str, ...]:
    """Name the coefficients that stand in the place of the intercept, as those of ``0 + arm`` do.

    Each is what is expected of one category, not how it differs from another: exp of it is odds, or
    a mean, where exp of others is a ratio of them.

    Examples
    --------
    >>> import partialpool as pp
    >>> data = {"y": [0, 1, 1, 0], "arm": ["a", "b", "a", "b"], "x": [1, 2, 3, 4]}
    >>> quick = {"family": "bernoulli", "draws": 4, "warmup": 4, "seed": 1}
    >>> level_means(pp.fit("y ~ 0 + arm + x", data, **quick).model)
    ('b[arm[a]]', 'b[arm[b]]')
    >>> level_means(pp.fit("y ~ arm + x", data, **quick).model)
    ()
    """
    found: list[str] = []
    for part in model.plan.parts:
        terms, state = expand(part.terms.population), part.population.state
        if part.thresholds or () in map(tuple, terms):
            continue
        # The first term of categories alone spans the intercept, and all of its cells are coded.
        own = (term for term in terms if all(_is_coded(factor, state) for factor in term))
        cell = ":".join(rf"{re.escape(f.label)}\[(?:(?!\]:).)*\]" for f in next(own, ()))
        found += [called.b(c, part.name) for c in part.columns if cell and re.fullmatch(cell, c)]
    return tuple(found)


def _is_coded(factor: Factor, state: State) -> bool:
    """Whether a factor of a term has categories."""
    if factor.bare:
        return f"numbers of {factor.code}" not in state
    return factor.categorical or (factor.condition and AS_NUMBERS not in state)


def dispersion_words(model: Model, name: str) -> str:
    """Describe a parameter beside the linear predictors, as the family's record does."""
    described = {d.name: d.describes for d in model.family.dispersion}
    words = described.get(name, f"{name} of {{y}}").replace("{y}", model.response)
    return words[0].upper() + words[1:]


def threshold_words(model: Model) -> str:
    """Head the thresholds: which categories they lie between."""
    names = [str(category) for category in model.categories]
    shown = names if len(names) <= 6 else [*names[:2], "…", names[-1]]
    between = f", between {' | '.join(shown)}" if names else ""
    return f"Thresholds of {model.response}{between}"
