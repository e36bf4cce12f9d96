"""Write a figure to a file, whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from partialpool.errors import InputError
from partialpool.paths import as_path
from partialpool.writing import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 200
# No date inside, so that the same figure gives the same file.
METADATA: dict[str, dict[str, Any]] = {
    ".png": {},
    ".svg": {"Date": None},
    ".pdf": {"CreationDate": None},
}


def check_path(path: str | os.PathLike[str]) -> Path:
    """Check that a figure can get this name, before any work is done for it.

    Raises
    ------
    InputError
        If the suffix is none of ``.png``, ``.svg`` and ``.pdf``.
    """
    checked = as_path(path)
    if checked.suffix.lower() not in METADATA:
        suffix = f"as `{checked.suffix}`" if checked.suffix else "without a suffix"
        raise InputError(
            f"a figure cannot be written {suffix} (`{checked}`)",
            remedy="end the name in .png, .svg or .pdf",
        )
    return checked


def save(fig: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure as PNG, SVG or PDF, by the suffix of its name.

    It is written to a temporary name and renamed, so that no half file is ever seen.

    Parameters
    ----------
    fig : Figure
        The figure.
    path : str or path
        Where to; an existing file is replaced.

    Raises
    ------
    InputError
        If the suffix is unknown or the path cannot be written.
    """
    path = check_path(path)
    with replacing(path) as temporary:
        write(fig, temporary, path.suffix.lower())


def write(fig: Figure, path: Path, suffix: str) -> None:
    """Write a figure as what the suffix says, whatever the file is called."""
    with path.open("wb") as file:
        fig.savefig(file, format=suffix[1:], dpi=DPI, facecolor="white", metadata=METADATA[suffix])
