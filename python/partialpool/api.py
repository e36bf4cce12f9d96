"""The public pipeline: data → formula → design → model → engine → posterior."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from partialpool.checks import check_choice, check_counts, check_interval, check_seed
from partialpool.errors import InputError
from partialpool.model.pooling import POOLINGS, Pooling, check_pooling
from partialpool.model.priors import Prior
from partialpool.posterior import Fit, Provenance

if TYPE_CHECKING:
    from partialpool.design import Design
    from partialpool.engine import Choice
    from partialpool.posterior.compare import Comparison

FAMILIES = ("gaussian",)


def fit(
    formula: str,
    data: Any,
    *,
    family: str = "gaussian",
    pooling: Pooling = "partial",
    priors: Mapping[str, Prior | str] | None = None,
    method: str = "auto",
    se: Any = None,
    weights: Any = None,
    offset: Any = None,
    chains: int = 4,
    draws: int = 1000,
    warmup: int = 1000,
    seed: int | None = None,
    interval: float = 0.95,
    proposal_sd: float | None = None,
    threads: int | None = None,
    progress: bool | None = None,
) -> Fit:
    """Fit a hierarchical model.

    Parameters
    ----------
    formula : str
        Such as ``"y ~ x + (x | id)"``: population terms as in formulaic, group terms in brackets;
        ``(terms | factor)`` with correlations, ``(terms || factor)`` without.
    data : DataFrame, dict of arrays, or path
        pandas, polars, pyarrow, a DuckDB relation, a dict, or a path to CSV, Parquet, Arrow or
        Feather, or ``file.duckdb::table``.
    family : {"gaussian"}
        Distribution of the response.
    pooling : {"partial", "complete", "none"} or mapping
        Partial: coefficients of the levels come from a common distribution; complete: they are
        the same; none: every level has its own, with fixed priors. With several grouping factors,
        a dict says it for each, as in ``{"id": "none"}``; the others are partial.
    priors : mapping, optional
        Priors by parameter name as the summary shows it, e.g. ``{"sd_id": pp.Uniform(0, 10)}``;
        the most specific key wins; the rest get default priors (see `default_priors`).
    method : {"auto", "marginal", "metropolis"}
        Engine; "metropolis" is the textbook's random walk, to compare with.
    se : str or array, optional
        Known standard error of every row: the residual sd is then not estimated.
    weights : str or array, optional
        Precision weights: the residual variance of a row is ``sigma² / weight``.
    offset : str or array, optional
        Added to the linear predictor.
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
    Fit

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
    from partialpool.data import open_table
    from partialpool.design import build_design
    from partialpool.formula import parse_formula

    began = time.perf_counter()
    check_pooling(pooling)
    plan = _plan(
        family=family,
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
    table = open_table(data)
    design = build_design(parse_formula(formula), table, weights=weights, offset=offset, se=se)
    return _fit_design(design, table.source, pooling, priors, plan, began)


def compare(
    formula: str,
    data: Any,
    *,
    truth: Any = None,
    priors: Mapping[str, Prior | str] | None = None,
    family: str = "gaussian",
    method: str = "auto",
    se: Any = None,
    weights: Any = None,
    offset: Any = None,
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
    family, method, se, weights, offset, chains, draws, warmup, seed, interval
        As in :func:`fit`.
    proposal_sd, threads, progress
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
    from partialpool.data import open_table
    from partialpool.design import build_design
    from partialpool.formula import parse_formula
    from partialpool.posterior.compare import Comparison, known_truth

    plan = _plan(
        family=family,
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
    table = open_table(data)
    design = build_design(parse_formula(formula), table, weights=weights, offset=offset, se=se)
    if not design.factors:
        raise InputError(
            f"`{formula}` has no group term, so there is nothing to pool",
            remedy="add one such as `(1 | group)`",
        )
    factor = design.factors[0]
    true = None if truth is None else known_truth(truth, factor)
    shared = _share_priors(priors, design, factor.name)
    fits = {
        pooling: _fit_design(
            design,
            table.source,
            {factor.name: pooling},
            shared[pooling],
            plan,
            time.perf_counter(),
        )
        for pooling in POOLINGS
    }
    return Comparison(fits, factor, true)


def _share_priors(
    priors: Mapping[str, Prior | str] | None, design: Design, factor: str
) -> dict[str, dict[str, Prior | str]]:
    """Give each pooling of a factor the priors of the parameters that it has."""
    from partialpool.model import known_keys, pool

    keys = {pooling: known_keys(pool(design, {factor: pooling}).design) for pooling in POOLINGS}
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


def _plan(
    *,
    family: str,
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
    from partialpool.engine import choose_method

    check_choice("family", family, FAMILIES)
    chosen = choose_method(method)
    check_counts(chains=chains, draws=draws, warmup=warmup, threads=threads)
    check_interval(interval)
    options: dict[str, Any] = {"chains": chains, "draws": draws, "warmup": warmup}
    options |= {"threads": threads or os.cpu_count() or 1, "progress": progress}
    options["seed"] = check_seed(seed)
    if chosen.method == "metropolis":
        options["proposal_sd"] = proposal_sd
    elif proposal_sd is not None:
        raise InputError(
            "`proposal_sd` is given", remedy='it belongs to method="metropolis"; leave it out'
        )
    return _Plan(chosen, float(interval), options)


class _Plan(NamedTuple):
    """The engine, the interval, and the engine's options."""

    chosen: Choice
    interval: float
    options: dict[str, Any]


def _fit_design(
    design: Design,
    source: str,
    pooling: Pooling,
    priors: Mapping[str, Prior | str] | None,
    plan: _Plan,
    began: float,
) -> Fit:
    """Design → model → engine → posterior."""
    from partialpool import engine
    from partialpool.model import build_model, pool
    from partialpool.posterior.findings import design_findings, run_findings

    pooled = pool(design, pooling)
    model = build_model(pooled, priors)
    run = engine.run(plan.chosen, model, **plan.options)
    provenance = Provenance(
        source=source,
        n_rows=design.n_rows,
        n_dropped=design.n_dropped,
        method=plan.chosen.method,
        method_reason=plan.chosen.reason,
        interval=plan.interval,
        seconds=time.perf_counter() - began,
        versions=_versions(),
    )
    fit = Fit(model, run, provenance, design_findings(pooled, model))
    fit.findings += run_findings(model, run, fit.judged_summary)
    return fit


def default_priors(
    formula: str, data: Any, *, se: Any = None, weights: Any = None, offset: Any = None
) -> dict[str, Prior]:
    """Give the default prior of every parameter of a model, with its numbers.

    Parameters
    ----------
    formula, data, se, weights, offset
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
    from partialpool.data import open_table
    from partialpool.design import build_design
    from partialpool.formula import parse_formula

    design = build_design(
        parse_formula(formula), open_table(data), weights=weights, offset=offset, se=se
    )
    return model.default_priors(design)


def _versions() -> dict[str, str]:
    import platform

    import numpy as np

    from partialpool import __version__

    return {
        "partialpool": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
    }
