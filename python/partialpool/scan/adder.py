"""Complete rows + the plan → sums of cells: the columns of a batch, and the cell of each row."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from partialpool import _core
from partialpool.arrays import Array, Ints
from partialpool.design.grouping import check_levels, ordered_groups
from partialpool.design.matrix import build_matrix
from partialpool.design.plan import Plan, PlannedColumns
from partialpool.design.response import build_response
from partialpool.design.roles import total_offset
from partialpool.expressions.cells import cells_of, falling
from partialpool.formula import GroupTerm, Term, expand

from .levels import Known, Levels, Tuples
from .rows import CompleteRows
from .wanted import Wanted


@dataclass(frozen=True, eq=False)
class _Made:
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
    levels : mapping of str to Levels or Known
        Numbers of the levels, by grouping column.
    origin : array, optional
        (d,) what is taken out of the columns; by default the means of the first rows.
    """

    def __init__(
        self,
        wanted: Wanted,
        plan: Plan,
        levels: Mapping[str, Levels | Known],
        origin: Array | None = None,
    ) -> None:
        self.columns = Columns(wanted, plan)
        self.levels = levels
        self.groupings = plan.part("mu").groupings
        self.tuples = [Tuples(len(own.columns)) for own in self.groupings]
        self.cells = Tuples(max(len(self.groupings), 1))
        self.origin = origin
        self.roles = frozenset(wanted.roles)
        weighted = bool({"weights", "se"} & self.roles)
        self.sums = _core.Cells(columns=len(self.columns.names), weighted=weighted)
        self.response_low, self.response_high = np.inf, -np.inf
        self.offsets = _Range(), _Range()
        self.n = 0
        self.axes: dict[tuple[str, Term], _Axis] = {}

    def watch_axes(self, axes: Mapping[tuple[str, Term], Mapping[str, NDArray[np.str_]]]) -> None:
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
        self.response_low = min(self.response_low, float(y.min()))
        self.response_high = max(self.response_high, float(y.max()))
        for role, own in zip(("offset", "exposure"), self.offsets, strict=True):
            own.add(rows.roles.get(role))
        self.sums.add(
            codes=self._cells(rows),
            values=values,
            origin=self.origin,
            weights=_precision(rows),
            threads=os.cpu_count() or 1,
        )
        for (_, term), axis in self.axes.items():
            cells = cells_of(term, rows.columns, axis.texts)
            assert cells is not None
            axis.sums.add(
                codes=np.zeros(len(rows), dtype=np.int64),
                values=values,
                origin=self.origin,
                weights=falling(cells),
                threads=os.cpu_count() or 1,
            )
        self.n += len(rows)

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


@dataclass(frozen=True)
class _Axis:
    """All rows in one cell, weighted by the categories of a term."""

    texts: Mapping[str, NDArray[np.str_]]
    sums: _core.Cells


class _Range:
    """The smallest and the largest of some numbers."""

    def __init__(self) -> None:
        self.low, self.high = np.inf, -np.inf

    def add(self, values: Array | None) -> None:
        if values is not None:
            self.low = min(self.low, float(values.min()))
            self.high = max(self.high, float(values.max()))

    @property
    def varies(self) -> bool:
        """Whether they differ."""
        return self.low < self.high


def _precision(rows: CompleteRows) -> Array | None:
    weights, se = rows.roles.get("weights"), rows.roles.get("se")
    return weights if se is None else 1.0 / (se * se)
