"""Series of pandas and the rows of a table: met by their index, never by accident."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from partialpool.errors import InputError


def aligned(name: str, values: Any, index: Any, n_rows: int, whose: str) -> Any:
    """Return a Series with its values in the order of the rows; anything else as it is.

    Parameters
    ----------
    name : str
        What the Series is, for messages.
    values : object
        A Series of pandas, or what has no index.
    index : pandas.Index or None
        What pandas calls the rows of the table; None where they have only their numbers from 0.
    n_rows : int
        The number of rows.
    whose : str
        What it is aligned with, for messages.

    Raises
    ------
    InputError
        If the index does not say which value belongs to which row.

    Examples
    --------
    >>> import pandas as pd
    >>> aligned("w", pd.Series([3.0, 1.0], index=[1, 0]), None, 2, "the table").tolist()
    [1.0, 3.0]
    """
    if not is_series(values):
        return values
    import pandas as pd

    own, wanted = values.index, pd.RangeIndex(n_rows) if index is None else index
    if own.equals(wanted):
        return values
    # A longer Series may be that of a table from which rows were taken; not where rows are counted.
    known = own.is_unique and wanted.is_unique and (index is not None or len(own) == n_rows)
    if known and len(own) >= n_rows and bool(wanted.isin(own).all()):
        return values.reindex(wanted)
    if index is None and len(own) != n_rows:
        return values  # the wrong length is what is to be said
    raise InputError(
        f"the index of `{name}` is not that of {whose}",
        remedy="make it a column of the table or, if it is in the order of the rows, give "
        "`.to_numpy()` of it",
    )


def common_index(columns: Mapping[str, Any]) -> Any:
    """Return the index of the first Series of pandas among columns, or None."""
    return next((values.index for values in columns.values() if is_series(values)), None)


def is_series(values: Any) -> bool:
    """Whether something is a Series of pandas (or a subclass), told without importing it."""
    return hasattr(values, "index") and hasattr(values, "to_frame") and hasattr(values, "iloc")
