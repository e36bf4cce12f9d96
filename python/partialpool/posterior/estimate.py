"""Estimate: the maximum of the likelihood of a model, where no prior has a part."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from partialpool import called
from partialpool.answers.variance import Variance, variance_at
from partialpool.arrays import Array
from partialpool.checks import check_interval, check_text, check_values
from partialpool.draws.posterior import Provenance, coefficient_frame, rows_called
from partialpool.errors import InputError, NeedsRowsError, NotYetError, shown
from partialpool.finding import Finding
from partialpool.likelihood import Maximum, build_likelihood, intervals
from partialpool.model import Model, Pooled
from partialpool.posterior.again import UNCHANGED, Changes, Earlier, asked_again
from partialpool.posterior.fit import Fit
from partialpool.posterior.ratio import LikelihoodRatio, Side, likelihood_ratio
from partialpool.request import Request
from partialpool.taking import changes
from partialpool.words.estimate import estimate_page
from partialpool.words.page import Answer, Page

if TYPE_CHECKING:
    import pandas as pd


ESTIMATE_COLUMNS = ("estimate", "standard_error", "lower", "upper")

# What a Fit has; whatever of it an Estimate lacks needs a posterior.
OF_A_FIT = {name for name in dir(Fit) if not name.startswith("_")} | {"run", "design", "held_out"}


class NoPosteriorError(InputError, AttributeError):
    """Something was asked of an estimate that only a posterior has."""


class Estimate(Answer):
    """Estimates by restricted maximum likelihood (REML) or maximum likelihood (ML).

    What ``pp.fit(…, method="reml")`` returns: the estimates of lme4's ``lmer``, without draws; with
    ``method="ml"`` also those of its ``glmer``.

    Attributes
    ----------
    model : Model
        Names of parameters and levels.
    maximum : Maximum
        The numbers, and how they were found.
    provenance : Provenance
        Data, method, versions, time.
    findings : list of Finding
        What to know before trusting the estimates; empty when all is well.
    pooled : Pooled
        The rows that were fitted.
    request : Request
        What was asked.

    Examples
    --------
    >>> import partialpool as pp
    >>> radon = pp.datasets.radon()
    >>> estimate = pp.fit("log_radon ~ floor + (1 | county)", radon, method="reml")
    >>> estimate.summary()["estimate"].round(3).to_dict()
    {'b[Intercept]': 1.492, 'b[floor]': -0.663, 'sd_county[Intercept]': 0.315, 'sigma': 0.726}
    >>> round(estimate.deviance, 2)
    2097.52
    """

    def __init__(
        self,
        model: Model,
        maximum: Maximum,
        provenance: Provenance,
        findings: Sequence[Finding],
        pooled: Pooled,
        request: Request | None = None,
    ) -> None:
        self.model = model
        self.maximum = maximum
        self.provenance = provenance
        self.findings = list(findings)
        self.pooled = pooled
        self.request = request

    def __getattr__(self, name: str) -> Any:
        if name in OF_A_FIT:
            method = self.__dict__["provenance"].method
            raise NoPosteriorError(
                f'`{name}` belongs to a posterior, and method="{method}" gives one point',
                remedy="leave `method` out to sample",
            )
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    # What was fitted

    @property
    def formula(self) -> str:
        """The formula."""
        return self.model.formula

    @property
    def pooling(self) -> str:
        """How group coefficients relate."""
        return self.model.pooling

    @property
    def method(self) -> str:
        """``"reml"`` or ``"ml"``."""
        return self.provenance.method

    @changes(UNCHANGED, Changes)
    def update(
        self, *, formula: str | None = None, data: Any = None, **options: Unpack[Changes]
    ) -> Fit | Estimate:
        """Estimate again with changes; or sample, if `method` changes to one that does.

        Parameters
        ----------
        formula, data, family, link, sigma, se, weights, offset, exposure, trials, pooling, priors
            As in :meth:`Fit.update`.
        method, chains, draws, ess, warmup, seed, interval, proposal_sd, threads, progress, start
            As there.
        quadrature
            As there.
        """
        earlier = Earlier(self.request, self.pooled.rows, self.provenance)
        again = asked_again(earlier, formula, data, options)
        return again.estimated(Estimate) if again.how.maximises else again.sampled(Fit)

    # What came out

    @property
    def labels(self) -> list[str]:
        """Names of the parameters, in the order of the summary."""
        labels = [called.b(name) for name in self.model.columns]
        early, late = self._scalars
        labels += early
        for group in self.model.groups:
            labels += [*group.sd_labels, *group.cor_labels]
        return [*labels, *late]

    @property
    def _scalars(self) -> tuple[dict[str, float], dict[str, float]]:
        """Thresholds, or coefficients of log sigma; and what describes the spread."""
        found = self.maximum
        known = dict(found.scalars) if found.sigma is None else {"sigma": found.sigma}
        early = {name: x for name, x in known.items() if called.kind_of(name) in ("b", "threshold")}
        return early, {name: x for name, x in known.items() if name not in early}

    @cached_property
    def numbers(self) -> dict[str, Array]:
        """Columns of the summary (no pandas)."""
        found, (early, late) = self.maximum, self._scalars
        scales = [number for group in found.groups for number in (*group.sd, *group.cor)]
        estimate = np.concatenate([found.b, [*early.values()], scales, [*late.values()]])
        error = np.full(len(estimate), math.nan)
        error[: len(found.b)] = np.sqrt(np.diag(found.vcov))
        for k, name in enumerate(early):
            error[len(found.b) + k] = found.errors[name]
        reach = self._reach * error
        columns = (estimate, error, estimate - reach, estimate + reach)
        return dict(zip(ESTIMATE_COLUMNS, columns, strict=True))

    @property
    def _reach(self) -> float:
        """Half the width of an interval, in standard errors."""
        from statistics import NormalDist

        return NormalDist().inv_cdf((1 + self.provenance.interval) / 2)

    def summary(self, parameter: str | None = None) -> pd.DataFrame:
        """Estimates, a row a parameter.

        Parameters
        ----------
        parameter : str, optional
            Only this parameter: ``"b"``, ``"sd_county"``, ``"b[x]"``. By default all.

        Returns
        -------
        DataFrame
            Columns estimate, standard_error, lower, upper. Intervals are Wald's: the estimate and
            so many standard errors, as if sds, correlations and sigma were known. These have NaN:
            their likelihood is too skewed for a standard error to describe, and `confint` has
            intervals of all.

        Raises
        ------
        InputError
            If there is no such parameter.
        """
        import pandas as pd

        check_text("parameter", parameter, '"b"')
        frame = pd.DataFrame(self.numbers, index=pd.Index(self.labels, name="parameter"))
        return frame if parameter is None else rows_called(parameter, frame)

    def confint(
        self, level: float | None = None, parameters: str | Sequence[str] | None = None
    ) -> pd.DataFrame:
        """Profile-likelihood intervals, a row a parameter.

        Parameters
        ----------
        level : float, optional
            Confidence level; by default the estimate's ``interval``.
        parameters : str or list of str, optional
            Only these parameters: ``"b"``, ``"sd_county"``, ``["sigma", "b[x]"]``. By default all.

        Returns
        -------
        DataFrame
            Columns estimate, lower, upper. An interval holds the values that a likelihood-ratio
            test does not reject, all other parameters being at their best. An end where values
            end is exact: 0 for an sd, −1 or 1 for a correlation. As in lme4, the likelihood is the
            full one even where the estimates are by REML, since it alone compares values of b; so
            `estimate` is by maximum likelihood too.

        Raises
        ------
        InputError
            If there is no such parameter.
        EngineError
            If the likelihood has a higher maximum than the one that was found.

        Examples
        --------
        >>> import partialpool as pp
        >>> radon = pp.datasets.radon()
        >>> estimate = pp.fit("log_radon ~ floor + (1 | county)", radon, method="ml")
        >>> estimate.confint(parameters="sd_county").round(2).to_dict("index")
        {'sd_county[Intercept]': {'estimate': 0.31, 'lower': 0.23, 'upper': 0.41}}
        """
        import pandas as pd

        if self.maximum.quadrature:
            raise NotYetError(
                f"profiles of the likelihood are not there yet for {self._kind}",
                remedy="see the intervals of `summary()`, or leave `method` out to sample",
            )
        level = self.provenance.interval if level is None else check_interval(level, "level")
        known = pd.DataFrame({"place": range(len(self.labels))}, index=self.labels)
        if parameters is None:
            places = known["place"].tolist()
        else:
            asked = [parameters] if isinstance(parameters, str) else parameters
            places = []
            for name in check_values("parameters", asked):
                check_text("parameters", name, '"sigma"')
                places += rows_called(name, known)["place"].tolist()
        index = pd.Index([self.labels[k] for k in places], name="parameter")
        found = intervals(build_likelihood(self.pooled, restricted=False), level, places)
        return pd.DataFrame(found, index=index, columns=["estimate", "lower", "upper"])

    def coefficients(self) -> pd.DataFrame:
        """Coefficients of every level, a row for each level and term.

        Returns
        -------
        DataFrame
            Columns as those of ``Fit.coefficients``: factor, level, term, n, mean, sd, lower,
            upper. The mean is the best linear unbiased prediction (conditional mode) of the level's
            own coefficient, ``b + r``; the sd is that of its error given the estimated sds,
            correlations and sigma, with the error of `b` in it. Empty without group terms.
        """
        return coefficient_frame(self.model.groups, self.level_summaries)

    @cached_property
    def level_summaries(self) -> tuple[Array, ...]:
        """Mean, sd, lower and upper of every level's coefficients: (level, term, 4) a group."""
        return tuple(
            np.stack(
                [
                    group.coef,
                    group.coef_sd,
                    group.coef - self._reach * group.coef_sd,
                    group.coef + self._reach * group.coef_sd,
                ],
                axis=-1,
            )
            for group in self.maximum.groups
        )

    def variance(self) -> Variance:
        """Tell where the variance lies at the estimates: ICC and R² as of R's performance.

        As ``Fit.variance`` gives it, with one number each and no intervals, without `r2_bayes`.

        Examples
        --------
        >>> import partialpool as pp
        >>> data = pp.datasets.radon()
        >>> found = pp.fit("log_radon ~ floor + (1 | county)", data, method="reml").variance()
        >>> found.table["mean"][["icc", "r2_marginal"]].round(2).to_dict()
        {'icc': 0.16, 'r2_marginal': 0.09}
        """
        if self.maximum.quadrature:
            raise NotYetError(
                f"`variance` of an estimate is not there yet for {self._kind}",
                remedy="leave `method` out to sample, and ask the fit",
            )
        return variance_at(self.model, self.pooled.design, self.maximum)

    @property
    def _kind(self) -> str:
        if self.model.sigma_formula:
            return "models with a formula of sigma"
        return f"the {self.model.family.name} family"

    @property
    def vcov(self) -> pd.DataFrame:
        """Covariance of the estimates of b, given the other estimates."""
        import pandas as pd

        names = [called.b(name) for name in self.model.columns]
        return pd.DataFrame(self.maximum.vcov, index=names, columns=names)

    def lrt(self, other: Estimate) -> LikelihoodRatio:
        """Test whether the larger of two nested models is better, by their likelihoods.

        Parameters
        ----------
        other : Estimate
            Of a model in which this one is nested, or that is nested in this one: it has fewer
            population terms, group terms or correlations. By the same method, of the same rows.

        Returns
        -------
        LikelihoodRatio
            ``chisq``, ``df``, ``p``, and where one variance is tested ``p_mixture``; a table of
            both models, as by R's ``anova``.

        Raises
        ------
        InputError
            If neither model is nested in the other, data or methods differ, or population terms
            differ and the estimates are by REML.

        Examples
        --------
        >>> import partialpool as pp
        >>> radon = pp.datasets.radon()
        >>> small = pp.fit("log_radon ~ floor + (1 | county)", radon, method="ml")
        >>> large = pp.fit("log_radon ~ floor + (floor | county)", radon, method="ml")
        >>> test = small.lrt(large)
        >>> round(test.chisq, 3), test.df, round(test.p, 3), round(test.p_mixture, 3)
        (2.664, 2, 0.264, 0.183)
        """
        if not isinstance(other, Estimate):
            raise InputError(
                f"`other` is {shown(other)}, and likelihoods of estimates are compared",
                remedy='give what `fit(…, method="ml")` returns',
            )
        return likelihood_ratio(self._side, other._side)

    @property
    def _side(self) -> Side:
        if self.pooled.rows is None:
            raise NeedsRowsError(
                "whether two estimates are of the same rows cannot be told after one pass over "
                "the table"
            )
        likelihood = f"{self.model.family.name} family with the {self.model.link} link"
        sigma = f", log sigma {self.model.sigma_formula}" if self.model.sigma_formula else ""
        formula = f"{self.formula}{sigma}"
        return Side(formula, likelihood, self.method, self.pooled.rows, self.maximum)

    # How good it is

    @property
    def log_likelihood(self) -> float:
        """Log likelihood at the maximum; with REML, of what is left once b is integrated out."""
        return -0.5 * self.maximum.deviance

    @property
    def deviance(self) -> float:
        """Minus twice the log likelihood: lme4's deviance, with REML its criterion."""
        return self.maximum.deviance

    @property
    def n_parameters(self) -> int:
        """Number of population coefficients, variances and covariances."""
        return self.maximum.n_parameters

    @property
    def aic(self) -> float:
        """Akaike's criterion, as in lme4: ``deviance + 2 n_parameters``.

        With REML it compares models that have the same population terms; use ML for others.
        """
        return self.deviance + 2 * self.n_parameters

    @property
    def bic(self) -> float:
        """Schwarz's criterion, as in lme4: ``deviance + log(rows) n_parameters``; as for `aic`."""
        return self.deviance + math.log(self.model.n_rows) * self.n_parameters

    @property
    def page(self) -> Page:
        """What it says."""
        return estimate_page(self)
