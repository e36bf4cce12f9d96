"""The different texts of a column that comes in batches, and what they say together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from partialpool import _core
from partialpool.arrays import Flags, Ints
from partialpool.data.framed import TextKind
from partialpool.data.reading import USUAL, Reading
from partialpool.data.table import Array, Column
from partialpool.data.values import as_said, read_texts
from partialpool.errors import InputError


class Texts:
    """The different texts of a column, and what they say."""

    column: Column

    def __init__(self, kind: TextKind) -> None:
        self.kind = kind
        self._index = _core.TextIndex()
        self._counts = np.zeros(0, dtype=np.int64)
        if kind.categories is not None:
            self._index.add(**_parts(kind.categories))

    def look(self, values: Any) -> None:
        """Take note of the texts of an Arrow array."""
        places, _ = _coded(self._index.add, values)
        self._add(np.bincount(places[places >= 0]))

    def count(self, found: Sequence[str], rows: Ints) -> None:
        """Take note of different texts, and of how many rows have each."""
        places = self._index.add(**_parts(found))
        counts = np.zeros(int(places.max(initial=-1)) + 1, dtype=np.int64)
        counts[places] = rows
        self._add(counts)

    def _add(self, counts: Ints) -> None:
        own = np.zeros(max(len(counts), len(self._counts)), dtype=np.int64)
        own[: len(counts)] += counts
        own[: len(self._counts)] += self._counts
        self._counts = own

    def _known(self) -> list[str]:
        """Return the different texts."""
        import pyarrow as pa

        data, ends = self._index.texts()
        buffers = (pa.py_buffer(ends), pa.py_buffer(data))
        return list(pa.LargeStringArray.from_buffers(len(ends) - 1, *buffers).to_pylist())

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_index": self._known()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._index = _core.TextIndex()
        self._index.add(**_parts(state["_index"]))

    def settle(self, name: str, how: Reading) -> None:
        """Say what the texts are, once all are known."""
        known = self._known()
        texts = np.empty(len(known), dtype=object)
        texts[:] = known
        none, kind = np.zeros(len(texts), dtype=bool), self.kind
        if kind.categories is not None:
            self.column = Column(
                name, "categorical", texts, none, kind.categories, ordered=kind.ordered
            )
        else:
            self.column = read_texts(
                name,
                texts,
                none,
                how,
                explicit=kind.explicit,
                doubtful=kind.doubtful,
                counts=self._counts,
            )
        if how is not USUAL:
            self.column = as_said(self.column, how)
        # The place −1 is that of rows without a value.
        self._values = _extended(self.column.values)
        self._missing = np.append(self.column.missing, True)
        self._labels = None if self.column.texts is None else _extended(self.column.texts)

    def rows(self, values: Any) -> tuple[Column, Ints]:
        """Return the column of some rows, and the place of each row's text."""
        base = self.column
        places, missing = _coded(self._index.find, values)
        if np.any((places < 0) & ~missing):
            raise InputError(
                f"`{base.name}` has a value that was not there when the table was read first",
                remedy="fit it again while nobody writes to it; a query has to give the same rows "
                "whenever it is asked",
            )
        column = Column(
            base.name,
            base.kind,
            self._values[places],
            self._missing[places],
            base.categories,
            base.ordered,
            None if self._labels is None else self._labels[places],
            base.notes,
            base.said,
        )
        return column, places


def _extended(values: Array) -> Array:
    """Append any value."""
    fill = np.empty(1, dtype=values.dtype)
    fill[0] = "" if values.dtype == object else np.zeros(1, dtype=values.dtype)[0]
    return np.concatenate([values, fill])


def _coded(look: Callable[..., Ints], values: Any) -> tuple[Ints, Flags]:
    """Look for the texts of an Arrow array, those of a dictionary once; tell which are missing."""
    import pyarrow as pa

    if isinstance(values, pa.ChunkedArray):
        values = values.unify_dictionaries()
        values = pa.concat_arrays(values.chunks) if values.num_chunks else pa.array([], pa.string())
    if not pa.types.is_dictionary(values.type):
        parts = _parts(values)
        return look(**parts), parts["missing"]
    parts = _parts(values.dictionary)
    rows = values.indices.cast(pa.int64()).fill_null(-1).to_numpy()  # −1: what is appended
    return np.append(look(**parts), -1)[rows], np.append(parts["missing"], True)[rows]


def _parts(values: Any) -> dict[str, Any]:
    """Return texts as the core takes them: their bytes, where each ends, and which are missing."""
    import pyarrow as pa

    if not isinstance(values, pa.Array):
        values = pa.array(values, pa.large_string())
    own = values.cast(pa.large_string())
    _, ends, data = own.buffers()
    missing = np.asarray(own.is_null())
    if not len(own):
        return {
            "data": np.zeros(0, dtype=np.uint8),
            "offsets": np.zeros(1, dtype=np.int64),
            "missing": missing,
        }
    offsets = np.frombuffer(ends, dtype=np.int64)[own.offset : own.offset + len(own) + 1]
    data = np.zeros(0, dtype=np.uint8) if data is None else np.frombuffer(data, dtype=np.uint8)
    return {"data": data, "offsets": offsets, "missing": missing}
