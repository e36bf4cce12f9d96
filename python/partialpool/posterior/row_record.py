"""The rows that were fitted ↔ arrays, and a record in JSON of what the columns are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from partialpool.data import Column, Table
from partialpool.design import Design, build_design
from partialpool.formula import parse_formula, parse_predictor
from partialpool.model import Model, pool
from partialpool.model.families import FAMILIES

ROLES = ("weights", "offset", "se", "trials", "exposure")
# Kinds of columns whose values repeat: stored once, with codes.
REPEATED = ("string", "categorical")


def write_rows(design: Design, arrays: dict[str, NDArray[Any]]) -> dict[str, Any]:
    """Add the columns and roles of a design to arrays, and describe them.

    They are what the design was made of, which takes less room than what was made.
    """
    columns = []
    for k, column in enumerate(design.table.columns.values()):
        values = column.values
        if column.kind in REPEATED:
            values, codes = _distinct(values)
            arrays[f"rows_{k}_codes"] = codes
        stored, arrays[f"rows_{k}"] = encode_levels(values)
        facts = {name: getattr(column, name) for name in ("name", "kind", "categories", "ordered")}
        if column.texts is not None:
            found, codes = _distinct(column.texts)
            facts["texts"], arrays[f"rows_{k}_texts"] = encode_levels(found)
            arrays[f"rows_{k}_text_codes"] = codes
        columns.append(facts | {"stored": stored})
    own = {role: getattr(design, role) for role in ROLES}
    arrays |= {f"rows_{role}": values for role, values in own.items() if values is not None}
    arrays |= {"rows_positions": design.rows, "rows_dropped": design.dropped}
    return {
        "columns": columns,
        "n_zero_weight": design.n_zero_weight,
        "pooling": _pooling(design),
    }


def read_rows(
    arrays: Mapping[str, NDArray[Any]], record: Mapping[str, Any], model: Model
) -> Design:
    """Build the design that :func:`write_rows` was given."""
    rows, dropped = arrays["rows_positions"], arrays["rows_dropped"]
    columns = {
        facts["name"]: _column(arrays, k, facts, len(rows))
        for k, facts in enumerate(record["columns"])
    }
    family = FAMILIES[model.family]
    sigma = model.recipe["sigma"]
    design = build_design(
        parse_formula(model.recipe["formula"]),
        Table(columns, len(rows), "the rows that were fitted"),
        sigma=None if sigma is None else parse_predictor(sigma["formula"]),
        response=family.response,
        **{role: arrays.get(f"rows_{role}") for role in ROLES},
    )
    design = replace(
        design,
        y=family.settled(design.y),
        rows=rows,
        dropped=dropped,
        n_dropped=len(dropped),
        n_zero_weight=record["n_zero_weight"],
        recipe=dict(model.recipe),
    )
    return pool(design, record["pooling"], family, model.link).design


def _pooling(design: Design) -> dict[str, str]:
    """Give the pooling of every factor of the formula by what it left of the design."""
    left = {factor.name: "partial" if factor.pooled else "none" for factor in design.factors}
    names = [stored["name"] for stored in design.recipe["groups"]]
    return {name: left.get(name, "complete") for name in names}


def _distinct(values: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int32]]:
    """Values that occur, in the order of their first row, and the index of each row's own."""
    place: dict[Any, int] = {}
    codes = [place.setdefault(value, len(place)) for value in values.tolist()]
    found = np.empty(len(place), dtype=object)
    found[:] = list(place)
    return found, np.array(codes, dtype=np.int32)


def _column(arrays: Mapping[str, NDArray[Any]], k: int, facts: Mapping[str, Any], n: int) -> Column:
    values = decode_levels(facts["stored"], arrays[f"rows_{k}"])
    if facts["kind"] in REPEATED:
        values = values[arrays[f"rows_{k}_codes"]]
    categories = None if facts["categories"] is None else tuple(facts["categories"])
    missing = np.zeros(n, dtype=bool)
    texts_ = None
    if facts.get("texts") is not None:
        texts_ = decode_levels(facts["texts"], arrays[f"rows_{k}_texts"])
        texts_ = texts_[arrays[f"rows_{k}_text_codes"]]
    return Column(
        facts["name"], facts["kind"], values, missing, categories, facts["ordered"], texts_
    )


def texts(values: NDArray[Any]) -> list[str]:
    """Strings of an array of any shape, however the reader gives them."""
    return [x.decode() if isinstance(x, bytes) else str(x) for x in values.ravel().tolist()]


def _is_storable(text: str) -> bool:
    """Whether NetCDF can hold a text as it is: no NUL ends it early, and it has a UTF-8 form."""
    return "\0" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)


def encode_levels(levels: NDArray[Any]) -> tuple[str, NDArray[Any]]:
    """Levels as something NetCDF holds, and how to get them back as they were."""
    if levels.dtype == bool:
        return "bool", levels.astype(np.int8)
    if levels.dtype.kind == "M":
        return str(levels.dtype), levels.astype(np.int64)
    if levels.dtype.kind in "iuf":
        return "number", levels
    if all(isinstance(level, str) and _is_storable(level) for level in levels.tolist()):
        return "string", levels.astype(object)
    texts = [json.dumps(level) for level in levels.tolist()]
    return "json", np.array(texts, dtype=object)


def decode_levels(kind: str, stored: NDArray[Any]) -> NDArray[Any]:
    """Return the levels that :func:`encode_levels` was given."""
    if kind == "bool":
        return stored.astype(bool)
    if kind.startswith("datetime64"):
        return stored.astype(kind)
    if kind == "number":
        return stored
    found = texts(stored)
    levels = np.empty(len(found), dtype=object)
    levels[:] = found if kind == "string" else [json.loads(text) for text in found]
    return levels
