"""Rows to predict for, fitted or new: what the model's parameters are multiplied by."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from partialpool.arrays import Array, Ints
from partialpool.data import Column, Table, label, open_table
from partialpool.data.labels import date_labels, distinct
from partialpool.data.values import LEADING_ZEROS
from partialpool.design import Design, Rebuilt, RebuiltPart, rebuild
from partialpool.design.recipe import as_fitted, recipe_labels, recipe_predictors
from partialpool.design.roles import (
    Expression,
    check_values,
    numeric_role,
    read_role,
    role_column,
    role_columns,
)
from partialpool.errors import InputError
from partialpool.model import Group, Model
from partialpool.model.scales import predictors

if TYPE_CHECKING:
    import pandas as pd


ROLES = ("offset", "exposure", "trials", "se", "weights")


@dataclass(frozen=True, eq=False)
class Gathered:
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
    notes : list of str
        What to say about the predictions.
    """

    table: Table
    roles: dict[str, Array]
    positions: Ints
    n_given: int
    notes: list[str] = field(default_factory=list)

    def keep(self, rows: NDArray[np.bool_]) -> Gathered:
        """Keep only some rows."""
        columns = {name: column.rows(rows) for name, column in self.table.columns.items()}
        return replace(
            self,
            table=Table(columns, int(rows.sum()), self.table.source),
            roles={role: values[rows] for role, values in self.roles.items()},
            positions=self.positions[rows],
        )


@dataclass(frozen=True, eq=False)
class Member:
    """Which level of a group each row belongs to.

    Attributes
    ----------
    k : int
        The position of the group among those of the model.
    codes : (n,) array
        Index into the group's levels; beyond them, into the labels of new ones.
    labels : tuple of str
        The levels that the fit did not see.
    """

    k: int
    Z: Array
    codes: Ints
    labels: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Rows:
    """The arrays of some rows: population columns, group columns, and what goes with them."""

    X: Array
    offset: Array | None
    sigma_X: Array | None
    members: tuple[Member, ...]
    roles: dict[str, Array]

    def __len__(self) -> int:
        return len(self.X)


def design_rows(model: Model, design: Design) -> Rows:
    """Take the rows of a design with the model's columns and levels as they are."""
    factors = [factor for predictor in predictors(design) for factor in predictor.factors]
    own = {role: getattr(design, role) for role in wanted_roles(model, "observation")}
    return Rows(
        design.X,
        design.total_offset,
        None if design.sigma is None else design.sigma.X,
        tuple(Member(k, factor.Z, factor.codes, ()) for k, factor in enumerate(factors)),
        {role: values for role, values in own.items() if values is not None},
    )


def wanted_roles(model: Model, kind: str, averaged: bool = False) -> tuple[str, ...]:
    """Name the roles that predictions of a kind depend on, or averages of them over rows."""
    wanted = ["offset", "exposure"]
    if "trials" in model.family.roles and kind != "linear":
        wanted.append("trials")
    spread = kind == "observation" or (model.family.mean_takes_sigma and kind == "mean")
    if model.family.has_sigma and spread:
        wanted.append("se" if model.known_errors else "weights")
    elif averaged and model.family.weights_count_rows:
        wanted.append("weights")
    return tuple(wanted)


def check_roles(model: Model, given: Mapping[str, Any], averaged: bool = False) -> None:
    """Refuse what has no part in the model's predictions, or in averages of them over rows.

    Raises
    ------
    InputError
        If something is given that would change nothing.
    """
    possible = {
        "offset": True,
        "exposure": model.link == "log",
        "trials": "trials" in model.family.roles,
        "se": model.known_errors,
        "weights": averaged if model.family.weights_count_rows else not model.known_errors,
    }
    for role, value in given.items():
        if value is not None and not possible[role]:
            raise InputError(
                f"`{role}` is given, but this model has no use for it", remedy="leave it out"
            )


def gather_fitted(
    model: Model,
    design: Design | None,
    given: Mapping[str, Any],
    *,
    kind: str,
    argument: str,
    averaged: bool = False,
) -> Gathered:
    """Gather the rows that were fitted.

    Parameters
    ----------
    given : mapping
        Roles that replace those of the fit.
    argument : str
        What to call the data in messages.
    averaged : bool
        Whether predictions are averaged, so that weights that count rows matter.

    Raises
    ------
    InputError
        If the fit was saved without its rows.
    """
    if design is None:
        raise InputError(
            "this fit was saved without the rows that were fitted",
            remedy=f"give them as `{argument}`",
        )
    check_roles(model, given, averaged)
    n, roles = design.n_rows, {}
    for role in wanted_roles(model, kind, averaged):
        own = getattr(design, role)
        value = given.get(role)
        if value is not None:
            own = _complete(role, _role(role, value, design.table))
        if own is not None:
            roles[role] = own
    return Gathered(design.table, roles, design.rows, n)


def gather_new(
    model: Model,
    data: Any,
    given: Mapping[str, Any],
    *,
    kind: str,
    needed: Sequence[Group],
    optional: bool = False,
    averaged: bool = False,
) -> Gathered:
    """Gather the rows of new data; those with missing values are left out, and counted in a note.

    Parameters
    ----------
    data : object
        Anything that ``open_table`` opens.
    given : mapping
        Roles, as columns, arrays or numbers; by default the columns that the fit used.
    needed : sequence of Group
        The groups whose levels matter.
    optional : bool
        Whether their columns may be lacking.
    averaged : bool
        Whether predictions are averaged, so that weights that count rows matter.

    Raises
    ------
    InputError
        If a column is lacking, or holds what cannot be.
    """
    check_roles(model, given, averaged)
    source = open_table(data)
    notes: list[str] = []
    grouping: dict[str, None] = {}
    for name in dict.fromkeys(name for g in needed for name in grouping_columns(model, g)):
        if name in source.names:
            grouping[name] = None
        elif not optional:
            raise InputError(
                f"there is no grouping column `{name}` in {source.source}",
                remedy='add it, or leave its levels out with new_levels="population"',
            )
    used = recipe_predictors(model.recipe)
    wanted = wanted_roles(model, kind, averaged)
    roles = _roles(model, source.names, source.source, given, wanted, notes)
    named = [name for value in roles.values() for name in role_columns(value)]
    table = source.take((*used, *grouping, *named), recipe_labels(model.recipe))
    columns = {role: _role(role, value, table, source.index) for role, value in roles.items()}
    kept = {name: table.columns[name] for name in (*used, *grouping)}
    complete = np.ones(table.n_rows, dtype=bool)
    for column in (*kept.values(), *columns.values()):
        complete &= ~column.missing
    if not complete.all():
        lacking = [c.name for c in (*kept.values(), *columns.values()) if c.missing.any()]
        names = ", ".join(f"`{name}`" for name in dict.fromkeys(lacking))
        notes.append(f"no prediction for {_rows(~complete)} with missing values ({names})")
    if "weights" in columns:
        complete &= _weighted(columns["weights"], notes)
    positions = np.flatnonzero(complete)
    values = {role: c.values[complete].astype(np.float64) for role, c in columns.items()}
    _check(values, positions)
    kept = {name: column.rows(complete) for name, column in kept.items()}
    if len(positions):
        kept = {
            name: as_fitted(model.recipe, column) if name in used else column
            for name, column in kept.items()
        }
    return Gathered(
        Table(kept, len(positions), table.source), values, positions, table.n_rows, notes
    )


def build_rows(model: Model, gathered: Gathered, needed: Sequence[Group]) -> Rows:
    """Build the arrays of rows.

    Where a group is not needed, or its column is lacking, no row has a level that is known.
    """
    n, q = gathered.table.n_rows, {group.name: len(group.terms) for group in model.groups}
    if n == 0:
        members = tuple(
            Member(k, np.empty((0, q[group.name])), np.empty(0, dtype=np.int64), ())
            for k, group in enumerate(model.groups)
        )
        columns = model.recipe["sigma"]
        width = 0 if columns is None else len(columns["population"]["columns"])
        sigma_X = None if columns is None else np.empty((0, width))
        return Rows(np.empty((0, len(model.columns))), None, sigma_X, members, gathered.roles)
    chosen = {group.name for group in needed}
    wanted = {name for group in needed for name in grouping_columns(model, group)}
    wanted |= set(recipe_predictors(model.recipe))
    columns = {name: c for name, c in gathered.table.columns.items() if name in wanted}
    if not columns:  # a table needs one, and `y ~ 1` uses none
        columns = {"": Column("", "number", np.zeros(n), np.zeros(n, dtype=bool))}
    rebuilt = rebuild(
        model.recipe,
        Table(columns, n, gathered.table.source),
        offset=gathered.roles.get("offset"),
        exposure=gathered.roles.get("exposure"),
    )
    names = model.recipe["population"]["columns"][int(model.recipe["thresholds"]) :]
    own = [names.index(column) for column in model.columns]  # a pooling may use fewer
    return Rows(
        rebuilt.X[:, own],
        rebuilt.offset,
        None if rebuilt.sigma is None else rebuilt.sigma.X,
        tuple(
            _member(model, k, rebuilt, columns if group.name in chosen else {})
            for k, group in enumerate(model.groups)
        ),
        gathered.roles,
    )


def unseen_notes(model: Model, rows: Rows, how: Callable[[Group], str]) -> list[str]:
    """Say which levels the fit did not see, and what is made of them."""
    notes = {}
    for member in rows.members:
        group = model.groups[member.k]
        new = member.codes >= len(group.levels)
        if new.any():
            if not member.labels:
                notes[group.factor] = f"there is no column `{group.factor}`: {how(group)}"
                continue
            labels = [f"`{label}`" for label in member.labels[:3]]
            shown = ", ".join(labels) + (", …" if len(member.labels) > 3 else "")
            count = f"{len(member.labels)} level{'s' * (len(member.labels) != 1)}"
            what = f"`{group.factor}` has {count} that the fit did not see ({shown}), in "
            notes[group.factor] = f"{what}{_rows(new)}: {how(group)}"
    return list(notes.values())


def check_known(model: Model, rows: Rows) -> None:
    """Refuse levels that the fit did not see.

    Raises
    ------
    InputError
        It names one, and some that are known.
    """
    for member in rows.members:
        group = model.groups[member.k]
        if member.labels and (member.codes >= len(group.levels)).any():
            known = ", ".join(f"`{level}`" for level in group.levels[:5])
            known += ", …" if len(group.levels) > 5 else ""
            raise InputError(
                f"`{group.factor}` has the level `{member.labels[0]}`, which the fit did not see",
                remedy=f'known are {known}; new_levels="sample" draws others from the population',
            )


def table_frame(data: Any) -> pd.DataFrame:
    """Give the rows of any table as a pandas DataFrame of its own."""
    import pandas as pd

    if isinstance(data, pd.DataFrame):
        return data.copy()
    source = open_table(data)
    table = source.take(source.names, source.names)
    return pd.DataFrame({name: _series(column) for name, column in table.columns.items()})


def _series(column: Column) -> Any:
    import pandas as pd

    if column.categories is not None:
        return pd.Categorical(
            _with_none(column), categories=column.categories, ordered=column.ordered
        )
    if column.kind == "number" and column.texts is not None and _is_code(column):
        return _with_none(replace(column, values=column.texts))
    if not column.missing.any() or column.kind == "date":
        return column.values
    if column.kind == "number":
        return np.where(column.missing, np.nan, column.values.astype(np.float64))
    return _with_none(column)


def _is_code(column: Column) -> bool:
    """Whether numbers would lose what their texts say: leading zeros, or digits."""
    assert column.texts is not None
    found = distinct(column.texts[~column.missing])[0]
    large = np.abs(column.values[~column.missing].astype(np.float64)) > 2.0**53
    return bool(large.any()) or any(re.fullmatch(LEADING_ZEROS, text.strip()) for text in found)


def _with_none(column: Column) -> NDArray[Any]:
    values = column.values.astype(object)
    values[column.missing] = None
    return values


def _roles(
    model: Model,
    names: Sequence[str],
    source: str,
    given: Mapping[str, Any],
    wanted: Sequence[str],
    notes: list[str],
) -> dict[str, Any]:
    """Choose what each role is taken from: what is given, else what the fit used."""
    found = {}
    for role in wanted:
        value = given.get(role)
        if value is None and model.recipe[f"needs_{role}"]:
            value = read_role(model.recipe[role])
            absent = any(name not in names for name in role_columns(value))
            if value is None or absent:
                shown = value.factor.label if isinstance(value, Expression) else value
                used = f"the fit used `{shown}` as `{role}`" if absent else f"the fit used `{role}`"
                if role != "weights":
                    where = f", which is not in {source}" if absent else ""
                    raise InputError(f"{used}{where}", remedy=f"give `{role}` for the new data")
                notes.append(f"{used}; without it the new rows have weight 1")
                continue
        if value is not None:
            found[role] = value
    return found


def _role(role: str, value: Any, table: Table, index: Any = None) -> Column:
    column = role_column(role, value, table, index)
    if len(column) != table.n_rows:
        raise InputError(
            f"`{role}` has {len(column)} values for {table.n_rows} rows",
            remedy="give one value a row",
        )
    return numeric_role(role, column, np.arange(table.n_rows))


def _complete(role: str, column: Column) -> Array:
    if column.missing.any():
        raise InputError(
            f"`{role}` is missing in {_rows(column.missing)}", remedy="give a number for every row"
        )
    values = column.values.astype(np.float64)
    _check({role: values}, np.arange(len(values)))
    return values


def _check(values: Mapping[str, Array], positions: Ints) -> None:
    for role, own in values.items():
        infinite = ~np.isfinite(own)
        if infinite.any():
            raise InputError(f"`{role}` is infinite in {_rows(infinite)}", remedy="correct them")
        if role == "weights" and (own <= 0).any():
            raise InputError(
                f"`weights` is zero or negative in {_rows(own <= 0)}",
                remedy="give positive weights",
            )
    check_values(values, positions)


def _weighted(column: Column, notes: list[str]) -> NDArray[np.bool_]:
    """Rows whose weight allows an observation; none has a negative one."""
    weights = np.where(column.missing, 1.0, column.values.astype(np.float64))
    if (weights < 0).any():
        raise InputError(
            f"`weights` is negative in {_rows(weights < 0)}", remedy="give positive weights"
        )
    if (weights == 0).any():
        notes.append(f"no prediction for {_rows(weights == 0)} with weight 0")
    return np.asarray(weights > 0)


def _stored(model: Model, group: Group) -> tuple[int, Mapping[str, Any]]:
    """Position and recipe of a group among those of its linear predictor."""
    part = model.recipe if group.predictor == "mu" else model.recipe["sigma"]
    return next(
        (k, stored) for k, stored in enumerate(part["groups"]) if stored["name"] == group.factor
    )


def grouping_columns(model: Model, group: Group) -> list[str]:
    """Name the columns that the levels of a group come from."""
    return list(_stored(model, group)[1]["columns"])


def _member(model: Model, k: int, rebuilt: Rebuilt, columns: Mapping[str, Column]) -> Member:
    group = model.groups[k]
    position, stored = _stored(model, group)
    part: RebuiltPart | None = rebuilt if group.predictor == "mu" else rebuilt.sigma
    assert part is not None
    codes, labels = np.array(part.codes[position]), tuple[str, ...]()
    new = np.flatnonzero(codes < 0)
    if any(name not in columns for name in stored["columns"]):
        codes = np.full(len(codes), len(group.levels))
    elif len(new):
        texts = zip(*(_texts(columns[name], new) for name in stored["columns"]), strict=True)
        found: dict[str, int] = {}
        for row, parts in zip(new.tolist(), texts, strict=True):
            label = ":".join(parts)
            codes[row] = len(group.levels) + found.setdefault(label, len(found))
        labels = tuple(found)
    return Member(k, part.Z[position], codes, labels)


def _texts(column: Column, rows: Ints) -> list[str]:
    """Labels, which do not depend on how a table holds them: 7 and 7.0 are one level."""
    values = column.labels[rows]
    if values.dtype.kind == "M":
        return date_labels(values)
    found, codes = distinct(values)
    names = [label(value) for value in found]
    return [names[k] for k in codes.tolist()]


def _rows(which: NDArray[np.bool_]) -> str:
    count = int(which.sum())
    return f"{count} row{'s' * (count != 1)}"
