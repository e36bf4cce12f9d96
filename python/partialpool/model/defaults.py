"""The default priors (autoscaled), and how a user's priors replace them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from weakref import WeakKeyDictionary

from partialpool import called
from partialpool.arrays import Array
from partialpool.design import Design, GroupFactor
from partialpool.errors import InputError, did_you_mean, shown
from partialpool.families import DEFAULT, FAMILIES, Family
from partialpool.model.scales import FactorParts, predictors, scales
from partialpool.own.parts import OwnParts
from partialpool.priors import (
    LKJ,
    AtMean,
    Exponential,
    ExponentialAtMean,
    Flat,
    LKJAtMean,
    Normal,
    NormalAtMean,
    Prior,
    Uniform,
    parse_prior,
)

INTERCEPT = "Intercept"

# Where dispersion parameters may lie.
RANGES = {d.name: (d.low, d.high) for family in FAMILIES.values() for d in family.dispersion}


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


def default_priors(design: Design, family: Family = DEFAULT) -> dict[str, Prior]:
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
    known = _DEFAULTS.setdefault(design, {})
    if family.name not in known:
        known[family.name] = _defaults(design, family)
    return dict(known[family.name])


# Like its scales: asked for to build a model, and to find what to say of its priors.
_DEFAULTS: WeakKeyDictionary[Design, dict[str, dict[str, Prior]]] = WeakKeyDictionary()


def _defaults(design: Design, family: Family) -> dict[str, Prior]:
    scale = scales(design, family)
    priors: dict[str, Prior] = {}
    for k in range(1, len(design.categories)):
        priors[called.threshold(k)] = NormalAtMean(0.0, 2.5)
    for predictor in predictors(design):
        unit, centre = scale.unit[predictor.name], scale.centre[predictor.name]
        own = _coefficient_priors(scale.parts[predictor.name], centre, 2.5 * unit)
        priors |= dict(zip(predictor.labels, own, strict=True))
        for factor in predictor.factors:
            name = called.group(predictor.name, factor.name)
            parts = scale.factors[name]
            if not factor.pooled:
                shared = scale.parts[predictor.name].outer
                own = _coefficient_priors(parts.whole, centre, 10.0 * unit, shared)
                labels = [called.coef(name, term) for term in factor.terms]
                added = dict(zip(labels, own, strict=True))
            else:
                added = _group_priors(name, factor, parts, unit)
            for key in added:
                if key in priors:
                    raise InputError(
                        f"two parameters would be called `{key}`", remedy="rename a grouping column"
                    )
            priors |= added
    for parameter in family.dispersion:
        if parameter.name == "sigma" and (design.se is not None or design.sigma is not None):
            continue
        default = parameter.default
        priors[parameter.name] = Exponential(1 / scale.sigma) if default is None else default
    return priors


def _coefficient_priors(
    parts: OwnParts, centre: float, sd: float, shared: Array | None = None
) -> list[Prior]:
    """Default priors of coefficients: each coordinate has this sd, the constant this centre.

    `shared`: the part in each coordinate that other columns have (Φ, without pooling).
    """
    sizes = sd * parts.sizes
    found: list[Prior] = []
    for k, size in enumerate(sizes):
        if parts.alone(k) and (shared is None or not shared[k].any()):
            found.append(Normal(0.0, float(size)))
        else:
            found.append(NormalAtMean(centre * float(parts.ones[k]), float(size)))
    return found


def _group_priors(
    name: str, factor: GroupFactor, parts: FactorParts, unit: float
) -> dict[str, Prior]:
    """Default priors of how levels differ."""
    priors: dict[str, Prior] = {}
    at_mean = _at_mean_columns(factor, parts)
    for k, term in enumerate(factor.terms):
        rate = 1 / (unit * float(parts.own[k]))
        priors[called.sd(name, term)] = ExponentialAtMean(rate) if at_mean[k] else Exponential(rate)
    if pairs(factor):
        priors[called.cor(name)] = LKJAtMean(2.0) if any(at_mean) else LKJ(2.0)
    return priors


def _at_mean_columns(factor: GroupFactor, parts: FactorParts) -> list[bool]:
    """Whether the sd of each column can have a prior at the mean of the predictors."""
    found = [False] * len(factor.terms)
    for (start, stop, _), block in zip(factor.blocks, parts.blocks, strict=True):
        found[start:stop] = [block is not None] * (stop - start)
    if parts.far.any() and parts.constant is not None:
        found[parts.constant] = True
    return found


def known_keys(design: Design, family: Family = DEFAULT) -> set[str]:
    """Every key that a prior can be set on: parameters, their arrays, single correlations."""
    return _keys(default_priors(design, family), _element_keys(design))


def _keys(names: Iterable[str], elements: Iterable[str]) -> set[str]:
    """Parameters by their full names, their arrays, single correlations."""
    return {part for name in names for part in (name, called.array_of(name))} | set(elements)


def _element_keys(design: Design) -> dict[str, str]:
    """Single correlations, with the matrix that they belong to."""
    groups = [
        (called.cor(called.group(predictor.name, factor.name)), factor)
        for predictor in predictors(design)
        for factor in predictor.factors
        if factor.pooled
    ]
    return {
        called.element(matrix, pair_label(factor, pair)): matrix
        for matrix, factor in groups
        for pair in pairs(factor)
    }


def resolve_priors(
    user: Mapping[str, Prior | str] | None, design: Design, family: Family = DEFAULT
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
            elif key in (called.b(INTERCEPT), INTERCEPT) and design.categories:
                cuts = ", ".join(f"`{k}`" for k in priors if called.kind_of(k) == "threshold")
                remedy = (
                    "ordered categories have thresholds in place of an intercept: set it on "
                    f"`threshold` for all of them, or on {cuts}"
                )
            elif did_you_mean(key, known).startswith("did"):
                remedy = f"{did_you_mean(key, known)} {remedy}"
            raise InputError(f"a prior is set on `{key}`, which is no parameter", remedy=remedy)
    _write_out(priors, given, design, family)
    for name in list(priors):
        prior = given.get(name, given.get(called.array_of(name)))
        if prior is not None:
            priors[name] = prior
    for matrix in dict.fromkeys(element_keys.values()):
        _resolve_correlations(priors, given, element_keys, matrix)
    scale = scales(design, family)
    sds = {
        called.sd(name, term)
        for predictor in predictors(design)
        for factor in predictor.factors
        for name in [called.group(predictor.name, factor.name)]
        for term, can in zip(
            factor.terms, _at_mean_columns(factor, scale.factors[name]), strict=True
        )
        if can
    }
    for name, prior in priors.items():
        _check(name, prior)
        if isinstance(prior, AtMean) and name not in _at_mean_names(prior, priors, sds):
            raise InputError(
                f"{type(prior).__name__} is set on `{name}`", remedy=_AT_MEAN[type(prior)]
            )
    return priors


_AT_MEAN: dict[type, str] = {
    NormalAtMean: "it applies to coefficients, intercepts and thresholds",
    ExponentialAtMean: "it applies to sds of coefficients that correlate, as in `(x | id)`",
    LKJAtMean: "it applies to correlation matrices (`cor_…`)",
}


def _at_mean_names(prior: AtMean, names: Iterable[str], sds: set[str]) -> set[str]:
    """Parameters that a prior at the mean of the predictors can be set on."""
    if isinstance(prior, ExponentialAtMean):
        return sds
    kinds = ("cor",) if isinstance(prior, LKJAtMean) else ("b", "coef", "threshold")
    return {name for name in names if called.kind_of(name) in kinds}


def _write_out(
    priors: dict[str, Prior], given: Mapping[str, Prior], design: Design, family: Family
) -> None:
    """Where a user sets a prior of how levels differ, all of that factor are as written.

    The defaults for the rest allow for the distance of the origin from the data.
    """
    scale = scales(design, family)
    for predictor in predictors(design):
        for factor in predictor.factors:
            name = called.group(predictor.name, factor.name)
            own = {key: p for key, p in given.items() if called.array_of(key) in _scale_names(name)}
            if not own or not factor.pooled:
                continue
            sizes = scale.unit[predictor.name] * scale.factors[name].whole.written
            at_mean = any(isinstance(prior, AtMean) for prior in own.values())
            for start, stop, correlated in factor.blocks:
                labels = [called.sd(name, term) for term in factor.terms[start:stop]]
                if at_mean and correlated:
                    _check_alike(labels, own, name)
                if at_mean:
                    continue
                for label, size in zip(labels, sizes[start:stop], strict=True):
                    priors[label] = Exponential(1 / float(size))
            if pairs(factor) and not at_mean:
                priors[called.cor(name)] = LKJ(2.0)


def _scale_names(group: str) -> tuple[str, str]:
    return called.sd(group), called.cor(group)


def _check_alike(labels: Sequence[str], own: Mapping[str, Prior], name: str) -> None:
    """Refuse priors of which some are at the mean of the predictors and some as written."""
    whole = called.sd(name)
    found = {label: own.get(label, own.get(whole)) for label in labels}
    found |= {key: prior for key, prior in own.items() if called.array_of(key) == called.cor(name)}
    written = [k for k, prior in found.items() if not (prior is None or isinstance(prior, AtMean))]
    if written and len(written) < len(found):
        other = next(key for key in found if key not in written)
        raise InputError(
            f"the prior on `{written[0]}` is about coefficients as written, that on `{other}` "
            "about those at the mean of the predictors",
            remedy="set both in one way",
        )


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
    raise InputError(f"the prior on `{key}` is {shown(value)}", remedy=remedy)


def bounds(name: str, prior: Prior) -> tuple[float, float]:
    """Where a parameter may lie: its prior's support within its own range."""
    low, high = prior.support
    if name in RANGES:
        low, high = max(low, RANGES[name][0]), min(high, RANGES[name][1])
    elif called.kind_of(name) == "sd":
        low = max(low, 0.0)
    elif called.kind_of(name) == "cor":
        low, high = max(low, -1.0), min(high, 1.0)
    return low, high


def is_truncated(name: str, prior: Prior) -> bool:
    """Whether a prior is cut because the parameter cannot take some of its values."""
    return not isinstance(prior, (LKJ, Flat)) and bounds(name, prior) != prior.support


def _check(name: str, prior: Prior) -> None:
    if isinstance(prior, LKJ):
        if called.kind_of(name) != "cor":
            raise InputError(
                f"LKJ is set on `{name}`", remedy="it is a prior of correlations (`cor_…`)"
            )
        if called.place_of(name):
            raise InputError(
                f"LKJ is set on the single correlation `{name}`",
                remedy=f"set it on the whole matrix `{called.array_of(name)}`",
            )
        return
    low, high = bounds(name, prior)
    somewhere = low < high and not (math.isinf(low) and low > 0)
    if not somewhere or (is_truncated(name, prior) and not prior.reaches(low, high)):
        some = "practically no mass" if somewhere else "no mass"
        raise InputError(
            f"the prior {prior} on `{name}` has {some} where the parameter can lie",
            remedy="choose one that has",
        )
