"""Rows to predict for, fitted or new: what the model's parameters are multiplied by."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from partialpool.arrays import Array
from partialpool.data import Column, Table, open_table
from partialpool.data.labels import distinct
from partialpool.data.values import LEADING_ZEROS
from partialpool.design import Design
from partialpool.design.gather import Gathered, check_new_roles, gather
from partialpool.design.roles import ROLES, take_role
from partialpool.design.rows import Member, Rows, make_rows
from partialpool.errors import InputError
from partialpool.model import Group, Model
from partialpool.model.scales import predictors

if TYPE_CHECKING:
    import pandas as pd


def design_rows(model: Model, design: Design) -> Rows:
    """Take the rows of a design with the model's columns and levels as they are."""
    factors = [factor for predictor in predictors(design) for factor in predictor.factors]
    wanted = wanted_roles(model, "observation")
    return Rows(
        design.X,
        design.total_offset,
        None if design.sigma is None else design.sigma.X,
        tuple(Member(k, factor.Z, factor.codes) for k, factor in enumerate(factors)),
        {role: design.roles[role] for role in wanted if role in design.roles},
    )


def without_levels(model: Model, rows: Rows) -> Rows:
    """Take rows as if their levels were none of those that the fit knows.

    Levels without pooling stay: there is no population that they could come from.
    """
    members = tuple(
        replace(member, codes=np.full(len(rows), len(model.groups[member.k].levels)), labels=())
        if model.groups[member.k].known_sd is None
        else member
        for member in rows.members
    )
    return replace(rows, members=members)


def wanted_roles(model: Model, kind: str, averaged: bool = False) -> tuple[str, ...]:
    """Name the roles that predictions of a kind depend on, or averages of them over rows."""
    family, entered = model.family, ["predictor"]
    if kind != "linear":
        entered.append("mean")
    if (
        kind == "observation"
        or (kind == "mean" and family.mean_takes_sigma)
        or (averaged and family.weights_count_rows)
    ):
        entered.append("spread")
    possible = _possible_roles(model, averaged)
    roles = [role for role in ROLES.values() if role.enters in entered and possible[role.name]]
    return tuple(role.name for role in sorted(roles, key=lambda one: entered.index(one.enters)))


def check_roles(model: Model, given: Mapping[str, Any], averaged: bool = False) -> None:
    """Refuse what has no part in the model's predictions, or in averages of them over rows.

    Raises
    ------
    InputError
        If something is given that would change nothing.
    """
    possible = _possible_roles(model, averaged)
    for role, value in given.items():
        if value is not None and not possible[role]:
            raise InputError(
                f"`{role}` is given, but this model has no use for it", remedy="leave it out"
            )


def _possible_roles(model: Model, averaged: bool) -> dict[str, bool]:
    """Tell which roles a model has a use for."""
    return {
        "offset": True,
        "exposure": model.link == "log",
        "trials": "trials" in model.family.roles,
        "se": model.known_errors,
        "weights": averaged if model.family.weights_count_rows else not model.known_errors,
    }


def gather_fitted(
    model: Model,
    design: Design | None,
    given: Mapping[str, Any],
    *,
    kind: str,
    argument: str,
    lacking: str,
    averaged: bool = False,
) -> Gathered:
    """Gather the rows that were fitted.

    Parameters
    ----------
    given : mapping
        Roles that replace those of the fit.
    argument : str
        What to call the data in messages.
    lacking : str
        Why a fit that has no rows has none.
    averaged : bool
        Whether predictions are averaged, so that weights that count rows matter.

    Raises
    ------
    InputError
        If the fit has no rows.
    """
    if design is None:
        raise InputError(lacking, remedy=f"give them as `{argument}`")
    check_roles(model, given, averaged)
    n, roles = design.n_rows, {}
    for role in wanted_roles(model, kind, averaged):
        own = design.roles.get(role)
        if given.get(role) is not None:
            own = _complete(role, given[role], design.table)
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
    return gather(
        model.plan,
        data,
        given,
        roles=wanted_roles(model, kind, averaged),
        grouping=_grouping_columns(model, needed),
        optional=optional,
    )


def build_rows(model: Model, gathered: Gathered, needed: Sequence[Group]) -> Rows:
    """Build the arrays of rows, with the columns and groups that the model has.

    Where a group is not needed, or its column is lacking, no row has a level that is known.
    """
    rows = make_rows(model.plan, gathered, _grouping_columns(model, needed))
    names = model.plan.part("mu").columns
    own = [names.index(column) for column in model.columns]  # a pooling may use fewer
    places = [(part.name, one.name) for part in model.plan.parts for one in part.groupings]
    chosen = {group.name for group in needed}
    members = []
    for k, group in enumerate(model.groups):
        member = replace(rows.members[places.index((group.predictor, group.factor))], k=k)
        if group.name not in chosen:
            unknown = np.full(len(rows), len(group.levels))
            member = replace(member, codes=unknown, labels=())
        members.append(member)
    return replace(rows, X=rows.X[:, own], members=tuple(members))


def unseen(model: Model, rows: Rows) -> Iterator[tuple[Group, Sequence[str], int]]:
    """Groups with levels that the fit did not see: their labels, if known, and how many rows."""
    for member in rows.members:
        group = model.groups[member.k]
        new = int((member.codes >= len(group.levels)).sum())
        if new:
            yield group, member.labels, new


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


def _complete(role: str, value: Any, table: Table) -> Array:
    column = take_role(role, value, table)
    if column.missing.any():
        raise InputError(
            f"`{role}` is missing in {_rows(column.missing)}", remedy="give a number for every row"
        )
    values = column.values.astype(np.float64)
    check_new_roles({role: values}, np.arange(len(values)))
    return values


def grouping_columns(model: Model, group: Group) -> list[str]:
    """Name the columns that the levels of a group come from."""
    return list(model.plan.part(group.predictor).grouping(group.factor).columns)


def _grouping_columns(model: Model, groups: Sequence[Group]) -> list[str]:
    return list(dict.fromkeys(name for g in groups for name in grouping_columns(model, g)))


def _rows(which: NDArray[np.bool_]) -> str:
    count = int(which.sum())
    return f"{count} row{'s' * (count != 1)}"
