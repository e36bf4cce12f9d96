"""Figures that show what pooling does: arrays in, a matplotlib figure out.

Nothing here knows a fit, and pyplot is never imported, so that drawing leaves no global state.
"""

from __future__ import annotations

from partialpool.plots.files import save
from partialpool.plots.scene import Panel
from partialpool.plots.shrinkage import shrinkage

__all__ = ["Panel", "save", "shrinkage"]
