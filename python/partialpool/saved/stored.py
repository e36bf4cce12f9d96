"""Arrays ⇄ one NetCDF file, of which nothing is read before it was checked.

A file may say that it holds more than it does: shapes without values, values that compress a
thousandfold, texts that are one text many times, links to other files. Each array is held to what
this package writes, and all of them to the size of the file and the memory of the machine.
"""

from __future__ import annotations

import io
import json
import os
import re
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from partialpool.errors import InputError
from partialpool.memory import NUMBER, SHARE, machine_memory

if TYPE_CHECKING:
    import h5netcdf
    import h5py

Arrays = Mapping[str, NDArray[Any]]

HEAD = "partialpool"  # the attribute with format, version and digest
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
MOST_DIMS = 4
NUMBERS = "iuf"  # kinds of numbers; truth values are kept as integers
DEFLATE = 1  # the filter that rows are written with
HIGHEST_RATIO = 1100  # of which it is capable (1032), and what small chunks add
TEXT = np.dtype([("length", "<u4"), ("heap", "V12")])  # a text where an array has it


class DamagedError(Exception):
    """A file that this package has not written, or not like that."""


def pack(arrays: Arrays, **head: Any) -> memoryview:
    """Give the bytes of a file with these arrays."""
    import h5netcdf

    head["digest"] = fingerprint(arrays)
    buffer = io.BytesIO()
    with h5netcdf.File(buffer, "w") as file:
        for name, values in arrays.items():
            _put(file, name, values)
        file.attrs[HEAD] = json.dumps(head)
    return buffer.getbuffer()


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


def read_head(file: h5py.File) -> dict[str, Any] | None:
    """What a file says of itself; None where it is not one of ours."""
    if HEAD not in file.attrs:
        return None
    if file.attrs.get_id(HEAD).shape != ():
        raise DamagedError("head")
    head = json.loads(str(file.attrs[HEAD]))
    known = isinstance(head, dict) and {"format", "version"} <= set(head)
    if not known or type(head["format"]) is not int:
        raise DamagedError("head")
    return dict(head)


def read_arrays(file: h5py.File, path: Path, head: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """Read all arrays, once all of them were checked.

    Raises
    ------
    DamagedError
        If they are not what this package writes.
    InputError
        If they do not fit into memory.
    """
    import h5py

    if file.userblock_size:
        raise DamagedError("user block")
    found: dict[str, h5py.Dataset] = {}
    for name in file:
        if not NAME.fullmatch(name) or not isinstance(file.get(name, getlink=True), h5py.HardLink):
            raise DamagedError(name)
        member = file[name]
        if not isinstance(member, h5py.Dataset):
            raise DamagedError(name)
        if not _is_dimension(member):
            found[name] = member
    size, available = 0, os.path.getsize(path)
    text = 0
    with open(path, "rb") as raw:
        for name, dataset in found.items():
            length = _check(name, dataset, raw)
            text += length
            size += dataset.size * (int(NUMBER) if length else dataset.dtype.itemsize)
    # Every text is in the file for itself.
    if text > available:
        raise DamagedError("texts")
    # Read, compared with the fingerprint, and made into the fit.
    needed = 2.5 * (size + 60 * text)
    if needed > SHARE * machine_memory():
        raise InputError(
            f"`{path}` needs {needed / 1e9:,.0f} GB to load, and this machine has "
            f"{machine_memory() / 1e9:,.0f} GB",
            remedy="load it on a larger machine, or fit again with fewer draws",
        )
    arrays = {name: np.asarray(dataset[()]) for name, dataset in found.items()}
    if fingerprint(arrays) != head.get("digest"):
        raise DamagedError("digest")
    return arrays


def _is_dimension(dataset: h5py.Dataset) -> bool:
    """Whether an HDF5 object is a NetCDF dimension without values of its own."""
    if "NAME" not in dataset.attrs or dataset.attrs.get_id("NAME").shape != ():
        return False
    return bytes(dataset.attrs["NAME"]).startswith(b"This is a netCDF dimension")


def _check(name: str, dataset: h5py.Dataset, raw: io.BufferedReader) -> int:
    """Hold an array to what this package writes; returns the length of its texts in bytes."""
    import h5py

    text = h5py.check_string_dtype(dataset.dtype)
    plan = dataset.id.get_create_plist()
    filters = [plan.get_filter(k)[0] for k in range(plan.get_nfilters())]
    plain = dataset.dtype.kind in NUMBERS and dataset.dtype.itemsize <= NUMBER
    variable = text is not None and text.length is None
    if (
        not (plain or variable)
        or not dataset.dtype.isnative
        or dataset.shape is None
        or len(dataset.shape) > MOST_DIMS
        or dataset.external
        or dataset.is_virtual
        or not set(filters) <= {DEFLATE}
    ):
        raise DamagedError(name)
    size = dataset.size * (TEXT.itemsize if variable else dataset.dtype.itemsize)
    if not size:
        return 0
    stored = dataset.id.get_storage_size()
    if dataset.chunks is None:
        if stored != size:
            raise DamagedError(name)
    else:
        chunks = [-(-n // c) for n, c in zip(dataset.shape, dataset.chunks, strict=True)]
        ratio = HIGHEST_RATIO if filters else 1
        if dataset.id.get_num_chunks() != np.prod(chunks) or size > ratio * stored + 1000:
            raise DamagedError(name)
    return _text_length(name, dataset, raw) if variable else 0


def _text_length(name: str, dataset: h5py.Dataset, raw: io.BufferedReader) -> int:
    """How long the texts of an array are together, by what the array says of each."""
    total = 0
    if dataset.chunks is None:
        start = dataset.id.get_offset()
        if start is None:
            raise DamagedError(name)
        raw.seek(start)
        return _lengths(name, raw.read(dataset.size * TEXT.itemsize), dataset.size)
    count = int(np.prod(dataset.chunks))
    for k in range(dataset.id.get_num_chunks()):
        place = dataset.id.get_chunk_info(k)
        raw.seek(place.byte_offset)
        content = raw.read(place.size)
        if not place.filter_mask:
            content = zlib.decompressobj().decompress(content, count * TEXT.itemsize + 1)
        total += _lengths(name, content, count)
    return total


def _lengths(name: str, content: bytes, count: int) -> int:
    if len(content) != count * TEXT.itemsize:
        raise DamagedError(name)
    return int(np.frombuffer(content, TEXT)["length"].sum(dtype=np.uint64))


def texts(values: NDArray[Any]) -> list[str]:
    """Strings of an array of any shape, however the reader gives them."""
    return [x.decode() if isinstance(x, bytes) else str(x) for x in values.ravel().tolist()]


def fingerprint(arrays: Arrays) -> str:
    """Digest of everything in the file: numbers that changed unnoticed would be believed."""
    import hashlib

    digest = hashlib.sha256()
    for name in sorted(arrays):
        values = arrays[name]
        text = values.dtype.kind in "OSUT"
        kind = "text" if text else values.dtype.str
        digest.update(f"{name} {kind} {values.shape}\n".encode())
        if text:
            digest.update("\0".join(texts(values)).encode())
        else:
            values = values if values.ndim else values[None]
            step = max(1, 10_000_000 // max(values[:1].nbytes, 1))
            for first in range(0, len(values), step):
                digest.update(values[first : first + step].tobytes())
    return digest.hexdigest()
