"""The different texts of a column that comes in batches, and what they say together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from partialpool.arrays import Ints
from partialpool.data.framed import TextKind
from partialpool.data.reading import USUAL, Reading
from partialpool.data.table import Array, Column
from partialpool.data.values import as_said, read_texts


class Texts:
    """The different texts of a column, and what they say."""

    column: Column

    def __init__(self, kind: TextKind) -> None:
        self.kind = kind
        self._place: dict[str, int] = {text: k for k, text in enumerate(kind.categories or ())}
        self._counts = np.zeros(0, dtype=np.int64)

    def look(self, values: Any) -> None:
        """Take note of texts."""
        found, codes = encoded(values)
        self.count(found, np.bincount(codes[codes >= 0], minlength=len(found)))

    def count(self, found: Sequence[str], rows: Ints) -> None:
        """Take note of different texts, and of how many rows have each."""
        places = [self._place.setdefault(text, len(self._place)) for text in found]
        counts = np.zeros(len(self._place), dtype=np.int64)
        counts[: len(self._counts)] = self._counts
        counts[places] += rows
        self._counts = counts

    def settle(self, name: str, how: Reading) -> None:
        """Say what the texts are, once all are known."""
        texts = np.empty(len(self._place), dtype=object)
        texts[:] = list(self._place)
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
        found, codes = encoded(values)
        own = np.fromiter(map(self._place.__getitem__, found), dtype=np.int64, count=len(found))
        places = np.append(own, -1)[codes]
        base = self.column
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


def encoded(values: Any) -> tuple[list[str], Ints]:
    """Return the different texts of an Arrow array, and each row's index into them (−1: none).

    Examples
    --------
    >>> import pyarrow as pa
    >>> found, codes = encoded(pa.array(["b", None, "a", "b"]))
    >>> found, codes.tolist()
    (['b', 'a'], [0, -1, 1, 0])
    """
    import pyarrow as pa

    if isinstance(values, pa.ChunkedArray):
        values = values.unify_dictionaries().combine_chunks()
    if isinstance(values, pa.ChunkedArray):
        values = values.chunk(0) if values.num_chunks else pa.array([], pa.string())
    if not pa.types.is_dictionary(values.type):
        values = values.cast(pa.large_string()).dictionary_encode()
    codes = values.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    found = values.dictionary.to_pylist()
    if None in found:  # a dictionary may hold a null of its own
        gone = found.index(None)
        codes = np.where(codes == gone, -1, codes - (codes > gone))
        found = [text for text in found if text is not None]
    return found, codes
