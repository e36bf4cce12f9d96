"""Recipes of fits that version 0.1.0 saved → recipes of now.

That version kept what makes the same columns by names in hexadecimal, and took conditions for
numbers everywhere; now they are two categories where nothing else stands for the reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from partialpool.errors import InputError
from partialpool.expressions.coding import AS_NUMBERS
from partialpool.formula import Terms, expand, parse_formula, parse_predictor
from partialpool.formula.check import expression_factor
from partialpool.formula.names import readable
from partialpool.formula.tree import Call, show

from .grouping import ordered_groups
from .plan import VERSION, Plan

OLD_VERSION = 2


def upgrade(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Return a recipe of a saved fit as this version writes it.

    One that now means something else stays as it is, and cannot be used for new data.

    Examples
    --------
    >>> upgrade({"version": 2, "formula": "y ~ exp10(x)", "sigma": None})["version"]
    2
    """
    if recipe.get("version") != OLD_VERSION:
        return dict(recipe)
    # What was computed as x^10.
    if any("exp10" in part["formula"] for part in (recipe, recipe["sigma"]) if part):
        return dict(recipe)
    new = dict(recipe)
    try:
        new |= _part(parse_formula(recipe["formula"]), recipe)
        if recipe["sigma"] is not None:
            terms = parse_predictor(recipe["sigma"]["formula"])
            own = _part(terms, recipe["sigma"])
            new["sigma"] = {**recipe["sigma"], **own}
    except InputError:
        return dict(recipe)
    return new | {"version": VERSION, "shares": False}


def is_upgraded(plan: Plan) -> bool:
    """Tell whether an earlier version wrote a plan."""
    return plan.version != VERSION or plan.parts[0].population.made is None


def _part(terms: Terms, recipe: Mapping[str, Any]) -> dict[str, Any]:
    groups = []
    for stored in recipe["groups"]:
        own = ordered_groups(terms, stored["name"])
        parts = [
            _matrix(group.terms, part) for group, part in zip(own, stored["parts"], strict=True)
        ]
        groups.append({**stored, "parts": parts})
    return {"population": _matrix(terms.population, recipe["population"]), "groups": groups}


def _matrix(terms: str, stored: Mapping[str, Any]) -> dict[str, Any]:
    old: Mapping[str, Any] = stored["state"]
    state: dict[str, Any] = {AS_NUMBERS: True}
    levels = {readable(code): found for code, found in old.get("categories", {}).items()}
    state |= {f"levels of {name}": found for name, found in levels.items()}
    for factor in (f for term in expand(terms) for f in term if f.bare):
        if factor.code not in levels:
            state[f"numbers of {factor.code}"] = True
    for code, kept in old.get("transform", {"dict": []})["dict"]:
        state[_canonical(code)] = kept
    for code, (kind, kept) in old.get("encoder", {}).items():
        if kind == "categorical" and "(" in code:
            # Of a column they are known; of an expression they are these.
            state.setdefault(*_inner_levels(code, dict(kept["dict"])["categories"]))
    columns = list(stored["columns"])
    return {"columns": columns, "made": None, "aliased": [], "state": state}


def _canonical(code: str) -> str:
    return expression_factor(readable(code), "in a saved fit").code


def _inner_levels(code: str, found: list[Any]) -> tuple[str, list[Any]]:
    tree = expression_factor(readable(code), "in a saved fit").tree
    assert isinstance(tree, Call)
    inner = tree.arguments[0]
    return f"levels of {show(inner, canonical=True)}", found
