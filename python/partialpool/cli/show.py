"""`partialpool show`: a saved fit, as `fit` printed it."""

from __future__ import annotations

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
    write_figure,
    write_figures,
)
from partialpool.cli.files import check_targets, write_coefficients
from partialpool.cli.output import report


def show_command(
    fit: options.Saved,
    coefficients: options.CoefficientsFile = None,
    plot: PlotFile = None,
    plots: PlotsFolder = None,
    as_json: options.Json = False,
) -> int:
    """Print a saved fit again: model, estimates, findings.

    Exit code 0: done; 1: the fit should not be used (a finding of level error); 2: bad input.
    """
    targets = check_targets(fit, {"--coefficients": coefficients, "--plot": plot}, what="fit")
    table, figure = targets["--coefficients"], targets["--plot"]
    check_figure(figure)
    folder = check_folder(plots)
    saved = partialpool.load(fit)
    if table is not None:
        write_coefficients(saved, table)
    if figure is not None:
        write_figure(main_figure(saved.plot.all()), figure)
    if folder is not None:
        write_figures(saved.plot.all(), folder)
    report(saved.page, as_json, *drawn_words(plot, plots))
    return judged(saved.findings)
