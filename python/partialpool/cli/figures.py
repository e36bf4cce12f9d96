"""Figures that a command writes: their names checked before sampling, written all or none."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from partialpool.cli.files import make_folder
from partialpool.errors import InputError
from partialpool.writing import replacing, unwritable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Draws = Mapping[str, Callable[[], "Figure"]]
"""Figures by name, each drawn when called."""

PlotFile = Annotated[
    str | None,
    typer.Option(
        "--plot",
        metavar="FILE.png",
        help="Draw the levels or, without, the coefficients.",
    ),
]
PlotsFolder = Annotated[
    str | None,
    typer.Option("--plots", metavar="DIR", help="Folder for all figures that there are."),
]


def check_figure(path: Path | None) -> None:
    """Refuse, before any work, a name that no figure can get.

    Raises
    ------
    InputError
        If its ending is none of .png, .svg and .pdf.
    """
    if path is not None:
        from partialpool.plots import check_path

        check_path(path)


def check_folder(text: str | None) -> Path | None:
    """Make the folder for figures, before any work, and see that it can be written to.

    Raises
    ------
    InputError
        If it cannot be made or written to.
    """
    if text is None:
        return None
    folder = make_folder(text)
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise unwritable(folder, error) from None
    return folder


def write_figures(draws: Draws, folder: Path, suffix: str = ".png") -> list[Path]:
    """Write figures into a folder under their names: all of them, or none.

    Parameters
    ----------
    draws : mapping
        Such as what `fit.plot.all()` gives.
    folder : path
        Which is there.
    suffix : {".png", ".svg", ".pdf"}
        What they are written as.

    Returns
    -------
    list of Path
        The files, in the order of the figures.

    Raises
    ------
    InputError
        If one of them cannot be drawn or written.
    """
    from partialpool.drawing.files import write

    paths: list[Path] = []
    with ExitStack() as stack:
        for name, draw in draws.items():
            path = folder / f"{file_name(name, [one.stem for one in paths])}{suffix}"
            write(draw(), stack.enter_context(replacing(path)), suffix)
            paths.append(path)
    return paths


def file_name(name: str, taken: Collection[str] = ()) -> str:
    """Make a name that every system takes for a file, and that no other figure has.

    Examples
    --------
    >>> file_name("effects-log(x) / z"), file_name("Größe"), file_name("a:b", ["a_b"])
    ('effects-log_x_z', 'Größe', 'a_b-2')
    """
    plain = re.sub(r"[^\w.-]+", "_", name).strip("_.")[:80] or "figure"
    lower, tried, count = {one.lower() for one in taken}, plain, 1
    while tried.lower() in lower:
        count += 1
        tried = f"{plain}-{count}"
    return tried


def main_figure(draws: Draws) -> Callable[[], Figure]:
    """Give the first, which shows most.

    Raises
    ------
    InputError
        If there is none.
    """
    for draw in draws.values():
        return draw
    raise InputError("there is nothing to draw", remedy="leave `--plot` out")


def write_figure(draw: Callable[[], Figure], path: Path) -> None:
    """Draw a figure and write it as its ending says.

    Raises
    ------
    InputError
        If it cannot be drawn or written.
    """
    from partialpool.plots import save

    save(draw(), path)


def tried(writers: Iterable[Callable[[], object]]) -> list[InputError]:
    """Write each, and return what went wrong: that must not cost the user the table."""
    failed = []
    for write in writers:
        try:
            write()
        except InputError as error:
            failed.append(error)
    return failed


def drawn_words(plot: str | None, plots: str | None = None) -> list[str]:
    """Say where figures are."""
    return [f"{name}: {path}" for name, path in (("Figure", plot), ("Figures", plots)) if path]
