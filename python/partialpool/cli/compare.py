"""`partialpool compare`: a model under complete, no and partial pooling."""

from __future__ import annotations

from typing import Annotated, Any, cast

import typer

import partialpool
from partialpool.cli import options
from partialpool.cli.codes import judged
from partialpool.cli.files import check_targets, read_table
from partialpool.cli.output import report
from partialpool.errors import InputError


def compare_command(
    data: options.Data,
    formula: options.Formula,
    prior: options.Priors = None,
    na: options.NA = None,
    decimal: options.Decimal = None,
    text: options.AsText = None,
    encoding: options.Encoding = None,
    plot: Annotated[
        str | None,
        typer.Option(metavar="FILE.png", help="Draw the estimates under each pooling."),
    ] = None,
    choose: Annotated[
        str | None,
        typer.Option(metavar="TERM,TERM", help="The two terms to draw, where there are more."),
    ] = None,
    as_json: options.Json = False,
    truth: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="True coefficients: the group and a column a term."),
    ] = None,
    factor: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="The grouping factor to compare for.  [default: the first]"
        ),
    ] = None,
    family: options.Family = "gaussian",
    link: options.Link = None,
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
    threads: options.Threads = None,
    progress: options.ShowProgress = None,
) -> int:
    """Fit a model under complete, no and partial pooling, side by side."""
    priors = options.read_priors(prior or [])
    if choose is not None and plot is None:
        raise InputError("`--choose` is given without `--plot`", remedy="name the figure's file")
    figure = check_targets(data, {"--plot": plot})["--plot"]
    if figure is not None:
        from partialpool.plots import check_path

        check_path(figure)
    comparison = partialpool.compare(
        formula,
        read_table(data, na, decimal, text, encoding),
        truth=truth,
        factor=factor,
        family=cast(Any, family),
        link=cast(Any, link),
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
        threads=threads,
        progress=progress,
    )
    if figure is not None:
        from partialpool.plots import save

        pair = None if choose is None else tuple(part.strip() for part in choose.split(","))
        save(comparison.plot.shrinkage(pair), figure)  # type: ignore[arg-type]
    report(comparison.page, as_json, *([] if figure is None else [f"Figure: {plot}"]))
    return judged(finding for _, finding in comparison.findings)
