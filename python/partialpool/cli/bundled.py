"""The bundled data sets as files: `partialpool data radon`."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from partialpool.errors import InputError, did_you_mean
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


def listed() -> str:
    """Every data set with its files, as text."""
    rows = [(name, ", ".join(BUNDLED[name]), DESCRIBED[name]) for name in BUNDLED]
    widths = [max(len(row[k]) for row in rows) + 2 for k in range(2)]
    return "\n".join(f"{a:<{widths[0]}}{b:<{widths[1]}}{c}" for a, b, c in rows)


def write_bundled(name: str, folder: Path) -> list[Path]:
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
        content = files("partialpool.datasets").joinpath(own).read_bytes()
        path = folder / own
        if path.exists() and (not path.is_file() or path.read_bytes() != content):
            raise InputError(
                f"there is another `{path}` already", remedy="move it, or choose another `--out`"
            )
        with replacing(path) as temporary:
            temporary.write_bytes(content)
        paths.append(path)
    return paths
