"""`partialpool fit`: one model, its table, and files that may be asked for."""

from __future__ import annotations

import sys
from functools import partial
from typing import Annotated, Any, cast

import typer

import partialpool
from partialpool.cli import options
from partialpool.cli.codes import judged
from partialpool.cli.files import check_targets, read_table, write_coefficients
from partialpool.cli.output import report, say
from partialpool.engine import MAXIMISED
from partialpool.errors import InputError
from partialpool.interrupt import INTERRUPTED
from partialpool.posterior.fit import Fit


def fit_command(
    data: options.Data,
    formula: options.Formula,
    prior: options.Priors = None,
    na: options.NA = None,
    decimal: options.Decimal = None,
    text: options.AsText = None,
    encoding: options.Encoding = None,
    out: Annotated[
        str | None,
        typer.Option(metavar="FILE.nc", help="Save the fit, for predict, check and pp.load."),
    ] = None,
    rows: Annotated[
        bool | None,
        typer.Option(
            "--rows/--no-rows",
            help="Whether `--out` keeps the rows; `check` needs them.  [default: rows]",
        ),
    ] = None,
    coefficients: Annotated[
        str | None,
        typer.Option(metavar="FILE.csv", help="Write the coefficients of every group level."),
    ] = None,
    as_json: options.Json = False,
    family: options.Family = "gaussian",
    link: options.Link = None,
    pooling: Annotated[
        str,
        typer.Option(
            help="How group coefficients relate: partial, complete or none; where factors differ, "
            "such as id=none,item=partial."
        ),
    ] = "partial",
    method: options.Method = "auto",
    sigma: options.SigmaFormula = None,
    se: options.StandardErrors = None,
    weights: options.Weights = None,
    offset: options.Offset = None,
    exposure: options.Exposure = None,
    trials: options.Trials = None,
    chains: options.Chains = None,
    draws: options.Draws = None,
    warmup: options.Warmup = None,
    seed: options.Seed = None,
    interval: options.Interval = 0.95,
    proposal_sd: options.ProposalSd = None,
    start: options.Start = None,
    threads: options.Threads = None,
    progress: options.ShowProgress = None,
) -> int:
    """Fit a hierarchical model to a table and print what it says.

    Exit code 0: done; 1: the fit should not be used (a finding of level error); 2: bad input;
    130: interrupted.
    """
    priors = options.read_priors(prior or [])
    if out is not None and method in MAXIMISED:
        raise InputError(
            f"`--out` is given with `--method {method}`, and it saves posteriors",
            remedy="leave it out, or use `--json` or `--coefficients`",
        )
    if rows is not None and out is None:
        shown = "--rows" if rows else "--no-rows"
        raise InputError(f"`{shown}` is given without `--out`", remedy="name the file, or leave it")
    targets = check_targets(data, {"--out": out, "--coefficients": coefficients})
    try:
        fit = partialpool.fit(
            formula,
            read_table(data, na, decimal, text, encoding),
            family=cast(Any, family),
            link=cast(Any, link),
            pooling=cast(Any, options.read_pooling(pooling)),
            priors=priors,
            method=cast(Any, method),
            sigma=sigma,
            se=se,
            weights=weights,
            offset=offset,
            exposure=exposure,
            trials=options.read_trials(trials),
            chains=chains,
            draws=draws,
            warmup=warmup,
            seed=seed,
            interval=interval,
            proposal_sd=proposal_sd,
            start=options.read_start(start or []),
            threads=threads,
            progress=progress,
        )
    except KeyboardInterrupt:  # before any draw was kept; later, the fit holds what there was
        say("interrupted", sys.stderr)
        return INTERRUPTED
    # A file that cannot be written after all must not cost the user the table.
    failed: list[InputError] = []
    saver = partial(fit.save, rows=rows is not False) if isinstance(fit, Fit) else None
    writers = (saver, partial(write_coefficients, fit))
    for target, write in zip(targets.values(), writers, strict=True):
        if target is not None and write is not None:
            try:
                write(target)
            except InputError as error:
                failed.append(error)
    report(fit.page, as_json)
    if failed:
        raise failed[0]
    return judged(fit.findings)
