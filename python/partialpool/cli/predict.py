"""`partialpool predict`: rows of a table, from a saved fit."""

from __future__ import annotations

import sys
from typing import Annotated, Any, cast

import typer

import partialpool
from partialpool.cli import options
from partialpool.cli.codes import DONE
from partialpool.cli.files import check_targets, read_table, write_frame
from partialpool.cli.options import READING, ROLES, taking
from partialpool.cli.output import own_words, say, say_json
from partialpool.words.table import plain


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
        str | None, typer.Option(metavar="FILE.csv", help="Write the rows here, not to stdout.")
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
    frame = partialpool.load(fit).predict(
        read_table(data, given),
        kind=cast(Any, kind),
        new_levels=cast(Any, new_levels),
        interval=interval,
        seed=seed,
        **given,
    )
    facts = (
        f"{kind} and {100 * interval:g}% interval of {len(frame)} rows, "
        f"seed {frame.attrs['seed']}, partialpool {partialpool.__version__}"
    )
    if target is not None:
        write_frame(frame, target)
    if as_json:
        held = {name: frame.attrs[name] for name in ("kind", "interval", "seed", "notes")}
        say_json(plain(held | {"rows": frame.to_dict("records")} if target is None else held))
    elif target is None:
        say(frame.to_string(index=False, float_format=lambda x: f"{x:.4g}", na_rep=""))
        say("")
        say(facts)
    else:
        say(f"{facts}: {out}")
    for note in () if as_json else frame.attrs["notes"]:
        say(own_words(f"note: {note}"), sys.stderr)
    return DONE
