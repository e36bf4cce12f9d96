"""`partialpool fit`: one model, its table, and files that may be asked for."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

import partialpool
from partialpool.cli import options
from partialpool.cli.codes import judged
from partialpool.cli.figures import (
    PlotFile,
    PlotsFolder,
    check_figure,
    check_folder,
    drawn_words,
    main_figure,
    tried,
    write_figure,
    write_figures,
)
from partialpool.cli.files import check_targets, read_table, write_coefficients
from partialpool.cli.options import MODEL, READING, SAMPLING, taking
from partialpool.cli.output import report, say
from partialpool.engine import MAXIMISED
from partialpool.errors import InputError
from partialpool.posterior.estimate import Estimate
from partialpool.posterior.fit import Fit
from partialpool.starting import INTERRUPTED
from partialpool.tables.saving import check_ending
from partialpool.words.estimate import estimate_page


@taking(*READING, "priors", "pooling", *MODEL, *SAMPLING, "start", "one_pass", "quadrature")
def fit_command(
    data: options.Data,
    formula: options.Formula,
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
    coefficients: options.CoefficientsFile = None,
    plot: PlotFile = None,
    plots: PlotsFolder = None,
    table: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Write the table as papers show it: .docx, .html, .tex, .md, .csv."
        ),
    ] = None,
    confint: Annotated[
        bool,
        typer.Option("--confint", help="Intervals by profile likelihood, of reml and ml."),
    ] = False,
    as_json: options.Json = False,
    **given: Any,
) -> int:
    """Fit a hierarchical model to a table and print what it says.

    Exit code 0: done; 1: the fit should not be used (a finding of level error); 2: bad input;
    130: interrupted.
    """
    _check_method(given["method"], {"--out": out, "--plot": plot, "--plots": plots}, confint)
    if rows is not None and out is None:
        shown = "--rows" if rows else "--no-rows"
        raise InputError(f"`{shown}` is given without `--out`", remedy="name the file, or leave it")
    asked = {"--out": out, "--coefficients": coefficients, "--table": table, "--plot": plot}
    targets = check_targets(data, asked)
    check_figure(targets["--plot"])
    folder = check_folder(plots)
    if table is not None:
        check_ending(table, "--table")
    try:
        fit = partialpool.fit(formula, read_table(data, given), **given)
    except KeyboardInterrupt:  # before any draw was kept; later, the fit holds what there was
        say("interrupted", sys.stderr)
        return INTERRUPTED
    failed = tried(_writers(fit, targets, folder, rows=rows is not False))
    page = estimate_page(fit, fit.confint()) if confint and isinstance(fit, Estimate) else fit.page
    report(page, as_json, *drawn_words(plot, plots))
    if failed:
        raise failed[0]
    return judged(fit.findings)


def _check_method(method: str, files: Mapping[str, str | None], confint: bool) -> None:
    """Refuse what only posteriors have, and what only maxima of likelihoods have."""
    if method not in MAXIMISED:
        if confint:
            raise InputError(
                f"`--confint` is given with `--method {method}`, and it is of likelihoods",
                remedy="use `--method reml`, or leave it out: the table has intervals",
            )
        return
    if files["--out"] is not None:
        raise InputError(
            f"`--out` is given with `--method {method}`, and it saves posteriors",
            remedy="leave it out, or use `--json`, `--coefficients` or `--table`",
        )
    for option in ("--plot", "--plots"):
        if files[option] is not None:
            raise InputError(
                f"`{option}` is given with `--method {method}`, and it draws posteriors",
                remedy="leave one of them out",
            )


def _writers(
    fit: Fit | Estimate, targets: Mapping[str, Path | None], folder: Path | None, *, rows: bool
) -> list[Callable[[], object]]:
    """What writes the files that were asked for."""
    found: list[Callable[[], object]] = []
    coefficients, out, plot = (targets[name] for name in ("--coefficients", "--out", "--plot"))
    table = targets["--table"]
    if out is not None and isinstance(fit, Fit):
        found.append(partial(fit.save, out, rows=rows))
    if coefficients is not None:
        found.append(partial(write_coefficients, fit, coefficients))
    if table is not None:
        found.append(lambda: partialpool.table(fit).save(table))
    if plot is not None and isinstance(fit, Fit):
        found.append(lambda: write_figure(main_figure(fit.plot.all()), plot))
    if folder is not None and isinstance(fit, Fit):
        found.append(lambda: write_figures(fit.plot.all(), folder))
    return found
