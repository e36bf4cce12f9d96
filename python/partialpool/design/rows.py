"""A plan + the columns of some rows → what parameters are multiplied by, for any rows alike.

Those that were fitted, those of a file, and new ones: all are made here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

import numpy as np
from msgspec import Struct

from partialpool.arrays import Array, Ints
from partialpool.data import Column, label
from partialpool.data.labels import date_labels, distinct
from partialpool.errors import InputError, short
from partialpool.formula import Term, expand

from .aliased import check_known
from .complete import check_finite
from .gather import Gathered
from .grouping import match_levels, ordered_groups
from .interaction import match_combinations
from .matrix import Matrix, build_matrix
from .plan import Plan, PlannedColumns, PlannedGrouping, PlannedPart
from .roles import total_offset


class FactorRows(Struct, frozen=True, eq=False):
    """What rows have of a grouping factor.

    Parameters
    ----------
    Z : tuple of Matrix
        The columns of each of its group terms.
    codes : numpy.ndarray
        (n,) index into its levels; −1 for one that is not among them, or not known.
    """

    Z: tuple[Matrix, ...]
    codes: Ints

    @property
    def values(self) -> Array:
        """All columns: (n, q)."""
        return np.ascontiguousarray(np.hstack([part.values for part in self.Z]))


class PartRows(Struct, frozen=True, eq=False):
    """What rows have of a linear predictor: population columns, and each grouping factor."""

    X: Matrix
    factors: tuple[FactorRows, ...]


def apply_plan(
    plan: Plan,
    columns: Mapping[str, Column],
    n: int,
    *,
    fitted: bool = False,
    codes: Mapping[str, Ints] | None = None,
) -> tuple[PartRows, ...]:
    """Make the columns of every linear predictor.

    Parameters
    ----------
    plan : Plan
        Of the design.
    columns : mapping of str to Column
        Without missing values. Grouping columns may be absent.
    n : int
        The number of rows.
    fitted : bool
        Whether the plan was learned from these rows.
    codes : mapping of str to numpy.ndarray, optional
        Codes of the levels, by grouping column, where they were computed before.

    Raises
    ------
    InputError
        If the rows have other kinds or categories, or one of which the fitted rows tell nothing.
    """
    plan.check_version()
    known = dict(codes or {})
    return tuple(_part(part, columns, n, known, fitted) for part in plan.parts)


def _part(
    part: PlannedPart,
    columns: Mapping[str, Column],
    n: int,
    codes: dict[str, Ints],
    fitted: bool,
) -> PartRows:
    X = _columns(part.population, expand(part.terms.population), columns, n, fitted)
    if part.thresholds:
        X = X.some(range(1, len(X.names)))
    factors = []
    for grouping in part.groupings:
        terms = [expand(group.terms) for group in ordered_groups(part.terms, grouping.name)]
        own = zip(grouping.parts, terms, strict=True)
        Z = tuple(_columns(planned, of, columns, n, fitted) for planned, of in own)
        factors.append(FactorRows(Z, _codes(grouping, columns, n, codes)))
    return PartRows(X, tuple(factors))


def _columns(
    planned: PlannedColumns,
    terms: tuple[Term, ...],
    columns: Mapping[str, Column],
    n: int,
    fitted: bool,
) -> Matrix:
    made = build_matrix(terms, columns, n, planned.state)
    if planned.made is None and len(made.names) == len(planned.kept):  # of version 0.1.0
        return made
    if made.names != planned.made:
        wanted = planned.made or planned.kept
        raise InputError(
            f"the new data give the columns {short(', '.join(made.names), 200)}, not "
            f"{short(', '.join(wanted), 200)}",
            remedy="give the columns the same kinds as in the data that were fitted",
        )
    if not fitted:
        check_known(planned.aliased, made.names, made.values)
    gone = {one.name for one in planned.aliased}
    return made.some([j for j, name in enumerate(made.names) if name not in gone])


def _codes(
    grouping: PlannedGrouping, columns: Mapping[str, Column], n: int, known: dict[str, Ints]
) -> Ints:
    if any(name not in columns for name in grouping.columns):
        return np.full(n, -1)
    for name, levels in zip(grouping.columns, grouping.levels, strict=True):
        if name not in known:
            known[name] = match_levels(columns[name], levels)
    own = [known[name] for name in grouping.columns]
    return own[0] if grouping.members is None else match_combinations(own, grouping.members)


class Member(Struct, frozen=True, eq=False):
    """Which level of a group each row belongs to.

    Attributes
    ----------
    k : int
        The position of the group, over all predictors.
    codes : (n,) array
        Index into the group's levels; beyond them, into the labels of new ones.
    labels : tuple of str
        The levels that the fit did not see.
    """

    k: int
    Z: Array
    codes: Ints
    labels: tuple[str, ...] = ()


class Rows(Struct, frozen=True, eq=False):
    """The arrays of some rows: population columns, group columns, and what goes with them."""

    X: Array
    offset: Array | None
    sigma_X: Array | None
    members: tuple[Member, ...]
    roles: dict[str, Array]

    def __len__(self) -> int:
        return len(self.X)


def make_rows(plan: Plan, gathered: Gathered, grouping: Collection[str]) -> Rows:
    """Build the arrays of rows, with all columns and groups of a plan.

    No row has a level that is known of a group with columns outside of `grouping`, or lacking.
    """
    n = gathered.table.n_rows
    if n == 0:  # nothing can be computed of no rows
        X, *others = (np.empty((0, len(part.columns))) for part in plan.parts)
        members = tuple(
            Member(k, np.empty((0, len(one.terms))), np.empty(0, dtype=np.int64))
            for k, one in enumerate(_groupings(plan))
        )
        return Rows(X, None, others[0] if others else None, members, gathered.roles)
    wanted = {*grouping, *plan.predictors}
    columns = {name: c for name, c in gathered.table.columns.items() if name in wanted}
    for name in plan.predictors:
        check_finite(columns[name])
    main, *seconds = apply_plan(plan, columns, n)
    found = [factor for part in (main, *seconds) for factor in part.factors]
    known = {name: c for name, c in columns.items() if name in grouping}
    return Rows(
        main.X.values,
        total_offset(gathered.roles),
        seconds[0].X.values if seconds else None,
        tuple(
            _member(k, one, own, known)
            for k, (one, own) in enumerate(zip(_groupings(plan), found, strict=True))
        ),
        gathered.roles,
    )


def _groupings(plan: Plan) -> Iterator[PlannedGrouping]:
    for part in plan.parts:
        yield from part.groupings


def _member(
    k: int, grouping: PlannedGrouping, own: FactorRows, columns: Mapping[str, Column]
) -> Member:
    """Number the levels that the fit did not see, by their labels."""
    codes = np.array(own.codes)
    new = np.flatnonzero(codes < 0)
    if any(name not in columns for name in grouping.columns):
        return Member(k, own.values, np.full(len(codes), grouping.n_levels))
    found: dict[str, int] = {}
    if len(new):
        texts = zip(*(_texts(columns[name], new) for name in grouping.columns), strict=True)
        for row, parts in zip(new.tolist(), texts, strict=True):
            codes[row] = grouping.n_levels + found.setdefault(":".join(parts), len(found))
    return Member(k, own.values, codes, tuple(found))


def _texts(column: Column, rows: Ints) -> list[str]:
    """Labels, which do not depend on how a table holds them: 7 and 7.0 are one level."""
    values = column.labels[rows]
    if values.dtype.kind == "M":
        return date_labels(values)
    found, codes = distinct(values)
    names = [label(value) for value in found]
    return [names[k] for k in codes.tolist()]
