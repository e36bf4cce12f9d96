"""Any table → columns."""

from .source import Source, open_table
from .table import Column, Table

__all__ = ["Column", "Source", "Table", "open_table"]
