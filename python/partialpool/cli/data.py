"""`partialpool data`: the bundled data sets as files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from partialpool import datasets
from partialpool.cli import options
from partialpool.cli.codes import DONE
from partialpool.cli.files import make_folder
from partialpool.cli.output import report, say, say_json
from partialpool.errors import InputError, did_you_mean
from partialpool.words.page import Page
from partialpool.words.table import ResultColumn, ResultTable
from partialpool.writing import replacing

# Files by data set, the table first.
BUNDLED = {
    "radon": ("radon_mn.csv",),
    "eight_schools": ("eight_schools.csv",),
    "individuals": ("individuals.csv", "individuals_truth.csv"),
}

DESCRIBED = {
    "radon": "radon in 919 homes of 85 Minnesota counties",
    "eight_schools": "effect of coaching in eight schools, with standard errors",
    "individuals": "five trials of each of 75 simulated individuals, and the truth about them",
}


def data_command(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help="radon, eight_schools or individuals."),
    ] = None,
    out: Annotated[str, typer.Option(metavar="DIR", help="Folder for the files.")] = ".",
    as_json: options.Json = False,
) -> int:
    """Write a bundled data set as CSV; without a name, list them."""
    if name is None:
        report(_listed(), as_json)
        return DONE
    files = [str(path) for path in _write(name, make_folder(out))]
    if as_json:
        say_json({"files": files})
    else:
        say("\n".join(files))
    return DONE


def _listed() -> Page:
    """Every data set with its files."""
    files = [", ".join(BUNDLED[name]) for name in BUNDLED]
    described = [DESCRIBED[name] for name in BUNDLED]
    columns = [
        ResultColumn("files", list(BUNDLED.values()), files, is_text=True),
        ResultColumn("description", described, described, is_text=True),
    ]
    return Page(table=ResultTable("name", list(BUNDLED), columns), rows="data_sets")


def _write(name: str, folder: Path) -> list[Path]:
    """Write a data set into a folder; files that are there already stay if they are the same.

    Raises
    ------
    InputError
        If there is no such data set, or a file of that name that is another.
    """
    name = name.replace("-", "_")
    if name not in BUNDLED:
        raise InputError(f"there is no data set `{name}`", remedy=did_you_mean(name, BUNDLED))
    paths = []
    for own in BUNDLED[name]:
        content = Path(datasets.__file__).with_name(own).read_bytes()
        path = folder / own
        if path.exists() and (not path.is_file() or path.read_bytes() != content):
            raise InputError(
                f"there is another `{path}` already", remedy="move it, or choose another `--out`"
            )
        with replacing(path) as temporary:
            temporary.write_bytes(content)
        paths.append(path)
    return paths
