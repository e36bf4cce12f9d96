"""Findings that need no draws: what data, design and priors already tell."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from partialpool import called, limits
from partialpool.design import Design, GroupFactor
from partialpool.engine.exact import estimates_sigma, keeps_off_zero, left_over
from partialpool.finding import Finding, Level
from partialpool.findings.priors import (
    dependent_columns,
    far_origins,
    levels_in_population,
)
from partialpool.findings.separation import separation
from partialpool.model import Model, Pooled
from partialpool.model.defaults import (
    INTERCEPT,
    bounds,
    default_priors,
    is_truncated,
)
from partialpool.model.points import with_points
from partialpool.model.scales import predictors

# Scatter around the predictor that an sd with one row a level cannot be told from.
# Notes of what was read that may mean that something is wrong.
_NOTE_LEVELS: dict[str, Level] = {"other-values": "warning"}


def design_findings(pooled: Pooled, model: Model) -> list[Finding]:
    """What the data and the priors already tell, before any sampling."""
    design = pooled.design
    return [
        *(Finding(code, _NOTE_LEVELS.get(code, "info"), *words) for code, *words in design.notes),
        *_left_out(design),
        *_aliased(design),
        *_pooling(pooled, model),
        *_responses(pooled),
        *separation(pooled),
        *_levels(pooled),
        *_same_levels(design),
        *levels_in_population(pooled),
        *_columns(design),
        *far_origins(pooled, model),
        *dependent_columns(pooled),
        *_priors(pooled, model),
        *_exact(pooled, model),
    ]


def _exact(pooled: Pooled, model: Model) -> Iterator[Finding]:
    if not estimates_sigma(pooled) or not keeps_off_zero(model.priors.get("sigma")):
        return
    if left_over(pooled).exact:
        yield Finding(
            "exact-fit",
            "warning",
            f"The coefficients fit every row of `{pooled.design.response}` exactly: of `sigma` the "
            "data say only that it is small, and its estimate rests on its prior.",
            "Check whether the response was computed from the columns.",
        )


def _left_out(design: Design) -> Iterator[Finding]:
    total = design.n_rows + design.n_dropped + design.n_zero_weight
    if design.n_dropped:
        yield Finding(
            "dropped-rows",
            "info" if design.n_dropped < limits.DROPPED_MANY * total else "warning",
            f"{design.n_dropped} of {total} rows have missing values in the columns used and "
            "were left out.",
            "If values are not missing at random, estimates may be biased.",
        )
    if design.n_zero_weight:
        many = design.n_zero_weight > 1
        yield Finding(
            "zero-weight",
            "info",
            f"{design.n_zero_weight} of {total} rows {'have' if many else 'has'} weight 0 and "
            f"{'were' if many else 'was'} left out.",
        )


def _aliased(design: Design) -> Iterator[Finding]:
    """Columns of which the rows tell nothing, by term."""
    parts = [
        (design.aliased, ""),
        (() if design.sigma is None else design.sigma.aliased, "sigma: "),
    ]
    groups = [*design.factors, *(() if design.sigma is None else design.sigma.factors)]
    parts += [(factor.aliased, f"by {factor.name}: ") for factor in groups]
    for aliased, where in parts:
        for term in dict.fromkeys(one.term for one in aliased):
            own = [one for one in aliased if one.term == term]
            names = ", ".join(f"`{one.name}`" for one in own[:5]) + ", …" * (len(own) > 5)
            cells = own[0].cells
            if cells:
                why = f"no row has {'; '.join(cells)}{'; …' * (len(cells) > 4)}"
                code = "empty-cell"
            else:
                why = "in these rows other columns say the same, as where categories are nested"
                code = "aliased-columns"
            yield Finding(
                code,
                "warning",
                f"{where}{len(own)} column{'s' * (len(own) != 1)} of `{term}` "
                f"{'were' if len(own) != 1 else 'was'} left out, {names}: {why}.",
                "Coefficients compare the categories that occur together; predictions for others "
                "are refused.",
            )


def _pooling(pooled: Pooled, model: Model) -> Iterator[Finding]:
    if pooled.vanished:
        yield Finding(
            "vanished-terms",
            "info",
            f"Under complete pooling {', '.join(pooled.vanished)} vanishes: the population part "
            "has no such term.",
        )
    if pooled.dropped:
        names = ", ".join(f"`{name}`" for name in pooled.dropped)
        yield Finding(
            "dropped-columns",
            "info",
            f"Without pooling {names} cannot be told from the levels' own coefficients and is left "
            "out.",
        )
    for factor in pooled.design.factors:
        if pooled.design.categories and not factor.pooled and INTERCEPT in factor.terms:
            yield Finding(
                "shared-location",
                "warning",
                f"Thresholds and the levels' own intercepts of `{factor.name}` can shift together "
                "without a change: each is as wide as its prior, and only differences between "
                "levels, and predictions, are determined.",
                "Compare levels with one another, or use partial pooling.",
            )
    for group in model.groups:
        left = int(np.sum(~group.estimable))
        if left:
            yield Finding(
                "not-estimable",
                "warning",
                f"{left} of {len(group.levels)} levels of `{group.factor}` have too few or too "
                "similar rows to determine their own coefficients without pooling.",
                "Partial pooling estimates them all.",
            )


def _responses(pooled: Pooled) -> Iterator[Finding]:
    design, family = pooled.design, pooled.family
    if family.zeros and not np.any(design.y == 0):
        yield Finding(
            "no-zeros",
            "warning",
            f"`{family.zeros}` is about zeros, and `{design.response}` has none: nothing but its "
            "prior and the number of rows says how likely they are.",
            family.remedies["no-zeros"],
        )
    if "only-ones" in family.remedies and float(np.max(design.y)) == 1:
        yield Finding(
            "only-ones",
            "warning",
            f"Every count of `{design.response}` above 0 is 1: the data say only that the mean of "
            "the counts is small, and nothing but its prior says how small.",
            family.remedies["only-ones"],
        )
    if design.unused:
        shown = ", ".join(f"`{name}`" for name in design.unused[:6])
        yield Finding(
            "unused-categories",
            "info",
            f"No row has the response `{design.response}` equal to {shown}"
            f"{', …' if len(design.unused) > 6 else ''}: the model knows nothing of "
            f"{'it' if len(design.unused) == 1 else 'these'} and will not predict "
            f"{'it' if len(design.unused) == 1 else 'them'}.",
        )
    if design.categories:
        counts = np.bincount(design.y.astype(np.int64), minlength=len(design.categories))
        rare = [
            f"{design.categories[k]} ({counts[k]})"
            for k in np.flatnonzero(counts < limits.CATEGORY_RARE)
        ]
        if rare:
            shown = ", ".join(rare[:4]) + (f" and {len(rare) - 4} more" if len(rare) > 4 else "")
            yield Finding(
                "rare-categories",
                "info",
                f"Categories of `{design.response}` with fewer than {limits.CATEGORY_RARE} rows: "
                f"{shown}. The data say little about the thresholds beside them.",
                "Join them with their neighbours, or report the thresholds with their intervals.",
            )


def _levels(pooled: Pooled) -> Iterator[Finding]:
    for predictor in predictors(pooled.design):
        for factor in predictor.factors:
            if not factor.pooled:
                continue
            n = len(factor.levels)
            if n == 1:
                yield Finding(
                    "one-level",
                    "warning",
                    f"`{factor.name}` has only one level, so its sds come from the prior alone.",
                    "Leave the group term out.",
                )
            elif n < limits.LEVELS_FEW:
                yield Finding(
                    "few-levels",
                    "info",
                    f"`{factor.name}` has only {n} levels, so the data say little about how much "
                    "levels differ.",
                    "See whether results change with another prior on "
                    f"`sd_{called.group(predictor.name, factor.name)}`.",
                )
    yield from one_row_levels(pooled)


def one_row_levels(pooled: Pooled, *, sampled: bool = True) -> Iterator[Finding]:
    """Judge factors that give every row an intercept of its own; `sampled` with priors."""
    for factor in pooled.design.factors:
        one_each = len(factor.levels) > 1 and bool(np.all(factor.counts == 1))
        if factor.pooled and one_each and INTERCEPT in factor.terms:
            yield from _one_row(factor, pooled, sampled=sampled)


def _one_row(factor: GroupFactor, pooled: Pooled, *, sampled: bool) -> Iterator[Finding]:
    design, family = pooled.design, pooled.family
    scatter = family.scatter
    if design.sigma is not None:
        same = set(design.sigma.columns) <= {INTERCEPT} and not design.sigma.factors
        scatter = scatter if same else ""
    elif design.se is not None:
        scatter = ""
    one_trial = family.response == "binary"
    if design.trials is not None:
        one_trial = bool(np.all(design.trials == 1))
    if scatter:
        precision = design.weights if family.has_sigma else None
        if precision is not None and np.ptp(with_points(design).roles["weights"]) > 0:
            return  # the residual variance of a row depends on its weight, that of a level not
        known = "Give known standard errors (`se=`), or leave" * ("se" in family.roles)
        yield Finding(
            f"sd-{scatter}-confounded",
            "warning",
            f"Every level of `{factor.name}` has one row, so its sd and "
            f"{'the residual sd' if family.has_sigma else f'`{scatter}`'} cannot be told apart: "
            f"{'only the prior separates them' if sampled else 'their estimates mean little'}.",
            f"{known or 'Leave'} the group term out.",
        )
    elif design.categories or one_trial:
        yield Finding(
            "sd-undetermined",
            "warning",
            f"Every level of `{factor.name}` has one row, and one such response says nothing about "
            "how much levels differ: the sd "
            f"{'comes from its prior' if sampled else 'is arbitrary'}, and it stretches all other "
            "coefficients.",
            "Leave the group term out.",
        )
    elif design.se is None and design.sigma is None:
        yield Finding(
            "sd-is-overdispersion",
            "info",
            f"Every level of `{factor.name}` has one row, so its sd says how much more the "
            f"responses scatter than the {family.name} family does by itself.",
        )


def _same_levels(design: Design) -> Iterator[Finding]:
    """Find factors that split the rows alike and share a term."""
    for predictor in predictors(design):
        for one, other in combinations(predictor.factors, 2):
            n = len(one.levels)
            shared = [term for term in one.terms if term in other.terms]
            if n != len(other.levels) or n < 2 or not shared:
                continue
            if not np.array_equal(np.sort(one.counts), np.sort(other.counts)):
                continue
            if len(np.unique(one.codes * n + other.codes)) == n:
                yield Finding(
                    "same-levels",
                    "warning",
                    f"`{one.name}` and `{other.name}` split the rows in the same way, so they "
                    f"cannot be told apart in {', '.join(shared)}: only the priors share the "
                    "differences out between them.",
                    "Keep one of them.",
                )


def _columns(design: Design) -> Iterator[Finding]:
    for predictor in predictors(design):
        size = predictor.facts.size.tolist()
        sds = {
            name: own
            for name, own in zip(predictor.columns, size, strict=True)
            if name != INTERCEPT
        }
        if sds and max(sds.values()) > limits.SCALES_APART * min(sds.values()):
            small, large = min(sds, key=sds.__getitem__), max(sds, key=sds.__getitem__)
            yield Finding(
                "different-scales",
                "info",
                f"The predictors `{small}` (sd {sds[small]:.3g}) and `{large}` (sd "
                f"{sds[large]:.3g}) are on very different scales: results are accurate but hard to "
                "read.",
                "Express them in units of similar size.",
            )


def _priors(pooled: Pooled, model: Model) -> Iterator[Finding]:
    defaults = default_priors(pooled.design, pooled.family)
    for name, prior in model.priors.items():
        if is_truncated(name, prior) and defaults.get(name) != prior:
            low, high = bounds(name, prior)
            where = f"below {low:g}" if np.isinf(high) else f"outside {low:g} to {high:g}"
            yield Finding(
                "prior-truncated",
                "info",
                f"The prior {prior} on `{name}` is cut off {where}, where `{name}` cannot lie.",
            )
