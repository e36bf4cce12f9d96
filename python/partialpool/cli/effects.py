"""`partialpool effects`: what a predictor does on average, from a saved fit."""

from __future__ import annotations

import csv
import re
import sys
from typing import Annotated, Any, cast

import typer

import partialpool
from partialpool.answers.predict import AverageRoles
from partialpool.cli import options
from partialpool.cli.codes import DONE
from partialpool.cli.files import read_table
from partialpool.cli.options import READING, taking
from partialpool.cli.output import own_words, say, say_json
from partialpool.errors import InputError
from partialpool.words.table import plain


@taking(*READING, *AverageRoles.__annotations__)
def effects_command(
    fit: options.Saved,
    by: Annotated[str, typer.Argument(metavar="PREDICTOR", help="A column of the formula.")],
    at: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN=VALUE,VALUE",
            help="Values of the predictor, as in a line of CSV, or one of another column; may be "
            "repeated.  [default: "
            "categories, or quartiles]",
        ),
    ] = None,
    groups: Annotated[
        str,
        typer.Option(help="integrate over the population of levels, or none: a level without."),
    ] = "integrate",
    kind: Annotated[
        str,
        typer.Option(help="mean: the response; probability of each category; linear predictor."),
    ] = "mean",
    interval: options.Interval = 0.95,
    data: Annotated[
        str | None,
        typer.Option(metavar="DATA", help="Rows to average over.  [default: those fitted]"),
    ] = None,
    as_json: options.Json = False,
    **given: Any,
) -> int:
    """Average what a fit predicts at values of a predictor: predictions, contrasts, slopes."""
    saved = partialpool.load(fit)
    if data is None:
        said = [name for name in READING if given.pop(name)]
        if said:
            remedy = "name the table, or leave it out"
            raise InputError(f"`--{said[0]}` is given without `--data`", remedy=remedy)
    frame = saved.effects(
        by,
        _values(at or [], by),
        groups=cast(Any, groups),
        kind=cast(Any, kind),
        interval=interval,
        data=None if data is None else read_table(data, given),
        **given,
    )
    if as_json:
        rows = {"rows": frame.to_dict("records")}
        say_json(plain({"formula": saved.formula} | {k: frame.attrs[k] for k in FACTS} | rows))
        return DONE
    say(saved.formula)
    say(f"Average over {frame.attrs['n_rows']} rows; levels {frame.attrs['groups']}.\n")
    say(frame.to_string(index=False, float_format=lambda x: f"{x:.4g}", na_rep=""))
    for note in frame.attrs["notes"]:
        say(own_words(f"note: {note}"), sys.stderr)
    return DONE


FACTS = ("by", "kind", "groups", "interval", "n_rows", "notes")


def _values(texts: list[str], by: str) -> dict[str, Any] | None:
    """Read ``x=0,1``: a list for the predictor, with quotes as in CSV; one value for other columns.

    Examples
    --------
    >>> _values(["x=0,1.5"], "x"), _values(['arm="a,b",c=d', "x=2"], "arm")
    ({'x': [0, 1.5]}, {'x': 2, 'arm': ['a,b', 'c=d']})
    """
    pairs: dict[str, str] = {}
    for text in texts:
        options.add_pair(pairs, "--at", text, "column=value", "--at x=0,1")
    found: dict[str, Any] = {name: _value(value) for name, value in pairs.items() if name != by}
    if by in pairs:
        found[by] = [_value(one) for one in next(csv.reader([pairs[by]]))]
    return found or None


def _value(text: str) -> int | float | str:
    """Take a number where a text is one as it stands; ``007`` is a label."""
    text = text.strip()
    if not re.fullmatch(r"-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?", text):
        return text
    return int(text) if text.lstrip("-").isdigit() else float(text)
