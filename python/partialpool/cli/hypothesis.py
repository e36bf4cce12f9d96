"""`partialpool hypothesis`: how probable statements about the parameters of a saved fit are."""

from __future__ import annotations

from typing import Annotated

import typer

import partialpool
from partialpool.cli import options
from partialpool.cli.codes import judged
from partialpool.cli.output import report
from partialpool.errors import InputError


def hypothesis_command(
    fit: options.Saved,
    texts: Annotated[
        list[str],
        typer.Argument(
            metavar="HYPOTHESIS",
            help='Such as "b[x] > 0", "sd_id[x] < sd_id[Intercept]" or "exp(b[x])"; several.',
        ),
    ],
    rope: Annotated[
        str | None,
        typer.Option(
            metavar="R|LOW,HIGH",
            help="Region of practical equivalence: what difference is as good as none.",
        ),
    ] = None,
    interval: Annotated[
        float | None,
        typer.Option(help="Mass of the intervals.  [default: that of the fit]"),
    ] = None,
    as_json: options.Json = False,
) -> int:
    """Ask how probable hypotheses about parameters are, and how large the differences."""
    region = None if rope is None else read_rope(rope)
    asked = [text.strip() for text in texts]
    found = partialpool.load(fit).hypothesis(*asked, rope=region, interval=interval)
    report(found.page, as_json)
    return judged(found.findings)


def read_rope(text: str) -> float | tuple[float, float]:
    """Take one number, or two with a comma between.

    Examples
    --------
    >>> read_rope("0.1"), read_rope("-0.1, 0.2")
    (0.1, (-0.1, 0.2))
    """
    try:
        ends = [float(part) for part in text.split(",")]
    except ValueError:
        ends = []
    if len(ends) not in (1, 2):
        raise InputError(
            f"`--rope {text}` is neither a number nor two",
            remedy="write it like `--rope 0.1` or `--rope=-0.1,0.2`",
        )
    return ends[0] if len(ends) == 1 else (ends[0], ends[1])
