"""New data → the rows that nothing is missing in, with columns and roles as the plan has them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from partialpool.arrays import Array, Flags, Ints
from partialpool.cluster.opened import opened
from partialpool.data import Column, Table
from partialpool.data.labels import distinct, match_labels
from partialpool.errors import InputError
from partialpool.expressions.evaluate import as_floats

from .matrix import rows as counted
from .plan import Plan
from .roles import Expression, check_values, role_columns, take_role


class LeftOut(Struct, frozen=True):
    """Rows without prediction, and what else there is to say of those that were gathered.

    Attributes
    ----------
    missing : int
        Rows with missing values, in the columns `lacking`.
    weightless : int
        Rows with weight 0.
    unweighted : str
        That the rows have weight 1, if the fit used weights that are not there.
    """

    missing: int = 0
    lacking: tuple[str, ...] = ()
    weightless: int = 0
    unweighted: str = ""

    def __add__(self, other: LeftOut) -> LeftOut:
        lacking = tuple(dict.fromkeys((*self.lacking, *other.lacking)))
        return LeftOut(
            self.missing + other.missing,
            lacking,
            self.weightless + other.weightless,
            self.unweighted or other.unweighted,
        )

    @property
    def notes(self) -> list[str]:
        """What to say about the predictions."""
        notes = [self.unweighted] if self.unweighted else []
        if self.missing:
            names = ", ".join(f"`{name}`" for name in self.lacking)
            gone = counted(self.missing)
            notes.append(f"no prediction for {gone} with missing values ({names})")
        if self.weightless:
            notes.append(f"no prediction for {counted(self.weightless)} with weight 0")
        return notes


class Gathered(Struct, frozen=True, eq=False):
    """The columns and roles of the rows that nothing is missing in.

    Attributes
    ----------
    table : Table
        The predictors, and the grouping columns that are needed.
    roles : dict of array
        By name, one number a row.
    positions : (n,) array
        Where these rows are in the table that was given.
    n_given : int
        Rows of that table.
    left_out : LeftOut
        What to say of the others.
    """

    table: Table
    roles: dict[str, Array]
    positions: Ints
    n_given: int
    left_out: LeftOut = LeftOut()

    @property
    def notes(self) -> list[str]:
        """What to say about the predictions."""
        return self.left_out.notes

    def keep(self, rows: Flags) -> Gathered:
        """Keep only some rows."""
        columns = {name: column.rows(rows) for name, column in self.table.columns.items()}
        return replace(
            self,
            table=Table(columns, int(rows.sum()), self.table.source),
            roles={role: values[rows] for role, values in self.roles.items()},
            positions=self.positions[rows],
        )


def gather(
    plan: Plan,
    data: Any,
    given: Mapping[str, Any],
    *,
    roles: Sequence[str],
    grouping: Collection[str] = (),
    optional: bool = False,
) -> Gathered:
    """Gather the rows of new data; those with missing values are left out, and counted in a note.

    Parameters
    ----------
    plan : Plan
        Of the design.
    data : object
        Anything that ``open_table`` opens.
    given : mapping
        Roles, as columns, arrays or numbers; by default the columns that the fit used.
    roles : sequence of str
        Those that matter.
    grouping : collection of str
        The grouping columns that matter.
    optional : bool
        Whether these may be lacking.

    Raises
    ------
    InputError
        If a column is lacking, or holds what cannot be.
    """
    source = opened(data)
    groups = [name for name in dict.fromkeys(grouping) if name in source.names]
    if not optional:
        for name in grouping:
            if name not in groups:
                raise InputError(
                    f"there is no grouping column `{name}` in {source.source}",
                    remedy='add it, or leave its levels out with new_levels="population"',
                )
    used = plan.predictors
    unweighted: list[str] = []
    sources = {role: _source(plan, role, given, source, unweighted) for role in roles}
    sources = {role: value for role, value in sources.items() if value is not None}
    named = [name for value in sources.values() for name in role_columns(value)]
    table = source.take((*used, *groups, *named), plan.labels)
    columns = {role: take_role(role, own, table, source.index) for role, own in sources.items()}
    kept = {name: table.columns[name] for name in (*used, *groups)}
    complete = np.ones(table.n_rows, dtype=bool)
    for column in (*kept.values(), *columns.values()):
        complete &= ~column.missing
    lacking = [c.name for c in (*kept.values(), *columns.values()) if c.missing.any()]
    missing, weightless = int((~complete).sum()), 0
    if "weights" in columns:
        positive = _positive(columns["weights"])
        weightless = int((~positive).sum())
        complete &= positive
    left_out = LeftOut(missing, tuple(dict.fromkeys(lacking)), weightless, *unweighted)
    positions = np.flatnonzero(complete)
    values = {role: c.values[complete].astype(np.float64) for role, c in columns.items()}
    check_new_roles(values, positions)
    kept = {name: column.rows(complete) for name, column in kept.items()}
    if len(positions):
        kept |= {name: as_fitted(plan, kept[name]) for name in used}
    taken = Table(kept, len(positions), table.source)
    return Gathered(taken, values, positions, table.n_rows, left_out)


def as_fitted(plan: Plan, column: Column) -> Column:
    """Return a column of new data as numbers, or true and false, if it was that in the fit.

    Whatever type carries it. Categories meet those of the fit where they are coded.

    Raises
    ------
    InputError
        If it is something else.
    """
    name = column.name
    if name in plan.booleans:
        return _as_boolean(column)
    if column.kind not in ("string", "categorical") or name in plan.categories:
        return column
    if name not in plan.terms_by_themselves:
        return column
    return Column(name, "number", as_floats(column), column.missing)


def check_new_roles(values: Mapping[str, Array], positions: Ints) -> None:
    """Refuse roles of new rows that cannot be."""
    for role, own in values.items():
        infinite = ~np.isfinite(own)
        if infinite.any():
            count = counted(int(infinite.sum()))
            raise InputError(f"`{role}` is infinite in {count}", remedy="correct them")
        if role == "weights" and (own <= 0).any():
            raise InputError(
                f"`weights` is zero or negative in {counted(int((own <= 0).sum()))}",
                remedy="give positive weights",
            )
    check_values(values, positions)


def _source(plan: Plan, role: str, given: Mapping[str, Any], table: Any, notes: list[str]) -> Any:
    """Choose what a role is taken from: what is given, else what the fit used; None without."""
    value = given.get(role)
    if value is not None or role not in plan.roles:
        return value
    value = plan.roles[role]
    absent = any(name not in table.names for name in role_columns(value))
    if value is not None and not absent:
        return value
    shown = value.factor.label if isinstance(value, Expression) else value
    used = f"the fit used `{shown}` as `{role}`" if absent else f"the fit used `{role}`"
    if role != "weights":
        where = f", which is not in {table.source}" if absent else ""
        raise InputError(f"{used}{where}", remedy=f"give `{role}` for the new data")
    notes.append(f"{used}; without it the new rows have weight 1")
    return None


def _positive(column: Column) -> Flags:
    """Rows whose weight allows an observation; none has a negative one."""
    weights = np.where(column.missing, 1.0, column.values.astype(np.float64))
    if (weights < 0).any():
        raise InputError(
            f"`weights` is negative in {counted(int((weights < 0).sum()))}",
            remedy="give positive weights",
        )
    return np.asarray(weights > 0)


def _as_boolean(column: Column) -> Column:
    """Take what was true or false in the fit as that, in whatever way it is written."""
    if column.kind == "boolean":
        return column
    found, codes = distinct(column.labels[~column.missing])
    try:
        places = match_labels(found, [False, True], f"the column `{column.name}`")
    except InputError:
        places = [-1]
    if -1 in places:
        raise InputError(
            f"the column `{column.name}` was true or false in the fit and is not now",
            remedy="give true and false, or 1 and 0",
        )
    values = np.zeros(len(column), dtype=bool)
    values[~column.missing] = np.array(places, dtype=bool)[codes]
    return Column(column.name, "boolean", values, column.missing)
