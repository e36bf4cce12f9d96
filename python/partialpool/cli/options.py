"""Arguments and options that commands share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from partialpool.errors import InputError

Data = Annotated[
    str,
    typer.Argument(
        metavar="DATA", help="CSV, Parquet, Arrow or Feather file, or file.duckdb::table."
    ),
]
Formula = Annotated[str, typer.Argument(metavar="FORMULA", help='Such as "y ~ x + (x | county)".')]
Priors = Annotated[
    list[str] | None,
    typer.Option(
        "--prior",
        metavar="NAME=PRIOR",
        help='Such as "sd_county=uniform(0, 10)", by the name that the table shows; '
        "may be repeated.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print a JSON object instead of a table.")]
Family = Annotated[str, typer.Option(help="Distribution of the response.")]
Method = Annotated[str, typer.Option(help="Engine: auto, marginal or metropolis.")]
StandardErrors = Annotated[
    str | None, typer.Option(metavar="COLUMN", help="Known standard error of every row.")
]
Weights = Annotated[
    str | None, typer.Option(metavar="COLUMN", help="Precision weights of the rows.")
]
Offset = Annotated[
    str | None, typer.Option(metavar="COLUMN", help="Added to the linear predictor.")
]
Chains = Annotated[int, typer.Option(help="Number of chains.")]
Draws = Annotated[int, typer.Option(help="Draws to keep of each chain.")]
Warmup = Annotated[int, typer.Option(help="Warm-up draws of each chain.")]
Seed = Annotated[
    int | None, typer.Option(help="Same seed, same draws.  [default: random, and shown]")
]
Interval = Annotated[float, typer.Option(help="Mass of the intervals.")]
ProposalSd = Annotated[
    float | None,
    typer.Option("--proposal-sd", help="Sd of the steps of metropolis.  [default: 0.1]"),
]
Threads = Annotated[
    int | None, typer.Option(help="Chains at a time.  [default: one for each core]")
]
ShowProgress = Annotated[
    bool | None,
    typer.Option(
        "--progress/--no-progress",
        help="Show progress.  [default: in a terminal, on runs longer than a second]",
    ),
]


def protected(arguments: list[str]) -> list[str]:
    """Put a blank before a formula that starts with a minus, so that it is not an option.

    Examples
    --------
    >>> protected(["fit", "d.csv", "-1 + y ~ x", "--seed", "-1"])
    ['fit', 'd.csv', ' -1 + y ~ x', '--seed', '-1']
    """
    return [
        f" {argument}"
        if "~" in argument and argument.startswith("-") and not argument.startswith("--")
        else argument
        for argument in arguments
    ]


def read_priors(texts: Sequence[str]) -> dict[str, str]:
    """Split ``name=prior`` at the first ``=`` outside brackets and backticks.

    Examples
    --------
    >>> read_priors(["b[C(x, base=1)]=normal(0, 1)", "sigma = exponential(2)"])
    {'b[C(x, base=1)]': 'normal(0, 1)', 'sigma': 'exponential(2)'}
    """
    priors: dict[str, str] = {}
    for text in texts:
        position = _equals_sign(text)
        name, prior = text[:position].strip(), text[position + 1 :].strip()
        if position < 0 or not name or not prior:
            raise InputError(
                f"`--prior {text}` is not of the form name=prior",
                remedy='write it like --prior "sigma=exponential(2)"',
            )
        if name in priors:
            raise InputError(f"`--prior` is given twice for `{name}`", remedy="give it once")
        priors[name] = prior
    return priors


def _equals_sign(text: str) -> int:
    depth, quoted = 0, False
    for position, character in enumerate(text):
        if character == "`":
            quoted = not quoted
        elif quoted:
            continue
        elif character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
        elif character == "=" and depth == 0:
            return position
    return -1
