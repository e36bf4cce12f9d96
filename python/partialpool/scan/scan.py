"""A formula + a table in batches → the design of rows that stand for many."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from msgspec.structs import replace

from partialpool.batches.batches import Batches, in_batches
from partialpool.cluster import Spread
from partialpool.data import Note, Source
from partialpool.design import Design
from partialpool.design.complete import no_complete_row, no_weight
from partialpool.design.notes import notes_of
from partialpool.design.plan import Plan
from partialpool.design.response import check_varies
from partialpool.design.roles import role_columns
from partialpool.design.sizes import check_sizes
from partialpool.errors import InputError

from .adder import Adder
from .condensed import Facts, axis_terms, condensed_design
from .finish import axis_moments, complete_plan, finished_moments, ordered_levels
from .learn import Learner
from .levels import Levels
from .moments import Moments
from .rows import CompleteRows, complete_batch, so_far
from .wanted import Wanted, WholeNeeded

_TWICE = "its rows have to be read twice, and they come only once"

Watch = Callable[[int, int], object] | None
"""Told how many rows were read, and how many there are to read."""


def scan(wanted: Wanted, source: Source, watch: Watch = None) -> Design:
    """Read a table in batches, once or twice, and build the design of rows that stand for them.

    Parameters
    ----------
    wanted : Wanted
        Formula and roles, which were checked.
    source : Source
        The table.
    watch : callable, optional
        Told how many rows were read, and how many there are to read, over all passes.

    Raises
    ------
    InputError
        If formula and table cannot be used together.
    WholeNeeded
        If the model needs the whole table.
    """
    batches = in_batches(source, wanted.columns, wanted.uses.labels)
    if batches.is_unsurveyed:
        raise WholeNeeded(_TWICE)
    n_rows = 0 if watch is None or batches.once else source.n_rows
    try:
        return _passed(wanted, batches, watch if n_rows else None, n_rows)
    finally:
        batches.close()


def _passed(wanted: Wanted, batches: Batches, watch: Watch, n_rows: int) -> Design:
    reading = Reading(wanted, batches)
    learner = Learner(wanted, batches.first.table.columns, reading.distinct)
    if watch is not None:
        reading.watch(watch, n_rows * (1 + learner.needs_a_look))
    if learner.needs_a_look:
        if batches.once:
            raise WholeNeeded(_TWICE)
        for rows in reading.complete(wanted):
            learner.look(rows)
        wanted = learner.settled()
    adder: Adder | None = None
    threads = os.cpu_count() or 1
    for rows in reading.complete(wanted):
        if adder is None:
            learner.look_first(rows)
            wanted = learner.settled()
            plan = learner.plan(wanted)
            levels = {n: Levels(reading.distinct.get(n), threads) for n in wanted.grouping}
            adder = Adder(wanted, plan, levels)
            adder.watch_axes(learner.axes(plan))
        try:
            adder.add(rows)
        except InputError as error:
            raise so_far(error, reading.read) from None
    assert adder is not None  # `complete` sees to it
    return finished_design(plan, learner, adder, reading)


class Reading:
    """Passes over a table, and what was left out.

    Parameters
    ----------
    wanted : Wanted
        Formula and roles.
    batches : Batches or Spread
        The table; of one that is spread, workers count.
    """

    def __init__(self, wanted: Wanted, batches: Batches | Spread) -> None:
        self.batches = batches
        self._watch: Callable[[int], object] | None = None
        labels = wanted.uses.labels
        self.distinct = {
            name: own if name in labels else replace(own, texts=None)
            for name, own in batches.distinct.items()
        }
        self.read = self._before = 0
        self.n_dropped = self.n_zero_weight = 0
        self.some, self.lacking = False, dict[str, bool]()

    def watch(self, told: Callable[[int, int], object], total: int) -> None:
        """Tell how far all passes are."""
        self._watch = lambda done: told(done, total)

    def complete(self, wanted: Wanted) -> Iterator[CompleteRows]:
        """Give the complete rows of all batches that have some.

        Raises
        ------
        InputError
            If there is none.
        """
        yield from self.rows(wanted)
        self.check()

    def rows(self, wanted: Wanted) -> Iterator[CompleteRows]:
        """Give them, if there are any."""
        self.n_dropped = self.n_zero_weight = self.read = 0
        self.some, self.lacking = False, dict[str, bool]()
        assert isinstance(self.batches, Batches)
        for batch in self.batches:
            rows = complete_batch(batch, wanted)
            self.n_dropped += rows.n_dropped
            self.n_zero_weight += rows.n_zero_weight
            self.read += batch.table.n_rows
            if self._watch is not None:
                self._watch(self._before + self.read)
            if len(rows):
                self.some = True
                yield rows
            elif not self.some:
                for name, column in batch.table.columns.items():
                    empty = bool(column.missing.all())
                    self.lacking[name] = self.lacking.get(name, True) and empty
        self._before += self.read

    def check(self) -> None:
        """Refuse a table without a complete row."""
        if not self.some:
            if self.n_zero_weight:
                raise no_weight()
            raise no_complete_row([name for name, empty in self.lacking.items() if empty])


def finished_design(plan: Plan, learner: Learner, adder: Adder, reading: Reading) -> Design:
    """Build the design once all rows are added."""
    levelled = ordered_levels(adder)
    moments = finished_moments(adder, levelled)
    _check(adder, moments)
    axes = axis_moments(adder, moments)
    adder.release()
    plan, made = complete_plan(plan, learner, moments, levelled)
    roles = learner.wanted.roles
    precision: Any = next((role for role in ("weights", "se") if role in roles), None)
    notes = _notes(plan, learner, reading)
    axes = {key: own for key, own in axes.items() if key in axis_terms(plan, made)}
    facts = Facts(reading.n_dropped, reading.n_zero_weight, precision, notes, axes)
    design = condensed_design(plan, made, moments, facts)
    return replace(design, table=replace(design.table, source=reading.batches.source))


def _check(adder: Adder, moments: Moments) -> None:
    """Refuse a response that does not vary, and numbers that cannot be computed with."""
    label, whole = adder.columns.response.label, moments.overall
    y = np.array([adder.response.low, adder.response.high])
    known = "se" in adder.roles or any(own.varies for own in adder.offsets)
    check_varies(label, y, "number", known=known)
    ends = np.column_stack([whole.low, whole.high])
    columns = zip(moments.columns[:-1], ends[:-1], strict=True)
    check_sizes(label, y, [(name, own) for name, own in columns if name != "Intercept"])


def _notes(plan: Plan, learner: Learner, reading: Reading) -> tuple[Note, ...]:
    """Say how the columns were read."""
    wanted = learner.wanted
    batches = reading.batches
    known = {name: learner.known(name) for name in wanted.names}
    columns = {n: replace(own, notes=batches.notes(n)) for n, (own, _) in known.items()}
    counts = {name: rows for name, (_, rows) in known.items()}
    notes = notes_of(wanted.uses, columns, plan.levels, counts)
    roles = [n for v in wanted.roles.values() for n in role_columns(v) if isinstance(v, str)]
    return tuple(note for name in roles for note in batches.notes(name)) + notes
