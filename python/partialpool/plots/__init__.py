"""Figures that show what pooling does: arrays in, a matplotlib figure out.

Nothing here knows a fit, and pyplot is never imported, so that drawing leaves no global state.
"""

from __future__ import annotations

from partialpool.drawing.files import check_path, save
from partialpool.plots.shrinkage.scene import Panel
from partialpool.plots.shrinkage.shrinkage import shrinkage

__all__ = ["Panel", "check_path", "save", "shrinkage"]
