"""The default priors (autoscaled), and how a user's priors replace them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from partialpool.design import Design, GroupFactor
from partialpool.errors import InputError, did_you_mean
from partialpool.model.families import FAMILIES, Family
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
GAUSSIAN = FAMILIES["gaussian"]

# Where dispersion parameters may lie.
RANGES = {d.name: (d.low, d.high) for family in FAMILIES.values() for d in family.dispersion}


@dataclass(frozen=True)
class Predictor:
    """A linear predictor of a design: that of the mean (``mu``) or that of log sigma."""

    name: str
    columns: tuple[str, ...]
    X: NDArray[np.float64]
    factors: tuple[GroupFactor, ...]

    @property
    def prefix(self) -> str:
        """Name of its population coefficients: ``b`` or ``b_sigma``."""
        return "b" if self.name == "mu" else f"b_{self.name}"


def predictors(design: Design) -> tuple[Predictor, ...]:
    """Give the linear predictors of a design."""
    main = Predictor("mu", design.columns, design.X, design.factors)
    if design.sigma is None:
        return (main,)
    part = design.sigma
    return main, Predictor("sigma", part.columns, part.X, part.factors)


def group_name(predictor: str, factor: GroupFactor) -> str:
    """Name a factor as its parameters do: ``id`` as in ``sd_id``, ``sigma_id`` for log sigma."""
    return factor.name if predictor == "mu" else f"{predictor}_{factor.name}"


@dataclass(frozen=True)
class Scales:
    """What the default priors are scaled by.

    Attributes
    ----------
    centre, unit : dict of float
        By predictor: centre of the intercept's prior, and the sd that stands for s_y.
    y_sd : float
        Sample sd of the response, on the scale of sigma.
    """

    centre: dict[str, float]
    unit: dict[str, float]
    y_sd: float


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


def scales(design: Design, family: Family = GAUSSIAN) -> Scales:
    """Compute what the default priors are scaled by.

    Where the link is not the identity the unit is 1; a lognormal response counts by its logarithm.
    """
    offset = design.total_offset
    y = family.linear(design.y)
    y = y if offset is None or family.unit_scale else y - offset
    y_sd = float(np.std(y, ddof=1)) if len(y) > 1 else 0.0
    if y_sd <= 0:
        y_sd = 1.0 if design.se is None else float(np.median(design.se))
    return Scales(
        {
            "mu": family.centre(design.y, design.trials, 0.0 if offset is None else offset),
            "sigma": math.log(y_sd),
        },
        {"mu": 1.0 if family.unit_scale else y_sd, "sigma": 1.0},
        y_sd,
    )


def default_priors(design: Design, family: Family = GAUSSIAN) -> dict[str, Prior]:
    """Default prior of every parameter, by its full name, with its scale.

    Parameters
    ----------
    design : Design
        As the pooling sees it. Coefficients of a factor without pooling have fixed priors four
        times as wide as those of `b`.
    family : Family
        Distribution of the response.

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
    scale = scales(design, family)
    priors: dict[str, Prior] = {}
    for k in range(1, len(design.categories)):
        priors[f"threshold[{k}]"] = NormalAtMean(0.0, 2.5)
    for predictor in predictors(design):
        unit, centre = scale.unit[predictor.name], scale.centre[predictor.name]
        for k, column in enumerate(predictor.columns):
            name = f"{predictor.prefix}[{column}]"
            if column == INTERCEPT:
                priors[name] = NormalAtMean(centre, 2.5 * unit)
            else:
                priors[name] = Normal(0.0, 2.5 * unit / column_sd(predictor.X[:, k]))
        for factor in predictor.factors:
            _add_group_priors(priors, group_name(predictor.name, factor), factor, unit, centre)
    for parameter in family.dispersion:
        if parameter.name == "sigma" and (design.se is not None or design.sigma is not None):
            continue
        default = parameter.default
        priors[parameter.name] = Exponential(1 / scale.y_sd) if default is None else default
    return priors


def _add_group_priors(
    priors: dict[str, Prior], name: str, factor: GroupFactor, unit: float, centre: float
) -> None:
    for k, term in enumerate(factor.terms):
        size = column_sd(factor.Z[:, k])
        prior: Prior
        if factor.pooled:
            key, prior = f"sd_{name}[{term}]", Exponential(size / unit)
        elif term == INTERCEPT:
            key, prior = f"coef_{name}[{term}]", NormalAtMean(centre, 10.0 * unit / size)
        else:
            key, prior = f"coef_{name}[{term}]", Normal(0.0, 10.0 * unit / size)
        if key in priors:
            raise InputError(
                f"two parameters would be called `{key}`", remedy="rename a grouping column"
            )
        priors[key] = prior
    if factor.pooled and pairs(factor):
        priors[f"cor_{name}"] = LKJ(2.0)


def known_keys(design: Design, family: Family = GAUSSIAN) -> set[str]:
    """Every key that a prior can be set on: parameters, their arrays, single correlations."""
    return _keys(default_priors(design, family), _element_keys(design))


def _keys(names: Iterable[str], elements: Iterable[str]) -> set[str]:
    """Parameters by their full names, their arrays, single correlations."""
    return {part for name in names for part in (name, name.split("[")[0])} | set(elements)


def _element_keys(design: Design) -> dict[str, str]:
    """Single correlations, with the matrix that they belong to."""
    groups = [
        (f"cor_{group_name(predictor.name, factor)}", factor)
        for predictor in predictors(design)
        for factor in predictor.factors
        if factor.pooled
    ]
    return {
        f"{matrix}[{pair_label(factor, pair)}]": matrix
        for matrix, factor in groups
        for pair in pairs(factor)
    }


def resolve_priors(
    user: Mapping[str, Prior | str] | None, design: Design, family: Family = GAUSSIAN
) -> dict[str, Prior]:
    """Put the user's priors in place of the defaults; the most specific key wins.

    Raises
    ------
    InputError
        For a key that names no parameter of the model, or a prior that cannot apply to it.
    """
    priors = default_priors(design, family)
    given = {key: as_prior(key, value) for key, value in (user or {}).items()}
    element_keys = _element_keys(design)
    known = _keys(priors, element_keys)
    for key in given:
        if key not in known:
            remedy = f"the model has {', '.join(f'`{k}`' for k in sorted(known))}"
            if key == "sigma" and design.se is not None:
                remedy = "`se` gives the standard errors, so sigma is not estimated: leave it out"
            elif key == "sigma" and design.sigma is not None:
                remedy = "log sigma has a formula: set priors on `b_sigma` instead"
            elif key in ("b[Intercept]", "Intercept") and design.categories:
                cuts = ", ".join(f"`{k}`" for k in priors if k.startswith("threshold["))
                remedy = (
                    "ordered categories have thresholds in place of an intercept: set it on "
                    f"`threshold` for all of them, or on {cuts}"
                )
            elif did_you_mean(key, known).startswith("did"):
                remedy = f"{did_you_mean(key, known)} {remedy}"
            raise InputError(f"a prior is set on `{key}`, which is no parameter", remedy=remedy)
    for name in list(priors):
        prior = given.get(name, given.get(name.split("[")[0]))
        if prior is not None:
            priors[name] = prior
    for matrix in dict.fromkeys(element_keys.values()):
        _resolve_correlations(priors, given, element_keys, matrix)
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
    if name in RANGES:
        low, high = max(low, RANGES[name][0]), min(high, RANGES[name][1])
    elif name.startswith("sd_"):
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
    intercept = name.endswith(f"[{INTERCEPT}]") or name.startswith("threshold[")
    if isinstance(prior, NormalAtMean) and not intercept:
        raise InputError(
            f"NormalAtMean is set on `{name}`", remedy="it applies to intercepts alone"
        )
    low, high = bounds(name, prior)
    somewhere = low < high and not (math.isinf(low) and low > 0)
    if not somewhere or (is_truncated(name, prior) and not prior.reaches(low, high)):
        some = "practically no mass" if somewhere else "no mass"
        raise InputError(
            f"the prior {prior} on `{name}` has {some} where the parameter can lie",
            remedy="choose one that has",
        )
