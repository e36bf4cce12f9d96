"""Data frames and Series of pandas, polars and pyarrow → columns, by way of narwhals."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from partialpool.errors import InputError

from .convert import _unusable, from_array, from_categories, from_objects
from .table import Column, Table, check_known, check_names, check_rows


class FrameSource:
    """A data frame in memory, converted column by column when asked."""

    def __init__(self, frame: Any, source: str) -> None:
        import narwhals as nw

        # narwhals refuses duplicate names with a message of its own, so look first.
        library = type(frame).__module__.split(".")[0]
        if library in ("pandas", "pyarrow"):
            arrow = library == "pyarrow" and hasattr(frame, "column_names")
            check_names(frame.column_names if arrow else getattr(frame, "columns", ()), source)
        wrapped = nw.from_native(frame)
        if isinstance(wrapped, nw.LazyFrame):
            wrapped = wrapped.collect()
        self._frame = wrapped
        self._keys = dict(zip(check_names(wrapped.columns, source), wrapped.columns, strict=True))
        self.names = tuple(self._keys)
        self.n_rows = len(wrapped)
        self.source = source
        check_rows(self.n_rows, source)

    def take(self, names: Iterable[str]) -> Table:
        """Convert these columns."""
        names = list(dict.fromkeys(names))
        check_known(names, self.names, self.source)
        columns = {name: _convert(name, self._frame.get_column(self._keys[name])) for name in names}
        return Table(columns, self.n_rows, self.source)


def from_series(name: str, values: Any) -> Column:
    """Make a column from a Series or an Arrow array.

    Examples
    --------
    >>> import pandas as pd
    >>> from_series("x", pd.Series([1, None], dtype="Int64")).values.dtype
    dtype('int64')
    """
    import narwhals as nw

    if type(values).__module__.startswith("pyarrow"):
        import pyarrow as pa

        return _convert(name, nw.from_native(pa.table({name: values}))[name])
    if type(values).__module__.startswith("pandas") and not hasattr(values, "to_frame"):
        import pandas as pd  # an extension array such as pandas.Categorical

        values = pd.Series(values)
    if type(values).__name__.endswith("Index"):
        values = values.to_series()
    try:
        series: Any = nw.from_native(values, series_only=True)
    except TypeError:
        try:
            return from_array(name, np.asarray(values))
        except (TypeError, ValueError):
            raise _unusable(name, type(values).__name__) from None
    return _convert(name, series)


def _convert(name: str, series: Any) -> Column:
    import narwhals as nw

    dtype = series.dtype
    if dtype == nw.Categorical or dtype == nw.Enum:
        return _categorical(name, series)
    if dtype == nw.Object:
        return from_array(name, np.asarray(series.to_numpy(), dtype=object))
    missing = np.array(series.is_null().to_numpy(), dtype=bool)
    some = bool(missing.any())
    if dtype.is_integer():
        # Filling first keeps integers exact where a null would turn the column into floats.
        kind = np.uint64 if not dtype.is_signed_integer() else np.int64
        filled = series.fill_null(0) if some else series
        return from_array(name, np.asarray(filled.to_numpy(), dtype=kind), missing)
    if dtype.is_numeric():
        if dtype.is_decimal():
            series = series.cast(nw.Float64)
        floats = np.full(len(missing), np.nan)
        present = series.filter(~series.is_null()) if some else series
        floats[~missing] = np.asarray(present.to_numpy(), dtype=np.float64)
        return from_array(name, floats, missing)
    if dtype == nw.Boolean:
        filled = series.fill_null(False) if some else series
        return from_array(name, np.asarray(filled.to_numpy(), dtype=bool), missing)
    if dtype == nw.String:
        return _strings(name, series, missing)
    if dtype == nw.Date or dtype == nw.Datetime:
        if getattr(dtype, "time_zone", None) is not None:
            series = series.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
        values = np.asarray(series.to_numpy())
        if values.dtype.kind != "M":
            values = values.astype("datetime64[us]")
        return from_array(name, values, missing)
    if len(missing) and missing.all():
        return from_array(name, np.full(len(missing), np.nan), missing)
    raise _unusable(name, str(dtype))


def _strings(name: str, series: Any, missing: Any) -> Column:
    values = np.array(series.to_numpy(), dtype=object)
    values[missing] = ""
    return from_objects(name, values, missing)


def _categorical(name: str, series: Any) -> Column:
    native = series.to_native()
    if hasattr(native, "cat") and hasattr(native.cat, "codes"):  # pandas
        plain = [c.item() if isinstance(c, np.generic) else c for c in native.cat.categories]
        categories = tuple(c if isinstance(c, (str, int, float)) else str(c) for c in plain)
        codes = np.array(native.cat.codes, dtype=np.int64)
        return from_categories(name, codes, categories, ordered=bool(native.cat.ordered))
    import narwhals as nw

    missing = np.array(series.is_null().to_numpy(), dtype=bool)
    column = _strings(name, series.cast(nw.String), missing)
    if series.dtype == nw.Enum:
        categories, ordered = tuple(series.dtype.categories), True
    elif hasattr(native, "type"):  # Arrow: the dictionary's own order
        chunks = native.unify_dictionaries().chunks
        categories = tuple(chunks[0].dictionary.to_pylist()) if chunks else ()
        ordered = bool(native.type.ordered)
    else:
        # polars' Categorical has no order of its own: treat it as the strings that it holds.
        return column
    if any(not isinstance(c, str) for c in categories):
        raise InputError(
            f"the column `{name}` has categories that are not strings",
            remedy="make them strings",
        )
    return Column(name, "categorical", column.values, missing, categories, ordered)
