"""Any table → columns."""

from partialpool.data.labels import label
from partialpool.data.source import Source, open_table, read
from partialpool.data.table import Column, Note, Table

__all__ = ["Column", "Note", "Source", "Table", "label", "open_table", "read"]
