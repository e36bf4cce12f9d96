"""Which combinations are compared with which, and how: by differences or ratios."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from partialpool.arrays import Array
from partialpool.data import label
from partialpool.data.labels import match_labels
from partialpool.effects.grid import Grid, Place
from partialpool.errors import InputError, did_you_mean, shown

MOST = 20_000  # comparisons

Change = Callable[[Array, Array], Array]
"""How two predictions are compared."""


class Comparison(NamedTuple):
    """A combination and the one that it is compared with.

    Attributes
    ----------
    crossed : tuple of int
        The two axes of an interaction: changes along the first are compared between values of the
        second. Else none.
    """

    at: Place
    reference: Place
    crossed: tuple[int, ...] = ()

    def of(self, predicted: Mapping[Place, Array], change: Change) -> Array:
        """Compare predictions, or on crossed axes the changes along the first of them.

        Examples
        --------
        >>> cells = {(0, 0): 1.0, (0, 1): 2.0, (1, 0): 4.0, (1, 1): 9.0}
        >>> Comparison((1, 1), (0, 0), (0, 1)).of(cells, lambda x, y: x - y)
        4.0
        """
        if not self.crossed:
            return change(predicted[self.at], predicted[self.reference])
        second = self.crossed[1]
        here, there = list(self.reference), list(self.at)
        here[second], there[second] = self.at[second], self.reference[second]
        return change(
            change(predicted[self.at], predicted[tuple(here)]),
            change(predicted[tuple(there)], predicted[self.reference]),
        )


def comparisons(grid: Grid, pairs: str, reference: Any) -> list[Comparison]:
    """List what is compared.

    Parameters
    ----------
    pairs : {"", "within", "all", "interaction"}
        The values of the first axis within each combination of the others; all combinations; the
        changes along the first axis between the values of the second; or each with the reference.
    reference : object
        As the user said it: see :func:`read_reference`.

    Raises
    ------
    InputError
        If the reference is none of the values, or if there are too many comparisons.
    """
    if not grid.compared:
        return []
    if pairs:
        found = list(itertools.islice(_pairs(grid, pairs), MOST + 1))
    else:
        against = read_reference(grid, reference)
        found = [
            Comparison(place, other)
            for place in grid.places
            if (other := _replaced(place, against)) != place
        ]
    if len(found) > MOST:
        raise InputError(
            f"there are more than {MOST:,} pairs of these combinations",
            remedy="choose fewer values with `at=`, or compare with a reference",
        )
    return found


def _replaced(place: Place, values: Mapping[int, int]) -> Place:
    return tuple(values.get(axis, k) for axis, k in enumerate(place))


def _pairs(grid: Grid, pairs: str) -> Iterator[Comparison]:
    """Of two values the later is compared with the earlier."""
    moved = grid.compared[: {"within": 1, "interaction": 2, "all": None}[pairs]]
    kept = [k for k in range(len(grid.axes)) if k not in moved]
    for others in itertools.product(*(range(grid.shape[k]) for k in kept)):
        fixed = dict(zip(kept, others, strict=True))

        def place(own: Sequence[int], fixed: dict[int, int] = fixed) -> Place:
            whole = fixed | dict(zip(moved, own, strict=True))
            return tuple(whole[k] for k in range(len(grid.axes)))

        sizes = [range(grid.shape[k]) for k in moved]
        if pairs == "interaction":
            first, second = (itertools.combinations(size, 2) for size in sizes)
            for (a, b), (c, d) in itertools.product(first, second):
                yield Comparison(place((b, d)), place((a, c)), (moved[0], moved[1]))
        else:
            for one, other in itertools.combinations(itertools.product(*sizes), 2):
                yield Comparison(place(other), place(one))


def read_reference(grid: Grid, given: Any) -> dict[int, int]:
    """Read what others are compared with: a position on each axis that it is about.

    The first value of every axis unless said otherwise. One value where one is compared; a value
    for each, in their order; or values by name, within each value of those that are not named.

    Raises
    ------
    InputError
        If it is none of the values.
    """
    axes = [grid.axes[k] for k in grid.compared]
    if given is None:
        return dict.fromkeys(grid.compared, 0)
    names = [axis.name for axis in axes]
    example = ", ".join(f'"{name}": …' for name in names)
    if isinstance(given, Mapping):
        for name in given:
            if name not in names:
                raise InputError(
                    f"`reference` names {shown(name)}, which `by` does not",
                    remedy=f"give {{{example}}}",
                )
        if not given:
            raise InputError("`reference` names nothing", remedy=f"give {{{example}}}")
        values = dict(given)
    elif len(axes) == 1 and (isinstance(given, str) or not hasattr(given, "__len__")):
        values = {names[0]: given}
    elif isinstance(given, (list, tuple)) and len(given) == len(axes):
        values = dict(zip(names, given, strict=True))
    else:
        raise InputError(
            f"`reference` is {shown(given)}",
            remedy=f"give one value of {names[0]}"
            if len(axes) == 1
            else f"give a value for each predictor, as in {{{example}}}",
        )
    return {k: _position(grid, k, values[grid.axes[k].name]) for k in grid.compared
            if grid.axes[k].name in values}  # fmt: skip


def reference_values(grid: Grid, given: Any) -> dict[str, Any] | None:
    """Give the values that others are compared with, by name; None where nothing is compared."""
    if not grid.compared:
        return None
    places = read_reference(grid, given)
    return {grid.axes[k].name: grid.axes[k].values[i] for k, i in places.items()}


def _position(grid: Grid, k: int, value: Any) -> int:
    axis = grid.axes[k]
    value = value.item() if isinstance(value, np.generic) else value
    labels = [label(own) for own in axis.values]
    first = {name: k for k, name in reversed([*enumerate(labels)])}  # values may be given twice
    known = [axis.values[k] for k in sorted(first.values())]
    place = -1
    if getattr(value, "__hash__", None) is not None:
        place = match_labels([value], known, f"`{axis.name}` in `reference`")[0]
    if place < 0:
        if axis.is_numeric:
            remedy = f"{did_you_mean('', labels)}, or list it with `at=`"
        else:
            remedy = did_you_mean(label(value), labels)
        raise InputError(
            f"`reference` is {shown(value)}, which is none of the values of `{axis.name}`",
            remedy=remedy,
        )
    return labels.index(label(known[place]))


def difference(x: Array, y: Array) -> Array:
    """Give a difference."""
    return np.asarray(x - y)


def quotient(x: Array, y: Array) -> Array:
    """Give a ratio."""
    return np.asarray(x / y)
