"""`partialpool demo`: the tutorial."""

from __future__ import annotations

from typing import Annotated

import typer

from partialpool.cli import options
from partialpool.cli.codes import DONE
from partialpool.cli.files import make_folder
from partialpool.cli.output import report
from partialpool.demo import run_demo


def demo_command(
    out: Annotated[
        str, typer.Option(metavar="DIR", help="Folder for the figure.")
    ] = "partialpool-demo",
    seed: Annotated[int, typer.Option(help="Same seed, same draws.")] = 1,
    as_json: options.Json = False,
) -> int:
    """Run the tutorial: two poolings by a textbook sampler and by the default engine."""
    report(run_demo(make_folder(out), seed), as_json)
    # The Metropolis fits fail on purpose, so their findings do not count here.
    return DONE
