"""`partialpool predict`: rows of a table, from a saved fit."""

from __future__ import annotations

import sys
from typing import Annotated, Any, cast

import typer

import partialpool
from partialpool.answers.prediction_file import PredictionFile
from partialpool.cli import options
from partialpool.cli.codes import DONE
from partialpool.cli.files import check_targets, read_table
from partialpool.cli.options import READING, ROLES, taking
from partialpool.cli.output import own_words, say, say_json
from partialpool.words.table import plain

HELD = ("kind", "interval", "seed", "notes")


@taking(*READING, *ROLES)
def predict_command(
    fit: options.Saved,
    data: options.Data,
    kind: Annotated[
        str,
        typer.Option(
            help="mean: the expected response; observation: a new one; linear: its predictor."
        ),
    ] = "mean",
    new_levels: Annotated[
        str,
        typer.Option(
            "--new-levels",
            help="Levels never seen: sample from the population, take the population, or error.",
        ),
    ] = "sample",
    interval: options.Interval = 0.95,
    out: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Write the rows here, however many, not to stdout: .parquet, .csv or .feather.",
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Same seed, same numbers.  [default: that of the fit]")
    ] = None,
    as_json: options.Json = False,
    **given: Any,
) -> int:
    """Predict the rows of a table from a fit that was saved."""
    check_targets(fit, {"--out": out}, what="fit")
    target = check_targets(data, {"--out": out})["--out"]
    table, fitted = read_table(data, given), partialpool.load(fit)
    asked = {"kind": kind, "new_levels": new_levels, "interval": interval, "seed": seed}
    found = fitted.predict(table, out=target, **cast(Any, asked | given))
    rows = found.rows if isinstance(found, PredictionFile) else len(found)
    source = found.to_dict() if isinstance(found, PredictionFile) else found.attrs
    held = {name: source[name] for name in HELD}
    facts = (
        f"{kind} and {100 * interval:g}% interval of {rows} rows, seed {held['seed']}, "
        f"partialpool {partialpool.__version__}"
    )
    if as_json:
        if not isinstance(found, PredictionFile):
            held["rows"] = found.to_dict("records")
        say_json(plain(held))
    elif isinstance(found, PredictionFile):
        say(f"{facts}: {out}")
    else:
        say(found.to_string(index=False, float_format=lambda x: f"{x:.4g}", na_rep=""))
        say("")
        say(facts)
    for note in () if as_json else held["notes"]:
        say(own_words(f"note: {note}"), sys.stderr)
    return DONE
