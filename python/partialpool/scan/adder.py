"""Complete rows + the plan → sums of cells: the columns of a batch, and the cell of each row."""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from partialpool import _core
from partialpool.arrays import Array, Ints
from partialpool.data import Column
from partialpool.design.grouping import check_levels, ordered_groups
from partialpool.design.matrix import build_matrix
from partialpool.design.plan import Plan, PlannedColumns
from partialpool.design.response import build_response
from partialpool.design.roles import total_offset
from partialpool.expressions.cells import cells_of, falling
from partialpool.formula import GroupTerm, Term, expand

from .levels import Levels, Tuples
from .moments import Moments, Overall, merged
from .rows import CompleteRows
from .wanted import Wanted

Axes = Mapping[tuple[str, Term], Mapping[str, NDArray[np.str_]]]
"""Terms of factors whose categories fix axes, with the texts of these, by column."""


class _Made(Struct, frozen=True, eq=False):
    """Columns that some terms make, and which of them are not made by terms before."""

    terms: tuple[Term, ...]
    planned: PlannedColumns
    group: GroupTerm | None
    places: tuple[int, ...]


class Columns:
    """All columns that a plan makes, each once, and the response, less its offset, last.

    Parameters
    ----------
    wanted : Wanted
        Formula and roles.
    plan : Plan
        In which all columns stay.

    Attributes
    ----------
    names : tuple of str
        Those that vary.
    constant : bool
        Whether there is a constant beside them, which comes first in all.
    """

    def __init__(self, wanted: Wanted, plan: Plan) -> None:
        part = plan.part("mu")
        known: list[str] = []
        self._made = []
        sources: list[tuple[tuple[Term, ...], PlannedColumns, GroupTerm | None]] = [
            (expand(part.terms.population), part.population, None)
        ]
        for grouping in part.groupings:
            groups = ordered_groups(part.terms, grouping.name)
            sources += [
                (expand(group.terms), own, group)
                for own, group in zip(grouping.parts, groups, strict=True)
            ]
        self.constant = any("Intercept" in own.kept for _, own, _ in sources)
        for terms, planned, group in sources:
            new = [k for k, name in enumerate(planned.kept) if name not in ("Intercept", *known)]
            known += [planned.kept[k] for k in new]
            self._made.append(_Made(terms, planned, group, tuple(new)))
        self.response = wanted.left
        self.names = (*known, self.response.label)

    @property
    def all(self) -> tuple[str, ...]:
        """All of them, in the order of `Moments`."""
        return ("Intercept", *self.names) if self.constant else self.names

    def values(self, rows: CompleteRows) -> tuple[Array, Array]:
        """Make the columns of some rows: (n, d), and the response as it is."""
        n = len(rows)
        out, at = np.empty((n, len(self.names))), 0
        for own in self._made:
            if not own.places:
                continue
            made = build_matrix(
                own.terms, rows.columns, n, own.planned.state, group=own.group
            ).values
            out[:, at : at + len(own.places)] = made[:, own.places]
            at += len(own.places)
        y, _ = build_response(self.response, rows.columns, rows.rows, "number")
        offset = total_offset(rows.roles)
        out[:, -1] = y if offset is None else y - offset
        return out, y


class Adder:
    """Adds rows to the sums of their cells.

    Parameters
    ----------
    wanted : Wanted
        Formula and roles.
    plan : Plan
        In which all columns stay.
    levels : mapping of str to Levels
        Numbers of the levels, by grouping column.
    origin : array, optional
        (d,) what is taken out of the columns; by default the means of the first rows.
    threads : int, optional
        By default one for each core.
    """

    def __init__(
        self,
        wanted: Wanted,
        plan: Plan,
        levels: Mapping[str, Levels],
        origin: Array | None = None,
        threads: int | None = None,
    ) -> None:
        self.columns = Columns(wanted, plan)
        self.levels = levels
        self.groupings = plan.part("mu").groupings
        self.threads = threads or os.cpu_count() or 1
        self.tuples = [Tuples(len(own.columns), self.threads) for own in self.groupings]
        self.cells = Tuples(max(len(self.groupings), 1), self.threads)
        self.origin = origin
        self.roles = frozenset(wanted.roles)
        weighted = bool({"weights", "se"} & self.roles)
        self.sums = _core.Cells(columns=len(self.columns.names), weighted=weighted)
        self.response, self.offsets = _Range(), (_Range(), _Range())
        self.n = 0
        self.axes: dict[tuple[str, Term], _Axis] = {}
        self._joined: list[Overall] = []

    def watch_axes(self, axes: Axes) -> None:
        """Add rows up also with weights that fall from category to category of these terms.

        The texts are those of the columns that have the categories, as `texts_of` gives them.
        """
        d = len(self.columns.names)
        self.axes = {
            key: _Axis(texts, _core.Cells(columns=d, weighted=False)) for key, texts in axes.items()
        }

    def add(self, rows: CompleteRows) -> None:
        """Add complete rows, of which there are some."""
        values, y = self.columns.values(rows)
        if self.origin is None:
            self.origin = values[0] + np.mean(values - values[0], axis=0)
        self.response.add(y)
        for role, own in zip(("offset", "exposure"), self.offsets, strict=True):
            own.add(rows.roles.get(role))
        self.sums.add(
            codes=self._cells(rows),
            values=values,
            origin=self.origin,
            weights=_precision(rows),
            threads=self.threads,
        )
        for (_, term), axis in self.axes.items():
            cells = cells_of(term, rows.columns, axis.texts)
            assert cells is not None
            axis.sums.add(
                codes=np.zeros(len(rows), dtype=np.int64),
                values=values,
                origin=self.origin,
                weights=falling(cells),
                threads=self.threads,
            )
        self.n += len(rows)

    @property
    def overall(self) -> Overall:
        """What all rows are like."""
        if self._joined:
            return merged(self._joined, len(self.columns.names))
        mean, root, low, high, logs = self.sums.overall(self.threads)
        return Overall(self.n, mean, root, low, high, logs)

    @property
    def ends(self) -> Array:
        """The smallest and largest response, offset and exposure: (3, 2)."""
        return np.array([[own.low, own.high] for own in (self.response, *self.offsets)])

    def moments(self) -> Moments:
        """Return what was added, each cell by what identifies its values in any part of a table."""
        n, weight, mean, root = self.sums.parts()
        factors = self.cells.members(len(n)) if self.groupings else ()
        codes = []
        for grouping, tuples, cells in zip(self.groupings, self.tuples, factors, strict=True):
            keys = [self.levels[name].keys for name in grouping.columns]
            members = tuples.members(len(keys[0]))
            codes += [own[numbers[cells]] for own, numbers in zip(keys, members, strict=True)]
        by_cell = np.column_stack(codes) if codes else np.empty((len(n), 0), dtype=np.int64)
        assert self.origin is not None
        sums = (by_cell, n, weight, mean, root, self.overall)
        return Moments(self.columns.names, self.origin, *sums)

    def axis_moments(self) -> Moments:
        """Return what was added with falling weights, a cell for each of `axes`."""
        sums = [axis.sums.parts() for axis in self.axes.values()]
        n, weight, mean, root = map(np.concatenate, zip(*sums, strict=True))
        codes = np.arange(len(sums))[:, None]
        nothing = merged([], len(self.columns.names))
        assert self.origin is not None
        return Moments(self.columns.names, self.origin, codes, n, weight, mean, root, nothing)

    def join_axes(self, moments: Moments) -> None:
        """Add what `axis_moments` returned elsewhere."""
        first = np.zeros(1, dtype=np.int64)
        for axis, k in zip(self.axes.values(), moments.codes[:, 0].tolist(), strict=True):
            own = {name: getattr(moments, name)[k : k + 1] for name in ("n", "weight")}
            axis.sums.join(codes=first, mean=moments.mean[[k]], root=moments.root[[k]], **own)

    def join(self, moments: Moments, ends: Array, like: Mapping[str, Column]) -> None:
        """Add what `moments` returned elsewhere, where columns are like these."""
        keys, found = iter(moments.codes.T), []
        for grouping, tuples in zip(self.groupings, self.tuples, strict=True):
            own = [self.levels[name].take(next(keys), like[name]) for name in grouping.columns]
            found.append(tuples.number(own))
        n, weight, mean, root = moments.n, moments.weight, moments.mean, moments.root
        cells = self.cells.number(found) if found else np.zeros(len(n), dtype=np.int64)
        self.sums.join(codes=cells, n=n, weight=weight, mean=mean, root=root)
        for range_, pair in zip((self.response, *self.offsets), ends, strict=True):
            range_.join(*pair.tolist())
        self._joined.append(moments.overall)
        self.n += moments.overall.n

    def release(self) -> None:
        """Forget what was added, once it was asked for: there may be millions of cells."""
        self.sums = _core.Cells(columns=0, weighted=False)
        self.cells, self.tuples, self.levels, self.axes = Tuples(1), [], {}, {}

    def _cells(self, rows: CompleteRows) -> Ints:
        if not self.groupings:
            return np.zeros(len(rows), dtype=np.int64)
        numbers = {}
        for name, own in self.levels.items():
            check_levels(rows.columns[name], rows.rows)
            numbers[name] = own.number(rows.columns[name], rows.places.get(name))
        found = [
            own.number([numbers[name] for name in grouping.columns])
            for own, grouping in zip(self.tuples, self.groupings, strict=True)
        ]
        return self.cells.number(found)


class _Axis(Struct, frozen=True):
    """All rows in one cell, weighted by the categories of a term."""

    texts: Mapping[str, NDArray[np.str_]]
    sums: _core.Cells


class _Range:
    """The smallest and the largest of some numbers."""

    def __init__(self) -> None:
        self.low, self.high = np.inf, -np.inf

    def add(self, values: Array | None) -> None:
        if values is not None:
            self.join(float(values.min()), float(values.max()))

    def join(self, low: float, high: float) -> None:
        """Add some of which only these are known."""
        self.low, self.high = min(self.low, low), max(self.high, high)

    @property
    def varies(self) -> bool:
        """Whether they differ."""
        return self.low < self.high


def _precision(rows: CompleteRows) -> Array | None:
    weights, se = rows.roles.get("weights"), rows.roles.get("se")
    return weights if se is None else 1.0 / (se * se)
