"""Predictions from a table that is read in parts to a file that is written in parts."""

from __future__ import annotations

from numbers import Real
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from partialpool.arrays import Array, Ints
from partialpool.design.roles import Expression, role_columns
from partialpool.draws.new_rows import grouping_columns
from partialpool.draws.posterior import Posterior
from partialpool.errors import InputError
from partialpool.paths import resolved, shown
from partialpool.predictions.batches import ROWS, Batch, Batches
from partialpool.predictions.notes import Tally
from partialpool.predictions.prepared import Asked, prepare
from partialpool.predictions.sink import sink
from partialpool.predictions.summaries import COLUMNS, predicted, probability_labels, renamed
from partialpool.progress import Progress, Work


class Done(NamedTuple):
    """What was written.

    Attributes
    ----------
    rows, predicted : int
        All rows, and those with a prediction.
    columns : tuple of str
        In the order in which they stand in the file.
    """

    rows: int
    predicted: int
    columns: tuple[str, ...]
    notes: tuple[str, ...]


def used_columns(fit: Posterior, asked: Asked) -> set[str]:
    """Name the columns that predictions may need."""
    model = fit.model
    sources = [*model.plan.roles.values(), *asked.roles.values()]
    return {
        *model.plan.predictors,
        *(name for group in model.groups for name in grouping_columns(model, group)),
        *(name for source in sources for name in role_columns(source)),
    }


def check_roles_in_parts(asked: Asked) -> None:
    """Refuse what is given row by row: rows that are read in parts could not be told apart.

    Raises
    ------
    InputError
        It names the role.
    """
    for role, value in asked.roles.items():
        if not (value is None or isinstance(value, (str, Real, Expression))):
            raise InputError(
                f"`{role}` is given row by row, and the rows are read in parts",
                remedy="name a column of the data, or give one number for all rows",
            )


def stream(fit: Posterior, asked: Asked, batches: Batches, out: Path) -> Done:
    """Predict a table in parts, and write them as they come.

    Numbers do not depend on how it is cut: what is random hangs on the label of a level, or on
    where a row is in the whole table. The file is there when all is written, or not at all.

    Raises
    ------
    InputError
        If the table cannot be read or predicted, or the file cannot be written.
    """
    check_roles_in_parts(asked)
    if any(resolved(out) == resolved(path) for path in batches.files):
        raise InputError(
            f"`{shown(out)}` would overwrite the rows that are predicted",
            remedy="choose another name",
        )
    made = (*COLUMNS, *probability_labels(fit.model, asked.kind))
    tally = Tally()
    tally.renamed = renamed(batches.schema.names, made)
    schema = _schema(batches.schema, tally.renamed, made)
    done = there = 0
    total = batches.n_rows or 0
    with (
        Progress(Work(total, unit="rows", doing="predicting"), None if total else False) as bar,
        sink(out, schema) as write,
    ):
        for batch in batches.parts(ROWS):
            found, places = _predicted(fit, asked, batch, done, tally, total != len(batch.table))
            write(_beside(batch.table, schema, found, places))
            done += len(batch.table)
            there += int(np.isfinite(found["mean"]).sum())
            bar.update(done)
    return Done(done, there, tuple(schema.names), tuple(tally.notes))


def _predicted(
    fit: Posterior, asked: Asked, batch: Batch, first: int, tally: Tally, is_part: bool
) -> tuple[dict[str, Array], Ints]:
    """Columns of predictions, and the rows of the batch that have one."""
    try:
        prepared = prepare(fit, asked, batch.data, first)
        return predicted(prepared, tally), prepared.gathered.positions
    except InputError as error:
        if not is_part:
            raise
        where = f"rows {first + 1:,} to {first + len(batch.table):,}"
        where = f"{error.where}, {where}" if error.where else where
        raise InputError(error.what, where=where, remedy=error.remedy) from None


def _schema(schema: Any, new_names: dict[str, str], made: tuple[str, ...]) -> Any:
    import pyarrow as pa

    fields = [field.with_name(new_names.get(field.name, field.name)) for field in schema]
    return pa.schema([*fields, *(pa.field(name, pa.float64()) for name in made)])


def _beside(table: Any, schema: Any, found: dict[str, Array], places: Ints) -> Any:
    """Rows with their predictions."""
    import pyarrow as pa

    return pa.table([*table.columns, *arrays(found, places, len(table))], schema=schema)


def arrays(found: dict[str, Array], places: Ints, n_rows: int) -> list[Any]:
    """Predictions of all rows as Arrow arrays: nothing where there is none."""
    import pyarrow as pa

    made = []
    for values in found.values():
        full = np.full(n_rows, np.nan)
        full[places] = values
        made.append(pa.array(full, from_pandas=True))
    return made


def written_frame(frame: Any, out: Path) -> tuple[str, ...]:
    """Write predictions that are in memory, as pandas has them; returns the names of the columns.

    Raises
    ------
    InputError
        If a column has no one type, or the file cannot be written.
    """
    import pyarrow as pa

    try:
        table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise InputError(
            f"a column cannot be written ({' '.join(str(error).split())[:200]})",
            remedy="give each column one type",
        ) from None
    with sink(out, table.schema) as write:
        for first in range(0, len(table), ROWS):
            write(table.slice(first, ROWS))
    return tuple(table.schema.names)
