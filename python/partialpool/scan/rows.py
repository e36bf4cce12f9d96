"""A batch → its complete rows, as `design/complete.py` has them of a whole table."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from msgspec import Struct

from partialpool.arrays import Array, Ints
from partialpool.batches.batches import Batch
from partialpool.data import Column
from partialpool.design.complete import checked_values, named_columns, present, weighted
from partialpool.design.roles import numeric_role, role_column
from partialpool.errors import InputError

from .wanted import Wanted


class CompleteRows(Struct, frozen=True, eq=False):
    """The rows of a batch without a missing value and with a weight.

    Attributes
    ----------
    columns : dict of str to Column
        The columns of the formula.
    roles : dict of str to array
        The roles that are given.
    places : dict of str to array
        By column of text: each row's place among its different texts.
    rows : (n,) array
        Positions in the table.
    n_dropped, n_zero_weight : int
        Rows left out for missing values, and for weight 0.
    """

    columns: Mapping[str, Column]
    roles: Mapping[str, Array]
    places: Mapping[str, Ints]
    rows: Ints
    n_dropped: int
    n_zero_weight: int

    def __len__(self) -> int:
        return len(self.rows)


def complete_batch(batch: Batch, wanted: Wanted) -> CompleteRows:
    """Take the complete rows of a batch.

    Raises
    ------
    InputError
        If a column or role holds what cannot be; rows are counted in the table.
    """
    table, every = batch.table, batch.first + np.arange(batch.table.n_rows)
    try:
        given = {role: role_column(role, own, table) for role, own in wanted.roles.items()}
        columns = named_columns(wanted.names, table, wanted.uses.labels)
        keep = present((*columns.values(), *given.values()))
        complete = int(keep.sum())
        given = {role: numeric_role(role, own, every) for role, own in given.items()}
        if "weights" in given:
            keep &= weighted(given["weights"], keep, every)
        n, places = int(keep.sum()), dict(batch.places)
        if n < table.n_rows:
            columns = {name: column.rows(keep) for name, column in columns.items()}
            given = {role: column.rows(keep) for role, column in given.items()}
            places = {name: own[keep] for name, own in places.items()}
            every = every[keep]
        roles = checked_values(columns, given, every)
    except InputError as error:
        raise so_far(error, batch.first + table.n_rows) from None
    return CompleteRows(columns, roles, places, every, table.n_rows - complete, complete - n)


def so_far(error: InputError, rows: int) -> InputError:
    """Say of an error that counts rows up to where it counted."""
    read = f"of the {rows:,} rows that were read so far"
    where = f"{error.where}; {read}" if error.where else read
    return InputError(error.what, where=where, remedy=error.remedy)
