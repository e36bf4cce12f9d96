"""Likelihood-ratio tests between nested estimates."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import Struct

from partialpool.arrays import Array
from partialpool.design import Design, GroupFactor
from partialpool.errors import EngineError, InputError
from partialpool.likelihood import Maximum
from partialpool.model.scales import Predictor, predictors
from partialpool.numerals import formatted
from partialpool.words.page import Answer, Page
from partialpool.words.table import ResultColumn, ResultTable

if TYPE_CHECKING:
    import pandas as pd

# Of the deviance: less is rounding.
ROUNDING = 1e-6


class Side(Struct, frozen=True, eq=False):
    """One of two estimates that are compared; `likelihood` says family and link."""

    formula: str
    likelihood: str
    method: str
    design: Design
    maximum: Maximum


class LikelihoodRatio(Answer, Struct, frozen=True, eq=False):
    """A likelihood-ratio test between two nested estimates.

    Attributes
    ----------
    small, large : Side
        The models, without and with what is tested.
    chisq : float
        By how much the deviance is smaller with it.
    df : int
        Number of parameters that it has.
    p : float
        Probability of such a `chisq` or a larger one without it, by the chi-squared distribution
        with `df` degrees of freedom. Where variances are tested at 0 this is conservative, since
        estimates cannot lie on the other side of 0.
    p_mixture : float
        Where one variance is tested, with the covariances that come with it: the same by the
        distribution that holds there for many levels, half of it chi-squared with `df` degrees of
        freedom and half with one less (Self and Liang 1987; Stram and Lee 1994). Else NaN.
    variances : int
        Number of variances that are tested at 0.
    """

    small: Side
    large: Side
    chisq: float
    df: int
    p: float
    p_mixture: float
    variances: int

    @property
    def table(self) -> pd.DataFrame:
        """A row a model: parameters, AIC, BIC, log likelihood, deviance, and the test."""
        return self._table.frame()

    @property
    def _table(self) -> ResultTable:
        sides = (self.small, self.large)
        deviance = [side.maximum.deviance for side in sides]
        count = [side.maximum.n_parameters for side in sides]
        rows = self.small.design.n_rows
        aic = [d + 2 * k for d, k in zip(deviance, count, strict=True)]
        bic = [d + math.log(rows) * k for d, k in zip(deviance, count, strict=True)]
        columns: dict[str, tuple[list[Any], str]] = {
            "n_parameters": (count, "d"),
            "aic": (aic, ".2f"),
            "bic": (bic, ".2f"),
            "log_likelihood": ([-d / 2 for d in deviance], ".2f"),
            "deviance": (deviance, ".2f"),
            "chisq": ([math.nan, self.chisq], ".3f"),
            "df": ([math.nan, self.df], "g"),
            "p": ([math.nan, self.p], ".3g"),
        }
        if not math.isnan(self.p_mixture):
            columns["p_mixture"] = ([math.nan, self.p_mixture], ".3g")
        return ResultTable(
            "formula",
            [side.formula for side in sides],
            [
                ResultColumn(name, values, [formatted(value, form) for value in values])
                for name, (values, form) in columns.items()
            ],
        )

    @property
    def page(self) -> Page:
        """What it says."""
        name = "restricted likelihoods (REML)" if self.small.method == "reml" else "likelihoods"
        facts = {k: getattr(self, k) for k in ("chisq", "df", "p", "p_mixture", "variances")}
        return Page(
            heading=[f"Likelihood-ratio test of nested models, by their {name}"],
            table=self._table,
            notes=list(self._notes()),
            facts={"method": self.small.method, **facts},
            rows="models",
        )

    def _notes(self) -> Iterator[str]:
        if not self.variances:
            return
        what = "a variance is" if self.variances == 1 else f"{self.variances} variances are"
        yield (
            f"Here {what} tested at 0, where values end: p is conservative (too large), since "
            "estimates cannot lie on the other side."
        )
        if not math.isnan(self.p_mixture):
            yield (
                f"p_mixture allows for that: half chi-squared with {self.df} degree"
                f"{'s' * (self.df != 1)} of freedom, half with {self.df - 1}, as holds for many "
                "levels."
            )


def likelihood_ratio(one: Side, other: Side) -> LikelihoodRatio:
    """Test the larger of two nested models against the smaller.

    Raises
    ------
    InputError
        If rows, methods or what is known of the rows differ, if no model is nested in the other, or
        if restricted likelihoods are of different population terms.
    EngineError
        If the larger model has the lower likelihood: a search has failed.
    """
    _check_alike(one, other)
    small, large = sorted((one, other), key=lambda side: side.maximum.n_parameters)
    obstacle = _not_nested(small.design, large.design)
    if obstacle is not None:
        raise InputError(
            f"`{small.formula}` is not nested in `{large.formula}`: {obstacle}",
            remedy='compare such models by `aic`, with method="ml"',
        )
    df = large.maximum.n_parameters - small.maximum.n_parameters
    if df == 0:
        raise InputError(
            f"`{small.formula}` and `{large.formula}` have the same parameters",
            remedy="give a model and a larger one",
        )
    chisq = small.maximum.deviance - large.maximum.deviance
    if chisq < -ROUNDING * (1 + abs(large.maximum.deviance)):
        raise EngineError(
            f"the likelihood of `{large.formula}` is lower than that of `{small.formula}`, which "
            "is nested in it: a higher maximum of it was missed"
        )
    chisq = max(chisq, 0.0)
    variances = _variances(large) - _variances(small)
    inside = all(group.rank == len(group.sd) for group in small.maximum.groups)
    mixture = math.nan
    if variances == 1 and inside:
        mixture = 0.5 * _tail(chisq, df) + 0.5 * _tail(chisq, df - 1)
    return LikelihoodRatio(small, large, chisq, df, _tail(chisq, df), mixture, variances)


def _tail(chisq: float, df: int) -> float:
    """Probability of a larger value of the chi-squared distribution; with df = 0, of one as large.

    Examples
    --------
    >>> [round(_tail(x, df), 6) for x, df in ((3.841459, 1), (5.991465, 2), (7.814728, 3))]
    [0.05, 0.05, 0.05]
    """
    if df == 0 or chisq <= 0:
        return float(chisq <= 0)
    half = chisq / 2
    total = math.erfc(math.sqrt(half)) if df % 2 else 0.0
    for k in range(df // 2):
        power = k + (df % 2) / 2
        total += math.exp(power * math.log(half) - half - math.lgamma(power + 1))
    return min(total, 1.0)


def _variances(side: Side) -> int:
    return sum(len(group.sd) for group in side.maximum.groups)


def _check_alike(one: Side, other: Side) -> None:
    """Refuse likelihoods of different data."""
    if one.method != other.method:
        raise InputError(
            f'one estimate is by method="{one.method}", the other by method="{other.method}"',
            remedy="fit both by the same method",
        )
    if one.likelihood != other.likelihood:
        raise InputError(
            f"one estimate is of the {one.likelihood}, the other of the {other.likelihood}",
            remedy="compare such models by `aic`",
        )
    nodes = [side.maximum.quadrature for side in (one, other) if side.maximum.groups]
    if len(set(nodes) - {0}) > 1:
        raise InputError(
            f"levels of one estimate are integrated out with {nodes[0]} node"
            f"{'s' * (nodes[0] > 1)}, those of the other with {nodes[1]}",
            remedy="fit both with the same `quadrature`",
        )
    a, b = one.design, other.design
    given = [(a.y, b.y), (a.weights, b.weights), (a.se, b.se), (a.total_offset, b.total_offset)]
    if not all(_same(x, y) for x, y in given):
        raise InputError(
            "the estimates are of different rows, responses, weights, offsets or errors",
            remedy="fit both to the same rows, leaving out those in which any column is missing",
        )
    if one.method == "reml" and not _same(a.X, b.X):
        raise InputError(
            "restricted likelihoods (REML) of models with different population terms cannot be "
            "compared: each is of other contrasts of the response",
            remedy='fit both with method="ml"',
        )


def _same(one: Array | None, other: Array | None) -> bool:
    if one is None or other is None:
        return one is other
    return one.shape == other.shape and bool(np.array_equal(one, other))


def _not_nested(small: Design, large: Design) -> str | None:
    """Say why a model is not nested in another, if so."""
    for (one, name), (other, _) in zip(_predictors(small), _predictors(large), strict=True):
        obstacle = _not_among(one, other, name)
        if obstacle is not None:
            return obstacle
    return None


def _predictors(design: Design) -> list[tuple[Predictor, str]]:
    """Give the predictor of the mean, and that of log sigma, a constant where it has no formula."""
    main, *others = predictors(design)
    constant = Predictor("sigma", ("Intercept",), (), np.ones((design.n_rows, 1)), ())
    of_sigma = others[0] if others else constant
    return [(main, ""), (of_sigma, " of log sigma")]


def _not_among(small: Predictor, large: Predictor, name: str) -> str | None:
    """Say why terms of a predictor are not among those of another, if so."""
    basis = np.linalg.qr(large.X / (np.linalg.norm(large.X, axis=0) + 1e-300))[0]
    size = np.linalg.norm(small.X, axis=0)
    beside = np.linalg.norm(small.X - basis @ (basis.T @ small.X), axis=0)
    for k in np.flatnonzero(beside > 1e-8 * size):
        return f"`{small.columns[k]}` is no combination of the population terms{name} of the other"
    for factor in small.factors:
        same = [own for own in large.factors if _same_levels(factor, own)]
        if not same:
            return f"the other has no group terms{name} of `{factor.name}`"
        missing = [term for term in factor.terms if term not in same[0].terms]
        if missing:
            return f"the other has no `{missing[0]}`{name} by `{factor.name}`"
        if not _pairs(factor) <= _pairs(same[0]):
            return f"coefficients{name} of `{factor.name}` do not correlate in the other"
    return None


def _same_levels(one: GroupFactor, other: GroupFactor) -> bool:
    """Whether two factors put the same rows together."""
    if len(one.levels) != len(other.levels):
        return False
    both = np.unique(np.column_stack([one.codes, other.codes]), axis=0)
    return len(both) == len(one.levels)


def _pairs(factor: GroupFactor) -> set[frozenset[str]]:
    """Terms whose coefficients correlate."""
    return {
        frozenset((factor.terms[i], factor.terms[j]))
        for start, stop, tied in factor.blocks
        if tied
        for i in range(start, stop)
        for j in range(start, i)
    }
