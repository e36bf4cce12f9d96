"""Files that a command writes: checked before sampling, written whole or not at all."""

from __future__ import annotations

import csv
import math
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import partialpool
from partialpool.cli.options import READING
from partialpool.draws.posterior import COEFFICIENT_COLUMNS
from partialpool.errors import InputError
from partialpool.paths import STANDARD_INPUT, as_path, kind_of, resolved, shown
from partialpool.posterior.estimate import Estimate
from partialpool.posterior.fit import Fit
from partialpool.writing import replacing, unwritable

if TYPE_CHECKING:
    import pandas as pd


def check_targets(
    data: str, targets: Mapping[str, str | None], *, what: str = "data"
) -> dict[str, Path | None]:
    """Make sure before sampling that results can be written, so that no run is lost.

    Parameters
    ----------
    data : str
        The table, which must not be overwritten.
    targets : mapping
        Path by option.
    what : str
        What the table is called in messages.
    """
    paths: dict[str, Path | None] = {}
    for option, text in targets.items():
        if text is None:
            paths[option] = None
            continue
        path = as_path(text, option)
        if kind_of(path) in ("folder", "other"):
            remedy = "give the name of a file"
            raise InputError(f"`{option} {shown(text)}` is not a file", remedy=remedy)
        path = resolved(path)  # a link keeps its name, its target is written
        if data != STANDARD_INPUT and _is_read(path, data):
            remedy = "choose another name"
            raise InputError(f"`{option} {shown(text)}` would overwrite the {what}", remedy=remedy)
        twin = next((name for name, other in paths.items() if other == path), None)
        if twin is not None:
            remedy = "give each a name of its own"
            raise InputError(f"`{twin}` and `{option}` are both `{text}`", remedy=remedy)
        if kind_of(path.parent) != "folder":
            remedy = "make it first, or choose another"
            raise InputError(f"there is no folder for `{option} {text}`", remedy=remedy)
        try:
            with tempfile.TemporaryFile(dir=path.parent):
                pass
        except OSError as error:
            raise unwritable(path, error) from None
        paths[option] = path
    return paths


def _is_read(path: Path, data: str) -> bool:
    """Whether a path is the table, or among the files that make it up."""
    source = resolved(as_path(data.rsplit("::", 1)[0]))
    return path == source or (kind_of(source) == "folder" and source in path.parents)


def read_table(data: str, options: dict[str, Any]) -> Any:
    """Take from the options how to read a table; without a word it stays a path."""
    how = {name: options.pop(name) or None for name in READING}
    return data if not any(how.values()) else partialpool.read(data, **how)


def load_fits(paths: Sequence[str], names: Sequence[str] | None) -> dict[str, Fit]:
    """Load saved fits by name: those given, or those of their files.

    Raises
    ------
    InputError
        If a file is no fit, or names do not tell the fits apart.
    """
    called = list(names) if names else file_names(paths)
    if len(called) != len(paths):
        raise InputError(
            f"`--name` gives {_counted(len(called), 'name')} for {_counted(len(paths), 'fit')}",
            remedy="give it once for each, or leave it out",
        )
    twins = [name for name in called if called.count(name) > 1]
    if twins:
        raise InputError(
            f"two fits are called `{twins[0]}`", remedy="give each a name of its own with `--name`"
        )
    return {name: partialpool.load(path) for name, path in zip(called, paths, strict=True)}


def _counted(n: int, what: str) -> str:
    return f"{n} {what}{'s' if n != 1 else ''}"


def file_names(paths: Sequence[str]) -> list[str]:
    """Name files without folder and ending, unless that is the same for two of them.

    Examples
    --------
    >>> file_names(["a/one.nc", "b/two.nc"]), file_names(["a/fit.nc", "b/fit.nc"])
    (['one', 'two'], ['a/fit.nc', 'b/fit.nc'])
    """
    stems = [Path(path).stem for path in paths]
    return stems if len(set(stems)) == len(stems) else list(paths)


def make_folder(text: str) -> Path:
    """Make a folder, unless there is one.

    Raises
    ------
    InputError
        If it cannot be made.
    """
    folder = as_path(text)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = "a file has this name" if kind_of(folder) == "file" else error.strerror
        raise InputError(
            f"the folder `{text}` cannot be made ({reason})", remedy="choose another"
        ) from None
    return folder


def write_coefficients(fit: Fit | Estimate, path: Path) -> None:
    """Write what `Fit.coefficients` gives as CSV, without the second that pandas takes to import.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    with replacing(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COEFFICIENT_COLUMNS)
        for group, summary in zip(fit.model.groups, fit.level_summaries, strict=True):
            for level, n, rows in zip(group.levels, group.counts, summary, strict=True):
                for term, row in zip(group.terms, rows.tolist(), strict=True):
                    numbers = ["" if math.isnan(x) else repr(x) for x in row]
                    writer.writerow([group.name, str(level), term, int(n), *numbers])


def write_frame(frame: pd.DataFrame, path: Path) -> None:
    """Write the rows of a DataFrame as CSV.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    with replacing(path) as temporary:
        frame.to_csv(temporary, index=False, lineterminator="\n")
