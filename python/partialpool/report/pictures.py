"""Pictures in a page: PNG with few colours, as an address that holds all of it."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = 64
# Inches: on a phone its letters are still to be read.
SIZE = (5.2, 3.6)


def address(png: bytes) -> str:
    """Give a picture as an address, a quarter as long by few colours."""
    from PIL import Image

    file = io.BytesIO()
    small = Image.open(io.BytesIO(png)).convert("RGB").quantize(COLOURS)
    small.save(file, format="png", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")


def drawn(figure: Figure) -> str:
    """Give a figure of matplotlib as an address, so large that a narrow page can show it."""
    figure.set_size_inches(SIZE)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=170, facecolor="white")
    return address(file.getvalue())
