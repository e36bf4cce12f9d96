"""Rows of a table of fits: parameters matched by name, in the order of the formulas, and sizes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from partialpool import called
from partialpool.errors import InputError, did_you_mean
from partialpool.tables.side import Entry, Side

STATISTICS = "Fit"
"""The title above what stands below the parameters."""


class Row(Struct, frozen=True):
    """A row of a table.

    Attributes
    ----------
    key : str
        The parameter's full name, or what the statistic is called.
    label : str
        What is shown.
    section : str
        The title that it stands under.
    cells : tuple
        An Entry or text for each fit; None where a fit has no such thing.
    """

    key: str
    label: str
    section: str
    cells: tuple[Entry | str | None, ...]

    @property
    def is_text(self) -> bool:
        """Whether it holds no numbers."""
        return any(isinstance(cell, str) for cell in self.cells)


def build_rows(
    sides: Sequence[Side], wanted: Sequence[str] | None, labels: Mapping[str, str]
) -> tuple[Row, ...]:
    """Match the parameters of the fits by their names, and their statistics.

    Parameters
    ----------
    wanted : list of str or None
        Parameters or arrays, such as ``"b"``, that are shown; None: all.
    labels : mapping
        What rows are called in place of their names.

    Raises
    ------
    InputError
        If one of these names is in no fit.
    """
    known = merged([list(side.places) for side in sides])
    below = _statistics(sides, labels)
    if wanted is not None:
        _check_names(wanted, [*known, *map(called.array_of, known)])
        known = [name for name in known if {name, called.array_of(name)} & set(wanted)]
    _check_names(labels, [*known, *(row.key for row in below)])
    rows = [_parameter(sides, name, labels) for name in known]
    order = merged([[one.section for one in side.places.values()] for side in sides])
    rows.sort(key=lambda row: order.index(row.section))
    return (*rows, *below)


def _statistics(sides: Sequence[Side], labels: Mapping[str, str]) -> list[Row]:
    """Make the rows of the statistics: those of one name stand together."""
    rows = []
    for kind in merged([list(side.statistics) for side in sides]):
        found = [side.statistics.get(kind, {}) for side in sides]
        for name in merged([list(one) for one in found]):
            cells = tuple(one.get(name) for one in found)
            rows.append(Row(name, labels.get(name, name), STATISTICS, cells))
    return rows


def _parameter(sides: Sequence[Side], name: str, labels: Mapping[str, str]) -> Row:
    """Make the row of a parameter; its full name is shown where fits would name it differently."""
    places = list(dict.fromkeys(side.places[name] for side in sides if name in side.places))
    label = places[0].label if len(places) == 1 else name
    cells = tuple(side.entries.get(name) for side in sides)
    return Row(name, labels.get(name, label), places[0].section, cells)


def _check_names(names: Iterable[str], known: Iterable[str]) -> None:
    known = list(dict.fromkeys(known))
    for name in names:
        if name not in known:
            raise InputError(
                f"no fit has a parameter `{name}`",
                remedy=did_you_mean(name, known),
            )


def merged(orders: Sequence[Sequence[str]]) -> list[str]:
    """Merge several orders into one that holds all: what is new goes before what follows it.

    Examples
    --------
    >>> merged([["a", "z"], ["a", "b", "z"], ["a", "c"]])
    ['a', 'b', 'z', 'c']
    """
    found: list[str] = []
    for order in orders:
        end = len(found)
        for name in reversed(list(dict.fromkeys(order))):
            if name in found:
                end = found.index(name)
            else:
                found.insert(end, name)
    return found
