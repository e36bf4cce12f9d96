"""`partialpool compare`: a model under complete, no and partial pooling."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

import typer

import partialpool
from partialpool.cli import options
from partialpool.cli.codes import judged
from partialpool.cli.figures import (
    PlotsFolder,
    check_figure,
    check_folder,
    drawn_words,
    write_figure,
    write_figures,
)
from partialpool.cli.files import check_targets, read_table
from partialpool.cli.options import MODEL, READING, SAMPLING, taking
from partialpool.cli.output import report
from partialpool.errors import InputError


@taking(*READING, "priors", *MODEL, *SAMPLING, "one_pass")
def compare_command(
    data: options.Data,
    formula: options.Formula,
    plot: Annotated[
        str | None,
        typer.Option(metavar="FILE.png", help="Draw the estimates under each pooling."),
    ] = None,
    plots: PlotsFolder = None,
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
    if choose is not None and plot is None and plots is None:
        raise InputError("`--choose` is given without `--plot`", remedy="name the figure's file")
    figure = check_targets(data, {"--plot": plot})["--plot"]
    check_figure(figure)
    folder = check_folder(plots)
    table = read_table(data, given)
    comparison = partialpool.compare(formula, table, truth=truth, factor=factor, **given)
    pair: Any = None if choose is None else tuple(part.strip() for part in choose.split(","))
    shrinkage = partial(comparison.plot.shrinkage, pair)
    if figure is not None:
        write_figure(shrinkage, figure)
    if folder is not None:
        write_figures(comparison.plot.all() | {"shrinkage": shrinkage}, folder)
    report(comparison.page, as_json, *drawn_words(plot, plots))
    return judged(finding for _, finding in comparison.findings)
