"""`partialpool check`: what a saved fit makes beside its data, and what its priors do."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from msgspec.structs import replace

import partialpool
from partialpool.cli import options
from partialpool.cli.codes import DONE
from partialpool.cli.figures import check_folder, write_figures
from partialpool.cli.output import own_words, say, say_json


def check_command(
    fit: options.Saved,
    plots: Annotated[
        str | None, typer.Option(metavar="DIR", help="Folder for the figures of the checks.")
    ] = None,
    draws: Annotated[int, typer.Option(help="Number of data sets that the model makes.")] = 1000,
    seed: Annotated[int, typer.Option(help="Same seed, same data sets.")] = 0,
    as_json: options.Json = False,
) -> int:
    """Compare the data of a saved fit with data that the model makes, and see what priors do."""
    folder = check_folder(plots)
    saved = partialpool.load(fit)
    found, owed = saved.check(draws=draws, seed=seed), saved.sensitivity()
    if folder is not None:
        write_figures({"check": saved.plot.check} | found.plot.all(), folder)
    facts = {"formula": saved.formula, "seed": seed}
    if as_json:
        say_json(facts | {"check": found.to_dict(), "sensitivity": owed.to_dict()})
        return DONE
    pages = (replace(found.page, formula=saved.formula), replace(owed.page, formula=""))
    say("\n\n".join(page.body for page in pages))
    say(f"\nseed {seed}, partialpool {partialpool.__version__}")
    if folder is not None:
        say(f"Figures: {plots}")
    say(own_words("\n" + "\n".join(page.findings_text for page in pages)), sys.stderr)
    return DONE
