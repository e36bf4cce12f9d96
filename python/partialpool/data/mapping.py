"""What users give column by column: arrays, lists and Series, and dicts of them."""

from __future__ import annotations

import numbers
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from partialpool.data.convert import from_array, from_objects
from partialpool.data.frames import from_series
from partialpool.data.index import aligned, common_index
from partialpool.data.reading import USUAL, Reading
from partialpool.data.table import Column, check_names, check_rows
from partialpool.errors import InputError


class MappingReader:
    """A dict of arrays, lists and Series: a column each."""

    source = "the table"

    def __init__(self, data: Mapping[Any, Any], how: Reading) -> None:
        self.names = check_names(data, self.source)
        self._columns = dict(zip(self.names, data.values(), strict=True))
        self._how = how
        if not self.names:
            raise InputError("the table has no columns", remedy="give at least one")
        self.index = common_index(self._columns)
        lengths = {name: _length(values) for name, values in self._columns.items()}
        known = {name: n for name, n in lengths.items() if n is not None}
        if len(set(known.values())) > 1:
            shown = ", ".join(f"`{n}` {k}" for n, k in list(known.items())[:12])
            raise InputError(
                f"the columns have unequal lengths ({shown})",
                remedy="give one value a row to each",
            )
        for name, length in lengths.items():
            if length is None:  # what has no length is no column: say so
                from_any(name, self._columns[name], how)
        self.n_rows = next(iter(known.values()))
        check_rows(self.n_rows, self.source)

    def read(self, names: Iterable[str], labels: Iterable[str]) -> dict[str, Column]:
        """Convert these columns."""
        found = {}
        for name in names:
            values = aligned(
                name, self._columns[name], self.index, self.n_rows, "the other columns"
            )
            found[name] = from_any(name, values, self._how)
        return found


def from_any(name: str, values: Any, how: Reading = USUAL) -> Column:
    """Make a column from a list, an array or a Series of any library.

    Examples
    --------
    >>> from_any("x", [1, None]).missing
    array([False,  True])
    """
    if isinstance(values, np.ndarray):
        return from_array(name, values, how=how)
    if isinstance(values, (str, bytes, dict, set, frozenset)) or not hasattr(values, "__len__"):
        raise InputError(
            f"the column `{name}` is {_described(values)}, not one value a row",
            remedy="give a list or an array",
        )
    if isinstance(values, (list, tuple, range)):
        array = np.empty(len(values), dtype=object)
        if any(isinstance(v, (list, tuple, np.ndarray)) for v in values):
            raise InputError(
                f"the column `{name}` has 2 dimensions", remedy="give each column by itself"
            )
        array[:] = list(values)
        return from_objects(name, array, how=how)
    return from_series(name, values, how)


def _length(values: Any) -> int | None:
    if isinstance(values, (str, bytes, Mapping)):
        return None
    try:
        return len(values)
    except TypeError:
        return None


def _described(values: Any) -> str:
    single = isinstance(values, (str, bytes, numbers.Number, np.generic)) or values is None
    return "a single value" if single else f"a {type(values).__name__}"
