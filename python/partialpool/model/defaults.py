"""The default priors (autoscaled), and how a user's priors replace them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from partialpool.design import Design, GroupFactor
from partialpool.errors import InputError, did_you_mean
from partialpool.model.priors import (
    LKJ,
    Exponential,
    Flat,
    Normal,
    NormalAtMean,
    Prior,
    Uniform,
    parse_prior,
)

INTERCEPT = "Intercept"


@dataclass(frozen=True)
class Scales:
    """Sample sds that the default priors are scaled by."""

    y_mean: float
    y_sd: float
    x_sd: dict[str, float]


def pairs(factor: GroupFactor) -> list[tuple[int, int]]:
    """Correlated pairs of a factor's columns, in the order of the core.

    For three correlated columns: (0, 1), (0, 2), (1, 2).
    """
    return [
        (start + j, start + i)
        for start, stop, correlated in factor.blocks
        if correlated
        for i in range(1, stop - start)
        for j in range(i)
    ]


def pair_label(factor: GroupFactor, pair: tuple[int, int]) -> str:
    """Name a pair of columns as in ``cor_county[Intercept,floor]``."""
    return f"{factor.terms[pair[0]]},{factor.terms[pair[1]]}"


def column_sd(column: NDArray[np.float64]) -> float:
    """Sample sd of a column; for a constant one, its size (so an intercept has 1)."""
    sd = float(np.std(column, ddof=1)) if len(column) > 1 else 0.0
    if sd > 1e-13 * float(np.max(np.abs(column))):
        return sd
    return float(np.abs(column[0])) or 1.0


def scales(design: Design) -> Scales:
    """Compute the sample sds of response and predictors."""
    y = design.y if design.offset is None else design.y - design.offset
    y_sd = float(np.std(y, ddof=1)) if len(y) > 1 else 0.0
    if y_sd <= 0:
        y_sd = 1.0 if design.se is None else float(np.median(design.se))
    x_sd = {name: column_sd(design.X[:, k]) for k, name in enumerate(design.columns)}
    return Scales(float(np.mean(y)), y_sd, x_sd)


def default_priors(design: Design) -> dict[str, Prior]:
    """Default prior of every parameter, by its full name, with its scale.

    Parameters
    ----------
    design : Design
        As the pooling sees it. Coefficients of a factor without pooling have fixed priors four
        times as wide as those of `b`.

    Examples
    --------
    >>> from partialpool.data import open_table
    >>> from partialpool.formula import parse_formula
    >>> from partialpool.design import build_design
    >>> table = open_table({"y": [1.0, 2.0, 3.0], "x": [0.0, 1.0, 5.0]})
    >>> priors = default_priors(build_design(parse_formula("y ~ x"), table))
    >>> print(priors["b[Intercept]"])
    Normal(2, 2.5) at the mean of the predictors
    """
    scale = scales(design)
    priors: dict[str, Prior] = {}
    for name in design.columns:
        if name == INTERCEPT:
            priors[f"b[{name}]"] = NormalAtMean(scale.y_mean, 2.5 * scale.y_sd)
        else:
            priors[f"b[{name}]"] = Normal(0.0, 2.5 * scale.y_sd / scale.x_sd[name])
    for factor in design.factors:
        if not factor.pooled:
            for k, term in enumerate(factor.terms):
                name = f"coef_{factor.name}[{term}]"
                width = 10.0 * scale.y_sd / column_sd(factor.Z[:, k])
                at_mean = term == INTERCEPT
                priors[name] = NormalAtMean(scale.y_mean, width) if at_mean else Normal(0.0, width)
            continue
        for k, term in enumerate(factor.terms):
            rate = column_sd(factor.Z[:, k]) / scale.y_sd
            priors[f"sd_{factor.name}[{term}]"] = Exponential(rate)
        if pairs(factor):
            priors[f"cor_{factor.name}"] = LKJ(2.0)
    if design.se is None:
        priors["sigma"] = Exponential(1 / scale.y_sd)
    return priors


def known_keys(design: Design) -> set[str]:
    """Every key that a prior can be set on: parameters, their arrays, single correlations."""
    names = default_priors(design)
    return {*names, *(name.split("[")[0] for name in names), *_element_keys(design)}


def _element_keys(design: Design) -> dict[str, str]:
    """Single correlations, with the matrix that they belong to."""
    return {
        f"cor_{factor.name}[{pair_label(factor, pair)}]": f"cor_{factor.name}"
        for factor in design.factors
        if factor.pooled
        for pair in pairs(factor)
    }


def resolve_priors(user: Mapping[str, Prior | str] | None, design: Design) -> dict[str, Prior]:
    """Put the user's priors in place of the defaults; the most specific key wins.

    Raises
    ------
    InputError
        For a key that names no parameter of the model, or a prior that cannot apply to it.
    """
    priors = default_priors(design)
    given = {key: as_prior(key, value) for key, value in (user or {}).items()}
    element_keys = _element_keys(design)
    known = known_keys(design)
    for key in given:
        if key not in known:
            remedy = f"the model has {', '.join(f'`{k}`' for k in sorted(known))}"
            if key == "sigma" and design.se is not None:
                remedy = "`se` gives the standard errors, so sigma is not estimated: leave it out"
            elif did_you_mean(key, known).startswith("did"):
                remedy = f"{did_you_mean(key, known)} {remedy}"
            raise InputError(f"a prior is set on `{key}`, which is no parameter", remedy=remedy)
    for name in list(priors):
        prior = given.get(name, given.get(name.split("[")[0]))
        if prior is not None:
            priors[name] = prior
    for factor in design.factors:
        _resolve_correlations(priors, given, element_keys, f"cor_{factor.name}")
    for name, prior in priors.items():
        _check(name, prior)
    return priors


def _resolve_correlations(
    priors: dict[str, Prior], given: dict[str, Prior], element_keys: dict[str, str], matrix: str
) -> None:
    """Decide between one LKJ prior for the matrix and a prior for each correlation."""
    if matrix not in priors:
        return
    elements = [key for key, of in element_keys.items() if of == matrix]
    whole = priors[matrix]
    if not any(key in given for key in elements) and isinstance(whole, LKJ):
        return
    if len(elements) == 1 and isinstance(given.get(elements[0]), LKJ):
        # One correlation is the whole matrix.
        priors[matrix] = given[elements[0]]
        return
    del priors[matrix]
    fallback = Uniform(-1, 1) if isinstance(whole, LKJ) else whole
    for key in elements:
        priors[key] = given.get(key, fallback)


def as_prior(key: str, value: Prior | str) -> Prior:
    """Take a prior, or the text of one, as it is set on `key`."""
    if isinstance(value, str):
        return parse_prior(value)
    if isinstance(value, Prior):
        return value
    remedy = "give a prior such as `pp.Normal(0, 2.5)`"
    if isinstance(value, type) and issubclass(value, Prior):
        remedy = f"call it: `pp.{value.__name__}(…)`"
    raise InputError(f"the prior on `{key}` is {value!r}", remedy=remedy)


def bounds(name: str, prior: Prior) -> tuple[float, float]:
    """Where a parameter may lie: its prior's support within its own range."""
    low, high = prior.support
    if name == "sigma" or name.startswith("sd_"):
        low = max(low, 0.0)
    elif name.startswith("cor_"):
        low, high = max(low, -1.0), min(high, 1.0)
    return low, high


def is_truncated(name: str, prior: Prior) -> bool:
    """Whether a prior is cut because the parameter cannot take some of its values."""
    return not isinstance(prior, (LKJ, Flat)) and bounds(name, prior) != prior.support


def _check(name: str, prior: Prior) -> None:
    if isinstance(prior, LKJ):
        if not name.startswith("cor_"):
            raise InputError(
                f"LKJ is set on `{name}`", remedy="it is a prior of correlations (`cor_…`)"
            )
        if "[" in name:
            raise InputError(
                f"LKJ is set on the single correlation `{name}`",
                remedy=f"set it on the whole matrix `{name.split('[')[0]}`",
            )
        return
    if isinstance(prior, NormalAtMean) and not name.endswith(f"[{INTERCEPT}]"):
        raise InputError(
            f"NormalAtMean is set on `{name}`", remedy="it applies to intercepts alone"
        )
    low, high = bounds(name, prior)
    if not low < high or (math.isinf(low) and low > 0):
        raise InputError(
            f"the prior {prior} on `{name}` has no mass where the parameter can lie",
            remedy="choose one that has",
        )
