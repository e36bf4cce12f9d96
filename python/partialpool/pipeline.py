"""From a table as its formula sees it to a posterior, or to the maximum of its likelihood."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np
from msgspec.structs import asdict, replace

from partialpool import engine
from partialpool.draws.posterior import Posterior, Provenance
from partialpool.engine.exact import check_likelihood
from partialpool.engine.integrable import is_closed
from partialpool.engine.options import Asked
from partialpool.engine.rounds import Rounds
from partialpool.errors import NeedsRowsError
from partialpool.finding import Finding
from partialpool.findings.approximate import approximate_findings
from partialpool.findings.data import design_findings
from partialpool.findings.dispersion import overdispersion
from partialpool.findings.maximum import estimate_findings
from partialpool.findings.priors import prior_conflicts
from partialpool.findings.run import Judge, run_findings, too_few
from partialpool.likelihood import (
    Maximum,
    build_generalised,
    build_likelihood,
    check_maximised,
    maximise,
    maximise_generalised,
)
from partialpool.model import Model, Pooled
from partialpool.model.pooling import Pooling
from partialpool.priors import Prior
from partialpool.progress import RowProgress
from partialpool.request import Request, requested
from partialpool.spec import OnePass, Posed, Spec, pose
from partialpool.version import __version__

Kind = TypeVar("Kind", bound=Posterior)
Estimated = TypeVar("Estimated")
Made = TypeVar("Made")
MakeEstimate = Callable[[Model, Maximum, Provenance, list[Finding], Pooled, Request], Estimated]
Priors = Mapping[str, Prior | str]

_PASSED = "; the table was read in one pass, and its rows were not kept"


def pose_for(
    spec: Spec, source: Any, how: Asked, one_pass: bool | None, *, large: bool = False
) -> Posed:
    """Read a table, in one pass where that is asked for, or it is large and the model allows it.

    Parameters
    ----------
    large : bool
        Whether to take any table for a large one.

    Raises
    ------
    InputError
        If formula, data, family and roles cannot be used together.
    """
    with RowProgress(how.sampling.progress) as rows:
        watch = rows.update if rows.is_wanted else None
        return pose(spec, source, OnePass(one_pass, _walks(how.method), watch, large))


def unless_rows(
    posed: Posed, source: Any, one_pass: bool | None, make: Callable[[Posed], Made]
) -> Made:
    """Make something of a table; of all its rows where those of one pass turn out not to do.

    Raises
    ------
    NeedsRowsError
        If one pass was asked for.
    """
    try:
        return make(posed)
    except NeedsRowsError:
        if one_pass or posed.design.condensed is None:
            raise
        return make(pose(posed.spec, source))


def _walks(method: str) -> str | None:
    """Say why an engine needs the rows of a table, if so."""
    if method in ("nuts", "metropolis"):
        return f'method="{method}" walks over single rows'
    return 'method="laplace" needs single rows' if method == "laplace" else None


def sampled(
    posed: Posed,
    pooling: Pooling,
    priors: Priors | None,
    how: Asked,
    began: float,
    kind: type[Kind],
) -> Kind:
    """Design → model → engine → posterior, of this kind.

    Raises
    ------
    InputError
        If priors or engine do not fit the model.
    """
    pooled = posed.pool(pooling)
    sampling = how.sampling
    judge = None
    if how.ess is not None:
        judge = Judge(_provenance(posed, "", "", how, began))
        rounds = Rounds(how.ess, judge)
        sampling = replace(sampling, draws=rounds.first(sampling.chains), rounds=rounds)
    model, run, reason = engine.sample(how.method, pooled, priors, sampling)
    if how.ess is not None:
        reason += f'; by draws="auto", each chain ended at {run.draws:,}'
    provenance = _provenance(posed, run.method, reason, how, began)
    asked = _request(posed, pooling, priors, how)
    fit = kind(model, run, provenance, design_findings(pooled, model), pooled.rows, asked)
    summary = fit.judged_summary if judge is None else judge.summary_of(fit)
    fit.findings += run_findings(model, run, summary, pooled)
    fit.findings += approximate_findings(model, run)
    if sampling.rounds is not None:
        fit.findings += too_few(summary, run, sampling.rounds)
    fit.findings += prior_conflicts(pooled, model, run)
    fit.findings += overdispersion(fit)
    return fit


def estimated(
    posed: Posed,
    pooling: Pooling,
    priors: Priors | None,
    how: Asked,
    began: float,
    kind: MakeEstimate[Estimated],
) -> Estimated:
    """Design → likelihood → maximum → estimate, of this kind.

    Raises
    ------
    InputError
        If the model has no such maximum.
    """
    pooled = posed.pool(pooling)
    check_maximised(how.method, pooled, priors, how.quadrature)
    if pooled.family.conjugate:
        check_likelihood(pooled, how.method)
    if is_closed(pooled):
        likelihood = build_likelihood(pooled, restricted=how.method == "reml")
        model, found = likelihood.model, maximise(likelihood)
    else:
        generalised = build_generalised(pooled, how.quadrature)
        model, found = generalised.model, maximise_generalised(generalised)
    findings = estimate_findings(pooled, model, found)
    provenance = _provenance(posed, how.method, "you asked for it", how, began)
    asked = _request(posed, pooling, priors, how)
    return kind(model, found, provenance, findings, pooled, asked)


def _request(posed: Posed, pooling: Pooling, priors: Priors | None, how: Asked) -> Request:
    options = {k: v for k, v in asdict(posed.spec).items() if k != "formula"}
    options |= {"pooling": pooling, "priors": priors or None, **how.given}
    return requested(posed.spec.formula, options)


def _provenance(posed: Posed, method: str, reason: str, how: Asked, began: float) -> Provenance:
    one_pass = posed.design.condensed is not None
    return Provenance(
        source=posed.source,
        n_rows=posed.design.n_rows,
        n_dropped=posed.design.n_dropped,
        method=method,
        method_reason=f"{reason}{_PASSED * one_pass}",
        interval=how.interval,
        seconds=time.perf_counter() - began,
        versions={
            "partialpool": __version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
        },
        roles=posed.roles,
        one_pass=one_pass,
    )
