"""What parameters mean, in words: thresholds, dispersion parameters, scales of coefficients."""

from __future__ import annotations

from collections.abc import Mapping

from partialpool.families import FAMILIES
from partialpool.model import Model

POOLING_NAMES = {
    "complete": "complete pooling",
    "none": "no pooling",
    "partial": "partial pooling",
}

# What a coefficient does, by link; a probability is that of the response.
LINKS = {
    "logit": "exp(b) is an odds ratio",
    "probit": "near a probability of one half, b changes it by 0.4 b",
    "cloglog": "exp(b) multiplies -log(1 - probability)",
    "log": "exp(b) multiplies the mean",
}

# Where the mean that the link is about is not simply that of the response.
MEANS = {
    "lognormal": "exp(b) multiplies the median",
    "zero_inflated": "exp(b) multiplies the mean of the counts but for the extra zeros",
    "hurdle": "exp(b) multiplies the mean that counts would have without the hurdle at 0",
}

SHARES = {
    "logit": "exp(b) multiplies the odds of the mean, mean / (1 - mean)",
    "probit": "near a mean of one half, b changes it by 0.4 b",
    "cloglog": "exp(b) multiplies -log(1 - mean)",
}

ORDERED = {
    "logit": "exp(b) multiplies the odds of a higher category",
    "probit": "a positive b makes higher categories likelier, in sds of a latent normal variable",
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
    if model.family == "lognormal":
        return "log"
    return "" if model.link == "identity" else model.link


def family_words(model: Model) -> str:
    """Name the family, and its link where it has one."""
    link = "" if model.link == "identity" else f" ({model.link} link)"
    return f"{model.family} family{link}"


def given_words(roles: Mapping[str, str]) -> str:
    """List what was given beside the formula: ``trials: n, weights: w``."""
    return ", ".join(f"{role}: {text}" for role, text in roles.items())


def scale_words(model: Model) -> str | None:
    """Say what a coefficient means where the response is not modelled on its own scale."""
    scale = scale_name(model)
    if not scale:
        return None
    kind = next((kind for kind in MEANS if model.family.startswith(kind)), None)
    if kind is not None:
        meaning = MEANS[kind]
    elif model.categories:
        meaning = ORDERED[scale]
    else:
        meaning = (SHARES if model.family == "beta" else LINKS)[scale]
    return f"Coefficients are on the {scale} scale: {meaning}."


def dispersion_words(model: Model, name: str) -> str:
    """Describe a parameter beside the linear predictors, as the family's record does."""
    family = FAMILIES.get(model.family)
    described = {d.name: d.describes for d in family.dispersion} if family else {}
    words = described.get(name, f"{name} of {{y}}").replace("{y}", model.response)
    return words[0].upper() + words[1:]


def threshold_words(model: Model) -> str:
    """Head the thresholds: which categories they lie between."""
    names = [str(category) for category in model.categories]
    shown = names if len(names) <= 6 else [*names[:2], "…", names[-1]]
    between = f", between {' | '.join(shown)}" if names else ""
    return f"Thresholds of {model.response}{between}"
