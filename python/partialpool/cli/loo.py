"""`partialpool loo`: how well saved fits predict what they have not seen."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

import partialpool
from partialpool.checks import check_whole
from partialpool.cli import options
from partialpool.cli.codes import DONE
from partialpool.cli.files import load_fits
from partialpool.cli.output import report


def loo_command(
    fits: options.SavedFits,
    by: Annotated[
        str | None,
        typer.Option(metavar="FACTOR", help="Leave out levels of this grouping factor, not rows."),
    ] = None,
    kfold: Annotated[
        int | None,
        typer.Option(
            metavar="K", help="Fit again without each of so many parts, in place of reweighting."
        ),
    ] = None,
    names: options.Names = None,
    as_json: options.Json = False,
) -> int:
    """Score predictions of rows, or levels, by a fit that has not seen them; several are ranked.

    Nothing is written: the file of a fit stays as it is.
    """
    if kfold is not None:
        check_whole("--kfold", kfold, 2)
    loaded = load_fits(fits, names)
    if len(loaded) > 1:
        report(partialpool.compare_fits(loaded, by=by, k=kfold).page, as_json)
        return DONE
    fit = next(iter(loaded.values()))
    score = fit.loo(by) if kfold is None else fit.kfold(kfold, by)
    page = replace(score.page, formula=fit.formula)
    report(replace(page, facts={"formula": fit.formula, **page.facts}), as_json)
    return DONE
