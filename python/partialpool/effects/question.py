"""What is asked of effects, as the user said it: checked before any work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from partialpool.checks import (
    check_choice,
    check_interval,
    check_mapping,
    check_one_or_more,
    check_text,
    check_values,
)
from partialpool.errors import InputError, NotYetError, did_you_mean, shown
from partialpool.model import Model

GROUPS = ("integrate", "none")
KINDS = ("mean", "probability", "linear")
PAIRS = ("within", "all", "interaction")


class Question(Struct, frozen=True):
    """Checked options of effects.

    Attributes
    ----------
    names : tuple of str
        What `by` names.
    alone : bool
        Whether it named it as a text, so that the table has the columns `value` and `reference`.
    at : dict
        Values by predictor, as they were given.
    levels : dict of list
        Chosen levels by factor.
    groups : {"integrate", "none"}
        What all other levels are.
    pairs : {"", "within", "all", "interaction"}
        Which combinations are compared, if not with a reference.
    ratio : bool
        Whether as ratios.
    reference : object
        What others are compared with, as it was given.
    slope : str or None
        The number whose slopes are wanted in place of predictions.
    """

    names: tuple[str, ...]
    alone: bool
    at: dict[str, Any]
    levels: dict[str, list[Any]]
    groups: str
    kind: str
    interval: float
    pairs: str
    ratio: bool
    reference: Any
    slope: str | None


def ask(model: Model, given: Mapping[str, Any]) -> Question:
    """Check the options of :func:`partialpool.effects.effects.effects`.

    Raises
    ------
    InputError
        If one of them cannot be, or would change nothing.
    """
    by, groups, kind = given["by"], given["groups"], given["kind"]
    names = _names(by)
    check_mapping("at", given["at"], '{"x": 0}')
    levels = {}
    if isinstance(groups, Mapping):
        check_mapping("groups", groups, '{"county": ["1", "70"]}')
        levels = {name: _levels(name, own) for name, own in groups.items()}
        groups = "integrate"
    check_choice("groups", groups, GROUPS)
    check_choice("kind", kind, KINDS)
    interval = check_interval(given["interval"])
    check_text("slope", given["slope"], '"x"')
    if kind == "probability" and not model.categories:
        raise InputError(
            f"the {model.family.name} family has no categories",
            remedy='use kind="mean", which is a probability where the response is 0 or 1',
        )
    found = Question(
        names=names,
        alone=isinstance(by, str),
        at=dict(given["at"] or {}),
        levels=levels,
        groups=groups,
        kind=kind,
        interval=interval,
        pairs=_pairs(given["pairwise"]),
        ratio=_flag("ratio", given["ratio"]),
        reference=given["reference"],
        slope=given["slope"],
    )
    _check_names(model, found)
    _check_comparisons(found)
    if found.ratio:
        check_ratios(model, kind)
    return found


def _names(by: Any) -> tuple[str, ...]:
    if isinstance(by, str):
        return (by,)
    try:
        found = check_values("by", by)
    except InputError:
        found = [None]
    if not all(isinstance(name, str) for name in found):
        raise InputError(
            f"`by` is {shown(by)}", remedy='give a name, or a list of names such as ["x", "arm"]'
        )
    for name in found:
        if found.count(name) > 1:
            raise InputError(f"`by` names `{name}` twice", remedy="name it once")
    return tuple(found)


def _levels(name: str, own: Any) -> list[Any]:
    found = check_one_or_more("groups", own)
    if not found:
        raise InputError(f"`groups` lists no level of `{name}`", remedy="give some")
    return found


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise InputError(f"`{name}` is {shown(value)}", remedy="give True or False")
    return value


def _pairs(value: Any) -> str:
    if isinstance(value, str):
        check_choice("pairwise", value, PAIRS)
        return value
    if not isinstance(value, bool):
        raise InputError(
            f"`pairwise` is {shown(value)}",
            remedy='give True or False, or "all" or "interaction" for several predictors',
        )
    return "within" if value else ""


def _check_names(model: Model, asked: Question) -> None:
    """Refuse names that are neither predictors nor grouping factors, and names in two roles."""
    predictors = model.plan.predictors
    factors = tuple(dict.fromkeys(group.factor for group in model.groups))
    for name in (*asked.names, *asked.at):
        if name in predictors or (name in asked.names and name in factors):
            continue
        if name in factors:
            raise InputError(
                f"`at` names the grouping factor `{name}`, which `by` does not",
                remedy=f'choose levels with groups={{"{name}": …}}, or name it in `by`',
            )
        known = (*predictors, *(one for one in factors if one not in predictors))
        remedy = did_you_mean(str(name), known) if known else "the formula has none"
        raise InputError(f"`{name}` is no predictor of the formula", remedy=remedy)
    for name in asked.levels:
        if name not in factors:
            remedy = did_you_mean(name, factors) if factors else "leave `groups` out"
            raise InputError(f"the model has no group terms of `{name}`", remedy=remedy)
        if name in asked.names or name in asked.at:
            where = "by" if name in asked.names else "at"
            raise InputError(
                f"`{name}` is in `{where}` and in `groups`", remedy="leave it out of one of them"
            )
    if asked.slope is not None and asked.slope not in predictors:
        remedy = did_you_mean(asked.slope, predictors) if predictors else "the formula has none"
        raise InputError(
            f"`slope` is `{asked.slope}`, which is no predictor of the formula", remedy=remedy
        )


def _check_comparisons(asked: Question) -> None:
    """Refuse comparisons of nothing, and two kinds of them at once."""
    wanted = [
        name
        for name, given in (
            ("pairwise", bool(asked.pairs)),
            ("ratio", asked.ratio),
            ("reference", asked.reference is not None),
        )
        if given
    ]
    if wanted and not asked.names:
        raise InputError(
            f"`{wanted[0]}` is given, and `by` names nothing that is compared",
            remedy="name predictors in `by`",
        )
    if asked.pairs and asked.reference is not None:
        raise InputError(
            "`reference` is given with `pairwise`, which compares every pair",
            remedy="leave one of them out",
        )
    if asked.pairs == "interaction" and len(asked.names) < 2:
        raise InputError(
            'pairwise="interaction" needs two predictors, and `by` names one',
            remedy='name two, as in by=["arm", "year"]',
        )
    if asked.ratio and asked.slope is not None:
        raise InputError(
            "`ratio` is given with `slope`, and slopes may be 0 or negative",
            remedy="leave one of them out: slopes are compared by their differences",
        )


def check_ratios(model: Model, kind: str) -> None:
    """Refuse ratios of what may be 0 or negative, or whose zero is arbitrary.

    Raises
    ------
    InputError
        It says what there is instead.
    """
    scale = model.family.scale(model.link)
    if kind == "linear":
        if scale not in ("log", "logit"):
            raise NotYetError(
                f"exponentiated differences of the linear predictor are no ratios here: "
                f"the link is {model.link}",
                remedy="leave `ratio` out"
                + (', or use kind="mean"' if scale and not model.categories else ""),
            )
    elif kind == "mean" and model.categories:
        raise InputError(
            "ordered categories count as numbers whose zero is arbitrary, so that ratios of their "
            "means say nothing",
            remedy='use kind="probability", or kind="linear" for odds ratios',
        )
    elif not scale:
        raise InputError(
            f"predictions of the {model.family.name} family may be 0 or negative, so there are no "
            "ratios of them",
            remedy="leave `ratio` out: differences say how far they are apart",
        )


def ratio_name(model: Model, kind: str) -> str:
    """Name a ratio: of predictions, or what exponentiated differences of linear predictors are."""
    if kind != "linear":
        return "ratio"
    if model.family.scale(model.link) == "logit":
        return "odds ratio"
    if model.family.mean_takes_sigma:  # residuals of the logarithm around the linear predictor
        return "median ratio"
    if model.family.averages != "loglinear":  # the mean is no multiple of the rate: hurdle models
        return "untruncated rate ratio"
    return "rate ratio" if model.family.discrete else "mean ratio"
