"""`partialpool show`: a saved fit, as `fit` printed it."""

from __future__ import annotations

from typing import Annotated

import typer

import partialpool
from partialpool.cli import options
from partialpool.cli.codes import judged
from partialpool.cli.figures import PlotsFolder, check_folder, drawn_words, write_figures
from partialpool.cli.files import check_targets, write_coefficients
from partialpool.cli.output import report


def show_command(
    fit: options.Saved,
    coefficients: Annotated[
        str | None,
        typer.Option(metavar="FILE.csv", help="Write the coefficients of every group level."),
    ] = None,
    plots: PlotsFolder = None,
    as_json: options.Json = False,
) -> int:
    """Print a saved fit again: model, estimates, findings.

    Exit code 0: done; 1: the fit should not be used (a finding of level error); 2: bad input.
    """
    target = check_targets(fit, {"--coefficients": coefficients}, what="fit")["--coefficients"]
    folder = check_folder(plots)
    saved = partialpool.load(fit)
    if target is not None:
        write_coefficients(saved, target)
    if folder is not None:
        write_figures(saved.plot.all(), folder)
    report(saved.page, as_json, *drawn_words(None, plots))
    return judged(saved.findings)
