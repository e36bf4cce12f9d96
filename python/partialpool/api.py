"""The public pipeline: data → formula → design → model → engine → posterior."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Unpack

from partialpool.answers.prior_predictive import PriorPredictive
from partialpool.checks import check_counts, check_flag, check_seed, check_text
from partialpool.cluster import opened
from partialpool.design import Design, GroupFactor
from partialpool.engine.options import Auto, SamplingOptions, asked
from partialpool.engine.sample import MAXIMISED, Method
from partialpool.engine.sampling import Start
from partialpool.errors import InputError, did_you_mean, short
from partialpool.families.known import FamilyName
from partialpool.families.links import LinkName
from partialpool.finding import about_all, warn
from partialpool.model import default_priors as defaults_of
from partialpool.model import known_keys
from partialpool.model.general import build_general
from partialpool.model.pooling import POOLINGS, Pooling
from partialpool.pipeline import estimated, pose_for, sampled, unless_rows
from partialpool.posterior.comparison import Comparison, known_truth
from partialpool.posterior.estimate import Estimate
from partialpool.posterior.fit import Fit
from partialpool.priors import Prior
from partialpool.spec import ModelOptions, OnePass, Posed, Spec, pose
from partialpool.taking import takes


class Options(ModelOptions, SamplingOptions):
    """Options of :func:`fit` that are about the model and the engine."""


def fit(
    formula: str,
    data: Any,
    *,
    family: FamilyName = "gaussian",
    link: LinkName | None = None,
    pooling: Pooling = "partial",
    priors: Mapping[str, Prior | str] | None = None,
    method: Method = "auto",
    sigma: str | None = None,
    se: Any = None,
    weights: Any = None,
    offset: Any = None,
    exposure: Any = None,
    trials: Any = None,
    chains: int | None = None,
    draws: int | Auto | None = None,
    ess: float | None = None,
    warmup: int | None = None,
    seed: int | None = None,
    interval: float = 0.95,
    proposal_sd: float | None = None,
    start: Start | None = None,
    threads: int | None = None,
    progress: bool | None = None,
    one_pass: bool | None = None,
    quadrature: int | None = None,
) -> Fit | Estimate:
    """Fit a hierarchical model.

    Parameters
    ----------
    formula : str
        Such as ``"y ~ x + (x | id)"``: population terms as in R or formulaic, group terms in
        brackets; ``(terms | factor)`` with correlations, ``(terms || factor)`` without. It may say
        what options say: ``offset(…)``, ``cbind(k, n - k) ~``, ``k | trials(n) ~``,
        ``y | se(s) ~``.
    data : DataFrame, dict of arrays, or path
        pandas, polars (also lazy), pyarrow (also data sets and streams), anything with
        ``__arrow_c_stream__``, Spark, Dask, a DuckDB relation, a dict, or a path: CSV, Parquet
        (also a folder or pattern), Arrow, Feather, ``file.duckdb::table``,
        ``file.sqlite::table``, ``file.xlsx``, or ``"-"`` for standard input. Text is read as it
        stands; :func:`read` says how otherwise.
    family : str
        Distribution of the response: gaussian, student_t, lognormal; bernoulli, binomial; poisson,
        negbinomial, with `zero_inflated_` or `hurdle_` before them for many zeros; gamma,
        exponential, weibull; beta; cumulative for ordered categories. Other packages' names of
        these are taken too, such as ``"nbinom2"``.
    link : str, optional
        How the mean depends on the linear predictor, where the family has several (logit, probit,
        cloglog); by default the first.
    pooling : {"partial", "complete", "none"} or mapping
        Partial: coefficients of the levels come from a common distribution; complete: they are
        the same; none: every level has its own, with fixed priors. With several grouping factors,
        a dict says it for each, as in ``{"id": "none"}``; the others are partial.
    priors : mapping, optional
        Priors by parameter name as the summary shows it, e.g. ``{"sd_id": pp.Uniform(0, 10)}``;
        the most specific key wins; the rest get default priors (see `default_priors`).
    method : {"auto", "marginal", "nuts", "laplace", "metropolis", "reml", "ml"}
        Engine: "marginal" integrates coefficients out (Gaussian, one grouping factor), "nuts"
        samples all parameters of any model, "metropolis" is the textbook's random walk, to compare
        with. "auto" takes the first that can. "laplace" is an approximation for families other than
        gaussian, and for `sigma`: coefficients given scales and dispersion are taken for normal;
        the fit says how good that is, by weights that exact densities give its draws. "reml" and
        "ml" do not sample: they find the maximum of the (restricted) likelihood, as lme4 and
        glmmTMB do. That of families other than gaussian, or with `sigma`, ("ml") integrates levels
        by Laplace's approximation, or by `quadrature`.
    sigma : str, optional
        Formula of log sigma, such as ``"~ x + (1 | id)"``: the residual sd may depend on
        predictors and differ between levels. Its parameters are ``b_sigma``, ``sd_sigma_id`` …
    se : str, number or array, optional
        Known standard error of every row: the residual sd is then not estimated.
    weights : str or array, optional
        With gaussian, student_t and lognormal, precision weights: the residual variance of a row is
        ``sigma² / weight``. With other families a row counts `weight` times. Rows with weight 0 are
        left out. Where a binomial response is a share, as in ``k / n``, they are its trials.
    offset : str, number or array, optional
        Added to the linear predictor.
    exposure : str, number or array, optional
        Time or size over which a count was collected (log links): its logarithm is an offset.
    trials : str, array or int, optional
        Number of trials of every row, for ``family="binomial"``.
    chains, draws, warmup : int, optional
        Number of chains (4), and of kept (1000) and warm-up draws of each. A `warmup` that is given
        is as long as that. By default each chain of ``"nuts"`` ends it when steps and scales are
        known, often after 100 draws, and after 1000 at most; other walks take 1000. With
        ``draws="auto"`` chains go on, up to 10,000 draws each, until every parameter has an
        effective sample size of `ess`, in bulk and tails, and R-hat finds that they agree: to the
        same draws as if their number had been given.
    ess : float, optional
        The effective sample size that is enough for ``draws="auto"``, 400 by default.
    seed : int, optional
        Same seed, same draws, however many threads. By default a random one, which is shown.
    interval : float
        Mass of the equal-tailed intervals.
    proposal_sd : float, optional
        Sd of the steps of ``method="metropolis"``, 0.1 by default.
    start : dict, list of dicts, or callable, optional
        Where the chains of ``method="metropolis"`` start: values by parameter, such as
        ``{"sigma": 2, "coef_id[x]": 0}``, for all chains or for each, or a function that returns
        them, drawn by the random generator that it is given. What is left out starts at random.
    threads : int, optional
        Chains that run at the same time; by default one for each core.
    progress : bool, optional
        Show progress on stderr; by default in a terminal, on runs longer than a second.
    one_pass : bool, optional
        Read the table in batches, in constant memory, and keep of its rows what a Gaussian model
        needs: the cross-products of each combination of levels. The posterior is the same; answers
        that need single rows, such as `loo`, are not to be had. By default so with more than
        5 million rows, where the model allows it.
    quadrature : int, optional
        Of ``method="ml"`` with families other than gaussian, or with `sigma`: nodes of adaptive
        Gauss-Hermite quadrature a level (lme4's ``nAGQ``), for a single factor with one
        coefficient, or with two, of which each has so many. By default 1, which is Laplace's
        approximation.

    Returns
    -------
    Fit or Estimate
        The posterior; with ``method="reml"`` or ``"ml"`` an estimate.

    Raises
    ------
    InputError
        If the formula, data, priors or an option cannot be used; the message says what to do.

    Warns
    -----
    FindingWarning
        Once, with all findings of level warning or error; `findings` has the others too.

    Examples
    --------
    >>> import partialpool as pp
    >>> fit = pp.fit("log_radon ~ floor + (1 | county)", pp.datasets.radon(), seed=1)
    >>> fit.summary().loc["b[floor]", "mean"].round(1)
    np.float64(-0.7)
    """
    began = time.perf_counter()
    spec = Spec(
        formula,
        family=family,
        link=link,
        sigma=sigma,
        se=se,
        weights=weights,
        offset=offset,
        exposure=exposure,
        trials=trials,
        pooling=pooling,
        priors=priors,
    )
    how = asked(
        method=method,
        interval=interval,
        chains=chains,
        draws=draws,
        ess=ess,
        warmup=warmup,
        seed=seed,
        proposal_sd=proposal_sd,
        start=start,
        threads=threads,
        progress=progress,
        quadrature=quadrature,
    )
    check_flag("one_pass", one_pass)
    spec.check()

    def found_in(table: Posed) -> Fit | Estimate:
        if how.maximises:
            return estimated(table, pooling, priors, how, began, Estimate)
        return sampled(table, pooling, priors, how, began, Fit)

    source = opened(data)
    found = unless_rows(pose_for(spec, source, how, one_pass), source, one_pass, found_in)
    warn(about_all(found.findings))
    return found


@takes(fit, ModelOptions, SamplingOptions)
def compare(
    formula: str,
    data: Any,
    *,
    truth: Any = None,
    priors: Mapping[str, Prior | str] | None = None,
    factor: str | None = None,
    one_pass: bool | None = None,
    **options: Unpack[Options],
) -> Comparison:
    """Fit a model under complete, no and partial pooling, side by side.

    Parameters
    ----------
    formula, data
        As in :func:`fit`; the formula needs a group term.
    truth : DataFrame, optional
        True coefficients of every level: the grouping column and one column a term.
    priors : mapping, optional
        A prior applies to the poolings that have the parameter.
    factor : str, optional
        The grouping factor whose pooling is compared, by default the first; others are partial.
    one_pass : bool, optional
        As in :func:`fit`: once for all three. Scores that leave out rows are not to be had then.
    family, link, method, sigma, se, weights, offset, exposure, trials
        As in :func:`fit`.
    chains, draws, ess, warmup, seed, interval, proposal_sd, threads, progress
        As in :func:`fit`. There is no `start`: the three poolings differ in their parameters, so
        chains that start at given values are a matter of :func:`fit`, for one pooling at a time.

    Returns
    -------
    Comparison
        ``table``, ``sentence``, ``fits``, ``plot.shrinkage()``.

    Raises
    ------
    InputError
        As :func:`fit`, and if `truth` lacks levels or columns, or a prior is set on a parameter
        that no pooling has.

    Examples
    --------
    >>> import partialpool as pp
    >>> data, truth = pp.datasets.individuals()
    >>> cmp = pp.compare("y ~ x + (x || id)", data, truth=truth, seed=1)
    >>> bool(cmp.table.loc["rmse[x]", "partial"] < cmp.table.loc["rmse[x]", "none"])
    True
    """
    of_model: Any = {k: value for k, value in options.items() if k in ModelOptions.__annotations__}
    of_sampling: Any = {k: value for k, value in options.items() if k not in of_model}
    method = options.get("method")
    if isinstance(method, str) and method in MAXIMISED:
        raise InputError(
            f'method="{method}" estimates one model, and no pooling cannot be estimated so',
            remedy="leave `method` out to compare posteriors, or use `fit`",
        )
    check_text("factor", factor, '"county"')
    check_flag("one_pass", one_pass)
    spec, how = Spec(formula, priors=priors, **of_model), asked(**of_sampling)
    spec.check()

    def compared_in(table: Posed) -> Comparison:
        compared = _compared_factor(table.design, formula, factor)
        true = None if truth is None else known_truth(truth, compared)
        shared = _share_priors(priors, table, compared.name)
        fits: dict[str, Fit] = {
            pooling: sampled(
                table, {compared.name: pooling}, shared[pooling], how, time.perf_counter(), Fit
            )
            for pooling in POOLINGS
        }
        return Comparison(fits, compared, true)

    source = opened(data)
    table = pose_for(spec, source, how, one_pass)
    comparison = unless_rows(table, source, one_pass, compared_in)
    warn(comparison.findings)
    return comparison


@takes(fit, ModelOptions)
def default_priors(formula: str, data: Any, **options: Unpack[ModelOptions]) -> dict[str, Prior]:
    """Give the default prior of every parameter of a model, with its numbers.

    Parameters
    ----------
    formula, data, family, link, sigma, se, weights, offset, exposure, trials
        As in :func:`fit`.

    Returns
    -------
    dict
        Priors by parameter name; passing it back as ``priors=`` changes nothing.

    Examples
    --------
    >>> import partialpool as pp
    >>> schools = pp.datasets.eight_schools()
    >>> priors = pp.default_priors("effect ~ 1 + (1 | school)", schools, se="se")
    >>> print(priors["sd_school[Intercept]"])
    Exponential(0.09575)
    """
    posed = pose(Spec(formula, **options), data, OnePass(None))
    return defaults_of(posed.design, posed.family)


@takes(fit, ModelOptions)
def prior_predictive(
    formula: str,
    data: Any,
    *,
    pooling: Pooling = "partial",
    priors: Mapping[str, Prior | str] | None = None,
    draws: int = 1000,
    seed: int | None = None,
    **options: Unpack[ModelOptions],
) -> PriorPredictive:
    """Draw parameters from their priors, and data from these: what the priors expect.

    Parameters
    ----------
    formula, data, family, link, pooling, priors, sigma, se, weights, offset, exposure, trials
        As in :func:`fit`. Default priors look at the scale of the response.
    draws : int
        Number of data sets.
    seed : int, optional
        Same seed, same draws.

    Returns
    -------
    PriorPredictive
        ``parameters``, ``responses``, ``check`` and ``plot``.

    Raises
    ------
    InputError
        As :func:`fit`, and if a prior is improper, so that nothing can be drawn from it.

    Examples
    --------
    >>> import partialpool as pp
    >>> prior = pp.prior_predictive(
    ...     "log_radon ~ floor + (1 | county)", pp.datasets.radon(), draws=200, seed=1
    ... )
    >>> prior.responses.shape
    (200, 919)
    """
    spec = Spec(formula, pooling=pooling, priors=priors, **options)
    check_counts(draws=draws)
    seed = check_seed(seed)
    pooled = pose(spec, data).pooled
    model = build_general(pooled, priors, walked=False)
    return PriorPredictive(model, pooled.design, int(draws), seed)


def _compared_factor(design: Design, formula: str, name: str | None) -> GroupFactor:
    """Find the factor whose pooling is compared."""
    if not design.factors:
        raise InputError(
            f"`{formula}` has no group term, so there is nothing to pool",
            remedy="add one such as `(1 | group)`",
        )
    by_name = {factor.name: factor for factor in design.factors}
    if name is not None and name not in by_name:
        raise InputError(
            f"`{short(name)}` is no grouping factor of the formula",
            remedy=did_you_mean(name, by_name),
        )
    return design.factors[0] if name is None else by_name[name]


def _share_priors(
    priors: Mapping[str, Prior | str] | None, posed: Posed, factor: str
) -> dict[str, dict[str, Prior | str]]:
    """Give each pooling of a factor the priors of the parameters that it has."""
    keys = {
        pooling: known_keys(posed.pool({factor: pooling}).design, posed.family)
        for pooling in POOLINGS
    }
    known = sorted(set().union(*keys.values()))
    for key in priors or {}:
        if key not in known:
            raise InputError(
                f"a prior is set on `{key}`, which none of the three poolings has",
                remedy=f"the parameters are {', '.join(f'`{k}`' for k in known)}",
            )
    return {
        pooling: {key: prior for key, prior in (priors or {}).items() if key in keys[pooling]}
        for pooling in POOLINGS
    }
