"""`partialpool lrt`: whether the larger of two nested models is better, by their likelihoods."""

from __future__ import annotations

from typing import Annotated, Any, cast

import typer
from msgspec.structs import replace

import partialpool
from partialpool.cli import options
from partialpool.cli.codes import judged
from partialpool.cli.options import READING, ROLES, taking
from partialpool.cli.output import report
from partialpool.engine import MAXIMISED
from partialpool.engine.sample import Method
from partialpool.errors import InputError
from partialpool.finding import about_all
from partialpool.posterior.estimate import Estimate


@taking(*READING, "family", "link", "sigma", *ROLES, "quadrature")
def lrt_command(
    data: options.Data,
    formula: options.Formula,
    other: Annotated[
        str,
        typer.Argument(metavar="FORMULA", help="One with fewer terms, or with more."),
    ],
    method: Annotated[
        str, typer.Option(help="ml, or reml for models with the same population terms.")
    ] = "ml",
    as_json: options.Json = False,
    **given: Any,
) -> int:
    """Test whether the larger of two nested models is better, as R's anova does.

    Both are estimated without priors, from the same rows.
    Exit code 0: done; 1: an estimate should not be used (a finding of level error); 2: bad input.
    """
    if method not in MAXIMISED:
        raise InputError(
            f"`--method {method}` gives no maximum of a likelihood",
            remedy="use ml, or reml where population terms are the same",
        )
    how = {name: given.pop(name) or None for name in READING}
    table = partialpool.read(data, **how)  # once: standard input cannot be read again
    one, two = (
        partialpool.fit(text, table, method=cast(Method, method), **given)
        for text in (formula, other)
    )
    assert isinstance(one, Estimate)
    assert isinstance(two, Estimate)
    found = [
        (side.formula, finding) for side in (one, two) for _, finding in about_all(side.findings)
    ]
    report(replace(one.lrt(two).page, findings=found), as_json)
    return judged(finding for _, finding in found)
