"""Where parameters lie in what the core returns when it samples all of them."""

from __future__ import annotations

from msgspec import Struct

from partialpool import called
from partialpool.model.coordinates import Coordinates


class Slices(Struct, frozen=True):
    """Where the numbers of one linear predictor lie in a row of output.

    Attributes
    ----------
    c : slice
        Working coefficients, with an intercept of its own in front where thresholds are.
    sd, cor, r : tuple of slice
        One for each factor.
    """

    name: str
    columns: tuple[str, ...]
    coordinates: Coordinates
    c: slice
    sd: tuple[slice, ...]
    cor: tuple[slice, ...]
    r: tuple[slice, ...]

    @property
    def labels(self) -> list[str]:
        """Full names of the coefficients."""
        return [called.b(column, self.name) for column in self.columns]


class Layout(Struct, frozen=True):
    """How to read a row of output of the core: predictors, then dispersion parameters."""

    predictors: tuple[Slices, ...]
    dispersion: tuple[str, ...]
    values: slice
    thresholds: bool
    size: int
