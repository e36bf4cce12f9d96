"""Fits of the same data side by side: which predicts best, and is the difference clear."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from partialpool import limits
from partialpool.arrays import Array, Ints
from partialpool.checks import A_FACTOR, check_text, check_whole
from partialpool.design import GroupFactor
from partialpool.draws.posterior import Posterior, rows_of
from partialpool.errors import InputError
from partialpool.finding import Finding, about_all
from partialpool.numerals import formatted, give_or_take
from partialpool.scores.kfold import kfold
from partialpool.scores.loo import Loo, loo, sum_error
from partialpool.scores.matching import match_factors, match_rows, reorder
from partialpool.words.page import Answer, Page
from partialpool.words.table import ResultColumn, ResultTable

if TYPE_CHECKING:
    import pandas as pd


class Ranking(Answer, Struct, frozen=True, eq=False):
    """Held-out accuracy of several fits of the same data, the best first.

    Attributes
    ----------
    scores : dict of Loo
        By name, in the order of rank.
    findings : tuple of Finding
        What cannot be trusted.
    """

    scores: dict[str, Loo]
    findings: tuple[Finding, ...] = ()

    @property
    def used(self) -> NDArray[np.bool_]:
        """Rows (or levels) that every fit has a score for."""
        return np.asarray(np.all([loo.used for loo in self.scores.values()], axis=0))

    def elpd(self, name: str) -> tuple[float, float]:
        """Sum of the scores that every fit has, and its error."""
        own = self.scores[name].elpd_i[self.used]
        return float(own.sum()), sum_error(own)

    def difference(self, name: str) -> tuple[float, float]:
        """How much lower a fit scores than the best, and the error of that (paired)."""
        used = self.used
        best = next(iter(self.scores.values())).elpd_i[used]
        lower = self.scores[name].elpd_i[used] - best
        return float(lower.sum()), 0.0 if not lower.any() else sum_error(lower)

    def is_clear(self, name: str) -> bool:
        """Whether a fit is clearly worse than the best."""
        lower, error = self.difference(name)
        return lower < -limits.CLEAR_UNITS and lower < -limits.CLEAR_ERRORS * error

    @property
    def weights(self) -> dict[str, float]:
        """Stacking weights: the mixture of the fits that predicts best."""
        used = self.used
        scores = np.column_stack([loo.elpd_i[used] for loo in self.scores.values()])
        return dict(zip(self.scores, map(float, stacking_weights(scores)), strict=True))

    @property
    def table(self) -> pd.DataFrame:
        """A row a fit: elpd, its difference to the best, errors, and stacking weights."""
        return self._table.frame()

    @property
    def _table(self) -> ResultTable:
        weights = self.weights
        rows = [
            (*self.elpd(name), *self.difference(name), loo.p_eff, loo.rmse, weights[name])
            for name, loo in self.scores.items()
        ]
        elpd, se, lower, error, p_eff, rmse, weight = zip(*rows, strict=True)
        apart = [give_or_take(x, e) for x, e in zip(lower, error, strict=True)]
        return ResultTable(
            "fit",
            list(self.scores),
            [
                ResultColumn("elpd", elpd, [f"{x:.1f}" for x in elpd]),
                ResultColumn("se", se),
                ResultColumn("difference", lower, apart),
                ResultColumn("difference_se", error),
                ResultColumn("p_eff", p_eff, [formatted(x, ".4g") for x in p_eff]),
                ResultColumn("rmse", rmse, [formatted(x, ".4g") for x in rmse]),
                ResultColumn("weight", weight, [f"{x:.2f}" for x in weight]),
            ],
        )

    @property
    def sentence(self) -> str:
        """Which fit predicts best and whether that is clear, in plain words."""
        return verdict(self, {name: f"`{name}`" for name in self.scores})

    @property
    def page(self) -> Page:
        """What it says."""
        return Page(
            table=self._table,
            notes=[self.sentence],
            findings=about_all(self.findings),
            facts={"sentence": self.sentence},
            rows="fits",
        )


def verdict(ranking: Ranking, names: Mapping[str, str]) -> str:
    """Say which fit predicts best for what was left out, and whether the others are clearly worse.

    Parameters
    ----------
    names : mapping
        What the fits are called in the sentence.
    """
    order = list(ranking.scores)
    best, others = order[0], order[1:]
    unit, method = ranking.scores[best].unit, ranking.scores[best].method
    what = "rows" if unit == "row" or method == "kfold" else f"levels of {unit}"
    if not others:
        return f"There is only {names[best]}."
    head = f"{names[best]} is best at predicting {what} that were left out"
    head = head[0].upper() + head[1:]
    parts = []
    for name in others:
        lower, error = ranking.difference(name)
        parts.append(f"{names[name]} by {give_or_take(-lower, error)}")
    text = f"{head}: in log predictive density it is ahead of {_listed(parts)}."
    doubtful = [names[name] for name in others if not ranking.is_clear(name)]
    if doubtful:
        return f"{text} The lead over {_listed(doubtful)} may be chance."
    return f"{text} {'That is' if len(others) == 1 else 'These differences are'} clear."


def _listed(parts: list[str]) -> str:
    return " and ".join(part for part in (", ".join(parts[:-1]), parts[-1]) if part)


def compare_fits(
    fits: Mapping[str, Posterior], by: str | None = None, k: int | None = None
) -> Ranking:
    """Rank fits of the same data by how well they predict what was left out.

    Parameters
    ----------
    fits : dict of Posterior
        By any names. Formula, family, pooling and priors may differ; rows and responses must be
        the same, and so must weights where they multiply log densities (in all families without
        a ``sigma``). Rows may stand in another order if what they hold tells which is which.
    by : str, optional
        Leave out levels of this grouping factor in place of rows, as in :meth:`Fit.loo`. All fits
        must have it. Those without pooling are left out: what they say of a new level comes from
        the prior alone.
    k : int, optional
        Refit without parts of the rows, as in :meth:`Fit.kfold`, in place of reweighting.

    Returns
    -------
    Ranking
        ``table``, ``sentence``, stacking weights (Yao, Vehtari, Simpson & Gelman 2018), findings.

    Raises
    ------
    InputError
        If there are no two fits, or their rows, responses, weights, or what would be left out
        differ.

    Examples
    --------
    >>> import partialpool as pp
    >>> data = pp.datasets.radon()
    >>> fits = {
    ...     "with floor": pp.fit("log_radon ~ floor + (1 | county)", data, seed=1),
    ...     "without": pp.fit("log_radon ~ 1 + (1 | county)", data, seed=1),
    ... }
    >>> pp.compare_fits(fits).table.index.tolist()
    ['with floor', 'without']
    """
    fits = _named(fits)
    check_text("by", by, A_FACTOR)
    k = None if k is None else check_whole("k", k, 2)
    orders = _match_rows(fits)
    fits, found, units = _check_same_units(fits, orders, by, k)
    scores = {n: loo(fit, by) if k is None else kfold(fit, k, by) for n, fit in fits.items()}
    return rank({n: reorder(score, units[n]) for n, score in scores.items()}, fits, found)


def _named(fits: Any) -> dict[str, Posterior]:
    """Two fits or more by name; names of other types as text."""
    if not isinstance(fits, Mapping):
        raise InputError(
            f"`fits` is {type(fits).__name__}",
            remedy='give a dict of fits by name, as in {"a": one, "b": other}',
        )
    if len(fits) < 2:
        raise InputError("there is nothing to compare", remedy="give two fits or more, by name")
    named = {str(name): fit for name, fit in fits.items()}
    if len(named) < len(fits):
        raise InputError("two of the fits have the same name", remedy="give each its own")
    for name, fit in named.items():
        if not isinstance(fit, Posterior):
            raise InputError(f"`{name}` is {type(fit).__name__}", remedy="give fits of pp.fit")
    return named


def _match_rows(fits: Mapping[str, Posterior]) -> dict[str, Ints]:
    """Give by fit the positions of its rows in the order of the first one's.

    Raises
    ------
    InputError
        If they are not the same rows, or what multiplies their densities differs.
    """
    first, base = next(iter(fits.items()))
    own = rows_of(base)
    orders = {}
    for name, fit in fits.items():
        other = rows_of(fit)
        orders[name] = order = match_rows(own, other, (first, name))
        if not np.array_equal(_multipliers(base), _multipliers(fit)[order]):
            raise InputError(
                f"the weights of `{first}` and `{name}` differ, and in one of these families they "
                "multiply log densities",
                remedy="fit them with the same `weights=`",
            )
    designs = {name: rows_of(fit) for name, fit in fits.items()}
    counted = {
        name: design.trials[orders[name]]
        for name, design in designs.items()
        if design.trials is not None
    }
    for name, trials in counted.items():
        base_name = next(iter(counted))
        if not np.array_equal(trials, counted[base_name]):
            raise InputError(
                f"the trials of `{base_name}` and `{name}` differ",
                remedy="fit them with the same `trials=`",
            )
    return orders


def _multipliers(fit: Posterior) -> Array:
    """Give what the log density of each row is multiplied by: weights, unless of a precision."""
    design = rows_of(fit)
    counting = design.weights if fit.model.family.weights_count_rows else None
    return np.ones(design.n_rows) if counting is None else counting


def _check_same_units(
    fits: dict[str, Posterior], orders: Mapping[str, Ints], by: str | None, k: int | None
) -> tuple[dict[str, Posterior], list[Finding], Mapping[str, Ints]]:
    """Refuse fits that would leave out unlike things.

    Returns
    -------
    fits : dict
        Those whose scores say something: not without pooling where levels are new.
    findings : list of Finding
        Which are left out.
    units : dict
        By fit the positions of its rows, or levels, in the order of the first one's.
    """
    first = next(iter(fits))
    moved = [name for name, order in orders.items() if (np.diff(order) != 1).any()]
    if k is not None and moved:
        raise InputError(
            f"the rows of `{first}` and `{moved[0]}` are in another order, so that refits would "
            "leave out different ones",
            remedy="leave `k` out, or fit them to tables in the same order",
        )
    if by is None:
        spread = {name: fit.model.family.response for name, fit in fits.items()}
        for name, response in spread.items():
            # Categories are spread evenly over the parts, numbers are not.
            if k is not None and (response == "number") != (spread[first] == "number"):
                raise InputError(
                    f"rows of `{first}` ({fits[first].model.family.name}) and `{name}` "
                    f"({fits[name].model.family.name}) are dealt into different parts",
                    remedy="leave `k` out",
                )
        return fits, [], orders
    factors = {name: _left_out(fits, name, by) for name in fits}
    units = {}
    for name, factor in factors.items():
        own = factors[first]
        if factor.name != own.name:
            raise InputError(
                f"`{first}` would leave out levels of `{own.name}`, `{name}` levels of "
                f"`{factor.name}`",
                remedy=_common(fits),
            )
        places = match_factors(own, factor, orders[name])
        if places is None:
            raise InputError(
                f"rows of `{first}` and `{name}` have different levels of `{own.name}`",
                remedy="fit them to the same table",
            )
        # Refits with whole levels score rows.
        units[name] = places if k is None else orders[name]
    used = {name: fit for name, fit in fits.items() if factors[name].pooled}
    why = f"without pooling, the other levels say nothing about a level of `{factors[first].name}`"
    if len(used) < 2:
        lost = _listed([f"`{name}`" for name in fits if name not in used])
        raise InputError(
            f"without {lost} there is nothing to compare, and {why}",
            remedy="leave `by` out, or give two fits with pooling",
        )
    found = [
        Finding(
            "prior-only",
            "warning",
            f"`{name}` is left out: {why}, and its scores would tell only what the priors expect.",
        )
        for name in fits
        if name not in used
    ]
    return used, found, units


def _left_out(fits: Mapping[str, Posterior], name: str, by: str) -> GroupFactor:
    """Give the factor of a fit that `by` names."""
    factors = {factor.name: factor for factor in rows_of(fits[name]).factors}
    if by == "group" and len(factors) == 1:
        return next(iter(factors.values()))
    if isinstance(by, str) and by in factors:
        return factors[by]
    has = _listed([f"`{factor}`" for factor in factors]) if factors else "none"
    what = "no single grouping factor" if by == "group" else f"no grouping factor `{by}`"
    raise InputError(f"`{name}` has {what} (it has {has})", remedy=_common(fits))


def _common(fits: Mapping[str, Posterior]) -> str:
    """Name the factors that all fits have."""
    names = [[factor.name for factor in rows_of(fit).factors] for fit in fits.values()]
    common = [name for name in names[0] if all(name in other for other in names)]
    if not common:
        return "leave `by` out, for no grouping factor is in all fits"
    choices = " or ".join(f'by="{name}"' for name in common)
    return f"give {choices}, which all fits have"


def rank(
    scores: Mapping[str, Loo], fits: Mapping[str, Posterior], findings: Sequence[Finding] = ()
) -> Ranking:
    """Rank fits of the same rows by their scores; `findings` come before those of the scores."""
    found = [
        *findings,
        *(
            Finding(f.code, f.level, f"{name}: {f.message}", f.remedy)
            for name, loo in scores.items()
            for f in loo.findings
        ),
    ]
    discrete = {fit.model.family.discrete for fit in fits.values()}
    if len(discrete) > 1:
        found.append(
            Finding(
                "different-measures",
                "warning",
                "Some of these families give probabilities of whole numbers, others densities: "
                "their scores compare only where numbers are measured in steps of 1.",
            )
        )
    used = np.all([loo.used for loo in scores.values()], axis=0)
    total = {name: float(loo.elpd_i[used].sum()) for name, loo in scores.items()}
    order = sorted(scores, key=lambda name: -total[name])
    return Ranking({name: scores[name] for name in order}, tuple(found))


def stacking_weights(scores: Array) -> Array:
    """Weights of the mixture of models with the highest log score.

    Parameters
    ----------
    scores : (row, model) array
        Held-out log densities.

    Returns
    -------
    (model,) array
        They sum to 1.

    Notes
    -----
    The sum of logs is concave in the weights; expectation-maximisation climbs it without leaving
    the simplex. Only differences within a row count, so that densities never underflow.

    Examples
    --------
    >>> stacking_weights(np.log([[0.9, 0.1], [0.9, 0.1], [0.1, 0.9]])).round(2)
    array([0.71, 0.29])
    """
    density = np.exp(scores - scores.max(axis=1, keepdims=True))
    weights = np.full(scores.shape[1], 1 / scores.shape[1])
    if not len(scores):
        return weights
    for _ in range(100_000):
        gain = np.mean(density / (density @ weights)[:, None], axis=0)
        weights = weights * gain
        # At the optimum no gain is above 1: the log score is within this of its maximum.
        if gain.max() - 1 < 1e-7:
            break
    return np.asarray(weights / weights.sum())
