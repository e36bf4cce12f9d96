"""A text file in parts: every column is taken for the same in all of them as in the whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from msgspec import Struct

from partialpool.data.convert import from_array
from partialpool.data.delimited import DelimitedReader
from partialpool.data.table import Column, Table


class TextParts(Struct, frozen=True, eq=False):
    """What the columns of a text file are, and its rows some at a time.

    Attributes
    ----------
    kinds : mapping
        ``"BIGINT"`` or ``"DOUBLE"`` of columns that are plain numbers.
    said : mapping
        Other columns that are used: their texts, and what each of them is, once.
    as_numbers : frozenset of str
        The columns that are shown as numbers, not as they stand.
    """

    reader: DelimitedReader
    used: Sequence[str]
    kinds: Mapping[str, str]
    said: Mapping[str, tuple[Any, Column]]
    as_numbers: frozenset[str]

    @property
    def read_schema(self) -> Any:
        """Of the batches that are read: texts as they stand, and numbers of those that are."""
        import pyarrow as pa

        fields = [(f"t{k}", pa.string()) for k in range(len(self.reader.names))]
        return pa.schema(
            fields + [(f"c{k}", _types()[kind]) for k, kind in enumerate(self._kinds) if kind]
        )

    @property
    def schema(self) -> Any:
        """Of the columns as they are shown."""
        import pyarrow as pa

        types = [
            _types()[self.kinds[name]] if name in self.as_numbers else pa.string()
            for name in self.reader.names
        ]
        return pa.schema(list(zip(self.reader.names, types, strict=True)))

    def batches(self, rows: int) -> Iterator[Any]:
        """Read batches of at most so many rows."""
        order = {name: self.kinds[name] for name in self.reader.names if name in self.kinds}
        yield from self.reader.stream(order, rows)

    def shown(self, table: Any) -> Any:
        """Columns of some rows as they are shown."""
        import pyarrow as pa

        columns = [
            table.column(f"{'c' if name in self.as_numbers else 't'}{k}")
            for k, name in enumerate(self.reader.names)
        ]
        return pa.table(columns, schema=self.schema)

    def columns(self, table: Any) -> Table:
        """Columns of some rows that are used, as they are read of the whole file."""
        found = {name: self._column(name, table) for name in self.used}
        return Table(found, len(table), self.reader.source)

    @property
    def _kinds(self) -> list[str | None]:
        return [self.kinds.get(name) for name in self.reader.names]

    def _column(self, name: str, table: Any) -> Column:
        import pyarrow.compute as pc

        k = self.reader.names.index(name)
        texts = table.column(f"t{k}")
        if name in self.said:
            known, column = self.said[name]
            # The last one stands for rows without text.
            at = pc.fill_null(pc.index_in(texts, value_set=known), len(known))
            return column.rows(at.to_numpy().astype(np.int64))
        own = table.column(f"c{k}")
        missing = own.is_null().to_numpy()
        kind = np.int64 if self.kinds[name] == "BIGINT" else np.float64
        column = from_array(name, own.fill_null(0).to_numpy().astype(kind), missing)
        if kind is np.int64:
            return column
        labels = np.array(texts.fill_null("").to_numpy(), dtype=object)
        labels[column.missing] = ""
        return Column(name, "number", column.values, column.missing, texts=labels)


def _types() -> dict[str, Any]:
    import pyarrow as pa

    return {"BIGINT": pa.int64(), "DOUBLE": pa.float64()}


def text_in_parts(reader: DelimitedReader, used: Sequence[str], *, as_texts: bool) -> TextParts:
    """Find what the columns of a text file are taken for, in one look at all rows.

    Parameters
    ----------
    used : sequence of str
        The columns that are needed as what they are.
    as_texts : bool
        Whether all columns are shown as they stand; else plain numbers are shown as numbers.
    """
    import pyarrow as pa

    found = reader.meanings(used)
    kinds = {name: own for name, own in found.items() if isinstance(own, str)}
    shown = {} if as_texts else reader.plain_numbers(reader.names)
    said = {
        name: (pa.array(own[0], type=pa.string()), own[1])
        for name, own in found.items()
        if not isinstance(own, str)
    }
    return TextParts(reader, tuple(used), shown | kinds, said, frozenset(shown))
