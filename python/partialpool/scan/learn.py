"""A first look at the rows → what the plan has to know of all of them: categories, means, sds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from partialpool.arrays import Array, Ints
from partialpool.data import Column
from partialpool.design.build import check_quotients
from partialpool.design.grouping import check_levels, ordered_groups
from partialpool.design.matrix import Matrix, build_matrix
from partialpool.design.plan import Plan, PlannedColumns, PlannedGrouping, PlannedPart
from partialpool.design.roles import Expression, Source, learn_source
from partialpool.design.rows import FactorRows, PartRows
from partialpool.errors import InputError, short
from partialpool.expressions.categories import Categories
from partialpool.expressions.cells import category_columns, texts_of
from partialpool.expressions.coding import code_factor
from partialpool.expressions.evaluate import Evaluator, State, plain_options
from partialpool.expressions.state import encode
from partialpool.expressions.unclear import refuse_unclear
from partialpool.formula import GroupTerm, Term, expand
from partialpool.formula.tree import Call

from .condensed import axis_terms
from .levels import Levels, Tuples
from .rows import CompleteRows
from .wanted import SCALING, Wanted, WholeNeeded

MOST = 200_000
"""Combinations of categories of one term that are looked at."""


class Learner:
    """Sees the complete rows, batch by batch, and says what the plan has to know of them.

    Parameters
    ----------
    wanted : Wanted
        Formula and roles.
    columns : mapping of str to Column
        Of some batch, which tell the kinds.
    distinct : mapping of str to Column
        The different texts of columns of text.
    """

    def __init__(
        self, wanted: Wanted, columns: Mapping[str, Column], distinct: Mapping[str, Column]
    ) -> None:
        self.wanted = wanted
        terms = [term for text in _texts(wanted) for term in expand(text)]
        for name in dict.fromkeys(f.columns[0] for term in terms for f in term if f.bare):
            _check_clear(distinct.get(name, columns[name]))
        _check_response(wanted)
        check_quotients(wanted.terms.quotients, columns)
        self._labelled = {f.code for f in wanted.factors if wanted.is_labelled(f, columns)}
        self._truths = {
            f.code
            for f in wanted.factors
            if f.code not in self._labelled
            and (f.condition or (f.bare and columns[f.columns[0]].kind == "boolean"))
        }
        self._seen = {
            f.columns: _Seen(f.columns, distinct)
            for f in wanted.factors
            if f.code in self._labelled
        }
        self._joint = self._together(terms)
        if self._joint:
            self._seen.setdefault(self._joint, _Seen(self._joint, distinct))
        self._running = {key: _Running() for key in wanted.keeping}
        self._sample: CompleteRows | None = None

    @property
    def needs_a_look(self) -> bool:
        """Whether all rows have to be seen before columns can be made of any."""
        return bool(self._seen or self._running)

    def _together(self, terms: Sequence[Term]) -> tuple[str, ...]:
        """Return the columns whose combinations make terms of several factors with categories."""
        names: dict[str, None] = {}
        for term in terms:
            own = [f for f in term if f.code in self._labelled | self._truths]
            if len(own) < 2:
                continue
            for factor in own:
                if factor.condition and factor.code in self._truths:
                    raise WholeNeeded(f"`{short(factor.label)}` stands beside other categories")
                names |= dict.fromkeys(factor.columns)
        return tuple(names)

    def look(self, rows: CompleteRows) -> None:
        """See some rows."""
        self.look_first(rows)
        for own in self._seen.values():
            own.look(rows)
        if self._running:
            evaluator = Evaluator(rows.columns, len(rows))
            for key, running in self._running.items():
                running.add(evaluator.numbers(self.wanted.keeping[key].arguments[0]))

    def look_first(self, rows: CompleteRows) -> None:
        """Keep rows that tell the kinds of columns, unless there are such."""
        if self._sample is None:
            self._sample = rows

    def parts(self) -> tuple[list[Ints], list[list[float]]]:
        """Return what was seen, to be put together with that of others by `join`."""
        seen = [own.combinations() for own in self._seen.values()]
        return seen, [own.sums for own in self._running.values()]

    def join(self, seen: Sequence[Ints], running: Sequence[Sequence[float]]) -> None:
        """Put together with what others saw, one after the other."""
        assert self._sample is not None
        for own, combinations in zip(self._seen.values(), seen, strict=True):
            own.join(combinations, self._sample.columns)
        for run, sums in zip(self._running.values(), running, strict=True):
            run.join(*sums)

    def settled(self) -> Wanted:
        """Return what is wanted, with what roles have to know of the rows."""
        roles = {role: self._source(value) for role, value in self.wanted.roles.items()}
        return replace(self.wanted, roles=roles)

    def _source(self, value: Any) -> Source | None:
        assert self._sample is not None
        own = learn_source(value, self._sample.columns, len(self._sample))
        if isinstance(own, Expression) and own.state:
            return replace(own, state=own.state | self._states(own.state))
        return own

    def plan(self, wanted: Wanted) -> Plan:
        """Return a plan in which all columns stay, and levels are not known yet."""
        assert self._sample is not None
        columns = self._sample.columns
        state = self._state()
        for name in wanted.grouping:
            check_levels(columns[name], self._sample.rows)
        parts = tuple(
            self._grouping(name, state)
            for name in dict.fromkeys(group.factor for group in wanted.terms.groups)
        )
        population = self._columns(expand(wanted.terms.population), state)
        booleans = tuple(name for name, column in columns.items() if column.kind == "boolean")
        part = PlannedPart("mu", wanted.terms.formula, population, parts)
        sources = {
            role: None if isinstance(own, Expression) and own.added is not None else own
            for role, own in wanted.roles.items()
        }
        return Plan((part,), sources, False, booleans)

    def categories(self) -> dict[str, Categories]:
        """Return by the code of a factor its categories, in the combinations that occur."""
        states, both = self._state(), (np.array([0, 1]),)
        found = {code: Categories((False, True), *both) for code in self._truths}
        for factor in self.wanted.factors:
            if factor.code not in self._labelled and not set(factor.columns) <= set(self._joint):
                continue
            whole = set(factor.columns) <= set(self._joint)
            columns, count = self._seen[self._joint if whole else factor.columns].columns()
            own = code_factor(factor, Evaluator(columns, count, states[factor.code])).found
            if own is not None:
                found[factor.code] = own
        return found

    def known(self, name: str) -> tuple[Column, Ints]:
        """Return the different values of a column and their rows; else one row that it has."""
        assert self._sample is not None
        own = self._seen.get((name,))
        if own is None:
            return self._sample.columns[name].rows(slice(1)), np.ones(1, dtype=np.int64)
        return own.columns()[0][name], own.rows

    def made(self, part: PlannedPart) -> PartRows:
        """Return the names and terms of all columns of a plan in which they all stay."""
        X = self.matrix(expand(part.terms.population), part.population.state)
        factors = []
        for own in part.groupings:
            groups = zip(ordered_groups(part.terms, own.name), own.parts, strict=True)
            Z = (self.matrix(expand(group.terms), planned.state) for group, planned in groups)
            factors.append(FactorRows(tuple(Z), np.empty(0, dtype=np.int64)))
        return PartRows(X, tuple(factors))

    def axes(self, plan: Plan) -> dict[tuple[str, Term], dict[str, NDArray[np.str_]]]:
        """Return the terms whose categories fix axes, with the texts of these."""
        assert self._sample is not None
        found = {}
        for key in axis_terms(plan, self.made(plan.part("mu"))):
            names = category_columns(key[1], self._sample.columns)
            found[key] = {name: texts_of(self._values(name)) for name in names}
        return found

    def _values(self, name: str) -> Column:
        """Return the different values of a column that makes categories."""
        names = next(names for names in self._seen if name in names)
        return self._seen[names].columns()[0][name]

    def matrix(self, terms: tuple[Term, ...], state: State) -> Matrix:
        """Return the columns of terms in some row."""
        assert self._sample is not None
        one = {name: column.rows(slice(1)) for name, column in self._sample.columns.items()}
        return build_matrix(terms, one, 1, state)

    def _grouping(self, name: str, state: Mapping[str, State]) -> PlannedGrouping:
        groups = ordered_groups(self.wanted.terms, name)
        parts: list[PlannedColumns] = []
        for group in groups:
            made = self._columns(expand(group.terms), state, group)
            twice = set(made.kept) & {known for part in parts for known in part.kept}
            if twice:
                raise InputError(f"`{twice.pop()}` occurs in two group terms of `{name}`")
            parts.append(made)
        return PlannedGrouping(name, groups[0].columns, (), None, tuple(parts))

    def _columns(
        self,
        terms: tuple[Term, ...],
        state: Mapping[str, State],
        group: GroupTerm | None = None,
    ) -> PlannedColumns:
        assert self._sample is not None
        own = {factor.code for term in terms for factor in term}
        made = build_matrix(
            terms, self._sample.columns, len(self._sample), _of(state, own), group=group
        )
        return PlannedColumns(made.names, made.names, (), made.state)

    def _state(self) -> dict[str, State]:
        """Return what each factor has to know, by its code."""
        assert self._sample is not None
        found: dict[str, State] = {}
        for factor in self.wanted.factors:
            if factor.code in self._labelled:
                columns, count = self._seen[factor.columns].columns()
                evaluator = Evaluator(columns, count)
            else:
                evaluator = Evaluator(self._sample.columns, len(self._sample))
            code_factor(factor, evaluator)
            found[factor.code] = evaluator.learned | self._states(evaluator.learned)
        return found

    def _states(self, learned: State) -> State:
        """Return what sums tell of calls that were met."""
        calls = self.wanted.keeping
        return {key: run.state(calls[key]) for key, run in self._running.items() if key in learned}


class _Seen:
    """The combinations of values that some columns have, and how many complete rows each."""

    def __init__(self, names: tuple[str, ...], distinct: Mapping[str, Column]) -> None:
        self._levels = {name: Levels(distinct.get(name)) for name in names}
        self._tuples = Tuples(len(names))
        self.rows: Ints = np.zeros(0, dtype=np.int64)

    def look(self, rows: CompleteRows) -> None:
        """See some rows."""
        numbers = [
            own.number(rows.columns[name], rows.places.get(name))
            for name, own in self._levels.items()
        ]
        self._add(numbers)

    def combinations(self) -> Ints:
        """Return (combinations, columns + 1): what identifies the values of each, and its rows."""
        members, levels = self._tuples.members(len(self.rows)), self._levels.values()
        keys = [own.keys[numbers] for own, numbers in zip(levels, members, strict=True)]
        return np.column_stack([*keys, self.rows])

    def join(self, combinations: Ints, like: Mapping[str, Column]) -> None:
        """See combinations that were met elsewhere, in columns like these."""
        *keys, rows = combinations.T
        levels = zip(self._levels.items(), keys, strict=True)
        self._add([own.take(part, like[name]) for (name, own), part in levels], rows)

    def _add(self, numbers: Sequence[Ints], rows: Ints | None = None) -> None:
        new = np.bincount(self._tuples.number(numbers), rows, minlength=len(self.rows))
        new = new.astype(np.int64)
        new[: len(self.rows)] += self.rows
        self.rows = new
        if len(new) > MOST:
            names = " and ".join(f"`{name}`" for name in self._levels)
            raise WholeNeeded(f"{names} would make more than {MOST:,} categories")

    def columns(self) -> tuple[dict[str, Column], int]:
        """Return the columns of rows that have each combination once."""
        members = self._tuples.members(len(self.rows))
        found = {}
        for (name, own), numbers in zip(self._levels.items(), members, strict=True):
            column = own.column()
            if column.kind == "date" and np.any(
                column.values.astype("datetime64[D]") != column.values
            ):
                raise WholeNeeded(f"categories are made of moments of time (`{name}`)")
            found[name] = column.rows(numbers)
        return found, len(self.rows)


class _Running:
    """Mean, squares around it, and ends of numbers that come in batches."""

    def __init__(self) -> None:
        self.n, self.mean, self.squares = 0, 0.0, 0.0
        self.low, self.high = math.inf, -math.inf

    def add(self, x: Array) -> None:
        """Take numbers in; of two parts as in Chan, Golub & LeVeque (1983)."""
        own = float(x[0] + np.mean(x - x[0]))
        squares = float(np.sum((x - own) ** 2))
        self.join(len(x), own, squares, float(x.min()), float(x.max()))

    @property
    def sums(self) -> list[float]:
        """What `join` takes."""
        return [self.n, self.mean, self.squares, self.low, self.high]

    def join(self, n: float, mean: float, squares: float, low: float, high: float) -> None:
        """Take in what other numbers add up to."""
        if not n:
            return
        total, step = self.n + int(n), mean - self.mean
        self.squares += squares + step * step * (self.n * n / total)
        self.mean += step * n / total
        self.n = total
        self.low, self.high = min(self.low, low), max(self.high, high)

    def state(self, call: Call) -> Any:
        """Return what a call keeps of these numbers."""
        if call.name not in SCALING:
            with np.errstate(all="ignore"):
                variance = np.float64(self.squares)
                return {
                    "mean": self.mean,
                    "min": self.low,
                    "max": self.high,
                    "sd": float(np.sqrt(variance / (self.n - 1))),
                    "std": float(np.sqrt(variance / self.n)),
                }[call.name]
        options = plain_options(call)
        centre: Any = options.get("center", True)
        scale: Any = options.get("scale", options.get("rescale", call.name != "center"))
        ddof = options.get("ddof", 0 if call.name == "standardize" else 1)
        moved = self.mean if centre is True else None if centre is False else centre
        state: State = {"ddof": ddof, "center": moved}
        off = self.mean - (moved or 0.0)
        about = self.squares + self.n * off * off
        with np.errstate(all="ignore"):
            size = float(np.sqrt(np.float64(about) / max(self.n - ddof, 0)))
        state["scale"] = size if scale is True else None if scale is False else scale
        return encode(state)


def _of(states: Mapping[str, State], codes: Iterable[str]) -> State:
    """Put together what some factors have to know."""
    return {key: value for code in codes for key, value in states[code].items()}


def _texts(wanted: Wanted) -> list[str]:
    """Terms of the population and of each group, as they are written."""
    return [wanted.terms.population, *(group.terms for group in wanted.terms.groups)]


def _check_clear(column: Column) -> None:
    """Refuse text that looks like numbers, without rows: there are only different texts."""
    try:
        refuse_unclear(column, np.arange(len(column)))
    except InputError as error:
        raise InputError(error.what, remedy=error.remedy) from None


def _check_response(wanted: Wanted) -> None:
    left = wanted.left
    if any(len(t) == 1 and t[0].code == left.code for t in expand(wanted.terms.population)):
        raise InputError(
            f"`{left.label}` is the response and a predictor", remedy="take it out on the right"
        )
