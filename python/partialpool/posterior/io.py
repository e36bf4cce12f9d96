"""Save a fit in one NetCDF file and bring it back. No pickle; a damaged file never loads."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from partialpool.errors import InputError
from partialpool.paths import as_path, existing_file, unreachable
from partialpool.posterior.fit import Fit
from partialpool.posterior.record import read_fit, write_fit
from partialpool.posterior.row_record import texts
from partialpool.writing import replacing

if TYPE_CHECKING:
    import h5netcdf

FORMAT = 3
OLDEST = 2  # without rows and held-out scores


def save_fit(fit: Fit, path: str | os.PathLike[str], *, rows: bool) -> None:
    """Write a fit; see :meth:`Fit.save`.

    Raises
    ------
    InputError
        If the path cannot be written.
    """
    import h5netcdf

    path = as_path(path)
    if os.path.exists(path) and not os.path.isfile(path):
        raise InputError(f"`{path}` is not an ordinary file", remedy="choose another path")
    arrays = write_fit(fit, rows=rows)
    head = {
        "format": FORMAT,
        "version": fit.provenance.versions["partialpool"],
        "digest": _digest(arrays),
    }
    with replacing(path) as temporary, h5netcdf.File(temporary, "w") as file:
        for name, values in arrays.items():
            _put(file, name, values)
        file.attrs["partialpool"] = json.dumps(head)


def load(path: str | os.PathLike[str]) -> Fit:
    """Load a fit that :meth:`Fit.save` wrote.

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
    try:
        with open(path, "rb"):
            pass
    except OSError as error:
        raise unreachable(path, error, "read") from None
    try:
        # h5py, because a damaged file leaves h5netcdf unable even to close it.
        with h5py.File(path, "r") as file:
            head = json.loads(str(file.attrs.get("partialpool", "null")))
            if not isinstance(head, dict):
                raise InputError(f"`{path}` is not a partialpool fit")
            _check_format(path, head)
            arrays = {name: np.asarray(v[()]) for name, v in file.items() if not _is_dimension(v)}
        if _digest(arrays) != head["digest"]:
            raise InputError(f"`{path}` is damaged", remedy="save the fit again")
        return read_fit(arrays)
    except InputError:
        raise
    except Exception as error:  # whatever a damaged file makes the reader do
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


def _is_dimension(variable: Any) -> bool:
    """Whether an HDF5 object is a NetCDF dimension without values of its own."""
    return bytes(variable.attrs.get("NAME", b"")).startswith(b"This is a netCDF dimension")


def _digest(arrays: dict[str, NDArray[Any]]) -> str:
    """Fingerprint of everything in the file: numbers that changed unnoticed would be believed."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        values = arrays[name]
        text = values.dtype.kind in "OSUT"
        kind = "text" if text else values.dtype.str
        digest.update(f"{name} {kind} {values.shape}\n".encode())
        digest.update("\0".join(texts(values)).encode() if text else values.tobytes())
    return digest.hexdigest()


def _put(file: h5netcdf.File, name: str, values: NDArray[Any]) -> None:
    dims = tuple(f"{name}_{k}" for k in range(values.ndim))
    for dim, size in zip(dims, values.shape, strict=True):
        file.dimensions[dim] = size
    # Rows repeat themselves, draws do not.
    options = {"compression": "gzip"} if name.startswith("rows_") and values.size else {}
    if values.dtype == object:
        import h5py

        variable = file.create_variable(name, dims, h5py.string_dtype(), **options)
    else:
        variable = file.create_variable(name, dims, values.dtype, **options)
    if values.size:
        variable[...] = values
