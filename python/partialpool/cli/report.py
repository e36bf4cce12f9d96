"""`partialpool report`: a saved fit, or a table and a formula, as one page of HTML."""

from __future__ import annotations

import inspect
import sys
from typing import Annotated, Any

import typer

import partialpool
from partialpool.cli.codes import judged
from partialpool.cli.files import check_targets, read_table
from partialpool.cli.options import MODEL, READING, SAMPLING, Json, taking
from partialpool.cli.output import own_words, say, say_json
from partialpool.data import open_table
from partialpool.engine import MAXIMISED
from partialpool.errors import InputError
from partialpool.formula import parse_formula
from partialpool.posterior.comparison import Comparison
from partialpool.posterior.fit import Fit
from partialpool.report.report import check_report
from partialpool.report.subject import MOST_ROWS
from partialpool.starting import INTERRUPTED

FITTING = (*READING, "priors", "pooling", *MODEL, *SAMPLING, "start")


@taking(*FITTING)
def report_command(
    source: Annotated[
        str,
        typer.Argument(metavar="FIT|DATA", help="A fit that was saved, or a table to be fitted."),
    ],
    formula: Annotated[
        str | None, typer.Argument(metavar="[FORMULA]", help="Of the fit; needed with a table.")
    ] = None,
    out: Annotated[str, typer.Option(metavar="FILE.html", help="The report.")] = "report.html",
    title: Annotated[str | None, typer.Option(help="Title of the report.")] = None,
    compare: Annotated[
        bool | None,
        typer.Option(
            "--compare/--no-compare",
            help="Fit complete and no pooling too, to show what pooling does.  [default: with a "
            f"group term, up to {MOST_ROWS} rows, unless --pooling or --start is given]",
        ),
    ] = None,
    as_json: Json = False,
    **given: Any,
) -> int:
    """Write a report that works offline, on paper and on a phone: answer, model, figures, methods.

    From a saved fit, or from a table and a formula, with the options of `fit`.
    """
    what = "fit" if formula is None else "data"
    target = check_targets(source, {"--out": out}, what=what)["--out"]
    assert target is not None
    check_report(target)
    try:
        found = (
            _saved(source, compare, given)
            if formula is None
            else _fitted(source, formula, compare, given)
        )
    except KeyboardInterrupt:
        say("interrupted", sys.stderr)
        return INTERRUPTED
    found.report(target, title)
    page = found.page
    if as_json:
        say_json({"report": out} | page.to_dict())
    else:
        say(out)
    if page.findings or not as_json:
        say(own_words(page.findings_text if as_json else f"\n{page.findings_text}"), sys.stderr)
    return judged(finding for _, finding in page.findings)


def _saved(source: str, compare: bool | None, given: dict[str, Any]) -> Fit:
    """Load a fit; nothing that is said of a fit to be made has a part in it."""
    usual = inspect.signature(partialpool.fit).parameters
    said = [
        name
        for name, value in given.items()
        if value and not (name in usual and value == usual[name].default)
    ]
    said += ["compare"] if compare is not None else []
    if said:
        option = "prior" if said[0] == "priors" else said[0].replace("_", "-")
        raise InputError(
            f"`--{option}` is about a fit to be made, and no formula is given",
            remedy="give the table and the formula, or leave it out",
        )
    return partialpool.load(source)


def _fitted(
    source: str, formula: str, compare: bool | None, given: dict[str, Any]
) -> Fit | Comparison:
    """Fit a table, under all poolings where that is asked for or soon done."""
    if source.lower().endswith(".nc"):
        raise InputError(
            f"a formula is given, but `{source}` is a saved fit, which has its own",
            remedy="leave the formula out, or name the table",
        )
    method = given["method"]
    if method in MAXIMISED:
        raise InputError(
            f"a report is about a posterior, and `--method {method}` gives one point",
            remedy="leave `--method` out to sample",
        )
    pooled = given["pooling"] != "partial"
    if compare and (pooled or given["start"]):
        option = "--pooling" if pooled else "--start"
        raise InputError(
            f"`{option}` is about one fit, and `--compare` makes three", remedy="give one of them"
        )
    table = open_table(read_table(source, given))
    alone = pooled or given["start"] or not parse_formula(formula).groups
    if compare is None:
        compare = not alone and table.n_rows <= MOST_ROWS
    if not compare:
        fit = partialpool.fit(formula, table, **given)
        assert isinstance(fit, Fit)
        return fit
    three = {name: value for name, value in given.items() if name not in ("pooling", "start")}
    return partialpool.compare(formula, table, **three)
