"""`partialpool loo`: how well saved fits predict what they have not seen."""

from __future__ import annotations

import re
from typing import Annotated

import typer
from msgspec.structs import replace

import partialpool
from partialpool.checks import check_whole
from partialpool.cli import options
from partialpool.cli.codes import DONE
from partialpool.cli.files import load_fits
from partialpool.cli.output import report
from partialpool.errors import InputError
from partialpool.posterior.fit import Fit
from partialpool.words.page import Page


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
    try:
        page = _scored(loaded, by, kfold)
    except InputError as error:
        remedy = None if error.remedy is None else own_refits(error.remedy)
        raise InputError(error.what, where=error.where, remedy=remedy) from None
    found = [(name, replace(one, remedy=own_refits(one.remedy))) for name, one in page.findings]
    report(replace(page, findings=found), as_json)
    return DONE


def _scored(fits: dict[str, Fit], by: str | None, kfold: int | None) -> Page:
    if len(fits) > 1:
        return partialpool.compare_fits(fits, by=by, k=kfold).page
    fit = next(iter(fits.values()))
    page = (fit.loo(by) if kfold is None else fit.kfold(kfold, by)).page
    return replace(page, formula=fit.formula, facts={"formula": fit.formula, **page.facts})


def own_refits(text: str) -> str:
    """Let a text speak of refits as this command's option.

    Examples
    --------
    >>> own_refits('use `kfold(5)`, which takes five fits; kfold(by="county")')
    'use `--kfold 5`, which takes five fits; `--kfold 10 --by county`'
    """

    def option(match: re.Match[str]) -> str:
        by = f" --by {match[2]}" if match[2] else ""
        return f"`--kfold {match[1] or 10}{by}`"

    return re.sub(r'`?\bkfold\((\d*)(?:by="([^"]*)")?\)`?', option, text)
