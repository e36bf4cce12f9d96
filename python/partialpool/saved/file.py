"""Save a fit in one NetCDF file and bring it back. No pickle; a damaged file never loads."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, TypeVar

from partialpool.checks import check_flag
from partialpool.draws.posterior import Posterior
from partialpool.errors import InputError
from partialpool.memory import check_memory
from partialpool.paths import as_path, existing_file, unreachable
from partialpool.saved.record import read_fit, write_fit
from partialpool.saved.stored import pack, read_arrays, read_head
from partialpool.writing import write_bytes

Kind = TypeVar("Kind", bound=Posterior)

FORMAT = 4
OLDEST = 2  # of 0.1.0, without rows and held-out scores; 3 of 0.1.0 with them


def save(fit: Posterior, path: str | os.PathLike[str], *, rows: bool = True) -> None:
    """Save the fit in one NetCDF file, from which :func:`partialpool.load` brings it back.

    Parameters
    ----------
    path : str or path
        Where to; an older file is replaced once the new one is whole.
    rows : bool
        Whether to keep the rows that were fitted (the columns of the formula), which
        :meth:`check`, :meth:`sensitivity`, :meth:`loo` and :meth:`kfold` need, and
        :meth:`predict` and :meth:`effects` where they are given no others. Without them the
        file holds parameters, names of levels, and the scores that :meth:`loo` and
        :meth:`kfold` gave before.

    Raises
    ------
    InputError
        If the path cannot be written.
    """
    check_flag("rows", rows)
    path = as_path(path)
    if os.path.exists(path) and not os.path.isfile(path):
        raise InputError(f"`{path}` is not an ordinary file", remedy="choose another path")
    # Made in memory: the library that makes the file does not survive a full disk.
    arrays = write_fit(fit, rows=rows)
    numbers = sum(values.size for values in arrays.values())
    remedy = "save on a larger machine, or fit with fewer draws"
    check_memory(1, numbers, what="numbers", copies=2.2, remedy=remedy)
    content = pack(arrays, format=FORMAT, version=fit.provenance.versions["partialpool"])
    write_bytes(path, content)


def read(path: str | os.PathLike[str], kind: type[Kind]) -> Kind:
    """Load what :func:`save` wrote, as this kind of posterior.

    Raises
    ------
    InputError
        If the file is missing, damaged, or not a fit.
    """
    import h5py

    path = existing_file(
        as_path(path),
        remedy="check the path, or save a fit there first",
        inside="give the path of a saved fit in it",
    )
    if not os.path.isfile(path):  # opening a pipe would wait for somebody to write
        raise InputError(f"`{path}` is not an ordinary file", remedy="give the path of a saved fit")
    try:
        with open(path, "rb") as file:
            file.read(1)
    except OSError as error:
        raise unreachable(path, error, "read") from None
    try:
        # h5py, because a damaged file leaves h5netcdf unable even to close it.
        with h5py.File(path, "r") as file:
            head = read_head(file)
            if head is None:
                raise InputError(f"`{path}` is not a partialpool fit")
            _check_format(path, head)
            arrays = read_arrays(file, path, head)
        return read_fit(arrays, kind)
    except InputError:
        raise
    except Exception as error:  # whatever a damaged file makes the reader do
        if not h5py.is_hdf5(path):
            raise InputError(
                f"`{path}` is damaged or not a partialpool fit",
                remedy="give a file that `fit.save` or `partialpool fit --out` wrote",
            ) from None
        raise InputError(
            f"`{path}` is damaged or not a partialpool fit ({type(error).__name__})",
            remedy="save the fit again",
        ) from None


def _check_format(path: Path, head: dict[str, Any]) -> None:
    if head["format"] > FORMAT:
        raise InputError(
            f"`{path}` was written by partialpool {head['version']}",
            remedy="upgrade partialpool to read it",
        )
    if head["format"] < OLDEST:
        raise InputError(
            f"`{path}` was written by an older version of partialpool and cannot be read",
            remedy="fit again, and save the fit",
        )
