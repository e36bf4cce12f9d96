"""Where the variance lies: shares by factor, intraclass correlations and R², with intervals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct

from partialpool.answers.partition import (
    POPULATION,
    RESIDUAL,
    TOGETHER,
    Quantity,
    label,
    quantities,
)
from partialpool.arrays import Array, mean_of, quantiles, sd_of, tails
from partialpool.called import element
from partialpool.checks import check_interval
from partialpool.design import Design
from partialpool.draws.components import Found, components, components_at, row_weights
from partialpool.draws.posterior import Posterior, n_draws, rows_of
from partialpool.draws.rows import thinned
from partialpool.engine.conditional import covariance_of
from partialpool.errors import InputError, NeedsRowsError
from partialpool.likelihood import Maximum
from partialpool.model import Model
from partialpool.numerals import number, percent
from partialpool.words.page import Answer, Page
from partialpool.words.table import ResultColumn, ResultTable

if TYPE_CHECKING:
    import pandas as pd

# Draws × rows that are evaluated; above it draws are thinned, to no fewer than these. Where levels
# are integrated out, each takes some thirty nodes.
MOST, MOST_INTEGRATED, FEWEST = 4_000_000, 1_000_000, 400


class Variance(Answer, Struct, frozen=True, eq=False):
    """Shares of the variance, ICC and R², draw by draw.

    Attributes
    ----------
    formula, response : str
        The model's.
    interval : float or None
        Mass of the intervals; None of a single estimate, which has none.
    quantities : tuple of Quantity
        Each with its draws and its definition.
    factors : tuple of str
        Those whose levels vary about a population.
    notes : tuple of str
        What to know of these numbers.
    """

    formula: str
    response: str
    interval: float | None
    quantities: tuple[Quantity, ...]
    factors: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def draws(self) -> dict[str, Array]:
        """Draws of every quantity by name: (draw,) each, chains after one another."""
        return {one.name: one.values for one in self.quantities}

    @property
    def table(self) -> pd.DataFrame:
        """A row a quantity: mean, sd, lower, upper, scale and definition."""
        return self._table.frame()

    @property
    def _summaries(self) -> Array:
        """Mean, sd, lower and upper: (quantity, 4)."""
        values = np.stack([one.values for one in self.quantities])
        mean = mean_of(values, axis=1)
        if self.interval is None:
            nothing = np.full((len(mean), 3), np.nan)
            return np.column_stack([mean, nothing])
        sd = sd_of(values, axis=1, ddof=1) if values.shape[1] > 1 else np.zeros(len(mean))
        return np.column_stack([mean, sd, *quantiles(values, tails(self.interval))])

    @property
    def _table(self) -> ResultTable:
        found = self._summaries
        heads = {"mean": "" if self.interval is None else "mean", "sd": "sd"}
        heads |= dict(zip(("lower", "upper"), percent(self.interval or 0.95), strict=True))
        columns = [
            ResultColumn(name, own, list(map(number, own.tolist(), found[:, 1].tolist())), head)
            if self.interval is not None or name == "mean"
            else ResultColumn(name, own)
            for (name, head), own in zip(heads.items(), found.T, strict=True)
        ]
        columns.append(ResultColumn("scale", [one.scale for one in self.quantities]))
        words = [one.definition for one in self.quantities]
        columns.append(ResultColumn("definition", words, words, is_text=True))
        names = [one.name for one in self.quantities]
        return ResultTable("quantity", names, columns, [one.section for one in self.quantities])

    @property
    def page(self) -> Page:
        """What it says."""
        return Page(
            heading=["Where the variance lies"],
            table=self._table,
            notes=[*self._sentences(), *self.notes],
            formula=self.formula,
            facts={
                "formula": self.formula,
                "interval": self.interval,
                "draws": len(self.quantities[0].values),
                "notes": list(self.notes),
            },
            rows="quantities",
        )

    def _sentences(self) -> Iterator[str]:
        """Say the shares, and R², on the first scale that there is."""
        rows = dict(zip(self.draws, self._summaries, strict=True))
        first = self.quantities[0]
        at = "_latent" if first.scale == "latent" else ""

        def told(array: str, place: str = "") -> str:
            mean, _, low, high = rows[element(f"{array}{at}", place)]
            if self.interval is None:
                return f"{mean:.0%}"
            return f"{mean:.0%} ({low:.0%} to {high:.0%})"

        scale = f" {first.section[0].lower()}{first.section[1:]}" if at else ""
        explains = bool(self.draws[element(f"variance{at}", POPULATION)].any())
        parts = [
            f"{told('share', label(own))} lies between levels of {own}" for own in self.factors
        ]
        if explains or not parts:
            where = "between rows" if parts else "lies"
            parts.append(f"{told('share', POPULATION)} {where} in the population part")
        if element(f"share{at}", TOGETHER) in rows:
            parts.append(f"{told('share', TOGETHER)} in what levels explain only together")
        yield (
            f"Of the variance of {self.response}{scale}, {', '.join(parts)}, and "
            f"{told('share', RESIDUAL)} is residual."
        )
        if self.factors and explains:
            yield (
                f"Given the predictors, levels make up {told('icc')} of what is left (adjusted "
                f"ICC). The population part alone accounts for {told('r2_marginal')} (marginal "
                f"R²), with the levels for {told('r2_conditional')} (conditional R²)."
            )
        yield ""


def variance(fit: Posterior, interval: float | None = None) -> Variance:
    """Tell where the variance lies: between levels, in the population part, around both.

    Parameters
    ----------
    interval : float, optional
        Mass of the equal-tailed intervals; by default the fit's own.

    Returns
    -------
    Variance
        Print it, or take ``.table`` (mean, sd, lower, upper, scale, definition) or ``.draws``.

        * ``variance[…]`` and ``share[…]``: of the population part, of the levels of each factor,
          and what is left (residual). The variance is that of a response at one of the fitted rows,
          with levels drawn from their population; shares add up to 1. Where slopes vary, levels
          differ by z'Σz, which depends on where the predictors are: it is averaged over the rows
          (Johnson 2014).
        * ``icc[factor]``, ``icc``: levels / (levels + residual), the intraclass correlation given
          the predictors (adjusted), and ``icc_unadjusted``: levels / total.
        * ``r2_marginal``: population / total; ``r2_conditional``: (population + levels) / total
          (Nakagawa & Schielzeth 2013; Nakagawa, Johnson & Schielzeth 2017).
        * ``r2_bayes``: var(fitted) / (var(fitted) + residual), where the fitted values are those of
          these very rows and levels (Gelman, Goodrich, Gabry & Vehtari 2019).

        Families with a link have all of these twice. Names with ``_latent`` are on the scale of the
        linear predictor, as is usual: around it lies π²/3 (logit), 1 (probit) or π²/6 (cloglog) of
        a latent variable; with a log link the variance of the logarithm of the response, exact for
        gamma, exponential, Weibull and log-normal responses, and log(1 + variance/mean²) at the
        mean of the rows for counts; for shares the delta method. Names without it are on the scale
        of the response, by the law of total variance with levels integrated out. Ordered categories
        have only the first, hurdle models only the second.

    Raises
    ------
    InputError
        If the fit was saved without its rows.

    Notes
    -----
    Everything is computed draw by draw. Offsets and exposures are known, and no part of the
    variance on the scale of the predictor; on that of a response with a link they cannot be told
    from the population part. Residual variances that differ between rows (a formula of sigma, known
    errors, weights) are averaged over them. Weights that count rows count here, and a row of
    several trials counts as so many single ones. Levels without pooling have no common
    distribution: they belong to the population part. Variances between rows have the divisor n − 1.

    Examples
    --------
    >>> import partialpool as pp
    >>> fit = pp.fit("log_radon ~ floor + (1 | county)", pp.datasets.radon(), seed=1)
    >>> found = fit.variance()
    >>> found.table["mean"][["share[county]", "icc", "r2_conditional"]].round(2).to_dict()
    {'share[county]': 0.15, 'icc': 0.16, 'r2_conditional': 0.24}
    """
    interval = fit.provenance.interval if interval is None else check_interval(interval)
    design, model = rows_of(fit), fit.model
    if not row_weights(fit).sum() > 0:
        raise InputError("no row has a trial", remedy="give rows with trials")
    identity = model.family.averages == "linear"
    most = MOST if identity or model.categories else MOST_INTEGRATED
    picked = thinned(fit, max(FEWEST, most // design.n_rows))
    few = len(picked) < n_draws(fit)
    notes = [f"From {len(picked)} of {n_draws(fit)} draws, evenly spaced."] if few else []
    return _told(model, design, components(fit, picked), interval, notes)


def variance_at(model: Model, design: Design, found: Maximum) -> Variance:
    """Tell where the variance lies at a single estimate, which has no intervals."""
    covariance = [
        covariance_of(own.sd[None], np.nan_to_num(own.cor)[None], group.pairs)[0]
        for own, group in zip(found.groups, model.groups, strict=True)
    ]
    if design.condensed is not None and design.roles:
        raise NeedsRowsError("the mean residual variance of weighted rows is no sum of one pass")
    square = 1.0 if found.sigma is None else found.sigma**2
    around = np.full(len(design.described.y), square)
    if design.weights is not None:
        around = around / design.weights
    if design.se is not None:
        around = design.se**2
    notes = ["At the estimates, without intervals; fits by sampling have them."]
    return _told(model, design, components_at(design, found.b, covariance, around), None, notes)


def _told(
    model: Model, design: Design, found: Found, interval: float | None, notes: list[str]
) -> Variance:
    link = model.family.scale(model.link)
    words = model.family.latent_words(model.link)
    own = tuple(quantities(found, model.response, link, words))
    factors = tuple(g.factor for g in model.groups if g.known_sd is None and g.predictor == "mu")
    notes = [*_notes(model, design), *notes]
    return Variance(model.formula, model.response, interval, own, factors, tuple(notes))


def _notes(model: Model, design: Design) -> Iterator[str]:
    of_mean = [group for group in model.groups if group.predictor == "mu"]
    pooled = [group for group in of_mean if group.known_sd is None]
    for group in of_mean:
        if group.known_sd is not None:
            yield (
                f"Levels of {group.factor} are without pooling and have no common distribution: "
                "they count in the population part, with the noise of their estimates."
            )
    if not of_mean and model.pooling == "complete":
        yield "Under complete pooling, levels do not differ."
    if any(group.terms != ("Intercept",) for group in pooled):
        yield (
            "How much levels differ depends on where the predictors are: averaged over the rows."
        )
    if design.total_offset is not None or "offset" in design.plan.roles:
        identity = model.family.averages == "linear"
        yield "The offset is known, and no part of the variance" + (
            "."
            if identity or model.categories
            else " on the scale of the predictor; on that of "
            "the response it counts in the population part."
        )
    if design.trials is not None:
        yield "A row counts as its trials, and the response is that of a single trial."
