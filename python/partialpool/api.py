"""The public pipeline: data → formula → design → model → engine → posterior."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from partialpool.checks import check_choice, check_counts, check_interval, check_seed
from partialpool.engine.choose import MAXIMISED
from partialpool.errors import InputError, did_you_mean
from partialpool.model.pooling import POOLINGS, Pooling, check_pooling
from partialpool.model.priors import Prior
from partialpool.posterior import Estimate, Fit, Provenance

if TYPE_CHECKING:
    from partialpool.design import Design, GroupFactor
    from partialpool.model import Pooled
    from partialpool.model.families import Family
    from partialpool.posterior.compare import Comparison
    from partialpool.posterior.prior_predictive import PriorPredictive


def fit(
    formula: str,
    data: Any,
    *,
    family: str = "gaussian",
    link: str | None = None,
    pooling: Pooling = "partial",
    priors: Mapping[str, Prior | str] | None = None,
    method: str = "auto",
    sigma: str | None = None,
    se: Any = None,
    weights: Any = None,
    offset: Any = None,
    exposure: Any = None,
    trials: Any = None,
    chains: int = 4,
    draws: int = 1000,
    warmup: int = 1000,
    seed: int | None = None,
    interval: float = 0.95,
    proposal_sd: float | None = None,
    threads: int | None = None,
    progress: bool | None = None,
) -> Fit | Estimate:
    """Fit a hierarchical model.

    Parameters
    ----------
    formula : str
        Such as ``"y ~ x + (x | id)"``: population terms as in formulaic, group terms in brackets;
        ``(terms | factor)`` with correlations, ``(terms || factor)`` without.
    data : DataFrame, dict of arrays, or path
        pandas, polars, pyarrow, a DuckDB relation, a dict, or a path to CSV, Parquet, Arrow or
        Feather, or ``file.duckdb::table``.
    family : str
        Distribution of the response: gaussian, student_t, lognormal; bernoulli, binomial; poisson,
        negbinomial, with `zero_inflated_` or `hurdle_` before them for many zeros; gamma,
        exponential, weibull; beta; cumulative for ordered categories.
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
    method : {"auto", "marginal", "nuts", "metropolis", "reml", "ml"}
        Engine: "marginal" integrates coefficients out (Gaussian, one grouping factor), "nuts"
        samples all parameters of any model, "metropolis" is the textbook's random walk, to compare
        with. "auto" takes the first that can. "reml" and "ml" do not sample: they find the maximum
        of the (restricted) likelihood, as lme4 does (Gaussian, one grouping factor or none).
    sigma : str, optional
        Formula of log sigma, such as ``"~ x + (1 | id)"``: the residual sd may depend on
        predictors and differ between levels. Its parameters are ``b_sigma``, ``sd_sigma_id`` …
    se : str or array, optional
        Known standard error of every row: the residual sd is then not estimated.
    weights : str or array, optional
        With gaussian, student_t and lognormal, precision weights: the residual variance of a row is
        ``sigma² / weight``. With other families a row counts `weight` times. Rows with weight 0 are
        left out.
    offset : str or array, optional
        Added to the linear predictor.
    exposure : str or array, optional
        Time or size over which a count was collected (log links): its logarithm is an offset.
    trials : str, array or int, optional
        Number of trials of every row, for ``family="binomial"``.
    chains, draws, warmup : int
        Number of chains, and of kept and warm-up draws of each.
    seed : int, optional
        Same seed, same draws, however many threads. By default a random one, which is shown.
    interval : float
        Mass of the equal-tailed intervals.
    proposal_sd : float, optional
        Sd of the steps of ``method="metropolis"``, 0.1 by default.
    threads : int, optional
        Chains that run at the same time; by default one for each core.
    progress : bool, optional
        Show progress on stderr; by default in a terminal, on runs longer than a second.

    Returns
    -------
    Fit or Estimate
        The posterior; with ``method="reml"`` or ``"ml"`` an estimate.

    Raises
    ------
    InputError
        If the formula, data, priors or an option cannot be used; the message says what to do.

    Examples
    --------
    >>> import partialpool as pp
    >>> fit = pp.fit("log_radon ~ floor + (1 | county)", pp.datasets.radon(), seed=1)
    >>> fit.summary().loc["b[floor]", "mean"].round(1)
    np.float64(-0.7)
    """
    began = time.perf_counter()
    check_pooling(pooling)
    roles = {"se": se, "weights": weights, "offset": offset, "exposure": exposure}
    table = _read(formula, data, family, link, sigma, trials=trials, **roles)
    plan = _plan(
        method=method,
        chains=chains,
        draws=draws,
        warmup=warmup,
        seed=seed,
        interval=interval,
        proposal_sd=proposal_sd,
        threads=threads,
        progress=progress,
    )
    fitted = _estimate if plan.method in MAXIMISED else _fit
    return fitted(table, pooling, priors, plan, began)


def compare(
    formula: str,
    data: Any,
    *,
    truth: Any = None,
    priors: Mapping[str, Prior | str] | None = None,
    factor: str | None = None,
    family: str = "gaussian",
    link: str | None = None,
    method: str = "auto",
    sigma: str | None = None,
    se: Any = None,
    weights: Any = None,
    offset: Any = None,
    exposure: Any = None,
    trials: Any = None,
    chains: int = 4,
    draws: int = 1000,
    warmup: int = 1000,
    seed: int | None = None,
    interval: float = 0.95,
    proposal_sd: float | None = None,
    threads: int | None = None,
    progress: bool | None = None,
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
    family, link, method, sigma, se, weights, offset, exposure, trials
        As in :func:`fit`.
    chains, draws, warmup, seed, interval, proposal_sd, threads, progress
        As in :func:`fit`.

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
    from partialpool.posterior.compare import Comparison, known_truth

    if method in MAXIMISED:
        raise InputError(
            f'method="{method}" estimates one model, and no pooling cannot be estimated so',
            remedy="leave `method` out to compare posteriors, or use `fit`",
        )
    roles = {"se": se, "weights": weights, "offset": offset, "exposure": exposure}
    table = _read(formula, data, family, link, sigma, trials=trials, **roles)
    plan = _plan(
        method=method,
        chains=chains,
        draws=draws,
        warmup=warmup,
        seed=seed,
        interval=interval,
        proposal_sd=proposal_sd,
        threads=threads,
        progress=progress,
    )
    compared = _compared_factor(table.design, formula, factor)
    true = None if truth is None else known_truth(truth, compared)
    shared = _share_priors(priors, table, compared.name)
    fits = {
        pooling: _fit(table, {compared.name: pooling}, shared[pooling], plan, time.perf_counter())
        for pooling in POOLINGS
    }
    return Comparison(fits, compared, true)


class _Table(NamedTuple):
    """A table as the formula sees it, with the family of its response."""

    design: Design
    source: str
    family: Family
    link: str
    roles: dict[str, str]

    def pool(self, pooling: Pooling) -> Pooled:
        """The design as a pooling sees it."""
        from partialpool.model import pool

        return pool(self.design, pooling, self.family, self.link)


def _read(
    formula: str, data: Any, family: str, link: str | None, sigma: str | None, **roles: Any
) -> _Table:
    """Data, formula and roles → design, checked against the family."""
    from partialpool.data import open_table
    from partialpool.design import build_design
    from partialpool.formula import parse_formula, parse_predictor
    from partialpool.model.families import family_of

    record, chosen = family_of(family, link)
    if sigma is not None and all(one.name != "sigma" for one in record.dispersion):
        raise InputError(
            f"`sigma` has a formula, but the {family} family has no residual sd",
            remedy="leave it out, or use gaussian, student_t or lognormal",
        )
    if roles["se"] is not None and family != "gaussian":
        raise InputError(
            f"`se` is given, but the family is {family}",
            remedy="known standard errors belong to the gaussian family",
        )
    if roles["se"] is not None and sigma is not None:
        raise InputError("both `se` and a formula of `sigma` are given", remedy="give one of them")
    if roles["exposure"] is not None and chosen != "log":
        raise InputError(
            f"`exposure` is given, but the link is {chosen}",
            remedy="exposure needs a log link, such as that of poisson; see `offset`",
        )
    terms = parse_formula(formula)
    source = open_table(data)
    design = build_design(
        terms,
        source,
        response=record.response,
        sigma=None if sigma is None else parse_predictor(sigma),
        **roles,
    )
    record.check(design.response, design.y, design.trials, design.rows)
    given = {role: _shown(value) for role, value in roles.items() if value is not None}
    return _Table(design, source.source, record, chosen, given)


def _shown(role: Any) -> str:
    """Name what a role was given as: a column, a number, or one value a row."""
    return str(role) if isinstance(role, (str, int, float)) else "one value a row"


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
            f"`{name}` is no grouping factor of the formula", remedy=did_you_mean(name, by_name)
        )
    return design.factors[0] if name is None else by_name[name]


def _share_priors(
    priors: Mapping[str, Prior | str] | None, table: _Table, factor: str
) -> dict[str, dict[str, Prior | str]]:
    """Give each pooling of a factor the priors of the parameters that it has."""
    from partialpool.model import known_keys

    keys = {
        pooling: known_keys(table.pool({factor: pooling}).design, table.family)
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


class _Plan(NamedTuple):
    """The engine that was asked for, the interval, and the engine's options."""

    method: str
    interval: float
    options: dict[str, Any]


def _plan(
    *,
    method: str,
    chains: int,
    draws: int,
    warmup: int,
    seed: int | None,
    interval: float,
    proposal_sd: float | None,
    threads: int | None,
    progress: bool | None,
) -> _Plan:
    """Check the options that do not depend on the data."""
    from partialpool.engine import METHODS

    check_choice("method", method, METHODS)
    check_counts(chains=chains, draws=draws, warmup=warmup, threads=threads)
    check_interval(interval)
    if method in MAXIMISED:
        _check_no_sampling(
            method, chains=chains, draws=draws, warmup=warmup, seed=seed, threads=threads
        )
    options: dict[str, Any] = {"chains": chains, "draws": draws, "warmup": warmup}
    options |= {"threads": threads or os.cpu_count() or 1, "progress": progress}
    options["seed"] = check_seed(seed)
    if method == "metropolis":
        options["proposal_sd"] = proposal_sd
    elif proposal_sd is not None:
        raise InputError(
            "`proposal_sd` is given", remedy='it belongs to method="metropolis"; leave it out'
        )
    return _Plan(method, float(interval), options)


# Options of sampling, with their defaults.
SAMPLING: dict[str, int | None] = {
    "chains": 4,
    "draws": 1000,
    "warmup": 1000,
    "seed": None,
    "threads": None,
}


def _check_no_sampling(method: str, **options: int | None) -> None:
    """Refuse options of sampling where nothing is drawn."""
    for name, value in options.items():
        if value != SAMPLING[name]:
            raise InputError(
                f'`{name}` is given with method="{method}", which draws nothing',
                remedy="leave it out",
            )


def _fit(
    table: _Table,
    pooling: Pooling,
    priors: Mapping[str, Prior | str] | None,
    plan: _Plan,
    began: float,
) -> Fit:
    """Design → model → engine → posterior."""
    from partialpool import engine
    from partialpool.posterior.data_findings import design_findings
    from partialpool.posterior.findings import run_findings

    pooled = table.pool(pooling)
    model, run, chosen = engine.sample(plan.method, pooled, priors, **plan.options)
    provenance = _provenance(table, chosen.method, chosen.reason, plan, began)
    fit = Fit(model, run, provenance, design_findings(pooled, model), pooled.design)
    fit.findings += run_findings(model, run, fit.judged_summary, pooled)
    return fit


def _estimate(
    table: _Table,
    pooling: Pooling,
    priors: Mapping[str, Prior | str] | None,
    plan: _Plan,
    began: float,
) -> Estimate:
    """Design → likelihood → maximum → estimate."""
    from partialpool import engine
    from partialpool.model.exact import check_likelihood
    from partialpool.model.likelihood import build_likelihood
    from partialpool.posterior.estimate_text import estimate_findings

    pooled = table.pool(pooling)
    engine.check_maximised(plan.method, pooled, priors)
    check_likelihood(pooled, plan.method)
    likelihood = build_likelihood(pooled, restricted=plan.method == "reml")
    found = engine.maximise(likelihood)
    findings = estimate_findings(pooled, likelihood.model, found)
    provenance = _provenance(table, plan.method, "you asked for it", plan, began)
    return Estimate(likelihood.model, found, provenance, findings)


def _provenance(table: _Table, method: str, reason: str, plan: _Plan, began: float) -> Provenance:
    return Provenance(
        source=table.source,
        n_rows=table.design.n_rows,
        n_dropped=table.design.n_dropped,
        method=method,
        method_reason=reason,
        interval=plan.interval,
        seconds=time.perf_counter() - began,
        versions=_versions(),
        roles=table.roles,
    )


def default_priors(
    formula: str,
    data: Any,
    *,
    family: str = "gaussian",
    link: str | None = None,
    sigma: str | None = None,
    se: Any = None,
    weights: Any = None,
    offset: Any = None,
    exposure: Any = None,
    trials: Any = None,
) -> dict[str, Prior]:
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
    from partialpool import model

    roles = {"se": se, "weights": weights, "offset": offset, "exposure": exposure}
    table = _read(formula, data, family, link, sigma, trials=trials, **roles)
    return model.default_priors(table.design, table.family)


def prior_predictive(
    formula: str,
    data: Any,
    *,
    family: str = "gaussian",
    link: str | None = None,
    pooling: Pooling = "partial",
    priors: Mapping[str, Prior | str] | None = None,
    sigma: str | None = None,
    se: Any = None,
    weights: Any = None,
    offset: Any = None,
    exposure: Any = None,
    trials: Any = None,
    draws: int = 1000,
    seed: int | None = None,
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
    from partialpool.model import build_model
    from partialpool.posterior.prior_predictive import PriorPredictive

    check_pooling(pooling)
    check_counts(draws=draws)
    roles = {"se": se, "weights": weights, "offset": offset, "exposure": exposure}
    table = _read(formula, data, family, link, sigma, trials=trials, **roles)
    pooled = table.pool(pooling)
    model = build_model(pooled, priors, integrate=False)
    return PriorPredictive(model, pooled.design, draws, check_seed(seed))


def _versions() -> dict[str, str]:
    import platform

    import numpy as np

    from partialpool import __version__

    return {
        "partialpool": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
    }
