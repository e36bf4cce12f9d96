"""Save a fit in one NetCDF file and bring it back. No pickle; a damaged file never loads."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from partialpool import _core
from partialpool.engine import GroupDraws, Run
from partialpool.errors import InputError
from partialpool.model import Group, Model, Reduced
from partialpool.model.priors import PRIORS, Prior
from partialpool.model.standardise import Standardisation
from partialpool.posterior.findings import Finding
from partialpool.posterior.fit import Fit, Provenance

if TYPE_CHECKING:
    import h5netcdf

FORMAT = 2
MODEL_FACTS = (
    "formula",
    "response",
    "family",
    "link",
    "pooling",
    "columns",
    "sigma_formula",
    "recipe",
)
GROUP_FACTS = ("name", "factor", "terms", "pairs", "predictor")
# Levels apart: they may be of any kind. Then draws of the group. Arrays that are None are left out.
GROUP_ARRAYS = ("counts", "T", "base", "back", "estimable", "known_sd", "bounds")
GROUP_DRAWS = ("sd", "cor", "coef")
STATS = ("diverging", "energy", "lp", "tree_depth")  # those that an engine has


def save_fit(fit: Fit, path: str | os.PathLike[str]) -> None:
    """Write a fit to a temporary name and rename it, so that no half file is ever seen.

    Raises
    ------
    InputError
        If the path cannot be written.
    """
    import h5netcdf

    path = Path(path)
    if path.exists() and not path.is_file():
        raise InputError(f"`{path}` is not an ordinary file", remedy="choose another path")
    try:
        handle, temporary = tempfile.mkstemp(suffix=".part", prefix=path.name, dir=path.parent)
        os.close(handle)
    except OSError as error:
        raise InputError(
            f"`{path}` cannot be written ({error.strerror})", remedy="choose another folder"
        ) from None
    try:
        with h5netcdf.File(temporary, "w") as file:
            _write(file, fit)
        # A temporary file is private; the result is like any file of the user.
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
    except OSError as error:
        raise InputError(
            f"`{path}` cannot be written ({error.strerror or error})", remedy="choose another path"
        ) from None
    finally:
        Path(temporary).unlink(missing_ok=True)


def load(path: str | os.PathLike[str]) -> Fit:
    """Load a fit that :meth:`Fit.save` wrote.

    Raises
    ------
    InputError
        If the file is missing, damaged, or not a fit.
    """
    import h5py

    path = Path(path)
    if not path.is_file():
        raise InputError(f"there is no file `{path}`")
    try:
        # h5py, because a damaged file leaves h5netcdf unable even to close it.
        with h5py.File(path, "r") as file:
            meta = json.loads(str(file.attrs.get("partialpool", "null")))
            if not isinstance(meta, dict):
                raise InputError(f"`{path}` is not a partialpool fit")
            if meta["format"] > FORMAT:
                raise InputError(
                    f"`{path}` was written by partialpool {meta['version']}",
                    remedy="upgrade partialpool to read it",
                )
            if meta["format"] < FORMAT:
                raise InputError(
                    f"`{path}` was written by an older version of partialpool and cannot be read",
                    remedy="fit again, and save the fit",
                )
            arrays = {name: np.asarray(v[()]) for name, v in file.items() if not _is_dimension(v)}
            if _digest(arrays) != meta["digest"]:
                raise InputError(f"`{path}` is damaged", remedy="save the fit again")
            return _read(arrays, json.loads(_texts(arrays["meta"])[0]))
    except InputError:
        raise
    except Exception as error:  # whatever a damaged file makes the reader do
        raise InputError(
            f"`{path}` is damaged or not a partialpool fit ({type(error).__name__})",
            remedy="save the fit again",
        ) from None


def _write(file: h5netcdf.File, fit: Fit) -> None:
    model, run = fit.model, fit.run
    arrays: dict[str, NDArray[Any]] = {
        "b": run.b,
        "centre": model.standardisation.centre,
        "scale": model.standardisation.scale,
        **{name: np.asarray(values) for name, values in run.stats.items()},
        **{f"scalar{k}": values for k, values in enumerate(run.scalars.values())},
    }
    if run.working is not None:
        arrays["working"] = run.working
    reduced: dict[str, Any] | None = None
    if model.reduced is not None:
        r, b, w, n_rows = model.reduced.data.parts()
        arrays |= {"reduced_r": r, "reduced_b": b, "reduced_w": w}
        reduced = {"order": model.reduced.order, "n_rows": n_rows}
    groups = []
    for k, (group, drawn) in enumerate(zip(model.groups, run.groups, strict=True)):
        kind, arrays[f"group{k}_levels"] = _encode_levels(group.levels)
        parts = {name: getattr(group, name) for name in GROUP_ARRAYS}
        parts |= {name: getattr(drawn, name) for name in GROUP_DRAWS}
        arrays |= {f"group{k}_{name}": x for name, x in parts.items() if x is not None}
        groups.append({name: getattr(group, name) for name in GROUP_FACTS} | {"kind": kind})
    meta = {
        "groups": groups,
        "scalars": list(run.scalars),
        "reduced": reduced,
        "model": {name: getattr(model, name) for name in MODEL_FACTS},
        "categories": [c if isinstance(c, (bool, int, str)) else str(c) for c in model.categories],
        "known_errors": model.known_errors,
        "n_rows": model.n_rows,
        "y_centre": model.standardisation.y_centre,
        "intercept": model.standardisation.intercept,
        "priors": {name: _encode_prior(prior) for name, prior in model.priors.items()},
        "run": {
            "method": run.method,
            # JSON readers elsewhere may round integers beyond 2⁵³
            "seed": str(run.seed),
            "warmup": run.warmup,
            "step_size": run.step_size,
            "acceptance_rate": run.acceptance_rate,
            "seconds_warmup": run.seconds_warmup,
            "seconds_sampling": run.seconds_sampling,
            "interrupted": run.interrupted,
            "failures": run.failures,
        },
        "provenance": asdict(fit.provenance),
        "findings": [asdict(finding) for finding in fit.findings],
    }
    # As a variable: attributes are limited to 64 KiB.
    arrays["meta"] = np.array(json.dumps(meta), dtype=object)
    stored = {name: v.astype(np.int8) if v.dtype == bool else v for name, v in arrays.items()}
    for name, values in stored.items():
        _put(file, name, values)
    version = fit.provenance.versions["partialpool"]
    head = {"format": FORMAT, "version": version, "digest": _digest(stored)}
    file.attrs["partialpool"] = json.dumps(head)


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
        digest.update("\0".join(_texts(values)).encode() if text else values.tobytes())
    return digest.hexdigest()


def _texts(values: NDArray[Any]) -> list[str]:
    """Strings of an array of any shape, however the reader gives them."""
    return [x.decode() if isinstance(x, bytes) else str(x) for x in values.ravel().tolist()]


def _put(file: h5netcdf.File, name: str, values: NDArray[Any]) -> None:
    dims = tuple(f"{name}_{k}" for k in range(values.ndim))
    for dim, size in zip(dims, values.shape, strict=True):
        file.dimensions[dim] = size
    if values.dtype == object:
        import h5py

        variable = file.create_variable(name, dims, h5py.string_dtype())
    else:
        variable = file.create_variable(name, dims, values.dtype)
    if values.size:
        variable[...] = values


def _read(arrays: dict[str, NDArray[Any]], meta: dict[str, Any]) -> Fit:
    standardisation = Standardisation(
        arrays["centre"], arrays["scale"], meta["intercept"], meta["y_centre"]
    )
    reduced = None
    if meta["reduced"] is not None:
        data = _core.CrossProducts.from_parts(
            arrays["reduced_r"], arrays["reduced_b"], arrays["reduced_w"], meta["reduced"]["n_rows"]
        )
        reduced = Reduced(data, tuple(meta["reduced"]["order"]))
    facts = meta["model"]
    model = Model(
        **facts | {"columns": tuple(facts["columns"])},
        categories=tuple(meta["categories"]),
        groups=tuple(_read_group(arrays, k, facts) for k, facts in enumerate(meta["groups"])),
        priors={name: _decode_prior(spec) for name, spec in meta["priors"].items()},
        standardisation=standardisation,
        known_errors=meta["known_errors"],
        n_rows=meta["n_rows"],
        reduced=reduced,
        core=None,
    )
    record = meta["run"]
    stats = {name: arrays[name] for name in STATS if name in arrays}
    if "diverging" in stats:
        stats["diverging"] = stats["diverging"].astype(bool)
    run = Run(
        method=record["method"],
        seed=int(record["seed"]),
        warmup=record["warmup"],
        b=arrays["b"],
        groups=tuple(
            GroupDraws(**_parts(arrays, k, GROUP_DRAWS)) for k in range(len(model.groups))
        ),
        scalars={name: arrays[f"scalar{k}"] for k, name in enumerate(meta["scalars"])},
        working=arrays.get("working"),
        stats=stats,
        step_size=tuple(record["step_size"]),
        acceptance_rate=tuple(record["acceptance_rate"]),
        seconds_warmup=record["seconds_warmup"],
        seconds_sampling=record["seconds_sampling"],
        interrupted=record["interrupted"],
        failures=tuple(record["failures"]),
    )
    findings = [Finding(**finding) for finding in meta["findings"]]
    return Fit(model, run, Provenance(**meta["provenance"]), findings)


def _read_group(arrays: dict[str, NDArray[Any]], k: int, facts: dict[str, Any]) -> Group:
    parts = _parts(arrays, k, GROUP_ARRAYS)
    parts["estimable"] = np.asarray(parts["estimable"], dtype=bool)
    return Group(
        name=facts["name"],
        factor=facts["factor"],
        terms=tuple(facts["terms"]),
        levels=_decode_levels(facts["kind"], arrays[f"group{k}_levels"]),
        pairs=tuple((i, j) for i, j in facts["pairs"]),
        predictor=facts["predictor"],
        **parts,
    )


def _parts(arrays: dict[str, NDArray[Any]], k: int, names: Sequence[str]) -> dict[str, Any]:
    """Arrays of the group at position k by name; None for those that it does not have."""
    return {name: arrays.get(f"group{k}_{name}") for name in names}


def _encode_prior(prior: Prior) -> list[Any]:
    return [type(prior).__name__, *(getattr(prior, f.name) for f in fields(prior))]


def _decode_prior(spec: list[Any]) -> Prior:
    return PRIORS[spec[0]](*spec[1:])


def _encode_levels(levels: NDArray[Any]) -> tuple[str, NDArray[Any]]:
    """Levels as something NetCDF holds, and how to get them back as they were."""
    if levels.dtype == bool:
        return "bool", levels.astype(np.int8)
    if levels.dtype.kind == "M":
        return str(levels.dtype), levels.astype(np.int64)
    if levels.dtype.kind in "iuf":
        return "number", levels
    if all(isinstance(level, str) for level in levels.tolist()):
        return "string", levels.astype(object)
    texts = [json.dumps(level) for level in levels.tolist()]
    return "json", np.array(texts, dtype=object)


def _decode_levels(kind: str, stored: NDArray[Any]) -> NDArray[Any]:
    if kind == "bool":
        return stored.astype(bool)
    if kind.startswith("datetime64"):
        return stored.astype(kind)
    if kind == "number":
        return stored
    texts = _texts(stored)
    levels = np.empty(len(texts), dtype=object)
    levels[:] = texts if kind == "string" else [json.loads(text) for text in texts]
    return levels
