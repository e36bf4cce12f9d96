"""The plan of a design: what makes the same columns of any rows. Typed, and ⇄ JSON.

It is learned from the rows that are fitted (`learn.py`), and applied to these as to all others
(`rows.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from partialpool.arrays import Ints
from partialpool.errors import InputError
from partialpool.expressions.evaluate import State
from partialpool.formula import Terms, parse_formula, parse_predictor
from partialpool.formula.uses import all_factors, uses_of

from .grouping import decode_levels, encode_levels
from .interaction import join_levels
from .roles import ROLES, Source, read_source, write_source

VERSION = 3


class Aliased(Struct, frozen=True):
    """A column that was left out because the rows tell nothing of it.

    Parameters
    ----------
    name : str
        The column.
    term : str
        The term that it belongs to, as it reads.
    cells : tuple of str
        Combinations of the term's categories that no row has (the first few), in words.
    weights : dict of str to float
        The columns that it equals a combination of; none where it is 0 in every row.
    """

    name: str
    term: str
    cells: tuple[str, ...]
    weights: dict[str, float]


class PlannedColumns(Struct, frozen=True, eq=False):
    """The columns that some terms make.

    Parameters
    ----------
    kept : tuple of str
        The columns that stay.
    made : tuple of str or None
        All that the terms make; None of version 0.1.0, which left none out.
    aliased : tuple of Aliased
        Those that are left out.
    state : dict
        What the terms need to know of the fitted rows: means, knots, categories.
    """

    kept: tuple[str, ...]
    made: tuple[str, ...] | None
    aliased: tuple[Aliased, ...]
    state: State

    def to_json(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        return {
            "columns": list(self.kept),
            "made": None if self.made is None else list(self.made),
            "aliased": [[one.name, one.term, list(one.cells), one.weights] for one in self.aliased],
            "state": self.state,
        }

    @classmethod
    def from_json(cls, stored: Any) -> PlannedColumns:
        """Return what `to_json` was called on; refuse anything else."""
        _check(stored, columns=list, state=dict)
        kept = _texts(stored["columns"])
        # Version 0.1.0 wrote neither.
        made = None if stored.get("made") is None else _texts(stored["made"])
        aliased = tuple(
            Aliased(name, term, tuple(cells), weights)
            for name, term, cells, weights in stored.get("aliased", ())
        )
        gone = {one.name for one in aliased}
        if kept != (tuple(name for name in made if name not in gone) if made else kept):
            raise ValueError("columns")
        for one in aliased:
            if {one.name, *one.weights} - set(made or ()):
                raise ValueError("aliased")
            _texts([one.term, *one.cells], distinct=False)
            if not all(type(weight) in (int, float) for weight in one.weights.values()):
                raise ValueError("aliased")
        return cls(kept, made, aliased, stored["state"])


class PlannedGrouping(Struct, frozen=True, eq=False):
    """A grouping factor: where its levels come from, and its columns.

    Parameters
    ----------
    name : str
        Its name: the grouping columns joined by ``:``.
    columns : tuple of str
        The grouping columns.
    levels : tuple of numpy.ndarray
        The levels that each has, in order, as they came in.
    members : numpy.ndarray or None
        (columns, levels) of several columns: the combinations that occur, as codes.
    parts : tuple of PlannedColumns
        The columns of each of its group terms, the one with the intercept first.
    """

    name: str
    columns: tuple[str, ...]
    levels: tuple[NDArray[Any], ...]
    members: Ints | None
    parts: tuple[PlannedColumns, ...]

    @property
    def terms(self) -> tuple[str, ...]:
        """The names of its columns."""
        return tuple(chain.from_iterable(part.kept for part in self.parts))

    @property
    def n_levels(self) -> int:
        """How many levels it has."""
        return len(self.levels[0]) if self.members is None else self.members.shape[1]

    @property
    def joined(self) -> NDArray[Any]:
        """Its levels, those of several columns by their joined labels."""
        return self.levels[0] if self.members is None else join_levels(self.levels, self.members)

    def to_json(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        return {
            "name": self.name,
            "columns": list(self.columns),
            "levels": [encode_levels(levels) for levels in self.levels],
            "members": None if self.members is None else self.members.tolist(),
            "parts": [part.to_json() for part in self.parts],
        }

    @classmethod
    def from_json(cls, stored: Any) -> PlannedGrouping:
        """Return what `to_json` was called on; refuse anything else."""
        _check(stored, name=str, columns=list, levels=list, parts=list)
        columns = _texts(stored["columns"])
        for one in stored["levels"]:
            _check(one, dtype=str, values=list)
        levels = tuple(decode_levels(one) for one in stored["levels"])
        members = None if stored["members"] is None else np.array(stored["members"])
        if (
            not columns
            or len(levels) != len(columns)
            or (len(columns) > 1) != (members is not None)
        ):
            raise ValueError("levels")
        if members is not None:
            sizes = [len(own) for own in levels]
            if members.ndim != 2 or len(members) != len(sizes) or members.dtype.kind != "i":
                raise ValueError("members")
            if members.size and ((members < 0).any() or (members.max(axis=1) >= sizes).any()):
                raise ValueError("members")
        parts = tuple(PlannedColumns.from_json(part) for part in stored["parts"])
        return cls(stored["name"], columns, levels, members, parts)


class PlannedPart(Struct, frozen=True, eq=False, dict=True):
    """A linear predictor.

    Parameters
    ----------
    name : {"mu", "sigma"}
        What it predicts.
    formula : str
        Its formula, which is checked again whenever it was stored.
    population : PlannedColumns
        The population columns.
    groupings : tuple of PlannedGrouping
        The grouping factors.
    thresholds : bool
        Whether thresholds take the place of the intercept, whose column is the first.
    """

    name: str
    formula: str
    population: PlannedColumns
    groupings: tuple[PlannedGrouping, ...]
    thresholds: bool = False

    @cached_property
    def terms(self) -> Terms:
        """The formula, taken apart. One of an earlier version may be none now."""
        parse = parse_formula if self.name == "mu" else parse_predictor
        return parse(self.formula)

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the population columns."""
        return self.population.kept[int(self.thresholds) :]

    def grouping(self, name: str) -> PlannedGrouping:
        """Return a grouping factor by its name."""
        return next(one for one in self.groupings if one.name == name)

    def to_json(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        return {
            "formula": self.formula,
            "population": self.population.to_json(),
            "thresholds": self.thresholds,
            "groups": [grouping.to_json() for grouping in self.groupings],
        }

    @classmethod
    def from_json(cls, name: str, stored: Any) -> PlannedPart:
        """Return what `to_json` was called on; refuse anything else."""
        _check(stored, formula=str, population=dict, thresholds=bool, groups=list)
        return cls(
            name,
            stored["formula"],
            PlannedColumns.from_json(stored["population"]),
            tuple(PlannedGrouping.from_json(one) for one in stored["groups"]),
            stored["thresholds"],
        )


class Plan(Struct, frozen=True, eq=False, dict=True):
    """What makes the columns of a design.

    Parameters
    ----------
    parts : tuple of PlannedPart
        The linear predictors: that of the mean, and the second if there is one.
    roles : dict of str to Source or None
        By role that the fit used: what new rows get it from, or None if it was one value a row.
    shares : bool
        Whether the response tells shares of the trials, not counts.
    booleans : tuple of str
        Columns that are true or false.
    version : int
        Of this plan; what a plan of another version makes is not known.
    """

    parts: tuple[PlannedPart, ...]
    roles: Mapping[str, Source | None]
    shares: bool = False
    booleans: tuple[str, ...] = ()
    version: int = VERSION

    def part(self, name: str) -> PlannedPart:
        """Return the linear predictor of this name."""
        return next(part for part in self.parts if part.name == name)

    @property
    def levels(self) -> dict[str, NDArray[Any]]:
        """The levels of grouping columns, by their names."""
        groupings = (grouping for part in self.parts for grouping in part.groupings)
        return {n: own for g in groupings for n, own in zip(g.columns, g.levels, strict=True)}

    @cached_property
    def predictors(self) -> tuple[str, ...]:
        """The columns that new data must have, beside grouping columns and roles."""
        terms = (part.terms.without_roles() for part in self.parts)
        found = (name for own in terms for factor in all_factors(own) for name in factor.columns)
        return tuple(dict.fromkeys(found))

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The columns whose values name things."""
        return tuple(uses_of(part.terms for part in self.parts).labels)

    @cached_property
    def terms_by_themselves(self) -> frozenset[str]:
        """The columns that are terms by themselves: their kind decides whether they are numbers."""
        return frozenset(uses_of(part.terms for part in self.parts).predictors)

    @cached_property
    def categories(self) -> frozenset[str]:
        """The columns that were categories in the fit as terms by themselves."""
        states = [columns.state for part in self.parts for columns in _columns(part)]
        bare = {f for part in self.parts for f in all_factors(part.terms) if f.bare}
        return frozenset(
            factor.columns[0]
            for factor in bare
            for state in states
            if f"levels of {factor.code}" in state and f"numbers of {factor.code}" not in state
        )

    @cached_property
    def named(self) -> frozenset[str]:
        """The columns of which nothing is wanted but what their values are called."""
        uses = uses_of(part.terms for part in self.parts)
        categories = self.categories - {*self.booleans}
        named = frozenset(uses.labels) | categories
        return named - {*uses.numbers} - ({*uses.predictors} - categories)

    @cached_property
    def coded(self) -> frozenset[str]:
        """The columns that the formulas turn into categories, as ``C(x)`` does."""
        terms = (part.terms.without_roles() for part in self.parts)
        found = (factor for own in terms for factor in all_factors(own) if factor.categorical)
        return frozenset(name for factor in found for name in factor.columns)

    def to_json(self) -> dict[str, Any]:
        """Return what JSON can hold, as files have it.

        Examples
        --------
        >>> columns = PlannedColumns(("Intercept",), ("Intercept",), (), {})
        >>> plan = Plan((PlannedPart("mu", "y ~ 1", columns, ()),), {"se": "s"})
        >>> stored = plan.to_json()
        >>> stored["needs_se"], stored["se"], Plan.from_json(stored).to_json() == stored
        (True, 's', True)
        """
        main, *others = (part.to_json() for part in self.parts)
        return {
            "version": self.version,
            "shares": self.shares,
            **{role: write_source(self.roles.get(role)) for role in ROLES},
            **{f"needs_{role}": role in self.roles for role in ROLES},
            **main,
            "sigma": others[0] if others else None,
            "booleans": list(self.booleans),
        }

    @classmethod
    def from_json(cls, stored: Any) -> Plan:
        """Return what `to_json` was called on.

        Raises
        ------
        ValueError
            If it is anything else.
        InputError
            If it holds an expression that no formula may have.
        """
        needs = {f"needs_{role}": bool for role in ROLES}
        _check(stored, version=int, **needs)
        parts = [PlannedPart.from_json("mu", stored)]
        if stored["sigma"] is not None:
            parts.append(PlannedPart.from_json("sigma", stored["sigma"]))
        return cls(
            tuple(parts),
            {r: read_source(stored[r]) for r in ROLES if stored[f"needs_{r}"]},
            bool(stored.get("shares", False)),
            _texts(list(stored.get("booleans", ()))),
            stored["version"],
        )

    def check_version(self) -> None:
        """Refuse a plan that an earlier version wrote and whose columns are others now."""
        if self.version != VERSION:
            raise InputError(
                "an earlier version made the columns of this fit, and made them otherwise",
                remedy="fit the model again with this version",
            )


def _columns(part: PlannedPart) -> Iterator[PlannedColumns]:
    yield part.population
    for grouping in part.groupings:
        yield from grouping.parts


def _check(stored: Any, **kinds: type) -> None:
    """Hold what was stored to be a mapping with entries of these types."""
    if not isinstance(stored, Mapping):
        raise ValueError(f"{type(stored).__name__} in place of a mapping")
    for name, kind in kinds.items():
        if type(stored.get(name)) is not kind:
            raise ValueError(name)


def _texts(stored: Any, *, distinct: bool = True) -> tuple[str, ...]:
    if not isinstance(stored, list) or not all(isinstance(text, str) for text in stored):
        raise ValueError("texts")
    if distinct and len(set(stored)) < len(stored):
        raise ValueError("texts")
    return tuple(stored)
