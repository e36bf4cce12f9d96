"""Progress of what takes longer than a second."""

from partialpool.progress.bar import Progress, RowProgress, Work

__all__ = ["Progress", "RowProgress", "Work"]
