"""A table of a cluster: the passes over its rows run with the workers, and are put together here.

What workers add up about each cell is merged by the workers too, cell by cell; what comes here is
as much as there are cells.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any

import numpy as np
from msgspec import Struct

from partialpool.arrays import Array, Ints
from partialpool.batches.batches import Batches
from partialpool.cluster import Spread
from partialpool.data import Column
from partialpool.data.convert import from_array
from partialpool.data.table import check_rows
from partialpool.design import Design
from partialpool.design.plan import Plan

from .adder import Adder, Axes, Columns
from .learn import Learner
from .levels import Levels
from .moments import Moments
from .rows import CompleteRows
from .scan import Reading, finished_design
from .wanted import Wanted, WholeNeeded

_SAMPLE = 1000
"""Rows that tell the kinds of columns, and about where they lie."""
_SHARES = 64
"""So many parts of the cells are merged side by side."""

# Keys of what workers hand on: what they counted; some rows, or what all are like; why they cannot;
# sums with falling weights; from here on combinations of categories, or cells.
_COUNTS, _ROWS, _REASON, _AXES, _REST = range(5)


def scan_spread(wanted: Wanted, spread: Spread) -> Design:
    """Let the workers of a cluster look at a table and add it up; build the design of the sums.

    Parameters
    ----------
    wanted : Wanted
        Formula and roles, which were checked.
    spread : Spread
        Its columns.

    Raises
    ------
    InputError
        If formula and table cannot be used together.
    WholeNeeded
        If the model needs the whole table.
    """
    import pyarrow as pa

    reading = Reading(wanted, spread)
    learner, sample = _looked_at(wanted, spread, reading)
    wanted = learner.settled()
    plan = learner.plan(wanted)
    columns = Columns(wanted, plan)
    values, _ = columns.values(sample)
    origin = values[0] + np.mean(values - values[0], axis=0)
    axes, merge = learner.axes(plan), _Merge(columns.names, origin)
    found = _by_key(spread.reduce(_Add(wanted, plan, axes, origin), merge))
    every = np.array(_counted(reading, found.pop(_COUNTS))).reshape(-1, 3, 2)
    ends = np.column_stack([every[:, :, 0].min(axis=0), every[:, :, 1].max(axis=0)])
    levels = {name: Levels(reading.distinct.get(name)) for name in wanted.grouping}
    adder = Adder(wanted, plan, levels, origin)
    if axes:
        adder.watch_axes(axes)
        adder.join_axes(merge.moments(found.pop(_AXES)))
    moments = merge.moments(pa.concat_tables(found.values()))
    adder.join(moments, ends, sample.columns)
    return finished_design(plan, learner, adder, reading)


def _looked_at(wanted: Wanted, spread: Spread, reading: Reading) -> tuple[Learner, CompleteRows]:
    """Give what the workers saw, and some rows."""
    found = _by_key(spread.reduce(_Look(wanted), _unite))
    if _REASON in found:
        raise WholeNeeded(found[_REASON].column("reason")[0].as_py())
    running = _counted(reading, found.pop(_COUNTS, None))
    sample = _from_table(found.pop(_ROWS), reading.distinct)
    learner = Learner(wanted, sample.columns, reading.distinct)
    learner.look_first(sample)
    seen = [np.column_stack([own.to_numpy() for own in table.columns]) for table in found.values()]
    for k, sums in enumerate(running):
        learner.join(seen if k == 0 else [own[:0] for own in seen], sums.reshape(-1, 5).tolist())
    return learner, sample


def _by_key(found: list[tuple[int, Any]]) -> dict[int, Any]:
    """Put together what has the same key, in the order of the keys."""
    import pyarrow as pa

    pairs = groupby(found, key=lambda one: one[0])
    return {key: pa.concat_tables(table for _, table in own) for key, own in pairs}


# --- With the workers ----------------------------------------------------------------------------


class _Look(Struct, frozen=True):
    """The first look of a worker at its rows; at the first of them where these tell enough."""

    wanted: Wanted

    def __call__(self, batches: Batches) -> Iterator[tuple[int, Any]]:
        import pyarrow as pa

        reading, learner = Reading(self.wanted, batches), None
        try:
            for rows in reading.rows(self.wanted):
                if learner is None:
                    yield _ROWS, _to_table(rows, _SAMPLE)
                    learner = Learner(self.wanted, rows.columns, reading.distinct)
                if not learner.needs_a_look:
                    break
                learner.look(rows)
        except WholeNeeded as error:
            yield _REASON, pa.table({"reason": [error.reason]})
            return
        seen, running = ([], []) if learner is None else learner.parts()
        yield _COUNTS, _counts(reading, np.array(running))
        for k, combinations in enumerate(seen):
            names = map(str, range(combinations.shape[1]))
            yield _REST + k, pa.table(dict(zip(names, combinations.T.copy(), strict=True)))


def _unite(key: int, tables: list[Any]) -> Iterable[Any]:
    """Keep the first rows, and each combination once, with its number of rows."""
    import pyarrow as pa

    if key == _ROWS:
        return tables[:1]
    whole = pa.concat_tables(tables)
    if key < _REST:
        return [whole]
    *names, rows = whole.column_names
    groups = whole.group_by(names, use_threads=False)
    return [groups.aggregate([(rows, "sum")]).rename_columns([*names, rows])]


class _Add(Struct, frozen=True):
    """A worker adds its rows up, cell by cell."""

    wanted: Wanted
    plan: Plan
    axes: Axes
    origin: Array

    def __call__(self, batches: Batches) -> Iterator[tuple[int, Any]]:
        reading = Reading(self.wanted, batches)
        distinct = reading.distinct
        levels = {name: Levels(distinct.get(name)) for name in self.wanted.grouping}
        adder = Adder(self.wanted, self.plan, levels, self.origin, threads=1)
        adder.watch_axes(self.axes)
        for rows in reading.rows(self.wanted):
            adder.add(rows)
        yield _COUNTS, _counts(reading, adder.ends)
        if adder.n:
            moments = adder.moments()
            table = moments.to_arrow()
            yield _ROWS, table[:1]
            for share, own in _dealt(moments.codes):
                yield _REST + share, table[1:].take(own)
            if self.axes:
                yield _AXES, adder.axis_moments().to_arrow()[1:]


def _dealt(codes: Ints) -> Iterator[tuple[int, Ints]]:
    """Deal out cells by what identifies them: the same ones everywhere to the same share."""
    mixed = np.zeros(len(codes), dtype=np.uint64)
    for own in codes.T:
        mixed = (mixed ^ own.view(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(32)
    shares = (mixed % np.uint64(_SHARES)).astype(np.int64)
    order = np.argsort(shares, kind="stable")
    counts = np.bincount(shares, minlength=_SHARES)
    for share, own in enumerate(np.split(order, np.cumsum(counts)[:-1])):
        if len(own):
            yield share, own


class _Merge(Struct, frozen=True):
    """A worker merges equal cells of several others."""

    columns: tuple[str, ...]
    origin: Array

    def __call__(self, key: int, tables: list[Any]) -> Iterable[Any]:
        import pyarrow as pa

        whole = pa.concat_tables(tables)
        return [whole if key < _AXES else self.moments(whole).to_arrow()[1:]]

    def moments(self, table: Any) -> Moments:
        """Return moments, equal cells merged."""
        return Moments.from_arrow(self.columns, self.origin, table)


# --- On the way ----------------------------------------------------------------------------------


def _counts(reading: Reading, numbers: Array) -> Any:
    """What was read and left out, and some numbers."""
    import pyarrow as pa

    return pa.table(
        {
            "read": [reading.read],
            "n_dropped": [reading.n_dropped],
            "n_zero_weight": [reading.n_zero_weight],
            "some": [reading.some],
            "lacking": pa.array(
                [[name for name, empty in reading.lacking.items() if empty]], pa.list_(pa.string())
            ),
            "numbers": pa.array([numbers.ravel().tolist()], pa.list_(pa.float64())),
        }
    )


def _counted(reading: Reading, table: Any) -> list[Array]:
    """Take in what workers counted; refuse a table without a complete row. Returns the numbers."""
    rows = [] if table is None else table.to_pylist()
    reading.read = sum(row["read"] for row in rows)
    reading.n_dropped = sum(row["n_dropped"] for row in rows)
    reading.n_zero_weight = sum(row["n_zero_weight"] for row in rows)
    reading.some = any(row["some"] for row in rows)
    check_rows(reading.read, reading.batches.source)
    lacking = set.intersection(*(set(row["lacking"]) for row in rows))
    reading.lacking = {name: name in lacking for name in reading.batches.names}
    reading.check()
    return [np.array(row["numbers"]) for row in rows if row["some"]]


def _to_table(rows: CompleteRows, most: int) -> Any:
    """Return the first rows as they can be sent: of texts their places, of others the values."""
    import pyarrow as pa

    own: dict[str, Any] = {
        name: rows.places.get(name, column.values) for name, column in rows.columns.items()
    }
    named = {f"column {name}": values for name, values in own.items()}
    named |= {f"role {name}": values for name, values in rows.roles.items()}
    return pa.table({name: pa.array(values[:most]) for name, values in named.items()})


def _from_table(table: Any, distinct: Mapping[str, Column]) -> CompleteRows:
    """Return what `_to_table` was given."""
    columns: dict[str, Column] = {}
    roles: dict[str, Array] = {}
    places: dict[str, Ints] = {}
    for key in table.column_names:
        kind, _, name = key.partition(" ")
        values = table.column(key).to_numpy()
        if kind == "role":
            roles[name] = values
        elif name in distinct:
            places[name] = values
            columns[name] = distinct[name].rows(values)
        else:
            columns[name] = from_array(name, values)
    return CompleteRows(columns, roles, places, np.arange(len(table)), 0, 0)
