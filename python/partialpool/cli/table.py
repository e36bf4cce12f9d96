"""`partialpool table`: saved fits side by side."""

from __future__ import annotations

from typing import Annotated, Any, cast

import typer

import partialpool
from partialpool.cli import options
from partialpool.cli.codes import judged
from partialpool.cli.files import check_targets, load_fits
from partialpool.cli.output import report
from partialpool.tables.saving import check_ending


def table_command(
    fits: options.SavedFits,
    out: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Write the table: .docx, .html, .tex, .md or .csv."),
    ] = None,
    exponentiate: Annotated[
        bool,
        typer.Option("--exponentiate", help="Show exp(b) where it is a ratio, as of odds."),
    ] = False,
    interval: Annotated[
        float | None,
        typer.Option(help="Mass of the intervals.  [default: that of each fit]"),
    ] = None,
    parameters: Annotated[
        list[str] | None,
        typer.Option(
            "--parameter",
            metavar="NAME",
            help="Only this one, such as b, sd_county or b[x]; may be repeated.",
        ),
    ] = None,
    statistics: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,NAME",
            help="What stands below: r2, icc, elpd, likelihood, rows, levels, family, pooling, "
            "engine, response.  [default: what there is]",
        ),
    ] = None,
    names: options.Names = None,
    labels: Annotated[
        list[str] | None,
        typer.Option("--label", metavar="NAME=TEXT", help="What a row is called; may be repeated."),
    ] = None,
    digits: Annotated[
        int | None, typer.Option(help="Decimals.  [default: two digits of the sd]")
    ] = None,
    layout: Annotated[
        str, typer.Option(help="Where intervals are: below the estimates, or beside them.")
    ] = "below",
    as_json: options.Json = False,
) -> int:
    """Put saved fits side by side, as papers show them.

    Exit code 0: done; 1: a fit should not be used (a finding of level error); 2: bad input.
    """
    if out is not None:
        check_ending(out, "--out")
    targets = [check_targets(fit, {"--out": out}, what="fit")["--out"] for fit in fits]
    called: dict[str, str] = {}
    for text in labels or []:
        options.add_pair(called, "--label", text, "name=text", '--label "b[x]=Age in years"')
    table = partialpool.table(
        load_fits(fits, names),
        exponentiate,
        interval,
        parameters=parameters or None,
        statistics=None if statistics is None else [one.strip() for one in statistics.split(",")],
        labels=called,
        digits=digits,
        layout=cast(Any, layout),
    )
    if out is not None and targets[0] is not None:
        table.save(targets[0])
    after = [] if out is None else [f"Table: {out}"]
    report(table.page, as_json, *after)
    return judged(finding for _, finding in table.findings)
