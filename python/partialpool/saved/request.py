"""What was asked of a fit ↔ a record in JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import astuple

from partialpool.engine.options import SamplingOptions
from partialpool.priors import PRIORS, Prior
from partialpool.request import Kept, Request
from partialpool.saved.stored import DamagedError
from partialpool.spec import ModelOptions
from partialpool.words.table import plain

OPTIONS = {
    *ModelOptions.__annotations__,
    *SamplingOptions.__annotations__,
    *("pooling", "priors", "start"),
}
KEPT = "kept"


def write_request(request: Request | None) -> dict[str, Any] | None:
    """Give what JSON holds of a request; functions are not kept."""
    if request is None:
        return None
    options = {name: _written(value) for name, value in request.options.items()}
    return {"formula": request.formula, "options": options}


def read_request(record: Any) -> Request | None:
    """Return the request that :func:`write_request` was given; None in files of earlier versions.

    Raises
    ------
    DamagedError
        If it is none.
    """
    if record is None:
        return None
    if not isinstance(record, dict) or not isinstance(record.get("formula"), str):
        raise DamagedError("request")
    options = record.get("options")
    if not isinstance(options, dict) or set(options) - OPTIONS:
        raise DamagedError("request")
    found = {name: _kept(value) for name, value in options.items()}
    if "priors" in found:
        if not isinstance(found["priors"], dict):
            raise DamagedError("request")
        found["priors"] = {name: _prior(value) for name, value in found["priors"].items()}
    return Request(record["formula"], found)


def _written(value: Any) -> Any:
    if isinstance(value, Kept):
        return {KEPT: value.name}
    if isinstance(value, Prior):
        return [type(value).__name__, *astuple(value)]
    if isinstance(value, Mapping):
        return {str(name): _written(one) for name, one in value.items()}
    if callable(value):
        return {KEPT: Kept.NOTHING.name}
    return plain(value)


def _kept(value: Any) -> Any:
    if isinstance(value, dict) and set(value) == {KEPT} and value[KEPT] in Kept.__members__:
        return Kept[value[KEPT]]
    return value


def _prior(value: Any) -> Prior | str:
    if isinstance(value, str):
        return value
    if not isinstance(value, list) or not value or value[0] not in PRIORS:
        raise DamagedError("request")
    return PRIORS[value[0]](*value[1:])
