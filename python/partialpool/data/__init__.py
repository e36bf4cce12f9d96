"""Any table → columns."""

from .labels import label
from .source import Source, open_table, read
from .table import Column, Note, Table

__all__ = ["Column", "Note", "Source", "Table", "label", "open_table", "read"]
