"""Any table, those of a cluster too → a `Source`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from partialpool.data import Source, Table, open_table
from partialpool.data.table import check_known

from .dask import DaskReader, is_dask
from .spark import SparkReader, is_spark
from .spread import Cluster, Spread


def opened(data: Any) -> Source | Table:
    """Open a table; one of a cluster stays there until columns are taken.

    Examples
    --------
    >>> opened({"x": [1, 2]}).names
    ('x',)
    """
    if is_spark(data):
        return Source(SparkReader(data))
    return Source(DaskReader(data)) if is_dask(data) else open_table(data)


def spread_of(
    source: Source | Table, names: Iterable[str], labels: Iterable[str] = ()
) -> Spread | None:
    """Give columns as they lie with the workers of a cluster; None of any other table.

    And of one of which only the whole tells what its columns are. Those in `labels` are to name
    things.
    """
    if not isinstance(source, Source) or not isinstance(source.reader, Cluster):
        return None
    reader = source.reader
    names = tuple(dict.fromkeys(names))
    check_known(names, reader.names, reader.source)
    kinds = reader.texts(names, labels)
    return None if kinds is None else Spread(reader, names, kinds, source.how)
