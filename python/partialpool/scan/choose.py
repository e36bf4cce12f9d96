"""Whether a table is read in one pass, and its design if so."""

from __future__ import annotations

from partialpool import limits
from partialpool.cluster import spread_of
from partialpool.data import Source, Table
from partialpool.design import Design
from partialpool.design.build import check_names
from partialpool.errors import InputError

from .scan import Watch, scan
from .spread import scan_spread
from .wanted import Wanted, WholeNeeded


def one_pass_design(
    wanted: Wanted,
    source: Source | Table,
    asked: bool | None,
    obstacle: str | None,
    watch: Watch,
    *,
    large: bool = False,
) -> Design | None:
    """Read a table in one pass where that is asked for, or it is large and the model allows it.

    Parameters
    ----------
    wanted : Wanted
        Formula and roles.
    source : Source or Table
        The table.
    asked : bool, optional
        Whether to do so; by default where there are many rows.
    obstacle : str, optional
        Why the model does not allow it.
    watch : callable, optional
        Told how many rows were read, and how many there are to read.
    large : bool
        Whether to take any table for a large one.

    Returns
    -------
    Design or None
        None where the table is to be read whole.

    Raises
    ------
    InputError
        If it is asked for and cannot be, or formula and table cannot be used together.
    """
    if isinstance(source, Source):
        large = large or bool(asked) or source.has_more_than(limits.ONE_PASS)
    if asked is False or (asked is None and not large):
        return None
    if obstacle is None and isinstance(source, Table):
        obstacle = "the table is in memory, and its columns are read"
    try:
        if obstacle is None:
            assert isinstance(source, Source)
            wanted.check()
            check_names(wanted.terms, source)
            spread = spread_of(source, wanted.columns, wanted.uses.labels)
            return scan(wanted, source, watch) if spread is None else scan_spread(wanted, spread)
    except WholeNeeded as error:
        obstacle = error.reason
    if asked:
        raise InputError(
            f"the table cannot be read in one pass: {obstacle}",
            remedy="leave `one_pass` out, and it is read whole",
        )
    if isinstance(source, Source) and source.is_spent:
        raise InputError(
            f"{source.source} can be read only once, and would have to be read again: {obstacle}",
            remedy="give a file or a data frame",
        )
    return None
