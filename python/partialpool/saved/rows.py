"""The rows that were fitted ↔ arrays, and a record in JSON of what the columns are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from partialpool import called
from partialpool.data import Column, Table
from partialpool.design import Design
from partialpool.design.build import make_design, take_response
from partialpool.design.complete import complete_rows
from partialpool.design.legacy import is_upgraded
from partialpool.design.roles import ROLES
from partialpool.errors import InputError
from partialpool.model import Model, pool
from partialpool.model.scales import predictors
from partialpool.saved.stored import DamagedError, texts

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
        stored, arrays[f"rows_{k}"] = levels_to_array(values)
        facts = {name: getattr(column, name) for name in ("name", "kind", "categories", "ordered")}
        if column.texts is not None:
            found, codes = _distinct(column.texts)
            facts["texts"], arrays[f"rows_{k}_texts"] = levels_to_array(found)
            arrays[f"rows_{k}_text_codes"] = codes
        columns.append(facts | {"stored": stored})
    arrays |= {f"rows_{role}": values for role, values in design.roles.items()}
    arrays |= {"rows_positions": design.rows, "rows_dropped": design.dropped}
    return {
        "columns": columns,
        "n_zero_weight": design.n_zero_weight,
        "pooling": _pooling(design),
    }


def read_rows(
    arrays: Mapping[str, NDArray[Any]], record: Mapping[str, Any], model: Model
) -> Design | None:
    """Build the design that :func:`write_rows` was given.

    None if an earlier version wrote it and its formula makes other columns now.
    """
    if not is_upgraded(model.plan):
        return _read_rows(arrays, record, model)
    try:
        return _read_rows(arrays, record, model)
    except (InputError, DamagedError):
        return None


def _read_rows(
    arrays: Mapping[str, NDArray[Any]], record: Mapping[str, Any], model: Model
) -> Design:
    rows, dropped = arrays["rows_positions"], arrays["rows_dropped"]
    columns = {
        facts["name"]: _column(arrays, k, facts, len(rows))
        for k, facts in enumerate(record["columns"])
    }
    family = model.family
    complete = complete_rows(
        columns,
        Table(columns, len(rows), "the rows that were fitted"),
        [name for name, column in columns.items() if column.texts is not None],
        **{role: arrays.get(f"rows_{role}") for role in ROLES},
    )
    if len(complete.rows) != len(rows):
        raise DamagedError("rows")
    plan, left = model.plan, model.plan.part("mu").terms.left
    assert left is not None  # parse_formula saw to it
    y, categories = take_response(left.factor, complete, family.response, shares=plan.shares)
    kept = replace(complete, rows=rows, dropped=dropped, n_zero_weight=record["n_zero_weight"])
    design = make_design(plan, kept, family.settled(y), categories)
    _check_levels(design)
    pooled = pool(design, record["pooling"], family, model.link).design
    _check_columns(model, pooled)
    return pooled


def _check_levels(design: Design) -> None:
    """Refuse a plan with levels that none of the rows has that are stored with it."""
    if not all(own.counts.all() for part in predictors(design) for own in part.factors):
        raise DamagedError("levels")


def _check_columns(model: Model, design: Design) -> None:
    """Refuse rows whose columns and levels are not those of the model.

    Columns that an earlier version made may have been called otherwise.
    """
    parts = [(called.group(p.name, f.name), f) for p in predictors(design) for f in p.factors]
    found = (design.columns, [(name, factor.terms) for name, factor in parts])
    known = (model.columns, [(group.name, group.terms) for group in model.groups])
    if found != known and not (is_upgraded(model.plan) and _sizes(found) == _sizes(known)):
        raise DamagedError("columns")
    for (_, factor), group in zip(parts, model.groups, strict=True):
        if factor.levels.tolist() != group.levels.tolist() or factor.T.shape != group.T.shape:
            raise DamagedError("levels")
    if len(design.categories) != len(model.categories):
        raise DamagedError("categories")
    if (design.se is not None) != model.known_errors:
        raise DamagedError("se")


def _sizes(
    names: tuple[tuple[str, ...], list[tuple[str, tuple[str, ...]]]],
) -> tuple[int, list[tuple[str, int]]]:
    """How many columns there are, instead of what they are called."""
    columns, groups = names
    return len(columns), [(name, len(terms)) for name, terms in groups]


def _pooling(design: Design) -> dict[str, str]:
    """Give the pooling of every factor of the formula by what it left of the design."""
    left = {factor.name: "partial" if factor.pooled else "none" for factor in design.factors}
    names = [grouping.name for grouping in design.plan.part("mu").groupings]
    return {name: left.get(name, "complete") for name in names}


def _distinct(values: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int32]]:
    """Values that occur, in the order of their first row, and the index of each row's own."""
    place: dict[Any, int] = {}
    codes = [place.setdefault(value, len(place)) for value in values.tolist()]
    found = np.empty(len(place), dtype=object)
    found[:] = list(place)
    return found, np.array(codes, dtype=np.int32)


def _column(arrays: Mapping[str, NDArray[Any]], k: int, facts: Mapping[str, Any], n: int) -> Column:
    values = levels_from_array(facts["stored"], arrays[f"rows_{k}"])
    if facts["kind"] in REPEATED:
        values = values[arrays[f"rows_{k}_codes"]]
    categories = None if facts["categories"] is None else tuple(facts["categories"])
    missing = np.zeros(n, dtype=bool)
    texts_ = None
    if facts.get("texts") is not None:
        texts_ = levels_from_array(facts["texts"], arrays[f"rows_{k}_texts"])
        texts_ = texts_[arrays[f"rows_{k}_text_codes"]]
    return Column(
        facts["name"], facts["kind"], values, missing, categories, facts["ordered"], texts_
    )


def _is_storable(text: str) -> bool:
    """Whether NetCDF can hold a text as it is: no NUL ends it early, and it has a UTF-8 form."""
    return "\0" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)


def levels_to_array(levels: NDArray[Any]) -> tuple[str, NDArray[Any]]:
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


def levels_from_array(kind: str, stored: NDArray[Any]) -> NDArray[Any]:
    """Return the levels that :func:`levels_to_array` was given."""
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
