"""Data frames and Series of pandas, polars and pyarrow → columns, by way of narwhals."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from partialpool.data.convert import from_array, from_categories, from_objects, unusable
from partialpool.data.labels import label
from partialpool.data.reading import USUAL, Reading
from partialpool.data.table import Array, Column, check_names, check_rows
from partialpool.data.values import read_texts
from partialpool.errors import InputError


class FrameReader:
    """A data frame in memory, converted column by column when asked."""

    def __init__(self, frame: Any, source: str, how: Reading = USUAL) -> None:
        import narwhals as nw

        # narwhals refuses duplicate names with a message of its own, so look first.
        library = type(frame).__module__.split(".")[0]
        if library in ("pandas", "pyarrow"):
            arrow = library == "pyarrow" and hasattr(frame, "column_names")
            check_names(frame.column_names if arrow else getattr(frame, "columns", ()), source)
        wrapped = nw.from_native(frame)
        if isinstance(wrapped, nw.LazyFrame):
            wrapped = collected(wrapped, source)
        self._frame = wrapped
        self._keys = dict(zip(check_names(wrapped.columns, source), wrapped.columns, strict=True))
        self._how = how
        self.names = tuple(self._keys)
        self.n_rows = len(wrapped)
        self.source = source
        self.index = frame.index if hasattr(frame, "iloc") else None
        check_rows(self.n_rows, source)

    def read(self, names: Iterable[str], labels: Iterable[str]) -> dict[str, Column]:
        """Convert these columns."""
        return {name: convert(name, self._frame, self._keys[name], self._how) for name in names}


def convert(name: str, frame: Any, key: str, how: Reading = USUAL) -> Column:
    """Convert a column of a data frame of narwhals, of which `key` is the name there."""
    try:
        plain = _plain_column(frame.to_native(), key)
        if plain is not None:
            return from_array(name, plain, np.isnan(plain))
        return _convert(name, frame.get_column(key), how)
    except InputError:
        raise
    except Exception as error:  # whatever a library does with a type of its own
        raise unusable(name, _type_of(frame, key, error)) from None


def from_series(name: str, values: Any, how: Reading = USUAL) -> Column:
    """Make a column from a Series or an Arrow array.

    Examples
    --------
    >>> import pandas as pd
    >>> from_series("x", pd.Series([1, None], dtype="Int64")).values.dtype
    dtype('int64')
    """
    import narwhals as nw

    try:
        if type(values).__module__.startswith("pyarrow") and not hasattr(values, "column_names"):
            import pyarrow as pa

            return _convert(name, nw.from_native(pa.table({name: values}))[name], how)
        if type(values).__module__.startswith("pandas") and not hasattr(values, "to_frame"):
            if hasattr(values, "columns"):
                raise _several(name)
            import pandas as pd  # an extension array such as pandas.Categorical

            values = pd.Series(values)
        if type(values).__name__.endswith("Index"):
            values = values.to_series()
        if hasattr(values, "columns"):  # a data frame
            raise _several(name)
        try:
            series: Any = nw.from_native(values, series_only=True)
        except TypeError:
            return from_array(name, np.asarray(values), how=how)
        return _convert(name, series, how)
    except InputError:
        raise
    except Exception:  # whatever a library does with a type of its own
        raise unusable(name, type(values).__name__) from None


def _several(name: str) -> InputError:
    return InputError(
        f"the column `{name}` is a data frame", remedy="give one of its columns, not all"
    )


def collected(frame: Any, source: str) -> Any:
    """Collect a lazy frame of narwhals."""
    try:
        return frame.collect()
    except Exception as error:  # a lazy frame fails with whatever its plan meets
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(
            f"{source} cannot be collected ({reason})", remedy="see whether `.collect()` works"
        ) from None


def _type_of(frame: Any, key: str, error: Exception) -> str:
    try:
        return type(frame.schema[key]).__name__
    except Exception:
        return type(error).__name__


def _convert(name: str, series: Any, how: Reading) -> Column:
    import narwhals as nw

    dtype = series.dtype
    if dtype == nw.Categorical or dtype == nw.Enum:
        return _categorical(name, series)
    if dtype == nw.Object:
        return from_array(name, np.array(series.to_numpy(), dtype=object), how=how)
    plain = _plain_numbers(series.to_native())
    if plain is not None:
        return from_array(name, plain, np.isnan(plain))
    missing = np.array(series.is_null().to_numpy(), dtype=bool)
    some = bool(missing.any())
    if dtype in (nw.Int128, nw.UInt128):
        return from_objects(name, _listed(series), how=how)
    if dtype.is_integer():
        # Filling first keeps integers exact where a null would turn the column into floats.
        kind = np.uint64 if not dtype.is_signed_integer() else np.int64
        filled = series.fill_null(0) if some else series
        return from_array(name, np.asarray(filled.to_numpy(), dtype=kind), missing)
    if dtype.is_numeric():
        if dtype.is_decimal():
            return from_objects(name, _listed(series), how=how)
        floats = np.full(len(missing), np.nan)
        present = series.filter(~series.is_null()) if some else series
        floats[~missing] = np.asarray(present.to_numpy(), dtype=np.float64)
        return from_array(name, floats, missing)
    if dtype == nw.Boolean:
        filled = series.fill_null(False) if some else series
        return from_array(name, np.asarray(filled.to_numpy(), dtype=bool), missing)
    if dtype == nw.String:
        return read_texts(name, _texts(series, missing), missing, how)
    if dtype == nw.Date or dtype == nw.Datetime:
        if getattr(dtype, "time_zone", None) is not None:
            series = series.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
        values = np.asarray(series.to_numpy())
        if values.dtype.kind != "M":
            values = values.astype("datetime64[us]")
        return from_array(name, values, missing)
    if len(missing) and missing.all():
        return from_array(name, np.full(len(missing), np.nan), missing)
    if dtype == nw.Unknown:  # types of one library alone, such as sparse numbers or periods
        return from_array(name, np.array(series.to_native()), missing, how)
    raise unusable(name, type(dtype).__name__)


def _plain_column(frame: Any, key: str) -> Array | None:
    """Plain numbers of a column of pandas or pyarrow, where no other library need look at it."""
    library = type(frame).__module__.split(".")[0]
    if library == "pyarrow":
        return _arrow_numbers(frame.column(key))
    return _plain_numbers(frame[key]) if library == "pandas" else None


def _arrow_numbers(column: Any) -> Array | None:
    """Numbers of which none is missing, as Arrow has them in memory: a batch of a large table."""
    import pyarrow as pa

    kind = column.type
    if column.null_count or not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        return None
    values: Array = column.to_numpy()
    return values


def _plain_numbers(series: Any) -> Array | None:
    """Numbers that pandas keeps as a numpy array are taken as they are, which is far quicker."""
    dtype = getattr(series, "dtype", None)
    if not isinstance(dtype, np.dtype) or dtype.itemsize > 8:
        return None
    kind = {"i": np.int64, "u": np.uint64, "f": np.float64}.get(dtype.kind)
    values = None if kind is None else getattr(series, "values", None)
    return values.astype(kind) if isinstance(values, np.ndarray) else None


def _listed(series: Any) -> Array:
    values = series.to_list()
    out = np.empty(len(values), dtype=object)
    out[:] = values
    return out


def _texts(series: Any, missing: Array) -> Array:
    values = np.array(series.to_numpy(), dtype=object)
    values[missing] = ""
    return values


def _categorical(name: str, series: Any) -> Column:
    native = series.to_native()
    if hasattr(native, "cat") and hasattr(native.cat, "codes"):  # pandas
        plain = [c.item() if isinstance(c, np.generic) else c for c in native.cat.categories]
        categories = tuple(c if isinstance(c, (str, int, float)) else label(c) for c in plain)
        codes = np.array(native.cat.codes, dtype=np.int64)
        return from_categories(name, codes, categories, ordered=bool(native.cat.ordered))
    import narwhals as nw

    missing = np.array(series.is_null().to_numpy(), dtype=bool)
    if series.dtype == nw.Enum:
        texts = _texts(series.cast(nw.String), missing)
        return Column(name, "categorical", texts, missing, tuple(series.dtype.categories), True)
    if hasattr(native, "type"):  # Arrow: the dictionary's own order
        chunks = native.unify_dictionaries().chunks
        parts = [np.asarray(chunk.indices.fill_null(-1)) for chunk in chunks]
        own = chunks[0].dictionary.to_pylist() if chunks else []
        categories = tuple(c if isinstance(c, (str, int, float)) else label(c) for c in own)
        every = np.concatenate([np.empty(0), *parts]).astype(np.int64)
        if None in own:  # a dictionary may hold a null of its own
            every[every == own.index(None)] = -1
        ordered = bool(native.type.ordered)
        return from_categories(name, every, categories, ordered=ordered)
    # polars' Categorical has no order of its own: treat it as the strings that it holds.
    return Column(name, "string", _texts(series.cast(nw.String), missing), missing)
