"""The table of effects: a pandas table that keeps the draws that it sums up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from partialpool.draws.frame import WholeFrame
from partialpool.effects.grid import Grid
from partialpool.errors import InputError

if TYPE_CHECKING:
    from xarray import DataArray


class Effects(WholeFrame):
    """What effects there are, a row each; what is selected from it has no draws.

    Attributes
    ----------
    draws : xarray.DataArray
        Dims (chain, draw, row): the draws of every row of the table.
    grid : Grid
        What it is about: predictors with their values, the response, the scale.
    attrs : dict
        How it was computed.
    """

    _metadata = ["_draws", "grid"]  # noqa: RUF012 - as pandas has it: what pickles keep
    _draws: DataArray
    grid: Grid

    @classmethod
    def of(cls, columns: dict[str, Any], draws: DataArray, grid: Grid) -> Effects:
        """Put a table together."""
        found = cls(columns)
        found._draws, found.grid = draws, grid
        return found

    @property
    def _constructor(self) -> Any:  # of what is selected from it: draws are of all rows
        return WholeFrame

    @property
    def draws(self) -> DataArray:
        """The draws of every row.

        Raises
        ------
        InputError
            If rows were taken out of the table, or sorted, in place.
        """
        rows = self._draws.sizes["row"]
        if not self.index.equals(pd.RangeIndex(rows)):
            raise InputError(
                "the rows of this table of effects were changed in place",
                remedy="take the draws before, or ask for the effects again",
            )
        return self._draws

    def copy(self, deep: bool | None = True) -> Effects:  # type: ignore[misc]
        """Copy the table, draws included."""
        found = Effects(super().copy(deep=bool(deep)))
        found._draws, found.grid = self._draws.copy(deep=bool(deep)), self.grid
        found.attrs = dict(self.attrs)
        return found

    def __copy__(self, deep: bool = True) -> Effects:
        return self.copy(deep=deep)

    def __deepcopy__(self, memo: Any = None) -> Effects:
        return self.copy()
