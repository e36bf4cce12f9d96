"""`partialpool effects`: what a predictor does on average, from a saved fit."""

from __future__ import annotations

import re
import sys
from typing import Annotated, Any, cast

import typer

import partialpool
from partialpool.cli import options
from partialpool.cli.codes import DONE
from partialpool.cli.files import read_table
from partialpool.cli.options import READING, taking
from partialpool.cli.output import own_words, say, say_json
from partialpool.errors import InputError
from partialpool.words.table import plain

AVERAGED = ("offset", "exposure", "trials", "weights")


@taking(*READING, *AVERAGED)
def effects_command(
    fit: options.Saved,
    by: Annotated[str, typer.Argument(metavar="PREDICTOR", help="A column of the formula.")],
    at: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN=VALUE,VALUE",
            help="Values of the predictor, or one of another column; may be repeated.  [default: "
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
    table = read_table(data or "", given)
    frame = saved.effects(
        by,
        _values(at or [], by),
        groups=cast(Any, groups),
        kind=cast(Any, kind),
        interval=interval,
        data=None if data is None else table,
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
    """Read ``x=0,1``: a list for the predictor, one value for other columns.

    Examples
    --------
    >>> _values(["x=0,1.5", "arm=new"], "x")
    {'x': [0, 1.5], 'arm': 'new'}
    """
    found: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.rpartition("=")
        if not equals or not name or not value or name in found:
            raise InputError(
                f"`--at {text}` is not of the form column=value, or names a column again",
                remedy="write it like --at x=0,1",
            )
        found[name] = [_value(one) for one in value.split(",")] if name == by else _value(value)
    return found or None


def _value(text: str) -> int | float | str:
    """Take a number where a text is one as it stands; ``007`` is a label."""
    text = text.strip()
    if not re.fullmatch(r"-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?", text):
        return text
    return int(text) if text.lstrip("-").isdigit() else float(text)
