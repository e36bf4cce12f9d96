"""`partialpool compare`: a model under complete, no and partial pooling."""

from __future__ import annotations

from typing import Annotated, Any

import typer

import partialpool
from partialpool.cli import options
from partialpool.cli.codes import judged
from partialpool.cli.files import check_targets, read_table
from partialpool.cli.options import MODEL, READING, SAMPLING, taking
from partialpool.cli.output import report
from partialpool.errors import InputError


@taking(*READING, "priors", *MODEL, *SAMPLING)
def compare_command(
    data: options.Data,
    formula: options.Formula,
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
    **given: Any,
) -> int:
    """Fit a model under complete, no and partial pooling, side by side."""
    if choose is not None and plot is None:
        raise InputError("`--choose` is given without `--plot`", remedy="name the figure's file")
    figure = check_targets(data, {"--plot": plot})["--plot"]
    if figure is not None:
        from partialpool.plots import check_path

        check_path(figure)
    table = read_table(data, given)
    comparison = partialpool.compare(formula, table, truth=truth, factor=factor, **given)
    if figure is not None:
        from partialpool.plots import save

        pair = None if choose is None else tuple(part.strip() for part in choose.split(","))
        save(comparison.plot.shrinkage(pair), figure)  # type: ignore[arg-type]
    report(comparison.page, as_json, *([] if figure is None else [f"Figure: {plot}"]))
    return judged(finding for _, finding in comparison.findings)
