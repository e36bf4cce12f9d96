"""The public pipeline: data → formula → design → model → engine → posterior."""

from __future__ import annotations

import math
import numbers
import os
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from partialpool.checks import (
    check_choice,
    check_counts,
    check_flag,
    check_interval,
    check_mapping,
    check_seed,
    check_text,
)
from partialpool.draws.posterior import Provenance
from partialpool.engine.choose import MAXIMISED
from partialpool.errors import InputError, NotYetError, did_you_mean, short, shown
from partialpool.finding import about_all, warn
from partialpool.model.pooling import POOLINGS, Pooling, check_pooling
from partialpool.posterior.estimate import Estimate
from partialpool.posterior.fit import Fit
from partialpool.priors import Prior

if TYPE_CHECKING:
    from partialpool.answers.prior_predictive import PriorPredictive
    from partialpool.design import Design, GroupFactor
    from partialpool.engine.choose import Method
    from partialpool.engine.start import Start
    from partialpool.families import Family, FamilyName, LinkName
    from partialpool.model import Pooled
    from partialpool.posterior.comparison import Comparison

_PRIORS = '{"sigma": pp.Exponential(1)}'


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
    draws: int | None = None,
    warmup: int | None = None,
    seed: int | None = None,
    interval: float = 0.95,
    proposal_sd: float | None = None,
    start: Start | None = None,
    threads: int | None = None,
    progress: bool | None = None,
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
        pandas, polars, pyarrow, a DuckDB relation, a dict, or a path: CSV, Parquet (also a folder
        or pattern), Arrow, Feather, ``file.duckdb::table``, ``file.sqlite::table``, ``file.xlsx``,
        or ``"-"`` for standard input. Text is read as it stands; :func:`read` says how otherwise.
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
    method : {"auto", "marginal", "nuts", "metropolis", "reml", "ml"}
        Engine: "marginal" integrates coefficients out (Gaussian, one grouping factor), "nuts"
        samples all parameters of any model, "metropolis" is the textbook's random walk, to compare
        with. "auto" takes the first that can. "reml" and "ml" do not sample: they find the maximum
        of the (restricted) likelihood, as lme4 does (Gaussian, one grouping factor or none).
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
        Number of chains (4), and of kept (1000) and warm-up draws (1000) of each.
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
    check_pooling(pooling)
    check_mapping("priors", priors, _PRIORS)
    plan = _plan(
        method=method,
        chains=chains,
        draws=draws,
        warmup=warmup,
        seed=seed,
        interval=interval,
        proposal_sd=proposal_sd,
        start=start,
        threads=threads,
        progress=progress,
    )
    roles = {"se": se, "weights": weights, "offset": offset, "exposure": exposure}
    table = _read(formula, data, family, link, sigma, trials=trials, **roles)
    fitted = _estimate if plan.method in MAXIMISED else _fit
    found = fitted(table, pooling, priors, plan, began)
    warn(about_all(found.findings))
    return found


def compare(
    formula: str,
    data: Any,
    *,
    truth: Any = None,
    priors: Mapping[str, Prior | str] | None = None,
    factor: str | None = None,
    family: FamilyName = "gaussian",
    link: LinkName | None = None,
    method: Method = "auto",
    sigma: str | None = None,
    se: Any = None,
    weights: Any = None,
    offset: Any = None,
    exposure: Any = None,
    trials: Any = None,
    chains: int | None = None,
    draws: int | None = None,
    warmup: int | None = None,
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
    from partialpool.posterior.comparison import Comparison, known_truth

    if isinstance(method, str) and method in MAXIMISED:
        raise InputError(
            f'method="{method}" estimates one model, and no pooling cannot be estimated so',
            remedy="leave `method` out to compare posteriors, or use `fit`",
        )
    check_text("factor", factor, '"county"')
    check_mapping("priors", priors, _PRIORS)
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
    roles = {"se": se, "weights": weights, "offset": offset, "exposure": exposure}
    table = _read(formula, data, family, link, sigma, trials=trials, **roles)
    compared = _compared_factor(table.design, formula, factor)
    true = None if truth is None else known_truth(truth, compared)
    shared = _share_priors(priors, table, compared.name)
    fits: dict[str, Fit] = {
        pooling: _fit(table, {compared.name: pooling}, shared[pooling], plan, time.perf_counter())
        for pooling in POOLINGS
    }
    comparison = Comparison(fits, compared, true)
    warn(comparison.findings)
    return comparison


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
    import numpy as np

    from partialpool.data import open_table
    from partialpool.design import build_design
    from partialpool.design.roles import join_roles
    from partialpool.families import FAMILIES, family_of
    from partialpool.formula import parse_formula, parse_predictor
    from partialpool.formula.names import quoted

    record, chosen = family_of(family, link)
    terms = parse_formula(formula)
    roles = join_roles(terms, roles)
    if sigma is not None and not record.has_sigma:
        raise InputError(
            f"`sigma` has a formula, but the {family} family has no residual sd",
            remedy="leave it out, or use gaussian, student_t or lognormal",
        )
    if roles["se"] is not None and "se" not in record.roles:
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
    second = None if sigma is None else parse_predictor(sigma)
    assert terms.left is not None  # parse_formula saw to it
    if terms.left.counts and "trials" not in record.roles:
        raise InputError(
            f"`{terms.response}` counts successes among trials, and the family is {record.name}",
            remedy='use family="binomial"',
        )
    if "weights" in terms.left.roles and not record.weights_count_rows:
        raise NotYetError(
            f"`{terms.response}` counts a row as often as its weight says, which this version "
            f"cannot do for the {record.name} family",
            remedy="repeat the rows or, for precision weights as those of lme4, give the column as "
            "`weights=`",
        )
    # As R has it: without trials, weights of a binomial response are the trials of its shares.
    unknown = "trials" in record.roles and roles["trials"] is None
    shares = unknown and roles["weights"] is not None
    if shares:
        roles |= {"trials": roles["weights"], "weights": None}
    source = open_table(data)
    single = unknown and not shares  # true or false, or 0 or 1
    design = build_design(
        terms,
        source,
        response="binary" if single else record.response,
        sigma=second,
        shares=shares,
        **roles,
    )
    design = replace(design, y=record.settled(design.y))
    if single:
        if terms.left.ratio:
            raise InputError(
                f"`{terms.response}` is a share of trials, and their number is not given",
                remedy="give the column below the line as `weights=`, or the counts with `trials=`",
            )
        if record.one_trial and np.isin(design.y, (0.0, 1.0)).all():  # one trial a row, as in R
            record = FAMILIES[record.one_trial]
    trials = roles["trials"]
    named = quoted(trials) if isinstance(trials, str) else None
    if isinstance(trials, numbers.Real):
        named = str(trials)
    record.check(design.response, design.y, design.trials, design.rows, named)
    given = {role: _shown(value) for role, value in roles.items() if value is not None}
    return _Table(design, source.source, record, chosen, given)


def _shown(role: Any) -> str:
    """Name what a role was given as: a column, a number, an expression, or one value a row."""
    from partialpool.design.roles import Expression

    if isinstance(role, Expression) and role.added is None:
        return role.factor.label
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
            f"`{short(name)}` is no grouping factor of the formula",
            remedy=did_you_mean(name, by_name),
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
    chains: int | None,
    draws: int | None,
    warmup: int | None,
    seed: int | None,
    interval: float,
    proposal_sd: float | None,
    start: Start | None = None,
    threads: int | None,
    progress: bool | None,
) -> _Plan:
    """Check the options that do not depend on the data."""
    from partialpool.engine import METHODS

    check_choice("method", method, METHODS)
    given = {"chains": chains, "draws": draws, "warmup": warmup, "threads": threads, "seed": seed}
    given = {name: value for name, value in given.items() if value is not None}
    check_counts(**{name: value for name, value in given.items() if name != "seed"})
    check_flag("progress", progress)
    if method in MAXIMISED:
        _check_no_sampling(method, given if progress is None else {**given, "progress": progress})
    options: dict[str, Any] = SAMPLING | given | {"seed": check_seed(seed)}
    options = {name: int(value) for name, value in options.items()} | {"progress": progress}
    walk = {"proposal_sd": proposal_sd, "start": start}
    if method == "metropolis":
        if proposal_sd is not None and not _is_positive(proposal_sd):
            raise InputError(
                f"`proposal_sd` is {shown(proposal_sd)}", remedy="give a number above 0"
            )
        options |= walk
    for name, value in walk.items():
        if method != "metropolis" and value is not None:
            raise InputError(
                f"`{name}` is given", remedy='it belongs to method="metropolis"; leave it out'
            )
    return _Plan(method, check_interval(interval), options)


def _is_positive(value: Any) -> bool:
    real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    return real and math.isfinite(value) and value > 0


# Options of sampling, where they are not given.
SAMPLING = {"chains": 4, "draws": 1000, "warmup": 1000, "threads": os.cpu_count() or 1}


def _check_no_sampling(method: str, given: Mapping[str, Any]) -> None:
    """Refuse options of sampling where nothing is drawn, whatever their values."""
    for name in given:
        raise InputError(
            f'`{name}` is given with method="{method}", which draws nothing', remedy="leave it out"
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
    from partialpool.findings.data import design_findings
    from partialpool.findings.dispersion import overdispersion
    from partialpool.findings.priors import prior_conflicts
    from partialpool.findings.run import run_findings

    pooled = table.pool(pooling)
    model, run, chosen = engine.sample(plan.method, pooled, priors, **plan.options)
    provenance = _provenance(table, chosen.method, chosen.reason, plan, began)
    fit = Fit(model, run, provenance, design_findings(pooled, model), pooled.design)
    fit.findings += run_findings(model, run, fit.judged_summary, pooled)
    fit.findings += prior_conflicts(pooled, model, run)
    fit.findings += overdispersion(fit)
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
    from partialpool.findings.maximum import estimate_findings
    from partialpool.model.exact import check_likelihood
    from partialpool.model.likelihood import build_likelihood

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
    family: FamilyName = "gaussian",
    link: LinkName | None = None,
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
    family: FamilyName = "gaussian",
    link: LinkName | None = None,
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
    from partialpool.answers.prior_predictive import PriorPredictive
    from partialpool.model import build_model

    check_pooling(pooling)
    check_mapping("priors", priors, _PRIORS)
    check_counts(draws=draws)
    seed = check_seed(seed)
    roles = {"se": se, "weights": weights, "offset": offset, "exposure": exposure}
    table = _read(formula, data, family, link, sigma, trials=trials, **roles)
    pooled = table.pool(pooling)
    model = build_model(pooled, priors, integrate=False)
    return PriorPredictive(model, pooled.design, int(draws), seed)


def _versions() -> dict[str, str]:
    import platform

    import numpy as np

    from partialpool.version import __version__

    return {
        "partialpool": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
    }
