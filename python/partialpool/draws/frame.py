"""A pandas table that is shown whole."""

from __future__ import annotations

from typing import Any

import pandas as pd

# Where pandas would put an ellipsis between the columns, or cut a text.
WHOLE = ("display.max_columns", None, "display.max_colwidth", None)


class WholeFrame(pd.DataFrame):
    """A DataFrame that never hides a column: what does not fit goes below.

    Examples
    --------
    >>> frame = WholeFrame({f"column {k}": [k] for k in range(30)})
    >>> "..." in repr(frame), "..." in repr(pd.DataFrame(frame))
    (False, True)
    """

    @property
    def _constructor(self) -> type[WholeFrame]:  # of what is selected from it
        return WholeFrame

    def __repr__(self) -> str:
        with pd.option_context(*WHOLE):
            return super().__repr__()

    def _repr_html_(self) -> Any:
        shown: Any = super()
        with pd.option_context(*WHOLE):
            return shown._repr_html_()
