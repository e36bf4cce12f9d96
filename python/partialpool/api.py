"""The public pipeline: data → formula → design → model → engine → posterior."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Mapping
from typing import Any

from partialpool.errors import InputError, did_you_mean
from partialpool.model.priors import Prior
from partialpool.posterior import Fit, Provenance

FAMILIES = ("gaussian",)


def fit(
    formula: str,
    data: Any,
    *,
    family: str = "gaussian",
    pooling: str = "partial",
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
    pooling : {"partial", "complete", "none"}
        Partial: coefficients of the levels come from a common distribution; complete: they are
        the same; none: every level has its own, with fixed priors.
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
    from partialpool import engine
    from partialpool.data import open_table
    from partialpool.design import build_design
    from partialpool.formula import parse_formula
    from partialpool.model import POOLINGS, build_model, pool
    from partialpool.posterior.findings import design_findings, run_findings
    from partialpool.posterior.fit import population_draws
    from partialpool.posterior.summary import summarise

    began = time.perf_counter()
    _check_choice("family", family, FAMILIES)
    _check_choice("pooling", pooling, POOLINGS)
    chosen = engine.choose_method(method)
    _check_counts(chains=chains, draws=draws, warmup=warmup, threads=threads)
    _check_interval(interval)
    if proposal_sd is not None and chosen.method != "metropolis":
        raise InputError(
            "`proposal_sd` is given", remedy='it belongs to method="metropolis"; leave it out'
        )
    seed = _check_seed(seed)

    terms = parse_formula(formula)
    table = open_table(data)
    design = build_design(terms, table, weights=weights, offset=offset, se=se)
    pooled = pool(design, pooling)
    model = build_model(pooled, priors)
    findings = design_findings(pooled, model)
    options: dict[str, Any] = {"chains": chains, "draws": draws, "warmup": warmup, "seed": seed}
    options |= {"threads": threads or os.cpu_count() or 1, "progress": progress}
    if chosen.method == "metropolis":
        run = engine.run_metropolis(model, proposal_sd=proposal_sd, **options)
    else:
        run = engine.run_marginal(model, **options)
    findings += run_findings(model, run, summarise(*population_draws(model, run), interval))
    return Fit(
        model,
        run,
        Provenance(
            source=table.source,
            n_rows=design.n_rows,
            n_dropped=design.n_dropped,
            method=chosen.method,
            method_reason=chosen.reason,
            interval=interval,
            seconds=time.perf_counter() - began,
            versions=_versions(),
        ),
        findings,
    )


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
    Exponential(0.09582)
    """
    from partialpool import model
    from partialpool.data import open_table
    from partialpool.design import build_design
    from partialpool.formula import parse_formula

    design = build_design(
        parse_formula(formula), open_table(data), weights=weights, offset=offset, se=se
    )
    return model.default_priors(design)


def _check_choice(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise InputError(f"unknown {name} `{value}`", remedy=did_you_mean(str(value), known))


def _check_counts(**counts: int | None) -> None:
    for name, value in counts.items():
        if name == "threads" and value is None:
            continue
        low = 0 if name == "warmup" else 1
        if isinstance(value, bool) or not hasattr(value, "__index__"):
            raise InputError(f"`{name}` is {value!r}", remedy="give a whole number")
        if int(value) < low:  # type: ignore[arg-type]
            raise InputError(f"`{name}` is {value}", remedy=f"give at least {low}")


def _check_interval(interval: float) -> None:
    if not isinstance(interval, (int, float)) or not 0 < interval < 1:
        raise InputError(
            f"`interval` is {interval!r}", remedy="give a number between 0 and 1, such as 0.95"
        )


def _check_seed(seed: int | None) -> int:
    if seed is None:
        return secrets.randbits(32)
    if isinstance(seed, bool) or not hasattr(seed, "__index__") or not 0 <= int(seed) < 2**64:
        raise InputError(f"`seed` is {seed!r}", remedy="give a whole number from 0 to 2**64 - 1")
    return int(seed)


def _versions() -> dict[str, str]:
    import platform

    import numpy as np

    from partialpool import __version__

    return {
        "partialpool": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
    }
