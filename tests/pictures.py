"""Figures beside stored images: their pixels, and how far two pictures are apart."""

from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.image import imread, imsave

IMAGES = Path(__file__).parent / "reference" / "images"
DPI = 50
# Root mean square over all pixels and channels, of 255. The version that drew the stored images
# gives 0; an ellipse 14% wider gives 6 to 20, one that is missing 15 to 27. Other versions place
# letters otherwise, which moves the panels by a pixel and alone gives 25 to 30: not compared.
TOLERANCE = 3.0
DRAWN_BY = "3.11"
same_letters = pytest.mark.skipif(
    not matplotlib.__version__.startswith(f"{DRAWN_BY}."),
    reason=f"the stored images have the letters of matplotlib {DRAWN_BY}",
)


def pixels(fig):
    fig.set_dpi(DPI)
    fig.canvas.draw()
    return np.asarray(fig.canvas.buffer_rgba())[..., :3].copy()


def distance(one, other):
    if one.shape != other.shape:
        return np.inf
    return np.sqrt(np.mean((one.astype(float) - other.astype(float)) ** 2))


def stored(name):
    return np.round(255 * imread(IMAGES / f"{name}.png")[..., :3])


def store(name, fig):
    """Write a stored image anew; look at it before keeping it."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    imsave(IMAGES / f"{name}.png", pixels(fig))
